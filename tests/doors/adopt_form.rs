//! `SessionClusterAdopt` over mod_auth_form, whose login is kept by mod_session in the same session: the example of
//! `httpd-conf`, and one line more.

use harness::{Browser, Httpd, Mpm, Page, Site, on_each_mpm};
use std::path::Path;

on_each_mpm!(a_form_login_is_checked_once, the_logout_of_the_form_ends_the_adopted_session_too);

fn site(mpm: Mpm) -> Site {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("httpd-conf/40-mod-auth-form.conf");
    Site::bare(mpm)
        .conf(&format!("Define PASSWORDS passwords\nInclude {}", example.display()))
        .conf("<Location /app>\nSessionClusterAdopt On\n</Location>")
        .conf("<Location /logout>\nSetHandler session-cluster-logout\n</Location>")
        .file("htdocs/login.html", "please log in\n")
}

/// What mod_auth_form says of wrong passwords and of users that are no more.
fn start(site: Site) -> Httpd {
    let httpd = site.start();
    for sign in ["AH01807", "AH01808"] {
        httpd.log.allow(sign);
    }
    httpd
}

fn login(browser: &mut Browser, user: &str, password: &str) -> Page {
    browser.post("/dologin", &[("httpd_username", user), ("httpd_password", password)])
}

#[track_caller]
fn is_refused(page: &Page) {
    assert!(page.status == 302 && page.location().ends_with("/login.html"), "{page:?}");
}

fn a_form_login_is_checked_once(mpm: Mpm) {
    let httpd = start(site(mpm));
    let mut browser = httpd.browser();
    is_refused(&browser.get("/app/page.html"));
    login(&mut browser, "alice", "wrong");
    is_refused(&browser.get("/app/page.html"));

    let page = login(&mut browser, "alice", "wonderland");
    assert!(page.location().ends_with("/app/"), "{page:?}");
    let page = browser.get("/app/page.html").expect(200);
    assert_eq!((page.user(), page.header("X-Auth-Type")), (Some("alice"), Some("Form")));
    // mod_auth_form alone checks the kept password at each page, and would not let her in any more.
    httpd.write("passwords", "");
    for _ in 0..10 {
        let page = browser.get("/app/page.html").expect(200);
        assert_eq!((page.user(), page.header("X-Auth-Type")), (Some("alice"), Some("Form")));
        assert_eq!(page.header("Set-Cookie"), None);
    }
    let mut kept = browser.clone();
    browser.post("/logout", &[]);
    is_refused(&kept.get("/app/page.html"));
}

fn the_logout_of_the_form_ends_the_adopted_session_too(mpm: Mpm) {
    let httpd = start(site(mpm));
    let mut browser = httpd.browser();
    login(&mut browser, "alice", "wonderland");
    // The session that mod_auth_form began, and the one that took its place.
    let mut kept = vec![browser.clone()];
    browser.get("/app/page.html").expect(200);
    kept.push(browser.clone());
    assert_ne!(kept[0].session(), kept[1].session());
    let page = browser.get("/dologout");
    assert!(page.location().ends_with("/login.html"), "{page:?}");
    for browser in kept.iter_mut().chain([&mut browser]) {
        is_refused(&browser.get("/app/page.html"));
    }
}

#[test]
fn without_adopting_the_form_login_is_checked_at_each_page() {
    let httpd = start(site(Mpm::Event).conf("<Location /app>\nSessionClusterAdopt Off\n</Location>"));
    let mut browser = httpd.browser();
    login(&mut browser, "alice", "wonderland");
    browser.get("/app/page.html").expect(200);
    httpd.write("passwords", "");
    is_refused(&browser.get("/app/page.html"));
}

#[test]
fn whoever_logs_in_next_at_the_same_browser_is_who_it_is() {
    let httpd = start(site(Mpm::Event));
    let mut browser = httpd.browser();
    login(&mut browser, "alice", "wonderland");
    browser.get("/app/page.html").expect(200);
    // A typing error changes nothing.
    login(&mut browser, "bob", "wrong");
    assert_eq!(browser.get("/app/page.html").user(), Some("alice"));
    login(&mut browser, "bob", "wonderland");
    for _ in 0..5 {
        assert_eq!(browser.get("/app/page.html").expect(200).user(), Some("bob"));
    }
    let mut kept = browser.clone();
    browser.get("/dologout");
    is_refused(&kept.get("/app/page.html"));
}
