//! The time by which a session is judged.

use harness::{Mpm, Site, on_each_mpm};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

on_each_mpm!(a_connection_that_is_parked_in_its_headers_keeps_no_session);

fn a_connection_that_is_parked_in_its_headers_keeps_no_session(mpm: Mpm) {
    let httpd = Site::new(mpm).conf("SessionClusterIdle 1s").start();
    let alice = httpd.browser_of("alice");
    let answer = |pause: Duration| {
        let mut stream = TcpStream::connect(httpd.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(b"GET /app/page.html HTTP/1.1\r\nHost: localhost\r\n").unwrap();
        sleep(pause);
        let rest = format!("Cookie: SCID={}\r\nConnection: close\r\n\r\n", alice.session());
        stream.write_all(rest.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(answer(Duration::ZERO).starts_with("HTTP/1.1 200"));
    let late = answer(Duration::from_millis(2500));
    assert!(!late.starts_with("HTTP/1.1 200"), "it was idle for longer than is allowed: {late}");
}
