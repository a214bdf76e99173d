//! `SessionClusterAdopt`: whatever authenticates the first request, the session answers from then on.

use harness::{Httpd, Mpm, Site, on_each_mpm};

on_each_mpm!(a_basic_login_becomes_a_session, a_weak_login_does_not_open_a_strong_door);

/// `alice:wonderland` and `bob:wonderland`.
const ALICE: (&str, &str) = ("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==");
const BOB: (&str, &str) = ("Authorization", "Basic Ym9iOndvbmRlcmxhbmQ=");
/// `bob:wrong`.
const NOT_BOB: (&str, &str) = ("Authorization", "Basic Ym9iOndyb25n");
const WRONG: (&str, &str) = ("Authorization", "Basic YWxpY2U6d3Jvbmc=");

fn site(mpm: Mpm) -> Site {
    let basic = |path: &str, name: &str, more: &str| {
        format!(
            "<Location {path}>\nAuthType Basic\nAuthName \"{name}\"\nAuthBasicProvider file\nAuthUserFile passwords\n\
             Require valid-user\nSessionClusterAdopt On\n{more}</Location>\n"
        )
    };
    Site::new(mpm)
        .conf(
            &(basic("/basic", "A", "")
                + &basic("/other", "B", "")
                + &basic("/plain", "A", "SessionClusterAdopt Off\n")),
        )
        .file("htdocs/basic/page.html", "basic\n")
        .file("htdocs/other/page.html", "other\n")
        .file("htdocs/plain/page.html", "plain\n")
}

fn a_basic_login_becomes_a_session(mpm: Mpm) {
    let httpd = site(mpm).start();
    let mut browser = httpd.browser();
    let page = browser.get_with("/basic/page.html", &[]).expect(401);
    assert!(page.header("WWW-Authenticate").unwrap().starts_with("Basic"), "{page:?}");
    assert_eq!(page.header("Set-Cookie"), None);

    let page = browser.get_with("/basic/page.html", &[ALICE]).expect(200);
    assert!(page.header("Set-Cookie").expect("a cookie").starts_with("SCID="), "{page:?}");
    let first = browser.session().to_owned();
    for _ in 0..10 {
        let page = browser.get_with("/basic/page.html", &[]).expect(200);
        assert_eq!((page.user(), page.header("X-Auth-Type")), (Some("alice"), Some("Basic")));
        assert_eq!(page.header("Set-Cookie"), None);
    }
    // Clients that go on sending the password do not begin a session each time.
    let page = browser.get_with("/basic/page.html", &[ALICE]).expect(200);
    assert_eq!((page.user(), page.header("Set-Cookie")), (Some("alice"), None));
    assert_eq!(browser.session(), first);

    let mut kept = browser.clone();
    browser.post("/logout", &[]);
    kept.get_with("/basic/page.html", &[]).expect(401);
}

fn a_weak_login_does_not_open_a_strong_door(mpm: Mpm) {
    let httpd = site(mpm).start();
    let mut browser = httpd.browser();
    browser.get_with("/basic/page.html", &[ALICE]).expect(200);
    browser.clone().get_with("/other/page.html", &[]).expect(401);
    assert!(browser.clone().get("/app/page.html").is_refused());
    browser.clone().get_with("/basic/page.html", &[]).expect(200);
    httpd.browser_of("alice").get_with("/basic/page.html", &[]).expect(401);
}

#[test]
fn a_refused_login_is_not_adopted() {
    let httpd = site(Mpm::Event).conf("<Location /basic/bob>\nRequire user bob\n</Location>").start();
    for sign in ["AH01617", "AH01618", "AH01631"] {
        httpd.log.allow(sign);
    }
    let page = httpd.browser().get_with("/basic/page.html", &[WRONG]).expect(401);
    assert_eq!(page.header("Set-Cookie"), None);
    let mut browser = httpd.browser();
    let page = browser.get_with("/basic/bob/page.html", &[ALICE]);
    assert!(page.status == 401 || page.status == 403, "{page:?}");
    // Whether she keeps a session or not: it must not open what her password does not.
    assert_ne!(browser.get_with("/basic/bob/page.html", &[]).status, 200);
}

#[test]
fn answers_other_than_200_are_adopted_too() {
    let httpd = site(Mpm::Event).conf("Redirect /basic/moved /open/page.html").start();
    for path in ["/basic/nowhere", "/basic/moved"] {
        let mut browser = httpd.browser();
        let page = browser.get_with(path, &[ALICE]);
        assert!(matches!(page.status, 404 | 302), "{page:?}");
        if page.header("Set-Cookie").is_some() {
            assert_eq!(browser.get_with("/basic/page.html", &[]).expect(200).user(), Some("alice"));
        }
    }
}

#[test]
fn where_it_is_off_nothing_is_adopted_and_no_session_answers() {
    let httpd = site(Mpm::Event).start();
    let mut browser = httpd.browser();
    let page = browser.get_with("/plain/page.html", &[ALICE]).expect(200);
    assert_eq!(page.header("Set-Cookie"), None);
    browser.get_with("/plain/page.html", &[]).expect(401);
    browser.get_with("/basic/page.html", &[ALICE]).expect(200);
    browser.get_with("/plain/page.html", &[]).expect(401);
}

#[test]
fn two_people_at_two_browsers_stay_two_people() {
    let httpd = site(Mpm::Event).start();
    let (mut one, mut two) = (httpd.browser(), httpd.browser());
    one.get_with("/basic/page.html", &[ALICE]).expect(200);
    two.get_with("/basic/page.html", &[BOB]).expect(200);
    for _ in 0..5 {
        assert_eq!(one.get_with("/basic/page.html", &[]).user(), Some("alice"));
        assert_eq!(two.get_with("/basic/page.html", &[]).user(), Some("bob"));
    }
}

#[test]
fn a_page_that_asks_for_nobody_begins_no_session() {
    let httpd = site(Mpm::Event).conf("<Location /open>\nSessionClusterAdopt On\n</Location>").start();
    let page = httpd.browser().get_with("/open/page.html", &[ALICE]).expect(200);
    assert_eq!(page.header("Set-Cookie"), None);
}

#[test]
fn a_user_whom_nothing_authenticated_is_not_adopted() {
    let site = site(Mpm::Event)
        .load(&["lua"])
        .file("claim.lua", "function claim(r)\n  r.user = 'alice'\n  return apache2.DECLINED\nend\n")
        .file("htdocs/claimed/page.html", "claimed\n");
    let mut httpd = Httpd::new(site);
    // mod_lua does not look for scripts in the server root.
    let script = httpd.path("claim.lua");
    httpd.reconfigure(|site| {
        site.conf(&format!(
            "<Location /claimed>\nLuaHookAccessChecker {} claim\nAuthType Basic\nAuthName A\n\
             SessionClusterAdopt On\nRequire all granted\n</Location>",
            script.display()
        ))
    });
    httpd.start();
    let mut browser = httpd.browser();
    let page = browser.get_with("/claimed/page.html", &[]).expect(200);
    assert_eq!((page.user(), page.header("Set-Cookie")), (Some("alice"), None), "a claim");
    browser.get_with("/basic/page.html", &[]).expect(401);
}

#[test]
fn a_password_counts_for_more_than_the_session_of_somebody_else() {
    let httpd = site(Mpm::Event).start();
    httpd.log.allow("AH01617");
    let mut alice = httpd.browser();
    alice.get_with("/basic/page.html", &[ALICE]).expect(200);

    let page = alice.clone().get_with("/basic/page.html", &[NOT_BOB]).expect(401);
    assert_eq!(page.header("Set-Cookie"), None);
    assert_eq!(alice.get_with("/basic/page.html", &[]).expect(200).user(), Some("alice"));

    let mut bob = alice.clone();
    assert_eq!(bob.get_with("/basic/page.html", &[BOB]).expect(200).user(), Some("bob"));
    assert_ne!(bob.session(), alice.session());
    assert_eq!(bob.get_with("/basic/page.html", &[]).expect(200).user(), Some("bob"));
    alice.get_with("/basic/page.html", &[]).expect(401);
}

/// Below `/basic`, a place that asks for rights, which `/basic` itself does not.
fn with_a_place_that_asks(require: &str) -> Httpd {
    let deep =
        format!("<Location /basic/deep>\nSessionClusterGrant staff user alice\n{require}\n</Location>");
    let httpd = site(Mpm::Event).conf(&deep).file("htdocs/basic/deep/page.html", "deep\n").start();
    httpd.log.allow("AH01631"); // httpd's word for a refusal
    httpd
}

#[test]
fn rights_that_are_asked_for_first_elsewhere_are_no_new_proof_of_who_the_user_is() {
    let httpd = with_a_place_that_asks("Require session-age <1s");
    let mut alice = httpd.browser();
    alice.get_with("/basic/page.html", &[ALICE]).expect(200);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    // The browser shows its cookie and no password.
    assert_ne!(alice.get("/basic/deep/page.html").status, 200);
}

#[test]
fn tabs_that_open_a_place_that_asks_for_rights_at_once_all_come_in() {
    let httpd = with_a_place_that_asks("Require session-grant staff");
    let mut first = httpd.browser();
    first.get_with("/basic/page.html", &[ALICE]).expect(200);
    let mut others = [first.clone(), first.clone(), first.clone()];
    let page = first.get("/basic/deep/page.html").expect(200);
    assert!(page.header("Set-Cookie").is_some(), "its session was superseded: {page:?}");
    for other in &mut others {
        other.get("/basic/deep/page.html").expect(200);
    }
}
