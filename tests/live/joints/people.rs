//! Who is who: a name says nothing without the login that knows it, and one person has one name however they spell it.

use harness::{Browser, Httpd, Mpm, Page, Site};

/// An intranet (that of the harness) and a forum, two logins of one realm, each with an alice of its own.
fn two_logins() -> Site {
    let forum = "<Location /forum/login>\nSetHandler session-cluster-login\nSessionClusterAuthn file\n\
                 AuthUserFile passwords\nAuthType Session\nAuthName forum\nRequire all granted\n</Location>\n\
                 <Location /forum/mine>\nSetHandler session-cluster-mine\nAuthType Session\nAuthName forum\n\
                 Require valid-user\n</Location>\n\
                 <Location /forum/page>\nAuthType Session\nAuthName forum\nRequire valid-user\n</Location>\n\
                 <Location /mine>\nSetHandler session-cluster-mine\nAuthType Session\nRequire valid-user\n</Location>";
    Site::new(Mpm::Event)
        .conf("SessionClusterSecret file:secret")
        .conf(forum)
        .file("secret", "0123456789abcdef0123456789abcdef\n")
        .file("htdocs/forum/page/index.html", "forum\n")
}

fn forum_alice(httpd: &Httpd) -> Browser {
    let mut browser = httpd.browser();
    browser.login_at("/forum/login", "alice").expect(303);
    browser.get("/forum/page/").expect(200);
    browser
}

fn sessions_on(page: &Page) -> usize {
    page.body.matches("127.0.0.1").count()
}

#[test]
fn a_namesake_of_another_login_sees_and_ends_nothing() {
    let httpd = two_logins().start();
    let mut intranet = httpd.browser_of("alice");
    let mut forum = forum_alice(&httpd);
    assert_eq!(sessions_on(&forum.get("/forum/mine").expect(200)), 1, "only her own");
    assert_eq!(sessions_on(&intranet.get("/mine").expect(200)), 1, "only her own");

    forum.post("/forum/mine", &[("others", "1")]).expect(200);
    intranet.get("/app/page.html").expect(200);
    let mut again = forum_alice(&httpd);
    again.post("/logout", &[("everywhere", "1")]).expect(200);
    assert!(forum.get("/forum/page/").is_refused(), "everywhere is everywhere that she is");
    intranet.get("/app/page.html").expect(200);
}

#[test]
fn a_session_of_another_login_opens_no_list_to_its_namesake() {
    // Whoever may come in by Basic as alice brings the session of another alice along.
    let mine = "<Location /basic/mine>\nSetHandler session-cluster-mine\nAuthType Basic\nAuthName Basic\n\
                AuthBasicProvider file\nAuthUserFile passwords\nRequire valid-user\n</Location>";
    let httpd = two_logins().conf(mine).start();
    let mut alice = httpd.browser_of("alice");
    let basic = [("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")];
    alice.get_with("/basic/mine", &basic).expect(403);
    alice.get("/mine").expect(200);
}

#[test]
fn an_administrator_knows_a_name_and_ends_all_who_have_it() {
    let admin = "<Location /admin>\nSetHandler session-cluster-admin\nSessionClusterAdmin realm\nAuthType Session\n\
                 Require user carol\n</Location>";
    let httpd = two_logins().conf(admin).start();
    let (mut intranet, mut forum) = (httpd.browser_of("alice"), forum_alice(&httpd));
    let mut carol = httpd.browser_of("carol");
    let mut end = |name: &str| {
        let form = [("action", "end"), ("scope", "user"), ("name", name)];
        carol.post("/admin", &form).expect(200).body
    };
    let said = end("Alice");
    assert!(said.contains("No session of that name is listed"), "a misspelt name is noticed: {said}");
    intranet.get("/app/page.html").expect(200);
    let said = end("alice");
    assert!(said.contains("2 sessions were listed"), "{said}");
    assert!(intranet.get("/app/page.html").is_refused());
    assert!(forum.get("/forum/page/").is_refused());
    assert!(end("alice").contains("No session of that name is listed"));
}

#[test]
fn one_person_has_one_name_however_it_is_spelt() {
    let conf = "<Location /login>\nSessionClusterUser %{tolower:%{REMOTE_USER}}\n\
                SessionClusterGrant wizard user merlin\n</Location>\n\
                <Location /app/merlin>\nRequire user merlin\n</Location>\n\
                <Location /app/wizards>\nRequire session-grant wizard\n</Location>\n\
                <Location /basic>\nAuthType Basic\nAuthName Basic\nAuthBasicProvider file\nAuthUserFile passwords\n\
                SessionClusterAdopt On\nSessionClusterUser %{tolower:%{REMOTE_USER}}\nRequire user merlin\n</Location>";
    let site = Site::new(Mpm::Event).conf(conf);
    let httpd = site.file("htdocs/app/merlin/x.html", "x\n").file("htdocs/app/wizards/x.html", "x\n");
    let httpd = httpd.file("htdocs/basic/x.html", "x\n").start();
    let hash = std::fs::read_to_string(httpd.path("passwords")).unwrap();
    let hash = hash.lines().next().unwrap().split_once(':').unwrap().1.to_owned();
    httpd.write("passwords", format!("MERLIN:{hash}\n"));
    let mut merlin = httpd.browser_of("MERLIN");
    assert_eq!(merlin.get("/app/merlin/x.html").expect(200).user(), Some("merlin"));
    merlin.get("/app/wizards/x.html").expect(200);
    assert_eq!(merlin.get("/whoami").json()["user"], "merlin");

    // Adopted: the first page, which the module authenticates, and those that the session does.
    let mut adopted = httpd.browser();
    let basic = [("Authorization", "Basic TUVSTElOOndvbmRlcmxhbmQ=")];
    assert_eq!(adopted.get_with("/basic/x.html", &basic).expect(200).user(), Some("merlin"));
    assert_eq!(adopted.get_with("/basic/x.html", &basic).expect(200).user(), Some("merlin"));
    assert_eq!(adopted.get("/basic/x.html").expect(200).user(), Some("merlin"));
}

#[test]
fn where_an_expression_gives_no_name_no_session_begins() {
    let conf = "<Location /login>\nSessionClusterUser %{reqenv:nothing}\n</Location>\n\
                <Location /basic>\nAuthType Basic\nAuthName Basic\nAuthBasicProvider file\nAuthUserFile passwords\n\
                SessionClusterAdopt On\nSessionClusterUser %{reqenv:nothing}\nRequire valid-user\n</Location>";
    let httpd = Site::new(Mpm::Event).conf(conf).file("htdocs/basic/x.html", "x\n").start();
    httpd.log.allow("SC0320");
    let form = [("httpd_username", "alice"), ("httpd_password", "wonderland")];
    let page = httpd.browser().post("/login", &form).expect(500);
    assert_eq!(page.header("Set-Cookie"), None);
    let basic = [("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")];
    let page = httpd.browser().get_with("/basic/x.html", &basic).expect(200);
    assert_eq!((page.header("Set-Cookie"), page.user()), (None, Some("alice")));
    assert!(httpd.log.count("SC0320") > 0);
}
