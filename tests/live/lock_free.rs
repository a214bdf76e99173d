//! The promise on the box: a page with a session costs no lock and no system call more than the same page without.

use harness::{Httpd, Mpm, Site, Strace, on_each_mpm};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

on_each_mpm!(a_session_costs_no_system_call);

const REQUESTS: usize = 300;

fn a_session_costs_no_system_call(mpm: Mpm) {
    let httpd = Site::new(mpm).conf("MaxKeepAliveRequests 0").one_process().start();
    let cookie = format!("Cookie: SCID={}\r\n", httpd.browser_of("alice").session());
    // Threads of the MPM wait for each other more or less often, as the machine is busy; a call that every page makes
    // is there each time. Hence up to five tries.
    let mut extra = BTreeMap::new();
    for _ in 0..5 {
        let without = count(&httpd, "/open/page.html", "");
        let with = count(&httpd, "/app/page.html", &cookie);
        eprintln!(
            "{mpm:?}: system calls of {REQUESTS} pages without a session: {without:?}\nand with one: {with:?}"
        );
        let pages: usize = with.iter().filter(|(name, _)| name.starts_with("write")).map(|(_, n)| n).sum();
        assert!(pages >= REQUESTS, "strace did not see the pages");
        let more = |(name, n): (String, usize)| {
            let usual = without.get(&name).copied().unwrap_or(0);
            (n > usual + REQUESTS / 10).then(|| (name, n - usual))
        };
        extra = with.into_iter().filter_map(more).collect();
        if extra.is_empty() {
            break;
        }
    }
    assert!(extra.is_empty(), "a session costs {extra:?}");
}

/// The system calls for [`REQUESTS`] pages on one connection.
fn count(httpd: &Httpd, path: &str, cookie: &str) -> BTreeMap<String, usize> {
    let mut connection = TcpStream::connect(httpd.address()).unwrap();
    connection.set_nodelay(true).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n");
    let mut page = || {
        connection.write_all(request.as_bytes()).unwrap();
        let (mut answer, mut part) = (String::new(), [0; 4096]);
        while !answer.ends_with("/page\n") {
            let length = connection.read(&mut part).unwrap();
            assert!(length > 0, "closed after: {answer}");
            answer += std::str::from_utf8(&part[..length]).unwrap();
        }
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(answer.contains("X-Session: (null)"), cookie.is_empty(), "{answer}");
    };
    (0..20).for_each(|_| page());
    let strace = Strace::attach(httpd.pid(), httpd.path(&format!("strace{}", path.replace('/', "-"))));
    (0..REQUESTS).for_each(|_| page());
    strace.counts()
}
