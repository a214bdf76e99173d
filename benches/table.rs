//! What the L1 table costs, in one process: hits, misses and inserts with 10 thousand and 1 million records of 500
//! bytes, alone, beside a second reader, and beside a writer; and whole sessions, from the id to the decoded payload.
//! Run with `cargo bench --no-default-features --bench table`.
//!
//! Each call is timed by itself; the cost of an empty timing is measured first and subtracted. The keys of the loads
//! are drawn before, at random, so that at 1 million most loads miss the processor's caches.

#![allow(clippy::expect_used)]

use hdrhistogram::Histogram;
use mod_session_cluster::clock::{Clock, SystemClock, Timestamp};
use mod_session_cluster::session::payload::{Entry, Means, Payload, Principal};
use mod_session_cluster::session::policy::Policy;
use mod_session_cluster::session::realm::Realm;
use mod_session_cluster::session::sessions::{Resumed, Sessions};
use mod_session_cluster::store::key::Key;
use mod_session_cluster::store::l1::{Geometry, Lookup, ProcessLock, Table};
use mod_session_cluster::store::record::Record;
use mod_session_cluster::store::tiers::{Budget, Store};
use mod_session_cluster::store::tombstone::Reason;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PAYLOAD: usize = 500;
const LOADS: usize = 400_000;
const TABLE_BYTES: [(u64, usize); 2] = [(10_000, 10 << 20), (1_000_000, 1000 << 20)];

type BenchTable<'m> = Table<'m, ProcessLock>;

fn main() {
    let overhead = timer_overhead();
    println!("table: records of {PAYLOAD} bytes; times in ns less {overhead} ns for an empty timing");
    println!("{:>9} {:<28} {:>7} {:>7} {:>7} {:>9}", "sessions", "what", "p50", "p99", "mean", "p99.99");
    for (count, bytes) in TABLE_BYTES {
        measure(count, bytes, overhead);
    }
    println!("sessions: what a page asks for, from the id in its cookie: digest, lookup, copy, open, decode");
    for (count, bytes) in TABLE_BYTES {
        measure_sessions(count, bytes, overhead);
    }
    println!("a table too small: each create has to make room first");
    for (_, bytes) in TABLE_BYTES {
        measure_full(bytes, overhead);
    }
}

/// Creates in a full table, of records like the others and of the largest.
fn measure_full(bytes: usize, overhead: u64) {
    let geometry = Geometry::new(bytes, 64 << 10).expect("the sizes are large enough");
    let words: Vec<AtomicU64> = (0..geometry.words()).map(|_| AtomicU64::new(0)).collect();
    let table = Table::format(&words, ProcessLock::new(), geometry, SystemClock.now());
    let mut count = 0;
    while table.stats().evicted_live == 0 {
        insert(&table, &key(count), SystemClock.now());
        count += 1;
    }
    let creates = |keys: std::ops::Range<u64>, len| {
        timed(overhead, keys, |n| insert_sized(&table, &key(n), len, SystemClock.now()))
    };
    show(count, "insert, full", creates(count..count + 100_000, PAYLOAD));
    let before = table.stats().evicted_live;
    show(count, "insert of 64 KiB, full", creates(2 * count..2 * count + 50, 64 << 10));
    println!(
        "{count:>9} evicted for one of 64 KiB: {:.0}",
        (table.stats().evicted_live - before) as f64 / 50.0
    );
}

fn measure_sessions(count: u64, bytes: usize, overhead: u64) {
    let geometry = Geometry::new(bytes, 64 << 10).expect("the sizes are large enough");
    let words: Vec<AtomicU64> = (0..geometry.words()).map(|_| AtomicU64::new(0)).collect();
    let now = SystemClock.now();
    let table = Table::format(&words, ProcessLock::new(), geometry, now);
    let (realm, policy) = (Realm::new("bench"), Policy::default());
    let (store, budget) = (Store::alone(table), Budget::new(Duration::ZERO));
    let sessions = Sessions::new(&store, &realm, policy, &budget);
    let means = Means { auth_type: "Session".into(), auth_name: Some("Intranet".into()) };
    let principal = Some(Principal { user: "alice".into(), means, typed: None });
    let rights = Entry { name: "rights".into(), value: vec![b'x'; PAYLOAD - 60] };
    let payload = Payload { principal, entries: vec![rights], ..Payload::default() };

    let mut ids = Vec::new();
    let begins = timed(overhead, 0..count, |_| {
        ids.push(sessions.begin(&payload, false, now).expect("there is room").session.id().clone());
    });
    show(count, "begin", begins);
    // Cloned, because the id of a visitor has just been read from the request: no cache miss of the benchmark's own.
    let visitors = (0..LOADS as u64).map(|i| ids[(scatter(i) % count) as usize].clone());
    let resumes = timed(overhead, visitors, |id| {
        let Ok(Resumed::Found { session, .. }) = sessions.resume(&id, now) else {
            panic!("every session lives")
        };
        black_box(session);
    });
    show(count, "whole hit", resumes);
}

fn show(count: u64, what: &str, times: Histogram<u64>) {
    let [p50, p99, top] = [0.5, 0.99, 0.9999].map(|q| times.value_at_quantile(q));
    println!("{count:>9} {what:<28} {p50:>7} {p99:>7} {:>7.0} {top:>9}", times.mean());
}

fn measure(count: u64, bytes: usize, overhead: u64) {
    let geometry = Geometry::new(bytes, 64 << 10).expect("the sizes are large enough");
    let words: Vec<AtomicU64> = (0..geometry.words()).map(|_| AtomicU64::new(0)).collect();
    let now = SystemClock.now();
    let table = Table::format(&words, ProcessLock::new(), geometry, now);
    let show = |what: &str, times: Histogram<u64>| show(count, what, times);

    let keys: Vec<Key> = (0..count).map(key).collect();
    show("insert", timed(overhead, keys.iter(), |key| insert(&table, key, now)));
    let stats = table.stats();
    assert_eq!((stats.live, stats.evicted_live), (count, 0), "the table holds all of them");

    let hits: Vec<Key> = (0..LOADS as u64).map(|i| key(scatter(i) % count)).collect();
    let misses: Vec<Key> = (0..LOADS as u64).map(|i| key(count + i)).collect();
    show("hit", loads(&table, &hits, now, overhead));
    assert_eq!(table.stats().hits, LOADS as u64);
    show("miss", loads(&table, &misses, now, overhead));
    assert_eq!(table.stats().misses, LOADS as u64);

    let other_hits = |i: u64| load_any(&table, i, count, now);
    show("hit, beside a reader", beside(&other_hits, || loads(&table, &hits, now, overhead)));
    show("miss, beside a reader", beside(&other_hits, || loads(&table, &misses, now, overhead)));
    // What it begins it ends at once, so that it makes its own room when the table is full.
    let other_writes = |i: u64| {
        let key = key(u64::MAX - i);
        insert(&table, &key, now);
        let _ = table.retire(&key, now, Reason::Logout, now);
    };
    show("hit, beside a busy writer", beside(&other_writes, || loads(&table, &hits, now, overhead)));

    let recovered = Instant::now();
    let (table, recovery) = Table::recover(&words, ProcessLock::new()).expect("it is a table");
    println!(
        "{count:>9} recovery: {} kept in {:.0} ms",
        recovery.kept,
        recovered.elapsed().as_secs_f64() * 1e3
    );
    let per_session = |bytes: u64| bytes as f64 / count as f64;
    println!(
        "{count:>9} bytes a session: {:.0} in chunks, {:.0} of the whole table of {} MiB",
        per_session(stats.bytes_used),
        per_session(stats.bytes_total),
        stats.bytes_total >> 20,
    );
    assert_eq!(table.stats().dropped, 0);

    let table = Table::format(&words, ProcessLock::new(), geometry, now);
    let other_hits = |i: u64| load_any(&table, i, count, now);
    let inserts = || timed(overhead, keys.iter(), |key| insert(&table, key, now));
    show("insert, beside a reader", beside(&other_hits, inserts));
}

/// What `measured` says, while another thread does nothing but `other`.
fn beside<R>(other: &(dyn Fn(u64) + Sync), measured: impl FnOnce() -> R) -> R {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| (0..).take_while(|_| !done.load(Ordering::Relaxed)).for_each(other));
        let result = measured();
        done.store(true, Ordering::Relaxed);
        result
    })
}

fn key(n: u64) -> Key {
    let mut bytes = [0; Key::LEN];
    for (i, chunk) in bytes.chunks_exact_mut(8).enumerate() {
        chunk.copy_from_slice(&scatter(n.wrapping_mul(4).wrapping_add(i as u64)).to_le_bytes());
    }
    Key::new(bytes)
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
fn scatter(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

fn insert(table: &BenchTable<'_>, key: &Key, now: Timestamp) {
    insert_sized(table, key, PAYLOAD, now);
}

fn insert_sized(table: &BenchTable<'_>, key: &Key, len: usize, now: Timestamp) {
    let sealed = vec![key.as_bytes()[0]; len];
    let deadline = now.after(Duration::from_secs(12 * 3600));
    let idle = Duration::from_secs(1800);
    let record = Record { key: *key, created: now, deadline, last_seen: now, idle, sealed: &sealed };
    table.create(&record, now).expect("there is room");
}

fn load_any(table: &BenchTable<'_>, i: u64, count: u64, now: Timestamp) {
    black_box(table.load(&key(scatter(!i) % count), now, &mut Vec::with_capacity(PAYLOAD)));
}

fn loads(table: &BenchTable<'_>, keys: &[Key], now: Timestamp, overhead: u64) -> Histogram<u64> {
    let mut sealed = Vec::with_capacity(PAYLOAD + 8);
    timed(overhead, keys.iter(), |key| match table.load(key, now, &mut sealed) {
        Lookup::Found(found) => {
            assert_eq!(sealed.first(), Some(&key.as_bytes()[0]));
            black_box(found);
        }
        other => assert_eq!(other, Lookup::Absent(None)),
    })
}

fn timed<T>(overhead: u64, items: impl Iterator<Item = T>, mut op: impl FnMut(T)) -> Histogram<u64> {
    let mut times = Histogram::new(3).expect("three digits are allowed");
    for item in items {
        let start = Instant::now();
        op(black_box(item));
        let ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        times.record(ns.saturating_sub(overhead)).expect("the histogram grows");
    }
    times
}

fn timer_overhead() -> u64 {
    let mut times = Histogram::<u64>::new(3).expect("three digits are allowed");
    for _ in 0..100_000 {
        let start = Instant::now();
        times.record(start.elapsed().as_nanos() as u64).expect("the histogram grows");
    }
    times.value_at_quantile(0.5)
}
