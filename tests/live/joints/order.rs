//! Hooks that must come before those of other modules, whatever the order of `LoadModule`.

use harness::{Httpd, Mpm, Site};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

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

const WHAT_THEY_SEE: &str = "LogFormat \"[%{Cookie}i] %>s\" cookies\n";

fn raw(httpd: &Httpd, request: &str) -> String {
    let mut stream = TcpStream::connect(httpd.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_request_that_is_refused_while_it_is_read_leaves_no_session_id_in_the_log() {
    let httpd = Site::new(Mpm::Event).conf(WHAT_THEY_SEE).conf("CustomLog cookies.log cookies").start();
    let alice = httpd.browser_of("alice");
    let cookie = format!("Cookie: other=1; SCID={}; more=2\r\n", alice.session());
    let long = "x".repeat(9000);
    for request in [
        format!("GET /open/page.html HTTP/1.1\r\n{cookie}Connection: close\r\n\r\n"),
        format!("GET /open/page.html HTTP/1.1\r\nHost: a b\r\n{cookie}Connection: close\r\n\r\n"),
        format!("GET /open/page.html HTTP/1.1\r\nHost: localhost\r\n{cookie}X-Long: {long}\r\n\r\n"),
        format!("GET /open/page.html HTTP/1.1\r\nHost: localhost\r\n{cookie}broken header\r\n\r\n"),
        format!("POST /open/page.html HTTP/1.1\r\nHost: localhost\r\n{cookie}Transfer-Encoding: odd\r\n\r\n"),
    ] {
        let answer = raw(&httpd, &request);
        assert!(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"), "{request}: {answer}");
    }
    let log = std::fs::read_to_string(httpd.path("cookies.log")).unwrap();
    assert!(log.contains("other=1"), "{log}");
    assert!(httpd.secrets_in("cookies.log").is_empty(), "{log}");
}

#[test]
fn a_virtual_host_without_a_line_of_ours_sees_no_cookie_of_its_neighbours() {
    let hosts = "<VirtualHost *>\nServerName app.example\nSessionClusterCookie APP\n<Location /login>\n\
                 SetHandler session-cluster-login\nSessionClusterAuthn file\nAuthUserFile passwords\n</Location>\n\
                 </VirtualHost>\n<VirtualHost *>\nServerName other.example\nCustomLog cookies.log cookies\n\
                 </VirtualHost>\n<VirtualHost *>\nServerName third.example\nSessionClusterCookie THIRD\n\
                 CustomLog cookies.log cookies\n</VirtualHost>";
    let httpd = Site::bare(Mpm::Event).conf(WHAT_THEY_SEE).conf(hosts).start();
    let mut alice = httpd.browser();
    alice.login("alice");
    let id = alice.cookies["APP"].clone();
    for host in ["other.example", "third.example"] {
        let cookies = format!("first=1; APP={id}; APP=of-somebody-else; last=2");
        raw(
            &httpd,
            &format!("GET / HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\nConnection: close\r\n\r\n"),
        );
    }
    let log = std::fs::read_to_string(httpd.path("cookies.log")).unwrap();
    assert_eq!(log.matches("[first=1; APP=of-somebody-else; last=2] 200").count(), 2, "{log}");
    assert!(httpd.secrets_in("cookies.log").is_empty(), "{log}");
}
