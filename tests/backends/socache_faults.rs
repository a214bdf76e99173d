//! What goes wrong with caches: a server that is away, frozen, empty, full or too small, one whose connections end, and
//! ends that race retirements.

use super::probe::Probe;
use super::socache::probe;
use super::store::{key, load, pulse, record, soon, tombstone};
use harness::eventually;
use harness::faults::Faults;
use harness::memcached::Memcached;
use harness::redis::Redis;
use mod_session_cluster::store::l2::{Backend, Stored};
use mod_session_cluster::store::tombstone::Reason;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// By when a server that is back is used again, by however many connections it had been.
const AGAIN: Duration = Duration::from_secs(3);

fn in_memcached(server: &Memcached) -> Probe {
    at("memcache", server.port())
}

fn at(provider: &str, port: u16) -> Probe {
    let probe = probe(provider, &format!(":127.0.0.1:{port}"));
    // The providers' own words for a server that is away.
    ["AH00790", "AH00791", "AH03478", "AH03479"].iter().for_each(|code| probe.httpd().log.allow(code));
    probe
}

#[test]
fn a_memcached_that_was_killed_is_unavailable_and_then_empty() {
    let server = Memcached::start(64);
    let probe = in_memcached(&server);
    let client = probe.client("");
    let (key, now) = (key(), pulse(&client).now);
    let new = record(key, now, b"payload");
    assert_eq!(client.create(&new, soon()), Ok(true));
    // As many connections as there are threads, none of which is any good after this.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    client.load(&key, &mut Vec::new(), soon()).unwrap();
                }
            });
        }
    });
    server.stop_hard();
    // Again and again: the client soon says "not found", for it holds the server for dead.
    for _ in 0..20 {
        client.revive();
        let away = client.load(&key, &mut Vec::new(), soon());
        assert!(away.is_err(), "{away:?}");
        assert!(client.cutoffs(&[key], soon()).is_err());
        assert!(client.end(&key, &tombstone(Reason::Logout, now), soon()).is_err());
    }
    server.restart();
    let stands = eventually("memcached to be found again", AGAIN, || {
        client.revive();
        client.load(&key, &mut Vec::new(), soon()).ok()
    });
    assert_eq!(stands, Stored::Nothing);
    assert_eq!(client.create(&new, soon()), Ok(true));
}

#[test]
fn a_frozen_memcached_holds_nobody_up_and_goes_on_with_what_it_had() {
    let server = Memcached::start(64);
    let probe = in_memcached(&server);
    let client = probe.client("");
    let (key, now) = (key(), pulse(&client).now);
    assert_eq!(client.create(&record(key, now, b"payload"), soon()), Ok(true));
    server.freeze(true);
    for _ in 0..4 {
        let start = Instant::now();
        let away = client.load(&key, &mut Vec::new(), start + Duration::from_millis(100));
        assert!(away.is_err(), "{away:?}");
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }
    server.freeze(false);
    let stands = eventually("memcached to be found again", AGAIN, || {
        client.revive();
        client.load(&key, &mut Vec::new(), soon()).ok()
    });
    assert!(matches!(stands, Stored::Record(_)), "{stands:?}");
}

#[test]
fn no_session_comes_back_from_a_cache_that_is_too_small() {
    let server = Memcached::start(2);
    let probe = in_memcached(&server);
    let (one, other) = (probe.client(""), probe.client(""));
    let now = pulse(&one).now;
    let mut ended = Vec::new();
    let (mut all, mut forgotten) = (Vec::new(), 0);
    for round in 0..30 {
        let keys: Vec<_> = (0..60).map(|_| key()).collect();
        for key in &keys {
            assert_eq!(one.create(&record(*key, now, &[7; 8000]), soon()), Ok(true));
        }
        for key in keys.iter().step_by(3) {
            other.end(key, &tombstone(Reason::Logout, now), soon()).unwrap();
            ended.push(*key);
        }
        // Tombstones alone fill their part of the cache too.
        for _ in 0..150 {
            other.end(&key(), &tombstone(Reason::Logout, now), soon()).unwrap();
        }
        for key in ended.iter().rev().step_by(1 + round) {
            match load(&one, key).0 {
                Stored::Record(metadata) => panic!("it is back: {metadata:?}"),
                Stored::Nothing => forgotten += 1,
                Stored::Tombstone(_) => {}
            }
        }
        all.extend(keys);
    }
    for key in &all {
        match load(&one, key).0 {
            Stored::Record(_) => assert!(!ended.contains(key), "it is back"),
            Stored::Nothing => forgotten += 1,
            Stored::Tombstone(_) => {}
        }
    }
    assert!(forgotten > 0, "nothing was thrown away, so that nothing was tried");
}

#[test]
fn an_end_that_races_retirements_is_never_undone() {
    let server = Memcached::start(64);
    let probe = in_memcached(&server);
    let clients = [probe.client(""), probe.client("")];
    let now = pulse(&clients[0]).now;
    for _ in 0..150 {
        let (key, barrier) = (key(), Barrier::new(4));
        assert_eq!(clients[0].create(&record(key, now, b"payload"), soon()), Ok(true));
        let mark = tombstone(Reason::Logout, now);
        std::thread::scope(|scope| {
            for number in 0..3u64 {
                let (client, barrier) = (&clients[usize::from(number % 2 == 0)], &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let deadline = now.after(Duration::from_secs(1000 - number));
                    client.retire(&key, deadline, Reason::Superseded, soon()).unwrap();
                });
            }
            barrier.wait();
            clients[0].end(&key, &mark, soon()).unwrap();
            // At once, not only when the others are done.
            for _ in 0..5 {
                assert_eq!(load(&clients[1], &key).0, Stored::Tombstone(mark));
            }
        });
        assert_eq!(load(&clients[0], &key).0, Stored::Tombstone(mark));
    }
}

/// Where the connections of a client end, without a word and without being reset, its session is never absent, also not
/// when the client tries the server anew some seconds later, and it is soon found again.
fn is_never_absent_when_connections_end(provider: &str, server: u16) {
    let faults = Faults::before(server);
    let probe = at(provider, faults.port());
    let client = probe.client("");
    let (key, now) = (key(), pulse(&client).now);
    assert_eq!(client.create(&record(key, now, b"payload"), soon()), Ok(true));
    let look = || {
        client.revive();
        let stands = client.load(&key, &mut Vec::new(), soon());
        assert!(!matches!(stands, Ok(Stored::Nothing | Stored::Tombstone(_))), "{stands:?}");
        stands
    };
    faults.end_answers();
    assert!(look().is_err());
    eventually("the server to be found again", AGAIN, || look().ok());
    faults.end_answers();
    assert!(look().is_err());
    // apr_memcache holds its server for dead for five seconds, and asks it for its version then. Others ask meanwhile.
    std::thread::sleep(Duration::from_millis(5100));
    faults.delay(Duration::from_millis(5));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..20).for_each(|_| drop(look())));
        }
    });
    assert!(look().is_ok());
}

#[test]
fn a_session_is_never_absent_when_connections_to_memcached_end() {
    let server = Memcached::start(64);
    is_never_absent_when_connections_end("memcache", server.port());
}

#[test]
fn a_session_is_never_absent_when_connections_to_redis_end() {
    let server = Redis::start();
    is_never_absent_when_connections_end("redis", server.port());
}

#[test]
fn a_full_redis_refuses_logins_and_answers_pages() {
    let server = Redis::start();
    let probe = at("redis", server.port());
    let client = probe.client("");
    let (there, now) = (key(), pulse(&client).now);
    assert_eq!(client.create(&record(there, now, b"payload"), soon()), Ok(true));
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    for _ in 0..20 {
        let new = key();
        assert!(client.create(&record(new, now, b"payload"), soon()).is_err());
        client.revive();
        assert_eq!(client.load(&new, &mut Vec::new(), soon()), Ok(Stored::Nothing));
        assert!(matches!(load(&client, &there).0, Stored::Record(_)));
    }
}
