//! mod_auth_form over our provider, as its manual has it: standalone and inline logins, a POST that outlives a login,
//! what it tells caches and backends, and logouts that are logouts.

use super::provider::live;
use harness::{Browser, Httpd, Mpm, Page, Site, on_each_mpm};
use std::time::Duration;

on_each_mpm!(
    a_standalone_login_leads_in_and_a_wrong_password_back_to_the_form,
    an_inline_login_gives_the_page_that_was_asked_for,
    a_logout_that_leaves_other_entries_behind_is_a_logout,
);

const ALICE: [(&str, &str); 2] = [("httpd_username", "alice"), ("httpd_password", "wonderland")];
const WRONG: [(&str, &str); 2] = [("httpd_username", "alice"), ("httpd_password", "wrong")];

/// Shows what it was asked.
const SCRIPT: &str = r#"#!/bin/sh
body=$(cat)
echo "Content-Type: text/plain"
[ -z "$QUERY_STRING" ] || echo "X-Replace-Session: $QUERY_STRING"
echo
echo "$REQUEST_METHOD $CONTENT_TYPE '$body' by $REMOTE_USER"
"#;

/// `/form` behind mod_auth_form, with more directives for it; `/dologin`, `/dologout`; `/cart` for anybody.
fn site(site: Site, form: &str) -> Site {
    let cgi = site.mpm.cgi_module();
    let form = format!(
        "Options +ExecCGI\nAuthType Form\nAuthName Form\nAuthFormProvider file\nAuthUserFile passwords\n\
         Header always set X-Basic \"expr=%{{HTTP:Authorization}}\"\nRequire valid-user\n{form}"
    );
    let handlers = "AuthType Form\nAuthName Form\nAuthFormProvider file\nAuthUserFile passwords\nRequire all granted\n\
                    AuthFormLoginRequiredLocation /front.html?again\nAuthFormLoginSuccessLocation /form/page.html\n\
                    AuthFormLogoutLocation /front.html?out";
    let place = |at: &str, more: &str| {
        format!(
            "<Location {at}>\nSession On\nSessionCluster On\nSessionHeader X-Replace-Session\n{more}\n</Location>"
        )
    };
    site.load(&["session", "request", "auth_form", cgi])
        .conf("<Location /status>\nSetHandler server-status\n</Location>\nAddHandler cgi-script .cgi")
        .conf(&place("/form", &form))
        .conf(&place("/dologin", &format!("SetHandler form-login-handler\n{handlers}")))
        .conf(&place("/dologout", &format!("SetHandler form-logout-handler\n{handlers}")))
        .conf(&place("/cart", "Options +ExecCGI\nSessionEnv On\nHeader always set X-Kept %{HTTP_SESSION}e"))
        .file("htdocs/form/page.html", "page\n")
        .file("htdocs/form/app.cgi", SCRIPT)
        .file("htdocs/cart/app.cgi", SCRIPT)
        .file("htdocs/front.html", "front\n")
        .file("htdocs/ask.html", "ask\n")
}

/// With `ErrorDocument 401`, which makes logins inline.
fn inline(mpm: Mpm, form: &str) -> Site {
    site(Site::bare(mpm), &format!("ErrorDocument 401 /ask.html\n{form}"))
}

const REFUSALS: [&str; 2] = ["AH01807", "AH01808"];

fn start(site: Site) -> Httpd {
    let httpd = site.start();
    // mod_auth_form notes wrong passwords and visitors without one as errors.
    REFUSALS.iter().for_each(|sign| httpd.log.allow(sign));
    httpd
}

fn is_inside(browser: &mut Browser) -> bool {
    let page = browser.get("/form/page.html");
    page.status == 200 && page.body == "page\n" && page.user() == Some("alice")
}

/// Where it redirects to, by whichever status mod_auth_form has for that.
#[track_caller]
fn led_to(page: &Page) -> &str {
    assert!((301..=307).contains(&page.status), "{page:?}");
    page.location()
}

fn tells_caches(page: &Page, what: &str) -> bool {
    page.all("Cache-Control").iter().any(|value| value.contains(what))
}

fn a_standalone_login_leads_in_and_a_wrong_password_back_to_the_form(mpm: Mpm) {
    let httpd = start(site(Site::bare(mpm), "AuthFormLoginRequiredLocation /front.html?need"));
    let mut browser = httpd.browser();
    assert!(led_to(&browser.get("/form/page.html")).ends_with("/front.html?need"));
    for bad in [&WRONG[..], &ALICE[..1], &[("httpd_username", "nobody"), ("httpd_password", "wonderland")]] {
        let page = browser.post("/dologin", bad);
        assert!(led_to(&page).ends_with("/front.html?again"), "{page:?}");
        assert_eq!(page.header("Set-Cookie"), None);
    }
    assert_eq!(live(&httpd), "0");
    assert!(!is_inside(&mut browser));

    let page = browser.post("/dologin", &ALICE);
    assert!(led_to(&page).ends_with("/form/page.html"), "{page:?}");
    assert!(tells_caches(&page, "no-store"), "a redirect with a cookie may not be kept: {page:?}");
    for _ in 0..5 {
        let page = browser.get("/form/page.html").expect(200);
        assert_eq!((page.user(), page.header("X-Auth-Type")), (Some("alice"), Some("Form")));
        assert_eq!(page.header("Set-Cookie"), None);
    }
    // The form may say where to.
    let mut other = httpd.browser();
    let page = other.post("/dologin", &[ALICE[0], ALICE[1], ("httpd_location", "/form/app.cgi")]);
    assert!(led_to(&page).ends_with("/form/app.cgi"), "{page:?}");
    assert!(is_inside(&mut other));
    assert_eq!(live(&httpd), "2");

    // A later wrong password changes nothing.
    browser.post("/dologin", &WRONG);
    assert!(is_inside(&mut browser));

    let mut kept = browser.clone();
    let page = browser.get("/dologout");
    assert!(led_to(&page).ends_with("/front.html?out"), "{page:?}");
    assert!(tells_caches(&page, "no-store"), "{page:?}");
    assert!(browser.cookies.is_empty(), "{:?}", browser.cookies.keys());
    for browser in [&mut browser, &mut kept] {
        assert!(!is_inside(browser), "the session outlived its logout");
    }
    assert!(is_inside(&mut other), "a logout is for one session");
    assert_eq!(live(&httpd), "1");
}

fn an_inline_login_gives_the_page_that_was_asked_for(mpm: Mpm) {
    let httpd = start(inline(mpm, ""));
    let mut browser = httpd.browser();
    let page = browser.get("/form/page.html").expect(401);
    assert_eq!(page.body, "ask\n");
    assert!(tells_caches(&page, "no-store"), "{page:?}");
    let page = browser.post("/form/page.html", &WRONG).expect(401);
    assert_eq!((page.body.as_str(), page.header("Set-Cookie")), ("ask\n", None));
    assert_eq!(live(&httpd), "0");

    let page = browser.post("/form/page.html", &ALICE).expect(200);
    assert_eq!((page.body.as_str(), page.user()), ("page\n", Some("alice")));
    assert!(page.header("Set-Cookie").expect("a cookie").starts_with("SCID="), "{page:?}");
    assert!(is_inside(&mut browser));
    assert_eq!(live(&httpd), "1");

    // The script behind the door sees a request without the password.
    let page = httpd.browser().post("/form/app.cgi", &ALICE).expect(200);
    assert!(page.body.ends_with("'' by alice\n"), "{page:?}");

    browser.get("/dologout");
    assert!(!is_inside(&mut browser));
}

#[test]
fn an_inline_login_may_lead_elsewhere() {
    let httpd = start(inline(Mpm::Event, "AuthFormLoginSuccessLocation /form/app.cgi"));
    let mut browser = httpd.browser();
    let page = browser.post("/form/page.html", &ALICE);
    assert!(led_to(&page).ends_with("/form/app.cgi"), "{page:?}");
    assert!(is_inside(&mut browser));
    let mut browser = httpd.browser();
    let page = browser.post("/form/page.html", &[ALICE[0], ALICE[1], ("httpd_location", "/front.html")]);
    assert!(led_to(&page).ends_with("/front.html"), "{page:?}");
    assert!(is_inside(&mut browser));
}

#[test]
fn what_was_posted_outlives_an_inline_login() {
    let fields =
        "AuthFormUsername u\nAuthFormPassword p\nAuthFormMethod m\nAuthFormMimetype t\nAuthFormBody b";
    for (form, names) in [
        ("", ["httpd_username", "httpd_password", "httpd_method", "httpd_mimetype", "httpd_body"]),
        (fields, ["u", "p", "m", "t", "b"]),
    ] {
        let httpd =
            start(inline(Mpm::Event, form).conf("ScriptAlias /form/bin scripts").file("scripts/app", SCRIPT));
        for (method, script) in [("POST", "/form/app.cgi"), ("PUT", "/form/bin/app")] {
            let mut browser = httpd.browser();
            // The session has ended in the meantime: the form's data must not be lost.
            browser.post(script, &[("name1", "value1"), ("name2", "value 2")]).expect(401);
            let values = [
                "alice",
                "wonderland",
                method,
                "application/x-www-form-urlencoded",
                "name1=value1&name2=value+2",
            ];
            let sent: Vec<_> = names.into_iter().zip(values).collect();
            let page = browser.post(script, &sent).expect(200);
            let shown =
                format!("{method} application/x-www-form-urlencoded 'name1=value1&name2=value+2' by alice\n");
            assert_eq!(page.body, shown);
            assert!(page.header("Set-Cookie").expect("a cookie").starts_with("SCID="), "{page:?}");
            assert!(is_inside(&mut browser));
            // With the session, a POST arrives as it was sent.
            let page = browser.post(script, &[("name", "value")]).expect(200);
            assert_eq!(page.body, "POST application/x-www-form-urlencoded 'name=value' by alice\n");
            assert_eq!(page.header("Set-Cookie"), None);
        }
    }
}

#[test]
fn a_backend_gets_basic_authentication_where_it_is_asked_for() {
    for (form, basic) in [("AuthFormFakeBasicAuth On", Some("Basic YWxpY2U6d29uZGVybGFuZA==")), ("", None)] {
        let httpd = start(site(Site::bare(Mpm::Event), form));
        let mut browser = httpd.browser();
        browser.post("/dologin", &ALICE);
        let page = browser.get("/form/page.html").expect(200);
        assert_eq!(page.header("X-Basic").filter(|value| !value.is_empty()), basic, "{form}");
        assert_eq!(page.user(), Some("alice"));
    }
}

#[test]
fn the_login_page_may_be_kept_by_caches_only_where_that_is_said() {
    for (form, no_store) in [("", true), ("AuthFormDisableNoStore On", false)] {
        let httpd = start(inline(Mpm::Event, form));
        let page = httpd.browser().get("/form/page.html").expect(401);
        assert_eq!(tells_caches(&page, "no-store"), no_store, "{form}: {page:?}");
    }
}

#[test]
fn a_site_passphrase_spares_the_provider_and_nothing_else() {
    for (form, spared) in [("", false), ("AuthFormSitePassphrase secret", true)] {
        let handlers = format!("<Location /dologin>\n{form}\n</Location>");
        let httpd = start(site(Site::bare(Mpm::Event), form).conf(&handlers));
        let mut browser = httpd.browser();
        browser.post("/dologin", &ALICE);
        assert!(is_inside(&mut browser));
        // Who is no longer in the password file is found out at the next page, or not before the session ends.
        httpd.write("passwords", "");
        assert_eq!(is_inside(&mut browser), spared, "{form}");
        let mut kept = browser.clone();
        browser.get("/dologout");
        assert!(!is_inside(&mut kept));
    }
}

#[test]
fn a_login_keeps_what_the_visitor_had_and_lifts_no_older_id() {
    let httpd = start(site(Site::bare(Mpm::Event), ""));
    let mut browser = httpd.browser();
    browser.get("/cart/app.cgi?cart=one").expect(200);
    let mut planted = browser.clone();
    browser.post("/dologin", &ALICE);
    assert_ne!(browser.session(), planted.session());
    assert!(is_inside(&mut browser));
    assert!(browser.get("/cart/app.cgi").header("X-Kept").unwrap().contains("cart=one"));
    assert!(!is_inside(&mut planted), "an id from before the login is logged in");
}

fn a_logout_that_leaves_other_entries_behind_is_a_logout(mpm: Mpm) {
    let httpd = start(site(Site::bare(mpm), ""));
    let mut browser = httpd.browser();
    browser.post("/dologin", &ALICE);
    assert!(is_inside(&mut browser));
    let mut kept = vec![browser.clone()];
    // A new id: the one before it still answers for its grace.
    browser.get("/cart/app.cgi?cart=one").expect(200);
    assert!(is_inside(&mut browser));
    kept.push(browser.clone());
    browser.get("/dologout");
    // mod_auth_form takes user and password out of the session; the rest of it goes on.
    assert!(!is_inside(&mut browser));
    assert!(browser.get("/cart/app.cgi").header("X-Kept").unwrap().contains("cart=one"));
    for (n, browser) in kept.iter_mut().enumerate() {
        assert!(!is_inside(browser), "cookie {n} from before the logout still opens the door");
    }
}

#[test]
fn an_adopted_login_ends_with_its_logout_under_each_id() {
    let httpd = start(site(Site::bare(Mpm::Event), "SessionClusterAdopt On"));
    let mut browser = httpd.browser();
    browser.post("/dologin", &ALICE);
    let mut kept = vec![browser.clone()];
    for _ in 0..3 {
        assert!(is_inside(&mut browser));
    }
    assert_ne!(browser.session(), kept[0].session(), "the login was not adopted");
    kept.push(browser.clone());
    browser.get("/dologout");
    assert!(browser.cookies.is_empty(), "{:?}", browser.cookies.keys());
    assert!(kept.iter_mut().all(|browser| !is_inside(browser)), "the session outlived its logout");
    assert_eq!(live(&httpd), "0");
}

#[test]
fn who_logs_in_after_somebody_else_has_none_of_their_rights() {
    let rights = "<Location /form/app.cgi>\nSessionClusterGrant staff user alice\n</Location>\n\
                  <Location /staff>\nRequire session-grant staff\n</Location>";
    let site = site(Site::bare(Mpm::Event), "SessionClusterAdopt On").conf(rights);
    let httpd = start(site.file("htdocs/staff/page.html", "staff\n"));
    httpd.log.allow("AH01630");
    let staff = |browser: &mut Browser| browser.get("/staff/page.html").status == 200;
    for logs_out in [false, true] {
        let mut browser = httpd.browser();
        // An entry of somebody's, so that a logout does not end the session.
        browser.get("/cart/app.cgi?cart=one").expect(200);
        browser.post("/dologin", &ALICE);
        browser.get("/form/app.cgi").expect(200);
        assert!(staff(&mut browser));
        if logs_out {
            browser.get("/dologout");
            assert!(!staff(&mut browser), "a right outlived the logout");
        }
        browser.post("/dologin", &[("httpd_username", "bob"), ALICE[1]]);
        assert!(!staff(&mut browser), "bob has alice's right");
        // This page is bob's, and grants nothing.
        assert_eq!(browser.get("/form/page.html").expect(200).user(), Some("bob"));
        assert!(!staff(&mut browser), "bob has alice's right for the rest of the session");
    }
}

#[test]
fn a_maximum_age_at_the_logout_guarantees_the_end_of_the_session() {
    let httpd =
        start(site(Site::bare(Mpm::Event), "").conf("<Location /dologout>\nSessionMaxAge 1\n</Location>"));
    let mut browser = httpd.browser();
    browser.get("/cart/app.cgi?cart=one").expect(200);
    browser.post("/dologin", &ALICE);
    browser.get("/dologout");
    std::thread::sleep(Duration::from_millis(3500));
    let page = browser.get("/cart/app.cgi").expect(200);
    assert!(!page.header("X-Kept").unwrap().contains("cart=one"), "{page:?}");
}

#[test]
fn who_stays_away_for_the_maximum_age_has_to_log_in_again() {
    let age = "<LocationMatch \"^/(form|dologin)\">\nSessionMaxAge 3\n</LocationMatch>";
    let httpd = start(site(Site::bare(Mpm::Event), "").conf(age));
    let mut browser = httpd.browser();
    browser.post("/dologin", &ALICE);
    for _ in 0..5 {
        std::thread::sleep(Duration::from_secs(1));
        assert!(is_inside(&mut browser), "a visitor at work was logged out");
    }
    std::thread::sleep(Duration::from_millis(5500));
    assert!(!is_inside(&mut browser), "logged in 5.5 s after the last visit");
    browser.post("/dologin", &ALICE);
    assert!(is_inside(&mut browser), "there is no logging in after an age");
}
