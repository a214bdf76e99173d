//! The promise on the box: a page with a session costs no lock and no system call more than the same page without.

use crate::harness::{Httpd, Mpm, Site, Strace, on_each_mpm};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;

on_each_mpm!(a_session_costs_no_system_call);

const REQUESTS: usize = 300;

fn a_session_costs_no_system_call(mpm: Mpm) {
    let httpd = Site::new(mpm).conf("MaxKeepAliveRequests 0").one_process().start();
    let cookie = format!("Cookie: SCID={}\r\n", httpd.browser_of("alice").session());
    let counts = [count(&httpd, "/open/page.html", ""), count(&httpd, "/app/page.html", &cookie)];
    let names: std::collections::BTreeSet<_> = counts.iter().flat_map(BTreeMap::keys).collect();
    let mut table = format!("{mpm:?}: system calls of {REQUESTS} pages, without and with a session\n");
    let mut extra = Vec::new();
    for name in names {
        let [without, with] = counts.each_ref().map(|counts| counts.get(name).copied().unwrap_or(0));
        let _ = writeln!(table, "{name:>16} {without:>7} {with:>7}");
        // Threads of the MPM wake each other a little differently each time; one call for every page would be seen.
        if with > without + REQUESTS / 10 {
            extra.push(name);
        }
    }
    eprintln!("{table}");
    let pages: usize = counts[1].iter().filter(|(name, _)| name.starts_with("write")).map(|(_, n)| n).sum();
    assert!(pages >= REQUESTS, "strace did not see the pages: {table}");
    assert!(extra.is_empty(), "{extra:?}: {table}");
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
