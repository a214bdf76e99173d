//! A logout is one on every node: how soon, and under what faults.

use super::nodes::Nodes;
use harness::faults::Faults;
use harness::redis::Redis;
use harness::{Mpm, rounds};
use std::time::{Duration, Instant};

#[test]
fn a_logout_is_heard_of_within_milliseconds() {
    let redis = Redis::start();
    let nodes = Nodes::over(&redis.url());
    let mut times: Vec<Duration> = (0..rounds(100, 1000))
        .flat_map(|i| {
            let browser = nodes.login(i % 3, "alice");
            let others = [(i + 1) % 3, (i + 2) % 3];
            for n in others {
                nodes.at(n, &browser).get("/app/page.html").expect(200);
            }
            nodes.at(i % 3, &browser).post("/logout", &[]).expect(200);
            others.map(|n| nodes.until_refused(n, &browser))
        })
        .collect();
    times.sort();
    let at = |q: usize| times[(times.len() - 1) * q / 100];
    println!("logout elsewhere: p50 {:?}, p99 {:?}, max {:?} of {}", at(50), at(99), at(100), times.len());
    assert!(at(50) < Duration::from_millis(20) && at(100) < Duration::from_millis(500));
}

#[test]
fn a_node_that_is_cut_off_refuses_once_its_lease_is_over() {
    let redis = Redis::start();
    let fault = Faults::before(redis.port());
    let away = format!("redis://127.0.0.1:{}", fault.port());
    let conf = "SessionClusterOutage refuse\nSessionClusterLogoutBound 300ms";
    let nodes = Nodes::with(Mpm::Event, 2, &[&redis.url(), &away], conf);
    nodes.httpds[1].log.allow("SC040");
    nodes.httpds[1].log.allow("SC0206");
    let browser = nodes.login(0, "alice");
    nodes.at(1, &browser).get("/app/page.html").expect(200);
    fault.hold();
    let start = Instant::now();
    nodes.at(0, &browser).post("/logout", &[]).expect(200);
    let mut there = nodes.at(1, &browser);
    while there.get("/app/page.html").status == 200 {
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    println!("refused after {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_millis(300 + 100), "{:?}", start.elapsed());
    there.get("/app/page.html").expect(503);
    fault.pass();
    let healed = Instant::now();
    while !there.get("/app/page.html").is_refused() {
        assert!(healed.elapsed() < Duration::from_secs(2));
    }
    assert_eq!(there.get("/whoami").json()["reason"], "logout");
}
