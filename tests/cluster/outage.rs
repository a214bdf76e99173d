//! The store cannot be reached: that is not a logout, and nobody waits for it long.

use super::nodes::Nodes;
use harness::redis::Redis;
use harness::{Mpm, Signal, eventually};
use std::time::{Duration, Instant};

/// The default of `SessionClusterStoreTimeout`, twice, and what a page costs on a busy machine.
const LONGEST: Duration = Duration::from_millis(2 * 50 + 150);

#[test]
fn signed_in_users_stay_while_the_store_is_away() {
    let redis = Redis::builder().append_only().start();
    let nodes = Nodes::over(&redis.url());
    nodes.httpds.iter().for_each(|httpd| httpd.log.allow("SC040"));
    let alice = nodes.login(0, "alice");
    (0..3).for_each(|n| drop(nodes.at(n, &alice).get("/app/page.html").expect(200)));
    let unknown = nodes.login(0, "bob");
    redis.stop_hard();
    std::thread::sleep(Duration::from_millis(700));
    let mut there = nodes.at(1, &unknown);
    let page = there.get("/app/page.html").expect(503);
    nodes.httpds[1].log.allow("SC0206");
    assert_eq!(page.header("Retry-After"), Some("2"));
    assert_eq!(page.header("Set-Cookie"), None, "the cookie is kept");
    for n in 0..3 {
        let start = Instant::now();
        for _ in 0..10 {
            assert_eq!(nodes.at(n, &alice).get("/app/page.html").expect(200).user(), Some("alice"));
        }
        assert!(start.elapsed() < LONGEST, "ten pages took {:?}", start.elapsed());
    }
    let logout = nodes.at(0, &alice).post("/logout", &[]).expect(503);
    nodes.httpds[0].log.allow("SC0206");
    assert!(logout.body.contains("Nothing has changed"), "{logout:?}");
    assert_eq!(logout.header("Set-Cookie"), None);

    redis.restart();
    let start = Instant::now();
    while nodes.at(0, &alice).post("/logout", &[]).status != 200 {
        assert!(start.elapsed() < Duration::from_secs(2), "recovery");
    }
    for n in 0..3 {
        nodes.until_refused(n, &alice);
    }
    while there.get("/app/page.html").status != 200 {
        assert!(start.elapsed() < Duration::from_secs(2), "recovery");
    }
    for httpd in &nodes.httpds {
        // Pages may be back before the watcher has said so.
        let end = || (httpd.log.count("SC0402") > 0).then_some(());
        eventually("the end of the outage in the log", Duration::from_secs(5), end);
        assert_eq!((httpd.log.count("SC0401"), httpd.log.count("SC0402")), (1, 1), "one line each");
    }
}

#[test]
fn a_frozen_store_makes_nobody_wait_for_longer_than_its_time() {
    let redis = Redis::start();
    let nodes = Nodes::over(&redis.url());
    for httpd in &nodes.httpds {
        httpd.log.allow("SC040");
        httpd.log.allow("SC0206");
    }
    let alice = nodes.login(0, "alice");
    nodes.at(1, &alice).get("/app/page.html").expect(200);
    redis.freeze();
    let mut longest = Duration::ZERO;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        for path in ["/app/page.html", "/open/page.html"] {
            let asked = Instant::now();
            nodes.at(1, &alice).get(path).expect(200);
            longest = longest.max(asked.elapsed());
        }
        let asked = Instant::now();
        let mut visitor = nodes.httpds[2].browser();
        visitor.post("/login", &[("httpd_username", "bob"), ("httpd_password", "wonderland")]).expect(503);
        longest = longest.max(asked.elapsed());
    }
    println!("the longest request took {longest:?}");
    assert!(longest < LONGEST, "{longest:?}");
    redis.thaw();
    let thawed = Instant::now();
    while nodes.httpds[2]
        .browser()
        .post("/login", &[("httpd_username", "bob"), ("httpd_password", "wonderland")])
        .status
        != 303
    {
        assert!(thawed.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn a_store_that_lost_everything_brings_nobody_back() {
    let redis = Redis::start();
    let nodes = Nodes::over(&redis.url());
    nodes.httpds.iter().for_each(|httpd| httpd.log.allow("SC040"));
    let (ended, lost) = (nodes.login(0, "alice"), nodes.login(0, "bob"));
    for n in 0..3 {
        nodes.at(n, &ended).get("/app/page.html").expect(200);
        nodes.at(n, &lost).get("/app/page.html").expect(200);
    }
    nodes.at(0, &ended).post("/logout", &[]).expect(200);
    redis.stop_hard();
    redis.restart();
    let start = Instant::now();
    for n in 0..3 {
        while !nodes.at(n, &lost).get("/app/page.html").is_refused() {
            assert!(start.elapsed() < Duration::from_secs(3), "what the store has lost is lost");
        }
        assert!(nodes.at(n, &ended).get("/app/page.html").is_refused());
    }
    nodes.login(1, "bob");
}

#[test]
fn a_killed_watcher_is_replaced_within_a_second() {
    let redis = Redis::start();
    let nodes = Nodes::with(Mpm::Prefork, 2, &[&redis.url()], "");
    nodes.httpds[1].log.allow("AH00052"); // that a child was killed
    // One of them listens, and nobody knows which.
    for pid in nodes.httpds[1].children() {
        let browser = nodes.login(0, "alice");
        nodes.at(1, &browser).get("/app/page.html").expect(200);
        Signal::Kill.send(pid);
        let killed = Instant::now();
        nodes.at(0, &browser).post("/logout", &[]).expect(200);
        nodes.until_refused(1, &browser);
        println!("heard again after {:?}", killed.elapsed());
        assert!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
        // httpd takes its time; without any child nobody would answer.
        eventually("a new child", Duration::from_secs(5), || {
            let children = nodes.httpds[1].children();
            (children.len() >= 3 && !children.contains(&pid)).then_some(())
        });
    }
}
