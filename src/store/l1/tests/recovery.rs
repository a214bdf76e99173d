//! Tables of unknown state: what is right is kept, what is wrong is dropped, and nothing panics.

use super::*;
use crate::sync::Ordering;
use proptest::prelude::*;
use std::collections::HashSet;

const COUNT: u64 = 300;

fn sample(geometry: Geometry) -> Vec<AtomicU64> {
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    for n in 0..COUNT {
        create(&table, n, (n as usize * 37) % 1000, T0).unwrap();
    }
    for n in (0..COUNT).step_by(10) {
        table.end(&key(n), tombstone(T0), T0).unwrap();
    }
    words
}

fn is_right(table: &TestTable<'_>, n: u64) -> bool {
    match load(table, n, T0) {
        Lookup::Found(found) => !n.is_multiple_of(10) && found.created == T0 && found.idle == HOUR / 2,
        Lookup::Absent(Some(gone)) => n.is_multiple_of(10) && gone == Gone { reason: Reason::Logout, at: T0 },
        Lookup::Absent(None) | Lookup::Torn => false,
    }
}

fn error_of(words: &[AtomicU64]) -> Option<AttachError> {
    let attached = TestTable::attach(words, ProcessLock::new()).err();
    assert_eq!(attached, TestTable::recover(words, ProcessLock::new()).err());
    attached
}

#[test]
fn a_sound_table_is_kept_whole() {
    let words = sample(smallest(1000));
    let (table, recovery) = TestTable::recover(&words, ProcessLock::new()).unwrap();
    let expected = Recovery { kept: COUNT as usize, tombstones: COUNT as usize / 10, dropped: 0 };
    assert_eq!(recovery, expected);
    assert!((0..COUNT).all(|n| is_right(&table, n)));
    assert_eq!(table.check(), Ok(()));
}

#[test]
fn of_a_record_and_its_tombstone_the_tombstone_is_kept() {
    let words = sample(smallest(1000));
    let (table, _) = TestTable::recover(&words, ProcessLock::new()).unwrap();
    let (view, lost) = (&table.view, key(1).words());
    let slot = view.find(&lost).unwrap();
    let kept =
        [view.map.entry(slot), view.map.seen(slot), view.map.fate(slot)].map(|word| view.mem.load(word));
    // As if the pages of the record were written back before it went, and those of its tombstone afterwards.
    view.mem.store(view.map.entry(slot), 0);
    table.end(&key(1), tombstone(T0), T0).unwrap();
    let home = view.slots_of(&lost).find(|&slot| view.entry(slot).is_empty()).unwrap();
    for (word, value) in
        [view.map.entry(home), view.map.seen(home), view.map.fate(home)].into_iter().zip(kept)
    {
        view.mem.store(word, value);
    }
    let (table, recovery) = TestTable::recover(&words, ProcessLock::new()).unwrap();
    assert_eq!(recovery.dropped, 1);
    assert!(matches!(load(&table, 1, T0), Lookup::Absent(Some(_))));
    assert_eq!(table.check(), Ok(()));
}

#[test]
fn what_is_no_table_of_ours_is_refused_by_name() {
    let geometry = smallest(1000);
    let words = sample(geometry);
    assert_eq!(error_of(&[]), Some(AttachError::NotATable));
    assert_eq!(error_of(&memory(geometry)), Some(AttachError::NotATable));
    let found = geometry.bytes() as u64;
    assert_eq!(error_of(&words[..words.len() - 1]), Some(AttachError::OtherSize { found }));
    assert_eq!(error_of(&words[..8]), Some(AttachError::OtherSize { found }));
    assert_eq!(error_of(&words[..5]), Some(AttachError::Damaged));
    for word in at::WORDS..=at::CHECKSUM {
        let words = copy_of(&words);
        words[word].fetch_xor(1 << 7, Ordering::Relaxed);
        assert_eq!(error_of(&words), Some(AttachError::Damaged));
    }
    words[at::VERSION].store(77, Ordering::Relaxed);
    assert_eq!(error_of(&words), Some(AttachError::OtherVersion { found: 77 }));
}

#[test]
fn a_mark_from_the_future_ends_at_the_deadline() {
    let words = sample(smallest(1000));
    let (table, _) = TestTable::recover(&words, ProcessLock::new()).unwrap();
    let slot = table.view.find(&key(1).words()).unwrap();
    table.view.mem.store(table.view.map.seen(slot), Seen::new(Timestamp::MAX, HOUR / 2).word());
    let (table, recovery) = TestTable::recover(&words, ProcessLock::new()).unwrap();
    assert_eq!(recovery.dropped, 0);
    let Lookup::Found(found) = load(&table, 1, T0) else { panic!() };
    assert_eq!(found.last_seen, found.born_deadline);
}

#[test]
fn noise_behind_a_sound_header_is_dropped_and_the_table_is_of_use() {
    let geometry = smallest(1000);
    let words = sample(geometry);
    let mut noise = 1u64;
    for word in &words[at::INTENT..] {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        word.store(noise, Ordering::Relaxed);
    }
    let (table, recovery) = TestTable::recover(&words, ProcessLock::new()).unwrap();
    assert_eq!(recovery.kept, 0);
    assert!(recovery.dropped > 1000);
    assert_eq!(table.check(), Ok(()));
    create(&table, 1, 1000, T0).unwrap();
    assert!(is_found(&table, 1, T0));
}

#[test]
fn an_entry_that_points_at_another_ones_record_is_dropped() {
    let words = sample(smallest(1000));
    let table = TestTable::attach(&words, ProcessLock::new()).unwrap();
    let [one, other] = [1, 2].map(|n| table.view.map.entry(table.view.find(&key(n).words()).unwrap()));
    words[one].store(words[other].load(Ordering::Relaxed), Ordering::Relaxed);
    let (table, recovery) = TestTable::recover(&words, ProcessLock::new()).unwrap();
    assert_eq!((recovery.kept, recovery.dropped), (COUNT as usize - 1, 1));
    assert!((2..COUNT).all(|n| is_right(&table, n)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_word_costs_at_most_the_session_that_it_belongs_to(
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>(), 1u64..), 1..20),
    ) {
        let words = sample(smallest(1000));
        let table = TestTable::attach(&words, ProcessLock::new()).unwrap();
        let seen: HashSet<usize> = (0..table.view.map.slots).map(|slot| table.view.map.seen(slot)).collect();
        let used: Vec<usize> = (at::INTENT..words.len())
            .filter(|&i| words[i].load(Ordering::Relaxed) != 0 && !seen.contains(&i))
            .collect();
        for (place, any_word, flip) in &places {
            // Words in use are few: they are hit half of the time.
            let word = if *any_word { place.index(words.len() - 8) + 8 } else { used[place.index(used.len())] };
            if !seen.contains(&word) {
                words[word].fetch_xor(*flip, Ordering::Relaxed);
            }
        }
        let (table, recovery) = TestTable::recover(&words, ProcessLock::new()).unwrap();
        let wrong = (0..COUNT).filter(|&n| !is_right(&table, n)).count();
        prop_assert!(wrong <= places.len());
        prop_assert!(recovery.kept + wrong == COUNT as usize, "{:?}, {} wrong", recovery, wrong);
        prop_assert_eq!(table.check(), Ok(()));
    }

    #[test]
    fn nothing_panics_over_memory_that_lies(
        seed in any::<u64>(),
        density in 1u64..2000,
        header in any::<bool>(),
    ) {
        let words = sample(smallest(1000));
        let mut noise = seed;
        for (i, word) in words.iter().enumerate().skip(8) {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if (header || i >= at::INDEX) && (noise >> 33).is_multiple_of(density) {
                // Small numbers do more harm to lists and counts than large ones.
                let shift = (noise >> 20) % 64;
                word.store(noise.rotate_left(17) >> shift, Ordering::Relaxed);
            }
        }
        let table = TestTable::attach(&words, ProcessLock::new()).unwrap();
        let mut sealed = Vec::new();
        for n in 0..COUNT + 20 {
            if let Lookup::Found(found) = table.load(&key(n), T0, &mut sealed) {
                table.touch(found.slot, T0.after(HOUR));
            }
        }
        for n in 0..20 {
            let _ = create(&table, COUNT + n, 50 * n as usize, T0);
            let _ = table.end(&key(n), tombstone(T0), T0);
            let _ = table.retire(&key(n + 20), T0, Reason::Admin, T0);
        }
        let _ = table.purge(T0.after(HOUR));
        let _ = table.stats();
    }
}
