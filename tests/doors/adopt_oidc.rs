//! `SessionClusterAdopt` over OpenID Connect: mod_auth_openidc takes a visitor to the provider once; then the session
//! answers, without mod_auth_openidc's own.

use super::oidc_provider::{CALLBACK, Provider};
use harness::{Mpm, Site, on_each_mpm};

on_each_mpm!(a_visitor_goes_through_the_provider_once);

const THEIRS: &str = "mod_auth_openidc_session";

fn site(mpm: Mpm, provider: &Provider) -> Site {
    Site::new(mpm)
        .load(&["auth_openidc"])
        .conf(&provider.conf())
        .conf(&format!(
            "<Location /oidc>\nAuthType openid-connect\nRequire valid-user\nSessionClusterAdopt On\n</Location>\n\
             <Location {CALLBACK}>\nAuthType openid-connect\nRequire valid-user\n</Location>"
        ))
        .file("htdocs/oidc/page.html", "oidc\n")
}

fn a_visitor_goes_through_the_provider_once(mpm: Mpm) {
    let provider = Provider::start();
    let httpd = site(mpm, &provider).start();
    let mut browser = httpd.browser();
    let page = provider.open(&mut browser, "/oidc/page.html", "alice").expect(200);
    assert_eq!(page.user(), Some("alice"));
    assert_eq!(page.header("X-Auth-Type"), Some("openid-connect"));
    assert_eq!(provider.hits(), (1, 1));
    browser.cookies.remove(THEIRS).expect("mod_auth_openidc's cookie");
    for _ in 0..10 {
        let page = browser.get("/oidc/page.html").expect(200);
        assert_eq!((page.user(), page.header("X-Auth-Type")), (Some("alice"), Some("openid-connect")));
        assert_eq!(page.all("Set-Cookie"), [""; 0]);
    }
    assert_eq!(provider.hits(), (1, 1));
}

#[test]
fn each_logout_ends_its_own_session_and_both_end_both() {
    let provider = Provider::start();
    let httpd = site(Mpm::Event, &provider).start();
    let mut browser = httpd.browser();
    provider.open(&mut browser, "/oidc/page.html", "alice").expect(200);
    let mut kept = browser.clone();
    kept.cookies.remove(THEIRS);

    // mod_auth_openidc still knows her, as a browser still knows its Basic password.
    browser.post("/logout", &[]);
    assert!(!browser.cookies.contains_key("SCID"));
    kept.get("/oidc/page.html").expect(302);
    let page = browser.get("/oidc/page.html").expect(200);
    assert!(page.header("Set-Cookie").expect("a new session").starts_with("SCID="));
    assert_eq!(provider.hits(), (1, 1), "from mod_auth_openidc's session");

    // One button for both: our logout leads on to theirs.
    let mut kept = browser.clone();
    let theirs = format!("{CALLBACK}?logout=http%3A%2F%2F{}%2Fopen%2Fpage.html", httpd.address());
    let page = browser.post("/logout", &[("httpd_location", &theirs)]).expect(303);
    assert!(page.location().ends_with(&theirs), "{page:?}");
    let page = browser.get(&theirs).expect(302);
    assert!(page.location().ends_with("/open/page.html"), "{page:?}");
    assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), [""; 0]);
    for browser in [&mut browser, &mut kept] {
        let page = browser.get("/oidc/page.html").expect(302);
        assert!(page.location().contains("/authorize?"), "{page:?}");
    }
    // Whoever comes next in that browser is somebody else.
    let page = provider.open(&mut browser, "/oidc/page.html", "bob").expect(200);
    assert_eq!((page.user(), provider.hits()), (Some("bob"), (2, 2)));
}

#[test]
fn claims_that_are_to_be_kept_go_into_the_session_and_on_to_applications() {
    let provider = Provider::start();
    let httpd = site(Mpm::Event, &provider)
        .conf(
            "<Location /oidc>\nOIDCAuthNHeader X-Remote-User\n\
             SessionClusterAttribute sub \"%{HTTP:OIDC_CLAIM_sub}\"\n\
             SessionClusterExport header sub=OIDC_CLAIM_sub user=X-Remote-User\n\
             Header set X-Claim \"expr=%{HTTP:OIDC_CLAIM_sub}\"\n\
             Header set X-Name \"expr=%{HTTP:X-Remote-User}\"\n</Location>\n\
             <Location /oidc/alice>\nRequire session-attribute sub alice\n</Location>\n\
             <Location /oidc/bob>\nRequire session-attribute sub bob\n</Location>",
        )
        .file("htdocs/oidc/alice/page.html", "alice\n")
        .file("htdocs/oidc/bob/page.html", "bob\n")
        .start();
    httpd.log.allow("AH01631"); // httpd's word for a refusal
    let mut browser = httpd.browser();
    provider.open(&mut browser, "/oidc/page.html", "alice").expect(200);
    browser.cookies.remove(THEIRS).expect("mod_auth_openidc's cookie");
    let forged = [("OIDC_CLAIM_sub", "admin"), ("OIDC-CLAIM-sub", "admin"), ("X_Remote_User", "admin")];
    for headers in [&forged[..], &[]] {
        let page = browser.get_with("/oidc/page.html", headers).expect(200);
        assert_eq!((page.header("X-Claim"), page.header("X-Name")), (Some("alice"), Some("alice")));
    }
    browser.get("/oidc/alice/page.html").expect(200);
    assert_ne!(browser.get("/oidc/bob/page.html").status, 200);
}

#[test]
fn two_tabs_that_go_to_the_provider_at_once_both_come_back() {
    let provider = Provider::start();
    let httpd = site(Mpm::Event, &provider).start();
    let mut browser = httpd.browser();
    let one = provider.visit(&browser.get("/oidc/page.html?one"), "alice");
    let two = provider.visit(&browser.get("/oidc/page.html?two"), "alice");
    for (back, page) in [(one, "/oidc/page.html?one"), (two, "/oidc/page.html?two")] {
        let answer = browser.get(&back).expect(302);
        assert!(answer.location().ends_with(page), "{answer:?}");
        assert_eq!(browser.get(page).expect(200).user(), Some("alice"));
    }
}

#[test]
fn a_way_back_that_is_not_the_visitors_own_begins_no_session() {
    let provider = Provider::start();
    let httpd = site(Mpm::Event, &provider).start();
    httpd.log.allow("[auth_openidc:error]");
    let mut browser = httpd.browser();
    let page = browser.get(&format!("{CALLBACK}?code=forged&state=forged")).expect(400);
    assert_eq!(page.header("Set-Cookie"), None);
    // A stolen or planted way back, in a browser that was not sent to the provider.
    let back = provider.visit(&browser.get("/oidc/page.html"), "mallory");
    let mut victim = httpd.browser();
    let page = victim.get(&back).expect(400);
    assert_eq!(page.header("Set-Cookie"), None);
    victim.get("/oidc/page.html").expect(302);
    assert_eq!(provider.hits().1, 0, "its code was not even redeemed");
}
