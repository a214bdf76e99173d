//! Logging out: by POST only, at once in every process, and for good.

use super::provider::{kept, live, shop_all_over};
use harness::{Mpm, Site, on_each_mpm};

on_each_mpm!(a_logout_ends_the_session_in_every_process_at_once, posts_from_other_sites_log_nobody_out,);

fn a_logout_ends_the_session_in_every_process_at_once(mpm: Mpm) {
    let httpd = Site::new(mpm).start();
    for _ in 0..20 {
        let mut browser = httpd.browser_of("alice");
        let mut kept = browser.clone();
        for _ in 0..3 {
            browser.get("/app/page.html").expect(200);
        }
        let page = browser.post("/logout", &[]);
        assert!(page.status == 303 || page.status == 200, "{page:?}");
        let cookie = page.header("Set-Cookie").expect("the cookie is cleared");
        assert!(cookie.starts_with("SCID=;") && cookie.contains("Max-Age=0"), "{cookie}");
        assert!(browser.cookies.is_empty());
        // A connection each, so that several processes answer.
        for _ in 0..8 {
            assert!(kept.get("/app/page.html").is_refused());
        }
        let whoami = kept.get("/whoami").expect(200).json();
        assert_eq!(
            (&whoami["authenticated"], &whoami["reason"]),
            (&false.into(), &"logout".into()),
            "{whoami}"
        );
    }
}

fn posts_from_other_sites_log_nobody_out(mpm: Mpm) {
    let httpd = Site::new(mpm).start();
    let mut browser = httpd.browser_of("alice");
    for headers in
        [[("Sec-Fetch-Site", "cross-site")], [("Origin", "http://evil.example")], [("Origin", "null")]]
    {
        let page = browser.post_with("/logout", &[], &headers).expect(403);
        assert_eq!(page.header("Set-Cookie"), None);
        browser.get("/app/page.html").expect(200);
    }
}

#[test]
fn asking_for_the_logout_page_logs_nobody_out() {
    let httpd = Site::new(Mpm::Event).start();
    let mut browser = httpd.browser_of("alice");
    let page = browser.get("/logout").expect(200);
    assert!(page.body.to_lowercase().contains("method=\"post\""), "{}", page.body);
    assert_eq!(page.header("Set-Cookie"), None);
    browser.get("/app/page.html").expect(200);
}

#[test]
fn a_logout_without_a_session_is_no_error() {
    let httpd = Site::new(Mpm::Event).start();
    assert!(httpd.browser().post("/logout", &[]).status < 400);
    let mut twice = httpd.browser_of("alice");
    let mut again = twice.clone();
    assert!(twice.post("/logout", &[]).status < 400);
    assert!(again.post("/logout", &[]).status < 400);
}

#[test]
fn a_logout_ends_one_session_and_not_the_others_of_the_same_user() {
    let httpd = Site::new(Mpm::Event).start();
    let (mut desk, mut phone) = (httpd.browser_of("alice"), httpd.browser_of("alice"));
    desk.post("/logout", &[]);
    assert_eq!(phone.get("/app/page.html").expect(200).user(), Some("alice"));
}

#[test]
fn whoami_tells_visitors_from_users() {
    let httpd = Site::new(Mpm::Event).start();
    let whoami = httpd.browser().get("/whoami").expect(200);
    assert!(whoami.header("Content-Type").unwrap().starts_with("application/json"), "{whoami:?}");
    assert!(whoami.header("Cache-Control").is_some_and(|value| value.contains("no-store")), "{whoami:?}");
    assert_eq!(whoami.json()["authenticated"], false);
    let whoami = httpd.browser_of("alice").get("/whoami").expect(200).json();
    assert_eq!(whoami["authenticated"], true);
    assert_eq!((&whoami["user"], &whoami["auth_type"]), (&"alice".into(), &"Session".into()), "{whoami}");
}

#[test]
fn a_logout_ends_what_mod_session_has_loaded_too() {
    let httpd = shop_all_over(Mpm::Event).start();
    let mut browser = httpd.browser_of("alice");
    browser.get("/shop/keep-one.asis").expect(200);
    let mut old = browser.clone();
    assert!(kept(&old.get("/shop/page.html")).contains("cart=one"));
    let page = browser.post("/logout", &[]);
    let cookie = page.header("Set-Cookie").expect("the cookie is cleared");
    assert!(cookie.starts_with("SCID=;") && cookie.contains("Max-Age=0"), "{cookie}");
    for browser in [&mut browser, &mut old] {
        assert!(browser.get("/app/page.html").is_refused());
        assert!(!kept(&browser.get("/shop/page.html")).contains("cart"));
    }
    assert_eq!(live(&httpd), "0");
}

#[test]
fn a_logout_ends_every_session_that_the_browser_shows() {
    let httpd = Site::new(Mpm::Event).start();
    let (mut one, mut two) = (httpd.browser_of("alice"), httpd.browser_of("bob"));
    let mut both = httpd.browser();
    both.cookies.insert("SCID".into(), format!("{}; SCID={}", one.session(), two.session()));
    assert!(both.post("/logout", &[]).status < 400);
    for browser in [&mut one, &mut two] {
        assert!(browser.get("/app/page.html").is_refused());
    }
}
