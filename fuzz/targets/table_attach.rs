//! A table of which nothing is known, as a file after a crash: noise, or a good table with damaged words. Reading
//! it never panics; after a recovery its bookkeeping is right, no session shows another's payload, and it works.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::store::key::Key;
use mod_session_cluster::store::l1::{Created, Geometry, Lookup, ProcessLock, Table, TableError};
use mod_session_cluster::store::record::Record;
use mod_session_cluster::store::tombstone::{Reason, Tombstone};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const RECORDS: u8 = 24;
/// Of the records, those from here on were ended.
const ENDED: u8 = 18;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Noise(&'a [u8]),
    Damaged(Vec<Damage>),
}

/// One wrong word.
#[derive(Arbitrary, Debug)]
struct Damage {
    /// Among the words that are not zero, which is where the table's contents are; else among all.
    in_use: bool,
    at: u32,
    how: How,
}

#[derive(Arbitrary, Debug)]
enum How {
    Flip(u8),
    Set(u64),
    Add(i8),
    CopyOf(u32),
}

/// A good table, and where its words are not zero.
static GOOD: LazyLock<(Vec<u64>, Vec<usize>)> = LazyLock::new(|| {
    let geometry = smallest();
    let words = zeroed(geometry.words());
    let table = Table::format(&words, ProcessLock::default(), geometry, NOW);
    for n in 0..RECORDS {
        create(&table, n).expect("room");
    }
    for n in ENDED..RECORDS {
        assert_eq!(table.end(&key(n), tombstone(), NOW), Ok(true));
    }
    table.check().expect("a good table");
    let words: Vec<u64> = words.iter().map(|word| word.load(Ordering::Relaxed)).collect();
    let in_use = words.iter().enumerate().filter_map(|(i, &word)| (word != 0).then_some(i)).collect();
    (words, in_use)
});

fuzz_target!(|input: Input<'_>| {
    let words: Vec<AtomicU64> = match input {
        Input::Noise(bytes) => bytes
            .chunks_exact(8)
            .map(|word| AtomicU64::new(u64::from_le_bytes(word.try_into().expect("8 bytes"))))
            .collect(),
        Input::Damaged(damages) => {
            let (good, in_use) = &*GOOD;
            let mut words = good.clone();
            for Damage { in_use: pick, at, how } in damages {
                let at = at as usize;
                let at = if pick { in_use[at % in_use.len()] } else { at % words.len() };
                words[at] = match how {
                    How::Flip(bit) => words[at] ^ (1 << (bit % 64)),
                    How::Set(value) => value,
                    How::Add(n) => words[at].wrapping_add_signed(n.into()),
                    How::CopyOf(other) => good[in_use[other as usize % in_use.len()]],
                };
            }
            words.into_iter().map(AtomicU64::new).collect()
        }
    };

    // A reader may come upon damage before anybody recovers.
    if let Ok(table) = Table::attach(&words, ProcessLock::default()) {
        let _ = table.stats();
        for n in 0..RECORDS {
            if let Lookup::Found(found) = table.load(&key(n), NOW, &mut Vec::new()) {
                table.touch(found.slot, NOW.after(Duration::from_secs(5)));
            }
        }
    }

    let Ok((table, recovery)) = Table::recover(&words, ProcessLock::default()) else { return };
    table.check().expect("the bookkeeping is right after a recovery");
    assert!(recovery.kept <= RECORDS.into());
    for n in 0..RECORDS {
        assert_own_payload(&table, n);
        if n >= ENDED {
            // A tombstone may be lost to damage, but the session does not come back.
            assert!(!matches!(table.load(&key(n), NOW, &mut Vec::new()), Lookup::Found(_)), "a resurrection");
        }
    }

    for n in 0..RECORDS {
        match table.load(&key(n), NOW, &mut Vec::new()) {
            Lookup::Found(_) => assert!(create(&table, n).is_err(), "a second record of one key"),
            Lookup::Absent(_) => {
                // A tombstone refuses it; a lost record or a record past its deadline may or may not.
                let _ = create(&table, n);
                assert_own_payload(&table, n);
            }
            Lookup::Torn => panic!("a torn record after a recovery"),
        }
        if n % 2 == 0 {
            table.end(&key(n), tombstone(), NOW).expect("room");
            assert!(matches!(table.load(&key(n), NOW, &mut Vec::new()), Lookup::Absent(Some(_))));
        }
    }
    table.check().expect("the bookkeeping is right after use");
    table.purge(NOW.after(Duration::from_secs(100 * 24 * 3600))).expect("the lock");
    table.check().expect("the bookkeeping is right after a purge");
});

fn smallest() -> Geometry {
    (14..30).find_map(|shift| Geometry::new(1 << shift, 1024).ok()).expect("some size is enough")
}

fn zeroed(len: usize) -> Vec<AtomicU64> {
    std::iter::repeat_with(|| AtomicU64::new(0)).take(len).collect()
}

fn key(n: u8) -> Key {
    // Spread as a digest would be, and the same in every run.
    Key::new(std::array::from_fn(|i| (n as usize * 151 + i * 89 + (n as usize + 3) * (i + 7) * 31) as u8))
}

fn payload(n: u8) -> Vec<u8> {
    vec![n; usize::from(n) * 40]
}

fn tombstone() -> Tombstone {
    Tombstone {
        reason: Reason::Logout,
        node: 3,
        at: NOW,
        until: NOW.after(Duration::from_secs(3600)),
        ends_line: false,
    }
}

fn create(table: &Table<'_, ProcessLock>, n: u8) -> Result<Created, TableError> {
    let sealed = payload(n);
    let record = Record {
        key: key(n),
        created: NOW,
        deadline: NOW.after(Duration::from_secs(3600)),
        last_seen: NOW,
        idle: Duration::from_secs(600),
        sealed: &sealed,
    };
    table.create(&record, NOW)
}

fn assert_own_payload(table: &Table<'_, ProcessLock>, n: u8) {
    let mut sealed = Vec::new();
    if let Lookup::Found(_) = table.load(&key(n), NOW, &mut sealed) {
        assert_eq!(sealed, payload(n), "another session's payload");
    }
}
