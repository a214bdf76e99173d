//! Forged headers by the ways that are none of HTTP/1.1's ordinary pages: HTTP/2, and pages that include others.

use harness::{Httpd, Mpm, Site, eventually};
use std::process::Command;
use std::time::Duration;

fn start() -> Httpd {
    let httpd = Site::new(Mpm::Event)
        .load(&["http2", "cgid", "include"])
        .conf("Protocols h2c http/1.1\nScriptSock cgid\nScriptAlias /env.cgi cgi/env.sh")
        .conf("SessionClusterExport header user\nSessionClusterExport env user")
        .conf("<Location /open>\nOptions Includes\nSetOutputFilter INCLUDES\n</Location>")
        .file("cgi/env.sh", "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv\n")
        .file("htdocs/open/page.html", "<!--#include virtual=\"/env.cgi\" -->\n")
        .start();
    eventually("cgid", Duration::from_secs(5), || {
        (httpd.browser().get("/env.cgi").status == 200).then_some(())
    });
    httpd.log.allow("cgid");
    httpd
}

/// What curl(1) gets by HTTP/2, with these headers.
fn http2(httpd: &Httpd, path: &str, headers: &[&str]) -> String {
    let mut curl = Command::new("curl");
    curl.args(["--disable", "--noproxy", "*", "--silent", "--show-error", "--include", "--max-time", "20"]);
    curl.arg("--http2-prior-knowledge").arg(format!("http://{}{path}", httpd.address()));
    headers.iter().for_each(|header| {
        curl.args(["--header", header]);
    });
    let output = curl.output().expect("curl(1) is needed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_session_and_its_headers_work_by_http2_and_forged_ones_do_not() {
    let httpd = start();
    let alice = httpd.browser_of("alice");
    let cookie = format!("Cookie: SCID={}", alice.session());
    let forged = "X-Session-User: root";
    let page = http2(&httpd, "/env.cgi", &[&cookie, forged]);
    assert!(page.starts_with("HTTP/2 200"), "{page}");
    assert!(
        page.contains("HTTP_X_SESSION_USER=alice\n") && page.contains("\nSESSION_USER=alice\n"),
        "{page}"
    );
    assert!(!page.contains("root") && !page.contains(alice.session()), "{page}");
    let page = http2(&httpd, "/env.cgi", &[forged, "x_session_user: root"]);
    assert!(!page.contains("root") && !page.contains("SESSION_USER"), "{page}");
}

#[test]
fn an_included_page_sees_the_session_and_no_forged_headers() {
    let httpd = start();
    let mut alice = httpd.browser_of("alice");
    let page = alice.get_with("/open/page.html", &[("X-Session-User", "root")]).expect(200);
    assert!(page.body.contains("HTTP_X_SESSION_USER=alice\n"), "{page:?}");
    assert!(!page.body.contains("root"), "{page:?}");
    let page = httpd.browser().get_with("/open/page.html", &[("X-Session-User", "root")]).expect(200);
    assert!(page.body.contains("SCRIPT_NAME=") && !page.body.contains("SESSION_USER"), "{page:?}");
}
