//! Tests of the whole table. Each file takes one promise: answers (`model`), deaths of writers, making room,
//! recovery, and readers beside writers.

mod deaths;
mod model;
mod recovery;
mod room;
mod threads;

use super::at;
use super::index::{Fate, Seen};
use super::layout::Map;
use super::mem::death;
use super::*;
use crate::clock::Timestamp;
use crate::store::key::Key;
use crate::store::record::Record;
use crate::store::tombstone::{Reason, Tombstone};
use crate::sync::AtomicU64;
use std::collections::BTreeMap;
use std::time::Duration;

type TestTable<'m> = Table<'m, ProcessLock>;

const T0: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn memory(geometry: Geometry) -> Vec<AtomicU64> {
    (0..geometry.words()).map(|_| AtomicU64::new(0)).collect()
}

fn copy_of(words: &[AtomicU64]) -> Vec<AtomicU64> {
    words.iter().map(|word| AtomicU64::new(word.load(crate::sync::Ordering::Relaxed))).collect()
}

/// The smallest table for records of that size.
fn smallest(max_record: usize) -> Geometry {
    let Err(GeometryError::TooSmall { least }) = Geometry::new(0, max_record) else { unreachable!() };
    Geometry::new(least, max_record).unwrap()
}

/// How many records of that size fill a table to the last chunk.
fn capacity(geometry: Geometry, len: usize) -> u64 {
    let map = Map::new(geometry);
    let class = map.classes.fitting(layout::HEAD + len.div_ceil(8)).unwrap();
    (map.slab_words / map.classes.words(class).unwrap() * map.slabs) as u64
}

fn key(n: u64) -> Key {
    Key::new(*blake3::hash(&n.to_le_bytes()).as_bytes())
}

/// A payload that tells whose it is.
fn payload(key: &Key, len: usize) -> Vec<u8> {
    key.as_bytes().iter().copied().cycle().take(len).collect()
}

/// A record of twelve hours, idle after half an hour.
fn record<'a>(key: Key, sealed: &'a [u8], now: Timestamp) -> Record<'a> {
    Record { key, created: now, deadline: now.after(12 * HOUR), last_seen: now, idle: HOUR / 2, sealed }
}

fn tombstone(now: Timestamp) -> Tombstone {
    Tombstone { reason: Reason::Logout, node: 3, at: now, until: now.after(13 * HOUR), ends_line: false }
}

fn create(table: &TestTable<'_>, n: u64, len: usize, now: Timestamp) -> Result<Created, TableError> {
    table.create(&record(key(n), &payload(&key(n), len), now), now)
}

fn load(table: &TestTable<'_>, n: u64, now: Timestamp) -> Lookup {
    let mut sealed = vec![1, 2, 3];
    let lookup = table.load(&key(n), now, &mut sealed);
    match lookup {
        Lookup::Found(_) => assert_eq!(sealed, payload(&key(n), sealed.len())),
        _ => assert!(sealed.is_empty()),
    }
    lookup
}

fn is_found(table: &TestTable<'_>, n: u64, now: Timestamp) -> bool {
    matches!(load(table, n, now), Lookup::Found(_))
}

#[test]
fn a_record_is_found_until_its_deadline_and_then_the_reason_is_told() {
    let geometry = smallest(1000);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    assert_eq!(load(&table, 1, T0), Lookup::Absent(None));
    assert_eq!(create(&table, 1, 500, T0), Ok(Created { evicted_live: 0 }));
    let Lookup::Found(found) = load(&table, 1, T0) else { panic!() };
    assert_eq!((found.created, found.idle, found.last_seen), (T0, HOUR / 2, T0));
    assert_eq!(found.deadline, T0.after(12 * HOUR));
    let late = T0.after(12 * HOUR);
    assert!(is_found(&table, 1, Timestamp::from_millis(late.as_millis() - 1)));
    let gone = Gone { reason: Reason::Lifetime, at: late };
    assert_eq!(load(&table, 1, late), Lookup::Absent(Some(gone)));
    assert_eq!(table.purge(late), Ok(1), "idle for long, but its reason is still told");
}

#[test]
fn a_second_create_is_refused_and_so_is_one_after_the_end() {
    let geometry = smallest(1000);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    create(&table, 1, 500, T0).unwrap();
    assert_eq!(create(&table, 1, 400, T0), Err(TableError::Exists));
    assert_eq!(table.end(&key(1), tombstone(T0), T0), Ok(true));
    assert_eq!(load(&table, 1, T0), Lookup::Absent(Some(Gone { reason: Reason::Logout, at: T0 })));
    assert_eq!(create(&table, 1, 500, T0), Err(TableError::Exists));
    let other = Tombstone { reason: Reason::Admin, ..tombstone(T0) };
    assert_eq!(table.end(&key(1), other, T0), Ok(false), "the first tombstone wins");
    assert_eq!(load(&table, 1, T0), Lookup::Absent(Some(Gone { reason: Reason::Logout, at: T0 })));
    assert_eq!(create(&table, 2, 1001, T0), Err(TableError::TooLarge { len: 1001, max: 1000 }));
    assert_eq!(table.end(&key(3), tombstone(T0), T0), Ok(false), "nothing lived");
    assert_eq!(create(&table, 3, 500, T0), Err(TableError::Exists), "but the tombstone came first");
    let stats = table.stats();
    assert_eq!((stats.live, stats.tombstones, stats.begins, stats.ends[0]), (0, 2, 1, 2));
    assert_eq!(table.check(), Ok(()));
}

#[test]
fn a_deadline_moves_only_earlier() {
    let geometry = smallest(1000);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    create(&table, 1, 500, T0).unwrap();
    let (soon, sooner) = (T0.after(Duration::from_secs(10)), T0.after(Duration::from_secs(5)));
    assert_eq!(table.retire(&key(1), soon, Reason::Superseded, T0), Ok(true));
    assert_eq!(table.retire(&key(1), T0.after(HOUR), Reason::Admin, T0), Ok(true));
    assert_eq!(load(&table, 1, soon), Lookup::Absent(Some(Gone { reason: Reason::Superseded, at: soon })));
    assert_eq!(table.retire(&key(1), sooner, Reason::Admin, T0), Ok(true));
    assert_eq!(load(&table, 1, soon), Lookup::Absent(Some(Gone { reason: Reason::Admin, at: sooner })));
    assert_eq!(table.retire(&key(1), T0, Reason::Admin, soon), Ok(false), "it has ended");
    assert_eq!(table.retire(&key(2), T0, Reason::Admin, soon), Ok(false), "it never was");
    assert_eq!(table.stats().retires, 2);
}

#[test]
fn a_visit_moves_the_last_seen_mark_at_most_once_a_second() {
    let geometry = smallest(1000);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    create(&table, 1, 500, T0).unwrap();
    let Lookup::Found(found) = load(&table, 1, T0) else { panic!() };
    for (after, expected) in [(999, 0), (1000, 1000), (500, 1000), (1999, 1000), (2500, 2500)] {
        table.touch(found.slot, T0.after(Duration::from_millis(after)));
        let Lookup::Found(found) = load(&table, 1, T0) else { panic!() };
        assert_eq!(found.last_seen, T0.after(Duration::from_millis(expected)));
        assert_eq!(found.idle, HOUR / 2);
    }
    table.end(&key(1), tombstone(T0), T0).unwrap();
    let before = table.stats().touches;
    table.touch(found.slot, T0.after(HOUR));
    assert_eq!(table.stats().touches, before, "the record is no longer there");
}

#[test]
fn payloads_of_every_size_up_to_the_bound_come_back_whole() {
    let geometry = Geometry::new(16 << 20, 64 << 10).unwrap();
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    let sizes: Vec<usize> = (0..40).chain((40..65_536).step_by(977)).chain([65_535, 65_536]).collect();
    for (n, &len) in sizes.iter().enumerate() {
        create(&table, n as u64, len, T0).unwrap();
    }
    let mut sealed = Vec::new();
    for (n, &len) in sizes.iter().enumerate() {
        let key = key(n as u64);
        assert!(matches!(table.load(&key, T0, &mut sealed), Lookup::Found(_)));
        assert_eq!(sealed, payload(&key, len));
    }
    assert_eq!(table.check(), Ok(()));
    assert_eq!(table.stats().evicted_live, 0);
    let used = table.stats().bytes_used as usize;
    let net: usize = sizes.iter().map(|len| len + 80).sum();
    // Those of more than half a slab take a whole one.
    assert!(used < net + net / 3, "{used} bytes for {net}");
}

#[test]
fn an_import_keeps_records_deadlines_marks_and_tombstones() {
    let geometry = smallest(1000);
    let (words, more) = (memory(geometry), Geometry::new(4 << 20, 2000).unwrap());
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    for n in 0..100 {
        create(&table, n, 100 + n as usize, T0).unwrap();
    }
    let soon = T0.after(Duration::from_secs(10));
    table.retire(&key(1), soon, Reason::Superseded, T0).unwrap();
    table.retire(&key(2), T0, Reason::Superseded, T0).unwrap();
    table.end(&key(3), tombstone(T0), T0).unwrap();
    let words = memory(more);
    let larger = TestTable::format(&words, ProcessLock::new(), more, T0);
    for _ in 0..2 {
        larger.import_from(&table, T0).unwrap();
        let stats = larger.stats();
        assert_eq!((stats.live, stats.tombstones), (98, 1), "all but the one that has ended, and each once");
    }
    for n in (0..100).filter(|n| ![2, 3].contains(n)) {
        let (Lookup::Found(old), Lookup::Found(new)) = (load(&table, n, T0), load(&larger, n, T0)) else {
            panic!("{n}")
        };
        assert_eq!(Found { slot: old.slot, ..new }, old);
    }
    assert_eq!(load(&larger, 1, soon), load(&table, 1, soon));
    assert_eq!(load(&larger, 3, T0), load(&table, 3, T0));
    assert_eq!(load(&larger, 2, T0), Lookup::Absent(None));
    let (_, recovery) = TestTable::recover(&words, ProcessLock::new()).unwrap();
    assert_eq!(recovery, Recovery { kept: 99, tombstones: 1, dropped: 0 });
}
