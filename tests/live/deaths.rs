//! `kill -9`, of one child or of everything: nobody is blocked, nobody is logged out, nobody becomes somebody else.

use harness::{Httpd, Load, Mpm, Signal, Site, eventually, on_each_mpm, rounds};
use std::time::Duration;

on_each_mpm!(
    a_killed_child_blocks_nobody_and_loses_nothing,
    a_server_killed_as_a_whole_finds_its_sessions_again,
);

fn a_killed_child_blocks_nobody_and_loses_nothing(mpm: Mpm) {
    let httpd = Site::new(mpm).start();
    // httpd's own remark about it.
    httpd.log.allow("children are killed successively");
    let load = Load::start(&httpd, 2, 3);
    for round in 0..rounds(10, 100) {
        load.go_on(60);
        Signal::Kill.send(victim(&httpd, round));
    }
    load.go_on(60);
    let report = load.finish();
    eprintln!("{mpm:?}, killed children: {report}");
    // Requests that the killed child was serving are cut off: nobody can save those.
    assert_eq!((report.hung, report.failed, report.lost, report.wrong), (0, 0, 0, 0), "{report:#?}");
    httpd.browser_of("alice").get("/app/page.html").expect(200);
}

/// A child, another each time.
fn victim(httpd: &Httpd, round: usize) -> i64 {
    eventually("children", Duration::from_secs(10), || {
        let children = httpd.children();
        children.get(round * 7 % children.len().max(1)).copied()
    })
}

fn a_server_killed_as_a_whole_finds_its_sessions_again(mpm: Mpm) {
    let mut httpd = Site::new(mpm).conf("SessionClusterTable 8M sessions").start();
    let mut browser = httpd.browser_of("alice");
    let mut ended = httpd.browser_of("bob");
    let kept = ended.clone();
    ended.post("/logout", &[]);
    for _ in 0..rounds(3, 20) {
        let load = Load::start(&httpd, 1, 3);
        load.go_on(80);
        httpd.kill_everything();
        // From here on every request is cut off; what they saw before must have been right.
        let report = load.finish();
        assert_eq!((report.hung, report.failed, report.lost, report.wrong), (0, 0, 0, 0), "{report:#?}");
        httpd.start();
        assert_eq!(browser.get("/app/page.html").expect(200).user(), Some("alice"));
        assert!(kept.clone().get("/app/page.html").is_refused(), "an ended session came back");
    }
}

#[test]
fn a_child_killed_while_it_ends_sessions_does_not_bring_them_back() {
    let httpd = Site::new(Mpm::Prefork).start();
    let mut ended = Vec::new();
    for round in 0..rounds(10, 50) {
        let mut browser = httpd.browser_of("alice");
        let kept = browser.clone();
        browser.post("/logout", &[]);
        ended.push(kept);
        Signal::Kill.send(victim(&httpd, round));
        for browser in &mut ended {
            if let Ok(page) = browser.send("GET", "/app/page.html", &[], "") {
                assert!(page.is_refused(), "{page:?}");
            }
        }
    }
}
