//! mod_session and what builds on it, with the table as its store: mod_auth_form, `SessionEnv`, `SessionHeader`.

use harness::{Browser, Httpd, Mpm, Page, Site, eventually, on_each_mpm};
use std::time::Duration;

on_each_mpm!(
    what_an_application_keeps_comes_back,
    a_login_by_mod_auth_form_is_a_session_and_its_logout_ends_it,
    a_change_gives_a_new_id_and_the_old_one_works_for_the_grace,
);

/// `/shop/keep-X.asis` keeps `cart=X`; every page of `/shop` shows in `X-Kept` what is kept.
pub(super) fn shop(site: Site) -> Site {
    let keep =
        |what: &str| format!("Status: 200 OK\nContent-Type: text/plain\nX-Replace-Session: {what}\n\nkept\n");
    let mut site = site
        .conf("<Location /status>\nSetHandler server-status\n</Location>")
        .conf("AddHandler send-as-is asis")
        .conf(
            "<Location /shop>\nSession On\nSessionCluster On\nSessionEnv On\nSessionHeader X-Replace-Session\n\
             Header always set X-Kept \"%{HTTP_SESSION}e\"\n</Location>",
        )
        .file("htdocs/shop/page.html", "shop\n");
    for (name, what) in
        [("one", "cart=one"), ("two", "cart=two"), ("nothing", "cart="), ("odd", "cart=a%26b%3Dc")]
    {
        site = site.file(&format!("htdocs/shop/keep-{name}.asis"), keep(what));
    }
    site.file("htdocs/shop/keep-much.asis", keep(&format!("cart={}", "m".repeat(5000))))
}

/// The shop, with mod_session at work in the login and logout handlers too, where it would save what it loaded.
pub(super) fn shop_all_over(mpm: Mpm) -> Site {
    shop(Site::new(mpm).load(&["session"])).conf(
        "<LocationMatch \"^/(shop|login|logout)\">\nSession On\nSessionCluster On\nSessionMaxAge 3600\n\
         </LocationMatch>",
    )
}

pub(super) fn kept(page: &Page) -> &str {
    page.header("X-Kept").filter(|kept| *kept != "(null)").unwrap_or_default()
}

pub(super) fn live(httpd: &Httpd) -> String {
    let page = httpd.browser().get("/status?auto").expect(200);
    let line = page.body.lines().find_map(|line| line.strip_prefix("SessionClusterLive: "));
    line.unwrap_or_else(|| panic!("{}", page.body)).to_owned()
}

fn what_an_application_keeps_comes_back(mpm: Mpm) {
    for site in [Site::new(mpm).load_before(&["session"]), Site::new(mpm).load(&["session"])] {
        let httpd = shop(site).start();
        let mut browser = httpd.browser();
        let page = browser.get("/shop/page.html").expect(200);
        assert_eq!(page.header("Set-Cookie"), None, "an empty session is not worth a cookie");
        assert_eq!(live(&httpd), "0");

        let page = browser.get("/shop/keep-one.asis").expect(200);
        assert!(page.header("Set-Cookie").expect("a cookie").starts_with("SCID="), "{page:?}");
        for _ in 0..5 {
            let page = browser.get("/shop/page.html").expect(200);
            assert!(kept(&page).contains("cart=one"), "{page:?}");
            assert_eq!(page.header("Set-Cookie"), None, "unchanged is no reason for a new cookie");
        }
        browser.get("/shop/keep-much.asis").expect(200);
        assert!(kept(&browser.get("/shop/page.html")).contains(&"m".repeat(5000)));
        browser.get("/shop/keep-odd.asis").expect(200);
        assert!(kept(&browser.get("/shop/page.html")).contains("a%26b%3dc"));
        assert_eq!(kept(&httpd.browser().get("/shop/page.html")), "", "somebody else's cart");
        // It is no login.
        assert!(browser.get("/app/page.html").is_refused());
    }
}

fn a_login_by_mod_auth_form_is_a_session_and_its_logout_ends_it(mpm: Mpm) {
    let httpd = Site::bare(mpm)
        .load(&["session", "request", "auth_form"])
        .conf(
            "<Location /form>\nSession On\nSessionCluster On\nAuthType Form\nAuthName Form\nAuthFormProvider file\n\
             AuthUserFile passwords\nAuthFormLoginRequiredLocation /front.html\nRequire valid-user\n</Location>\n\
             <Location /dologin>\nSetHandler form-login-handler\nSession On\nSessionCluster On\nAuthType Form\n\
             AuthName Form\nAuthFormProvider file\nAuthUserFile passwords\n\
             AuthFormLoginSuccessLocation /form/page.html\n\
             AuthFormLoginRequiredLocation /front.html\nRequire all granted\n</Location>\n\
             <Location /dologout>\nSetHandler form-logout-handler\nSession On\nSessionCluster On\nAuthType Form\n\
             AuthName Form\nAuthFormLogoutLocation /front.html\nRequire all granted\n</Location>",
        )
        .file("htdocs/form/page.html", "form\n")
        .file("htdocs/front.html", "front\n")
        .start();
    for sign in ["AH01807", "AH01808", "AH01809"] {
        httpd.log.allow(sign);
    }
    let mut browser = httpd.browser();
    let inside = |browser: &mut Browser| browser.get("/form/page.html").status == 200;
    assert!(!inside(&mut browser));
    browser.post("/dologin", &[("httpd_username", "alice"), ("httpd_password", "wrong")]);
    assert!(!inside(&mut browser));

    let page = browser.post("/dologin", &[("httpd_username", "alice"), ("httpd_password", "wonderland")]);
    assert!(page.location().ends_with("/form/page.html"), "{page:?}");
    assert!(page.header("Set-Cookie").expect("one cookie").starts_with("SCID="), "{page:?}");
    for _ in 0..5 {
        let page = browser.get("/form/page.html").expect(200);
        assert_eq!((page.user(), page.header("Set-Cookie")), (Some("alice"), None));
    }
    let mut kept = browser.clone();
    let page = browser.get("/dologout");
    assert!(page.location().ends_with("/front.html"), "{page:?}");
    for _ in 0..8 {
        assert!(!inside(&mut kept), "the session outlived its logout");
    }
}

fn a_change_gives_a_new_id_and_the_old_one_works_for_the_grace(mpm: Mpm) {
    let httpd = shop(Site::new(mpm).load(&["session"])).conf("SessionClusterGrace 2s").start();
    let mut browser = httpd.browser();
    browser.get("/shop/keep-one.asis").expect(200);
    let (mut old, first) = (browser.clone(), browser.session().to_owned());
    browser.get("/shop/keep-two.asis").expect(200);
    assert_ne!(browser.session(), first);
    assert!(kept(&browser.get("/shop/page.html")).contains("cart=two"));

    // A request of the same browser that was on its way.
    let page = old.get("/shop/page.html").expect(200);
    assert!(kept(&page).contains("cart=one"), "{page:?}");
    eventually("the end of the grace", Duration::from_secs(6), || {
        kept(&old.clone().get("/shop/page.html")).is_empty().then_some(())
    });
    assert!(kept(&browser.get("/shop/page.html")).contains("cart=two"));
}

#[test]
fn an_emptied_session_has_ended() {
    let httpd = shop(Site::new(Mpm::Event).load(&["session"])).start();
    let mut browser = httpd.browser();
    browser.get("/shop/keep-one.asis").expect(200);
    assert_eq!(live(&httpd), "1");
    let old = browser.clone();
    browser.get("/shop/keep-nothing.asis").expect(200);
    assert_eq!(kept(&browser.get("/shop/page.html")), "");
    assert_eq!(kept(&old.clone().get("/shop/page.html")), "");
    assert_eq!(live(&httpd), "0");
}

#[test]
fn a_maximum_age_does_not_fill_the_table_with_empty_sessions() {
    let httpd = shop(Site::new(Mpm::Event).load(&["session"]))
        .conf("<Location /shop>\nSessionMaxAge 600\n</Location>")
        .start();
    for _ in 0..5 {
        let page = httpd.browser().get("/shop/page.html").expect(200);
        assert_eq!(page.header("Set-Cookie"), None);
    }
    assert_eq!(live(&httpd), "0");
    let mut browser = httpd.browser();
    browser.get("/shop/keep-one.asis").expect(200);
    let id = browser.session().to_owned();
    for _ in 0..5 {
        assert!(kept(&browser.get("/shop/page.html")).contains("cart=one"));
    }
    assert_eq!(browser.session(), id, "a later expiry alone is no change");
    assert_eq!(live(&httpd), "1");
}

#[test]
fn other_session_providers_work_beside() {
    let httpd = shop(Site::new(Mpm::Event).load(&["session", "session_cookie"]))
        .conf(
            "<Location /jar>\nSession On\nSessionCookieName jar path=/\nSessionEnv On\n\
             SessionHeader X-Replace-Session\nHeader always set X-Kept \"%{HTTP_SESSION}e\"\n</Location>",
        )
        .file(
            "htdocs/jar/keep.asis",
            "Status: 200 OK\nContent-Type: text/plain\nX-Replace-Session: jam=red\n\nkept\n",
        )
        .file("htdocs/jar/page.html", "jar\n")
        .start();
    let mut browser = httpd.browser();
    browser.get("/jar/keep.asis").expect(200);
    assert!(
        browser.cookies.contains_key("jar") && !browser.cookies.contains_key("SCID"),
        "{:?}",
        browser.cookies
    );
    assert!(kept(&browser.get("/jar/page.html")).contains("jam=red"));
    assert_eq!(live(&httpd), "0");
}

#[test]
fn a_logged_in_user_may_keep_things_too() {
    let httpd = shop(Site::new(Mpm::Event).load(&["session"]))
        .conf(
            "<Location /shop>\nAuthType Session\nSessionClusterLogin /login\nRequire valid-user\n</Location>",
        )
        .start();
    let mut browser = httpd.browser_of("alice");
    let (mut before, id) = (browser.clone(), browser.session().to_owned());
    browser.get("/shop/keep-one.asis").expect(200);
    assert_ne!(browser.session(), id);
    let page = browser.get("/shop/page.html").expect(200);
    assert_eq!(page.user(), Some("alice"), "the login survives the change");
    assert!(kept(&page).contains("cart=one"));
    // A logout ends the session and the one that it superseded.
    before.get("/app/page.html").expect(200);
    browser.post("/logout", &[]);
    assert!(before.get("/app/page.html").is_refused(), "the old id outlived the logout");
}

#[test]
fn a_logout_ends_the_session_under_each_id_that_it_ever_had() {
    for leaves_with in [0, 1, 2] {
        let httpd = shop(Site::new(Mpm::Event).load(&["session"])).start();
        let mut browser = httpd.browser_of("alice");
        let mut under = vec![browser.clone()];
        for page in ["/shop/keep-one.asis", "/shop/keep-two.asis"] {
            browser.get(page).expect(200);
            under.push(browser.clone());
        }
        for browser in &mut under {
            browser.get("/app/page.html").expect(200);
        }
        // The request may have left the browser before the answer with the newest id arrived.
        under[leaves_with].clone().post("/logout", &[]);
        for (n, browser) in under.iter_mut().enumerate() {
            assert!(
                browser.get("/app/page.html").is_refused(),
                "logged out under id {leaves_with}, lives on under {n}"
            );
        }
    }
}
