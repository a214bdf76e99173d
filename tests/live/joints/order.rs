//! Hooks that must come before those of other modules, whatever the order of `LoadModule`.

use harness::{Mpm, Site};

#[test]
fn a_forensic_log_that_is_loaded_first_holds_no_session_id() {
    let httpd = Site::new(Mpm::Event).load_before(&["log_forensic"]).conf("ForensicLog forensic.log").start();
    let mut alice = httpd.browser_of("alice");
    alice.get("/app/page.html").expect(200);
    let log = std::fs::read_to_string(httpd.path("forensic.log")).unwrap();
    assert!(log.contains("/app/page.html"), "{log}");
    assert!(httpd.secrets_in("forensic.log").is_empty(), "{log}");
}

#[test]
fn a_refused_method_is_told_which_ones_are_allowed() {
    let httpd = Site::new(Mpm::Event).start();
    for path in ["/login", "/logout", "/whoami"] {
        let page = httpd.browser().send("DELETE", path, &[], "").unwrap().expect(405);
        let allow = page.header("Allow").unwrap_or_default().to_owned();
        assert!(allow.contains("GET") && allow.contains("POST") == (path != "/whoami"), "{path}: {allow}");
    }
}
