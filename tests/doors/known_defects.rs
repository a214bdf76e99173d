//! What does not hold yet where `SessionClusterAdopt` meets other modules. Each is what ought to be; run them with
//! `--ignored`, and take the mark away from what has been mended.

use super::basic::{PASSWORD, basic, door};
use super::oidc_provider::{CALLBACK, Provider};
use super::slapd::Slapd;
use crate::harness::{Mpm, Site};

/// `/oidc` with these lines more, and the way back to it.
fn oidc(provider: &Provider, more: &str) -> Site {
    Site::new(Mpm::Event)
        .load(&["auth_openidc"])
        .conf(&provider.conf())
        .conf(&format!(
            "<Location /oidc>\nAuthType openid-connect\nSessionClusterAdopt On\n{more}\n</Location>\n\
             <Location {CALLBACK}>\nAuthType openid-connect\nRequire valid-user\n</Location>"
        ))
        .file("htdocs/oidc/page.html", "oidc\n")
}

#[test]
#[ignore = "defect: where the session answers, nobody takes forged headers of the other module out of the request"]
fn what_a_client_sends_by_the_name_of_a_claim_reaches_nobody() {
    let provider = Provider::start();
    let seen = "Header set X-Claim \"expr=%{HTTP:OIDC_CLAIM_sub}\"\nHeader set X-Name \"expr=%{HTTP:X-Remote-User}\"";
    let more = format!("Require valid-user\nOIDCAuthNHeader X-Remote-User\n{seen}");
    let httpd = oidc(&provider, &more).start();
    httpd.log.allow("oidc_scrub_request_headers");
    let mut alice = httpd.browser();
    provider.open(&mut alice, "/oidc/page.html", "alice").expect(200);
    let forged = [("OIDC_CLAIM_sub", "admin"), ("X-Remote-User", "admin")];
    let page = alice.get_with("/oidc/page.html", &forged).expect(200);
    // An application behind httpd believes these.
    assert_ne!(page.header("X-Claim"), Some("admin"));
    assert_ne!(page.header("X-Name"), Some("admin"));
}

#[test]
#[ignore = "defect: where the session answers, mod_auth_openidc knows no claims, and the place is closed for good"]
fn a_place_that_requires_a_claim_stays_open_after_the_first_page() {
    let provider = Provider::start();
    let httpd = oidc(&provider, "Require claim sub:alice").start();
    let mut alice = httpd.browser();
    provider.open(&mut alice, "/oidc/page.html", "alice").expect(200);
    alice.get("/oidc/page.html").expect(200);
}

#[test]
#[ignore = "defect: the session answers at the address that the provider sends visitors back to, with an empty page"]
fn the_way_back_from_the_provider_may_lie_inside_the_place_that_adopts() {
    let provider = Provider::start();
    let more = format!("Require valid-user\n</Location>\n<Location {CALLBACK}>\nSessionClusterAdopt On");
    let httpd = oidc(&provider, &more).start();
    let mut browser = httpd.browser();
    // Two tabs, before the login.
    let one = provider.visit(&browser.get("/oidc/page.html?one"), "alice");
    let two = provider.visit(&browser.get("/oidc/page.html?two"), "alice");
    for (back, page) in [(one, "/oidc/page.html?one"), (two, "/oidc/page.html?two")] {
        let answer = browser.get(&back).expect(302);
        assert!(answer.location().ends_with(page), "{answer:?}");
        browser.get(page).expect(200);
    }
    // mod_auth_openidc's logout is at the same address.
    let page = browser.get(&format!("{CALLBACK}?logout=http%3A%2F%2F{}%2Fopen%2Fpage.html", httpd.address()));
    assert_eq!(page.status, 302, "{page:?}");
}

#[test]
#[ignore = "defect: a user who is not called as they log in is asked for at each page on which the browser shows a password"]
fn a_user_whom_the_directory_calls_by_another_name_is_asked_for_once() {
    let slapd = Slapd::start(&["alice"]);
    let provider = slapd.provider().replace("?uid", "?uid,description");
    let more = format!("{provider}\nAuthLDAPRemoteUserAttribute description\nSessionClusterAdopt On");
    let httpd = Site::new(Mpm::Event)
        .load(&["ldap", "authnz_ldap"])
        .conf(Slapd::cache_off())
        .conf(&door("/adopt", "Directory", &more))
        .file("htdocs/adopt/page.html", "adopt\n")
        .start();
    let mut browser = httpd.browser();
    for _ in 0..5 {
        let shown = basic("alice", PASSWORD);
        let page = browser.get_with("/adopt/page.html", &[("Authorization", &shown)]).expect(200);
        assert_eq!(page.user(), Some("alice of the directory"));
    }
    assert_eq!(slapd.binds("alice"), 1);
}

#[test]
#[ignore = "defect: a session is made after the rights were judged, so that no first visit can have what it would say"]
fn a_place_that_requires_something_of_the_session_can_be_the_first_visited() {
    let more = "AuthBasicProvider file\nAuthUserFile passwords\nSessionClusterAdopt On\n\
                SessionClusterGrant staff user alice";
    let httpd = Site::new(Mpm::Event)
        .conf(&door("/basic", "A", more))
        .conf("<Location /basic/staff>\nRequire session-grant staff\n</Location>")
        .file("htdocs/basic/page.html", "basic\n")
        .file("htdocs/basic/staff/page.html", "staff\n")
        .start();
    httpd.log.allow("AH01631"); // httpd's word for a refusal
    let shown = basic("alice", PASSWORD);
    // By way of another page it works.
    let mut browser = httpd.browser();
    browser.get_with("/basic/page.html", &[("Authorization", &shown)]).expect(200);
    browser.get_with("/basic/staff/page.html", &[("Authorization", &shown)]).expect(200);
    let mut browser = httpd.browser();
    browser.get_with("/basic/staff/page.html", &[("Authorization", &shown)]).expect(200);
}
