//! What a refusal looks like is for what refuses to say.

use harness::{Mpm, Site};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_page_that_is_refused_for_another_reason_is_not_answered_with_the_login() {
    let httpd = Site::new(Mpm::Event)
        .load(&["rewrite"])
        .conf(
            "<Location /app>\n<RequireAny>\nRequire session-age <1ms\nRequire user alice\n</RequireAny>\n\
             Require session-age <1ms\n</Location>\n\
             <Directory \"/*/*/htdocs/app\">\nRewriteEngine On\nRewriteRule forbidden - [F]\n</Directory>",
        )
        .file("htdocs/app/forbidden.html", "forbidden\n")
        .file("htdocs/app/unreadable.html", "unreadable\n")
        .start();
    for line in ["AH01630", "AH00132", "AH01631"] {
        httpd.log.allow(line);
    }
    let is_login = |body: &str| body.contains("httpd_password");
    let mut alice = httpd.browser_of("alice");
    std::thread::sleep(std::time::Duration::from_millis(2));
    alice.get("/app/page.html").expect(200);
    fs::set_permissions(httpd.path("htdocs/app/unreadable.html"), Permissions::from_mode(0o000)).unwrap();
    // By a rule after she was let in, and by the handler.
    for path in ["/app/forbidden.html", "/app/unreadable.html"] {
        let page = alice.get(path).expect(403);
        assert!(!is_login(&page.body), "{path}: {page:?}");
    }
    let mut bob = httpd.browser_of("bob");
    std::thread::sleep(std::time::Duration::from_millis(2));
    for path in ["/app/page.html", "/app/forbidden.html"] {
        let page = bob.get(path).expect(401);
        assert!(is_login(&page.body), "{path}: another login would help: {page:?}");
    }
}
