//! Rights: fetched once at the login, used by `Require` and expressions, evaluated anew when they are too old.

use harness::{Browser, Mpm, Site, eventually, on_each_mpm};
use std::time::Duration;

on_each_mpm!(
    grants_and_attributes_of_the_login_open_doors,
    rights_that_are_too_old_are_evaluated_anew_without_a_login,
);

/// `alice` is a tutor and staff, `bob` a student.
const GROUPS: &str = "staff: alice\nenrolled: alice bob\n";

const RIGHTS: &str = r#"
<Location /login>
    AuthGroupFile groups
    SessionClusterGrant staff group staff
    SessionClusterGrant login group enrolled
    SessionClusterGrant host-local ip 127.0.0.1
    SessionClusterGrant nobody user nobody
    SessionClusterGrant told expr "%{REMOTE_ADDR} == '127.0.0.1' && \"a b\" == 'a b'"
    SessionClusterAttribute role "%{tolower:%{reqenv:ROLE_OF}}"
    SetEnvIf Request_URI . ROLE_OF=TUTOR
    SessionClusterAttribute courses "maths; physics ;it" split=;
    SessionClusterAttribute courses "art"
    SessionClusterAttribute empty "%{reqenv:NOSUCH}"
</Location>
<AuthzProviderAlias session-attribute tutors "role tutor">
</AuthzProviderAlias>
"#;

fn door(path: &str, require: &str) -> String {
    format!("<Location /app/{path}>\nAuthzSendForbiddenOnFailure On\n{require}\n</Location>\n")
}

fn site(mpm: Mpm) -> Site {
    Site::new(mpm)
        .load(&["authz_groupfile", "authz_host", "setenvif", "rewrite"])
        .conf(RIGHTS)
        .file("groups", GROUPS)
}

fn statuses(browser: &mut Browser, paths: &[&str]) -> Vec<u16> {
    paths.iter().map(|path| browser.get(&format!("/app/{path}/")).status).collect()
}

fn grants_and_attributes_of_the_login_open_doors(mpm: Mpm) {
    let doors = [
        ("any", "Require session"),
        ("staff", "Require session-grant staff"),
        ("told", "Require session-grant told"),
        ("either", "Require session-grant nobody host-local"),
        ("tutor", "Require session-attribute role tutor marker"),
        ("like", "Require session-attribute courses \"~^ph.*s$\""),
        ("user", "Require session-attribute user alice"),
        ("alias", "Require tutors"),
        ("recent", "Require session-age <15min"),
        ("expr", "Require expr \"%{SESSION:role} == 'tutor' && 'physics' -in SESSION('courses')\""),
        (
            "all",
            "<RequireAll>\nRequire session-grant staff\nRequire session-attribute courses art\n</RequireAll>",
        ),
        ("some", "<RequireAny>\nRequire session-grant nobody\nRequire session-grant staff\n</RequireAny>"),
        (
            "none",
            "<RequireAll>\nRequire session\n<RequireNone>\nRequire session-grant staff\n</RequireNone>\n</RequireAll>",
        ),
    ];
    let paths = doors.map(|(path, _)| path);
    let mut site = site(mpm);
    for (path, require) in doors {
        site = site.conf(&door(path, require)).file(&format!("htdocs/app/{path}/index.html"), path);
    }
    let httpd = site.start();
    let mut alice = httpd.browser_of("alice");
    assert_eq!(
        statuses(&mut alice, &paths),
        [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 403]
    );
    let mut bob = httpd.browser_of("bob");
    assert_eq!(statuses(&mut bob, &paths), [200, 403, 200, 200, 200, 200, 403, 200, 200, 200, 403, 403, 200]);
    // Without a login every one of them leads there.
    for path in paths.into_iter().filter(|path| *path != "expr") {
        assert!(httpd.browser().get(&format!("/app/{path}/")).is_refused(), "{path}");
    }
    // An expression alone asks nobody to log in.
    httpd.browser().get("/app/expr/").expect(403);
    httpd.log.allow("AH0163"); // httpd logs each refusal
    // Who is not granted 'login' does not come in, whatever their password.
    let mut carol = httpd.browser();
    let form = [("httpd_username", "carol"), ("httpd_password", "wonderland")];
    let page = carol.post("/login", &form).expect(422);
    assert_eq!(page.header("Set-Cookie"), None);
    assert!(page.body.contains("cannot sign in here"), "{page:?}");
}

#[test]
fn expressions_see_the_session_wherever_httpd_takes_them() {
    let httpd = site(Mpm::Event)
        .conf(
            "<If \"%{SESSION:role} == 'tutor'\">\nHeader set X-If yes\n</If>\n\
             Header set X-Courses \"expr=%{SESSION:courses}\"\n\
             RewriteEngine On\nRewriteCond expr \"'it' -in SESSION('courses')\"\n\
             RewriteRule ^/open/rewritten$ /open/page.html\n\
             SessionClusterExport env role user=WHO\nLogFormat \"who=%{WHO}e role=%{SESSION_ROLE}e\" rights\n\
             CustomLog rights.log rights",
        )
        .start();
    let mut alice = httpd.browser_of("alice");
    let page = alice.get("/open/page.html").expect(200);
    assert_eq!(page.header("X-If"), Some("yes"));
    assert_eq!(page.header("X-Courses"), Some("maths;physics;it;art"));
    alice.get("/open/rewritten").expect(200);
    let log = || std::fs::read_to_string(httpd.path("rights.log")).unwrap();
    eventually("a line of the log", Duration::from_secs(5), || {
        log().contains("who=alice role=tutor").then_some(())
    });

    let mut stranger = httpd.browser();
    let page = stranger.get("/open/page.html").expect(200);
    assert_eq!((page.header("X-If"), page.header("X-Courses").unwrap_or_default()), (None, ""));
    stranger.get("/open/rewritten").expect(404);
}

#[test]
fn a_session_that_is_too_old_for_a_door_leads_to_the_login_and_back() {
    let httpd = site(Mpm::Event)
        .conf("<Location /app/safe>\nRequire session-age <1s\n</Location>")
        .file("htdocs/app/safe/index.html", "safe\n")
        .start();
    httpd.log.allow("AH0163"); // httpd logs each refusal
    let mut alice = httpd.browser_of("alice");
    let page = eventually("the session to be too old", Duration::from_secs(5), || {
        Some(alice.get("/app/safe/?x=1")).filter(|page| page.status != 200)
    });
    assert_eq!(page.status, 401);
    assert!(page.text().contains("value=\"/app/safe/?x=1\""), "the login form, and the way back: {page:?}");
    // A script is told no, and gets no form.
    let page = alice.get_with("/app/safe/", &[("Accept", "application/json")]).expect(401);
    assert!(!page.body.contains("httpd_password"), "{page:?}");
    alice.get("/app/page.html").expect(200);
    alice.login("alice");
    alice.get("/app/safe/").expect(200);
}

fn rights_that_are_too_old_are_evaluated_anew_without_a_login(mpm: Mpm) {
    let httpd = site(mpm)
        .conf(&door("staff", "Require session-grant staff"))
        .conf("<Location /app>\nSessionClusterRightsAge 300ms\n</Location>")
        .file("htdocs/app/staff/index.html", "staff\n")
        .start();
    httpd.log.allow("AH0163"); // httpd logs each refusal
    let mut bob = httpd.browser_of("bob");
    bob.get("/app/staff/").expect(403);
    let first = bob.session().to_owned();
    httpd.write("groups", "staff: alice bob\nenrolled: alice bob\n");
    let page = eventually("bob to be staff", Duration::from_secs(5), || {
        Some(bob.get("/app/staff/")).filter(|page| page.status == 200)
    });
    assert_eq!(page.user(), Some("bob"));
    assert_ne!(bob.session(), first, "what a session says never changes: another takes its place");
    // The superseded session goes on for its grace, and the new one is not evaluated again at once.
    let mut before = httpd.browser();
    before.cookies.insert("SCID".into(), first);
    before.get("/app/page.html").expect(200);

    httpd.write("groups", "staff: alice\nenrolled: alice\n");
    let page = eventually("bob's session to end", Duration::from_secs(5), || {
        Some(bob.get("/app/page.html")).filter(|page| page.is_refused())
    });
    assert!(page.header("Set-Cookie").is_some(), "the cookie goes too: {page:?}");
    assert_eq!(httpd.browser_of("alice").get("/app/staff/").expect(200).user(), Some("alice"));
}

#[test]
fn an_administrator_has_rights_evaluated_anew() {
    let httpd = site(Mpm::Event)
        .conf(
            "<Location /admin>\nSetHandler session-cluster-admin\nSessionClusterAdmin realm\n\
               AuthType Session\nRequire user alice\n</Location>",
        )
        .conf(&door("staff", "Require session-grant staff"))
        .file("htdocs/app/staff/index.html", "staff\n")
        .start();
    httpd.log.allow("AH0163"); // httpd logs each refusal
    let (mut alice, mut bob) = (httpd.browser_of("alice"), httpd.browser_of("bob"));
    let refresh = |alice: &mut Browser, scope: &str, name: &str| {
        alice.post("/admin", &[("action", "refresh"), ("scope", scope), ("name", name)]).expect(200);
    };
    httpd.write("groups", "staff: bob\nenrolled: alice bob\n");
    assert_eq!((alice.get("/app/staff/").status, bob.get("/app/staff/").status), (200, 403));
    refresh(&mut alice, "user", "bob");
    assert_eq!((alice.get("/app/staff/").status, bob.get("/app/staff/").status), (200, 200));
    refresh(&mut alice, "group", "staff");
    assert_eq!((alice.get("/app/staff/").status, bob.get("/app/staff/").status), (403, 200));
    assert_eq!(alice.get("/whoami").json()["user"], "alice");
}

#[test]
fn what_cannot_be_asked_is_refused_when_the_server_is_checked() {
    let refused = |conf: &str| -> String {
        let (ok, said) = site(Mpm::Event).conf(conf).check();
        assert!(!ok, "{conf}: {said}");
        said
    };
    let at = |line: &str| refused(&format!("<Location /x>\n{line}\n</Location>"));
    assert!(at("SessionClusterGrant staff nosuch x").contains("no authz provider 'nosuch'"));
    assert!(at("SessionClusterGrant \"a b\" group x").contains("cannot be the name"));
    assert!(at("SessionClusterGrant x ip not-an-address").contains("not-an-address"));
    assert!(at("SessionClusterAttribute user \"x\"").contains("of its own"));
    assert!(at("SessionClusterAttribute a \"%{nosuch:x}\"").contains("nosuch"));
    assert!(at("SessionClusterAttribute a \"%{SESSION:a b}\"").contains("cannot be the name"));
    assert!(at("SessionClusterAttribute a x separate=,").contains("split="));
    assert!(at("SessionClusterRightsAge never").contains("not a time"));
    assert!(at("SessionClusterExport env a=HTTP_A").contains("HTTP_"));
    assert!(at("SessionClusterExport cookie a").contains("neither env nor header"));
    assert!(at("SessionClusterExport header a=X:Y").contains("no name for"));
    assert!(at("SessionClusterBackend Maybe").contains("neither On nor Off"));
    assert!(at("Require session-grant staf").contains("SC0124: the grant 'staf'"));
    assert!(at("Require session-attribute rol tutor").contains("the attribute 'rol'"));
    assert!(at("Header set X \"expr=%{SESSION:rol}\"").contains("the attribute 'rol'"));
    assert!(at("SessionClusterExport env rol").contains("SessionClusterAttribute rol"));
    assert!(at("Require session-grant").contains("name of a grant"));
    assert!(at("Require session yes").contains("no arguments"));
    assert!(at("Require session-attribute role").contains("must be"));
    assert!(at("Require session-attribute role ~[").contains("~["));
    assert!(at("Require session-age 15min").contains("<15min"));
    assert!(at("Require session-age <soon").contains("not a time"));
}
