//! Readers beside writers, on real threads: never somebody else's payload, never half of one, never a session that
//! has ended, never a miss of one that lives.

use super::*;
use crate::sync::Ordering;
use std::thread;

#[test]
fn readers_beside_writers_see_whole_records_of_their_own_key_only() {
    let geometry = smallest(4000);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    let done = AtomicU64::new(0);
    const WRITERS: u64 = 2;
    const ROUNDS: u64 = 15_000;
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (table, done) = (&table, &done);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let n = 1000 + round * WRITERS + writer;
                    create(table, n, (round as usize * 131) % 4000, T0).unwrap();
                    if round % 3 == 0 {
                        table.end(&key(n), tombstone(T0), T0).unwrap();
                        assert!(!is_found(table, n, T0));
                    }
                }
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                let mut hits = 0;
                let mut n = 1000;
                while done.load(Ordering::Relaxed) < WRITERS {
                    n = if n > 1000 + WRITERS * ROUNDS { 1000 } else { n + 1 };
                    // `load` compares the payload with the key.
                    hits += u64::from(is_found(&table, n, T0));
                }
                assert!(hits > 0);
            });
        }
    });
    assert_eq!(table.check(), Ok(()));
    assert_eq!(table.stats().torn, 0);
    assert!(table.stats().evicted_live > 0, "chunks are used again and again");
}

#[test]
fn a_living_session_is_never_missed_while_its_record_moves() {
    let geometry = smallest(4000);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    let done = AtomicU64::new(0);
    // Twenty that live, among records that come and go in changing sizes, so that slabs are vacated all the time.
    for n in 0..20 {
        let sealed = payload(&key(n), 600);
        let busy = Record { last_seen: T0.after(12 * HOUR), ..record(key(n), &sealed, T0) };
        table.create(&busy, T0).unwrap();
    }
    let homes: Vec<u64> = (0..20).map(|n| chunk_of(&table, n)).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..30_000u64 {
                let len = [600, 1500, 3900][(round / 500 % 3) as usize];
                let sealed = payload(&key(1000 + round), len);
                let last_seen = T0.after(Duration::from_millis(round));
                table.create(&Record { last_seen, ..record(key(1000 + round), &sealed, T0) }, T0).unwrap();
            }
            done.fetch_add(1, Ordering::Relaxed);
        });
        scope.spawn(|| {
            while done.load(Ordering::Relaxed) == 0 {
                for n in 0..20 {
                    assert!(is_found(&table, n, T0), "session {n} was missed");
                }
            }
        });
    });
    assert!((0..20).any(|n| chunk_of(&table, n) != homes[n as usize]), "no record has moved");
    assert_eq!(table.check(), Ok(()));
}

fn chunk_of(table: &TestTable<'_>, n: u64) -> u64 {
    table.view.entry(table.view.find(&key(n).words()).unwrap()).chunk() as u64
}
