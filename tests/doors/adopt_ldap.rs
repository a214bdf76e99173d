//! `SessionClusterAdopt` over Basic and a real LDAP directory: it is asked once for each login, not once for each page,
//! and may go down.

use super::basic::{PASSWORD, basic, door};
use super::slapd::Slapd;
use harness::{Browser, Mpm, Page, Site, on_each_mpm};

on_each_mpm!(forty_pages_cost_the_directory_one_bind);

/// `/adopt`, and `/plain` without a session.
fn site(mpm: Mpm, slapd: &Slapd) -> Site {
    let provider = slapd.provider();
    Site::new(mpm)
        .load(&["ldap", "authnz_ldap"])
        .conf(Slapd::cache_off())
        .conf(&door("/adopt", "Directory", &format!("{provider}\nSessionClusterAdopt On")))
        .conf(&door("/plain", "Directory", &provider))
        .file("htdocs/adopt/page.html", "adopt\n")
        .file("htdocs/plain/page.html", "plain\n")
}

/// As browsers do, once their user has typed it: with the password on each page.
fn get(browser: &mut Browser, path: &str, user: &str, password: &str) -> Page {
    browser.get_with(path, &[("Authorization", &basic(user, password))])
}

fn forty_pages_cost_the_directory_one_bind(mpm: Mpm) {
    let slapd = Slapd::start(&["alice", "bob"]);
    let httpd = site(mpm, &slapd).start();
    let mut browser = httpd.browser();
    for _ in 0..40 {
        let page = get(&mut browser, "/adopt/page.html", "alice", PASSWORD).expect(200);
        assert_eq!(page.user(), Some("alice"));
    }
    assert_eq!(slapd.binds("alice"), 1);
    // The session needs no password beside it.
    for _ in 0..40 {
        assert_eq!(browser.get_with("/adopt/page.html", &[]).expect(200).user(), Some("alice"));
    }
    assert_eq!(slapd.binds("alice"), 1);

    let mut browser = httpd.browser();
    for _ in 0..40 {
        get(&mut browser, "/plain/page.html", "bob", PASSWORD).expect(200);
    }
    assert_eq!(slapd.binds("bob"), 40, "without adopting each page asks");
}

#[test]
fn only_the_right_password_becomes_a_session() {
    let slapd = Slapd::start(&["alice"]);
    let httpd = site(Mpm::Event, &slapd).start();
    httpd.log.allow("AH01617"); // a wrong password
    httpd.log.allow("AH01618"); // no such user
    let mut browser = httpd.browser();
    for (user, password) in [("alice", "wrong"), ("nobody", PASSWORD), ("alice)(uid=*", PASSWORD)] {
        let page = get(&mut browser, "/adopt/page.html", user, password).expect(401);
        assert_eq!(page.header("Set-Cookie"), None, "{user}");
    }
    get(&mut browser, "/adopt/page.html", "alice", PASSWORD).expect(200);

    let mut kept = browser.clone();
    browser.post("/logout", &[]);
    let before = slapd.binds("alice");
    kept.get_with("/adopt/page.html", &[]).expect(401);
    get(&mut kept, "/adopt/page.html", "alice", "wrong").expect(401);
    get(&mut kept, "/adopt/page.html", "alice", PASSWORD).expect(200);
    assert_eq!(slapd.binds("alice"), before + 2, "after a logout the directory is asked again");
}

#[test]
fn the_directory_still_says_who_may_in_where_it_is_asked_to() {
    let slapd = Slapd::start(&["alice", "bob"]);
    let httpd = site(Mpm::Event, &slapd)
        .conf("<Location /adopt/alice>\nRequire ldap-filter uid=alice\n</Location>")
        .file("htdocs/adopt/alice/page.html", "alice\n")
        .start();
    httpd.log.allow("AH01631"); // httpd's word for a refusal
    for (user, may) in [("alice", true), ("bob", false)] {
        let mut browser = httpd.browser();
        get(&mut browser, "/adopt/page.html", user, PASSWORD).expect(200);
        for _ in 0..5 {
            let page = browser.get_with("/adopt/alice/page.html", &[]);
            assert_eq!(page.status == 200, may, "{user}: {page:?}");
        }
        assert_eq!(slapd.binds(user), 1, "a question, but not for the password");
    }
}

#[test]
fn after_a_refresh_the_directory_is_asked_once_more() {
    let slapd = Slapd::start(&["alice"]);
    let httpd = site(Mpm::Event, &slapd)
        .conf(
            "<Location /admin>\nSetHandler session-cluster-admin\nSessionClusterAdmin realm\n\
             AuthType Session\nSessionClusterLogin /login\n\
             Require user carol\n</Location>",
        )
        .start();
    httpd.log.allow("AH01617"); // a wrong password
    let mut alice = httpd.browser();
    get(&mut alice, "/adopt/page.html", "alice", PASSWORD).expect(200);
    let refresh = [("action", "refresh"), ("scope", "user"), ("name", "alice")];
    httpd.browser_of("carol").post("/admin", &refresh).expect(200);
    alice.get_with("/adopt/page.html", &[]).expect(401);
    get(&mut alice, "/adopt/page.html", "alice", "wrong").expect(401);
    assert_eq!(slapd.binds("alice"), 2);
    for _ in 0..10 {
        get(&mut alice, "/adopt/page.html", "alice", PASSWORD).expect(200);
        alice.get_with("/adopt/page.html", &[]).expect(200);
    }
    assert_eq!(slapd.binds("alice"), 3);
}

#[test]
fn who_has_a_session_does_not_notice_that_the_directory_is_down() {
    let mut slapd = Slapd::start(&["alice", "bob"]);
    let httpd = site(Mpm::Event, &slapd).start();
    let mut alice = httpd.browser();
    get(&mut alice, "/adopt/page.html", "alice", PASSWORD).expect(200);
    slapd.stop();
    for _ in 0..20 {
        assert_eq!(get(&mut alice, "/adopt/page.html", "alice", PASSWORD).expect(200).user(), Some("alice"));
        alice.get_with("/adopt/page.html", &[]).expect(200);
    }

    // Others cannot come in, and an error is no session.
    let mut bob = httpd.browser();
    let page = get(&mut bob, "/adopt/page.html", "bob", PASSWORD).expect(500);
    assert_eq!((page.header("Set-Cookie"), bob.cookies.len()), (None, 0));
    // Nor is her session his.
    let page = get(&mut alice.clone(), "/adopt/page.html", "bob", PASSWORD).expect(500);
    assert_eq!(page.header("Set-Cookie"), None);
    alice.get_with("/adopt/page.html", &[]).expect(200);

    slapd.start_again();
    assert_eq!(get(&mut bob, "/adopt/page.html", "bob", PASSWORD).expect(200).user(), Some("bob"));
    bob.get_with("/adopt/page.html", &[]).expect(200);
}

#[test]
fn whoever_types_a_name_in_capitals_is_the_same_person() {
    let slapd = Slapd::start(&["alice"]);
    let provider = slapd.provider();
    let named = format!("{provider}\nSessionClusterAdopt On");
    let httpd = site(Mpm::Event, &slapd)
        .conf(&door("/named", "Named", &named))
        .conf("<Location /named/alice>\nRequire user alice\n</Location>")
        .file("htdocs/named/alice/page.html", "alice\n")
        .start();
    let mut browser = httpd.browser();
    for name in ["ALICE", "Alice", "alice"] {
        let page = get(&mut browser, "/named/alice/page.html", name, PASSWORD).expect(200);
        assert_eq!(page.user(), Some("alice"), "{name}");
    }
    assert_eq!(browser.get("/named/alice/page.html").expect(200).user(), Some("alice"));
}
