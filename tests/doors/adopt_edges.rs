//! Where adopting meets what other modules do beside naming the user: headers for applications, names, rights.

use super::basic::{PASSWORD, basic, door};
use super::oidc_provider::{CALLBACK, Provider};
use super::slapd::Slapd;
use harness::{Mpm, Site, eventually, free_port};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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
    // An application behind httpd believes these: they are as mod_auth_openidc set them.
    assert_eq!(page.header("X-Claim"), Some("alice"));
    assert_eq!(page.header("X-Name"), Some("alice"));
}

/// Says all that it was told.
const BACKEND: &str = "\
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Told(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.headers.as_bytes())

HTTPServer(('127.0.0.1', int(sys.argv[1])), Told).serve_forever()
";

#[test]
fn no_client_takes_a_header_that_the_module_set_away_from_a_backend() {
    let provider = Provider::start();
    let port = free_port();
    let mut backend = Command::new("/usr/bin/python3");
    backend.args(["-c", BACKEND, &port.to_string()]).stderr(Stdio::null());
    let _backend = Stopped(backend.spawn().unwrap());
    eventually("the backend", Duration::from_secs(9), || TcpStream::connect(("127.0.0.1", port)).ok());
    let httpd = oidc(&provider, "Require valid-user\nOIDCAuthNHeader X-Remote-User")
        .load(&["proxy", "proxy_http"])
        .conf(&format!("ProxyPass /oidc/told http://127.0.0.1:{port}/"))
        .start();
    httpd.log.allow("oidc_scrub_request_headers");
    let mut alice = httpd.browser();
    provider.open(&mut alice, "/oidc/page.html", "alice").expect(200);
    let set = ["x-remote-user", "oidc_claim_sub"];
    for hops in [
        "close",
        "X-Remote-User, OIDC_CLAIM_sub",
        "close; X-Remote-User; OIDC_CLAIM_sub",
        "X-Remote-User close OIDC_CLAIM_sub",
        "X-Remote-User;close\toidc_claim_sub",
        "\"a b\" X-Remote-User OIDC_CLAIM_sub",
        "X_Remote_User X-Remote-User OIDC-CLAIM-sub OIDC_CLAIM_sub",
    ] {
        let page =
            alice.get_with("/oidc/told", &[("Connection", hops), ("X-Remote-User", "root")]).expect(200);
        let told = page.body.to_ascii_lowercase();
        for name in set {
            assert_eq!(told.matches(&format!("{name}: alice")).count(), 1, "{hops}: {told}");
        }
        assert!(!told.contains("root"), "{hops}: {told}");
    }
}

/// A server that ends with its test.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_header_that_a_client_sent_rightly_once_is_not_theirs_to_send() {
    let provider = Provider::start();
    let seen = "Header set X-Name \"expr=%{HTTP:X-Remote-User}\"";
    let httpd =
        oidc(&provider, &format!("Require valid-user\nOIDCAuthNHeader X-Remote-User\n{seen}")).start();
    httpd.log.allow("oidc_scrub_request_headers");
    let mut alice = httpd.browser();
    provider.open(&mut alice, "/oidc/page.html", "alice").expect(200);
    alice.cookies.remove("SCID");
    let page = alice.get_with("/oidc/page.html", &[("X-Remote-User", "alice")]).expect(200);
    assert!(page.header("Set-Cookie").is_some(), "adopted again: {page:?}");
    let page = alice.get_with("/oidc/page.html", &[("X-Remote-User", "admin")]).expect(200);
    assert_eq!(page.header("X-Name"), Some("alice"));
}

#[test]
fn rights_that_are_evaluated_anew_believe_no_client() {
    let provider = Provider::start();
    let more = "Require valid-user\nSessionClusterAttribute sub \"%{HTTP:OIDC_CLAIM_sub}\"\n\
                SessionClusterRightsAge 300ms\nHeader set X-Sub \"expr=%{SESSION:sub}\"";
    let httpd = oidc(&provider, more).start();
    httpd.log.allow("oidc_scrub_request_headers");
    let mut alice = httpd.browser();
    provider.open(&mut alice, "/oidc/page.html", "alice").expect(200);
    std::thread::sleep(std::time::Duration::from_millis(700));
    let page = alice.get_with("/oidc/page.html", &[("OIDC_CLAIM_sub", "admin")]).expect(200);
    assert!(page.header("Set-Cookie").is_some(), "evaluated anew: {page:?}");
    assert_eq!(page.header("X-Sub"), Some("alice"));
}

#[test]
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
    let mut browser = httpd.browser();
    browser.get_with("/basic/staff/page.html", &[("Authorization", &shown)]).expect(200);
}

#[test]
fn rights_that_another_place_asks_for_leave_what_the_module_said_of_the_user() {
    let provider = Provider::start();
    let seen = "Header set X-Name \"expr=%{HTTP:X-Remote-User}\"";
    let httpd = oidc(&provider, &format!("Require valid-user\nOIDCAuthNHeader X-Remote-User\n{seen}"))
        .conf("<Location /oidc/deep>\nSessionClusterGrant staff user alice\n</Location>")
        .file("htdocs/oidc/deep/page.html", "deep\n")
        .start();
    httpd.log.allow("oidc_scrub_request_headers");
    let mut alice = httpd.browser();
    provider.open(&mut alice, "/oidc/page.html", "alice").expect(200);
    // The session opens this door, and its rights are asked for here for the first time.
    let page = alice.get("/oidc/deep/page.html").expect(200);
    assert!(page.header("Set-Cookie").is_some(), "evaluated: {page:?}");
    for path in ["/oidc/page.html", "/oidc/deep/page.html"] {
        let page = alice.get_with(path, &[("X-Remote-User", "admin")]).expect(200);
        assert_eq!(page.header("X-Name"), Some("alice"), "{path}");
    }
}
