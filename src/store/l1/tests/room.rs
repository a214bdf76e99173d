//! Making room: who goes, in which order, and who is counted.

use super::*;

/// Fills a table with records of one size, the n-th last seen at `seen(n)`. Returns how many fit.
fn fill(table: &TestTable<'_>, len: usize, seen: impl Fn(u64) -> Timestamp) -> u64 {
    let fits = capacity(table.geometry(), len);
    for n in 0..fits {
        let sealed = payload(&key(n), len);
        let record = Record { last_seen: seen(n), ..record(key(n), &sealed, T0) };
        assert_eq!(table.create(&record, T0), Ok(Created { evicted_live: 0 }), "record {n} of {fits}");
    }
    fits
}

fn missing(table: &TestTable<'_>, keys: std::ops::Range<u64>) -> Vec<u64> {
    keys.filter(|&n| !is_found(table, n, T0)).collect()
}

/// A scattered time within the last ten minutes, different for each n.
fn scattered(n: u64) -> Timestamp {
    T0.before(Duration::from_millis((n * 7919) % 600_011))
}

#[test]
fn the_longest_idle_session_goes_first_to_the_letter() {
    let geometry = smallest(4000);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    let fits = fill(&table, 3000, scattered);
    let mut order: Vec<u64> = (0..fits).collect();
    order.sort_by_key(|&n| scattered(n));
    // Some who were next are visited meanwhile.
    let (gone, spared): (Vec<u64>, Vec<u64>) = order[..200].iter().partition(|&&n| n % 3 != 0);
    for &n in &spared {
        let Lookup::Found(found) = load(&table, n, T0) else { panic!() };
        table.touch(found.slot, T0);
    }
    for (i, _) in gone.iter().enumerate() {
        assert_eq!(create(&table, fits + i as u64, 3000, T0), Ok(Created { evicted_live: 1 }));
        let mut expected = gone[..=i].to_vec();
        expected.sort_unstable();
        if i % 7 == 0 {
            assert_eq!(missing(&table, 0..fits), expected);
        }
    }
    assert_eq!(table.stats().evicted_live, gone.len() as u64);
    assert_eq!(table.check(), Ok(()));
}

#[test]
fn a_newcomer_on_probation_goes_before_those_who_visit() {
    let geometry = smallest(4000);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    let fits = fill(&table, 3000, scattered);
    create(&table, fits, 3000, T0).unwrap();
    let sealed = payload(&key(fits + 1), 3000);
    let probation = Record { last_seen: T0.before(HOUR / 3), ..record(key(fits + 1), &sealed, T0) };
    table.create(&probation, T0).unwrap();
    let before = missing(&table, 0..fits + 2);
    assert_eq!(before.len(), 2);
    create(&table, fits + 2, 3000, T0).unwrap();
    let after = missing(&table, 0..fits + 2);
    assert_eq!(after.len(), 3);
    assert!(after.contains(&(fits + 1)), "although the victims had been chosen before it came");
}

#[test]
fn what_is_past_its_time_goes_before_tombstones_and_these_before_the_living() {
    let geometry = smallest(4000);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    let fits = fill(&table, 3000, scattered);
    table.retire(&key(5), T0, Reason::Superseded, T0).unwrap();
    assert_eq!(create(&table, fits, 3000, T0), Ok(Created { evicted_live: 0 }));
    assert_eq!(load(&table, 5, T0), Lookup::Absent(None));
    assert_eq!((table.stats().expired, table.stats().evicted_live), (1, 0));
    // With all slabs taken, a tombstone lies in a chunk of a record's size: its own, or one of another that ended.
    for (n, until) in [(6, 3), (7, 1), (8, 2)] {
        let tombstone = Tombstone { until: T0.after(until * HOUR), ..tombstone(T0) };
        assert_eq!(table.end(&key(n), tombstone, T0), Ok(true));
        assert!(matches!(load(&table, n, T0), Lookup::Absent(Some(_))));
    }
    for (i, n) in [7, 8, 6].into_iter().enumerate() {
        assert_eq!(create(&table, fits + 1 + i as u64, 3000, T0), Ok(Created { evicted_live: 0 }));
        assert_eq!(load(&table, n, T0), Lookup::Absent(None));
    }
    assert_eq!((table.stats().evicted_tombstones, table.stats().evicted_live), (3, 0));
    assert_eq!(create(&table, fits + 9, 3000, T0), Ok(Created { evicted_live: 1 }));
    assert_eq!(table.check(), Ok(()));
}

#[test]
fn idled_out_sessions_make_room_and_raise_no_alarm() {
    let geometry = smallest(4000);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    let fits = fill(&table, 3000, |_| T0);
    let later = T0.after(HOUR);
    for n in 0..fits {
        assert_eq!(create(&table, fits + n, 3000, later), Ok(Created { evicted_live: 0 }));
    }
    let stats = table.stats();
    assert_eq!((stats.expired, stats.evicted_live, stats.live), (fits, 0, fits));
}

#[test]
fn a_slab_changes_its_class_without_loss_when_there_is_room_elsewhere() {
    let geometry = smallest(4000);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    let fits = fill(&table, 3000, |_| T0);
    for n in (0..fits).filter(|n| n % 2 == 0) {
        table.retire(&key(n), T0, Reason::Admin, T0).unwrap();
    }
    let much_later = T0.after(HOUR);
    for n in (0..fits).filter(|n| n % 2 == 1) {
        let Lookup::Found(found) = load(&table, n, much_later) else { panic!() };
        table.touch(found.slot, much_later);
    }
    assert_eq!(table.purge(much_later), Ok(fits.div_ceil(2) as usize));
    assert_eq!(table.check(), Ok(()));
    for n in 0..300 {
        assert_eq!(create(&table, fits + n, 100, much_later), Ok(Created { evicted_live: 0 }));
        if n % 50 == 0 {
            assert_eq!(table.check(), Ok(()));
        }
    }
    for n in (0..fits).filter(|n| n % 2 == 1).chain(fits..fits + 300) {
        assert!(is_found(&table, n, much_later), "session {n}");
    }
    let used = table.stats().bytes_used;
    assert!(used < fits.div_ceil(2) * 4000 + 300 * 256, "the small ones lie in small chunks: {used}");
}

#[test]
fn records_of_all_sizes_find_room_in_a_full_table() {
    let geometry = smallest(64 << 10);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    let mut evicted = 0;
    for n in 0..3000 {
        let len = [100, 64 << 10, 700, 9000, 30_000, 0][n as usize % 6];
        let now = T0.after(Duration::from_millis(n));
        evicted += u64::from(create(&table, n, len, now).unwrap().evicted_live);
        assert!(is_found(&table, n, now));
    }
    assert_eq!(table.check(), Ok(()));
    assert_eq!(table.stats().evicted_live, evicted);
    assert!(evicted > 1000);
}

#[test]
fn when_both_buckets_are_full_the_worst_of_the_sixteen_goes() {
    let geometry = smallest(4000);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    let crowd = |n: u64| Key::from_words([0, u64::MAX, n << 45, n]);
    let at = |n: u64| T0.before(Duration::from_secs(60 * (n * 7 % 16)));
    let mut sealed = Vec::new();
    let found = |n: u64, sealed: &mut Vec<u8>| matches!(table.load(&crowd(n), T0, sealed), Lookup::Found(_));
    for n in 0..16 {
        let record = Record { last_seen: at(n), ..record(crowd(n), &[], T0) };
        assert_eq!(table.create(&record, T0), Ok(Created { evicted_live: 0 }));
    }
    let oldest = (0..16).min_by_key(|&n| at(n)).unwrap();
    assert_eq!(table.create(&record(crowd(16), &[], T0), T0), Ok(Created { evicted_live: 1 }));
    assert_eq!((0..17).filter(|&n| !found(n, &mut sealed)).collect::<Vec<_>>(), [oldest]);
    table.retire(&crowd(16), T0, Reason::Admin, T0).unwrap();
    table.end(&crowd(3), tombstone(T0), T0).unwrap();
    assert_eq!(table.create(&record(crowd(17), &[], T0), T0), Ok(Created { evicted_live: 0 }));
    assert_eq!(table.load(&crowd(16), T0, &mut sealed), Lookup::Absent(None), "what has ended went first");
    assert_eq!(table.create(&record(crowd(18), &[], T0), T0), Ok(Created { evicted_live: 0 }));
    assert_eq!(table.load(&crowd(3), T0, &mut sealed), Lookup::Absent(None), "then the tombstone");
    assert_eq!(table.check(), Ok(()));
}

#[test]
fn a_table_in_use_sweeps_itself() {
    let geometry = smallest(4000);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    for n in 0..100 {
        create(&table, n, 100, T0).unwrap();
    }
    let much_later = T0.after(14 * HOUR);
    let rounds = Map::new(geometry).buckets as u64 / 4 + 2;
    for n in 0..rounds {
        create(&table, 1000 + n, 100, much_later).unwrap();
    }
    assert_eq!(table.stats().live, rounds);
}

#[test]
fn a_tombstone_that_ends_a_line_outlives_every_session() {
    let geometry = smallest(4000);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    let fits = capacity(geometry, 3000);
    table.end(&key(fits), Tombstone { ends_line: true, ..tombstone(T0) }, T0).unwrap();
    table.end(&key(fits + 1), tombstone(T0), T0).unwrap();
    for n in 0..fits {
        create(&table, n, 3000, T0).unwrap();
    }
    assert!(table.stats().evicted_live > 0, "the table is full");
    assert!(matches!(load(&table, fits, T0), Lookup::Absent(Some(_))), "kept");
    assert_eq!(load(&table, fits + 1, T0), Lookup::Absent(None), "evicted");
}

#[test]
fn a_long_idle_timeout_is_swept_like_any_other() {
    let geometry = smallest(1000);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    for (n, idle) in [(1, 18 * HOUR), (2, 24 * HOUR), (3, 72 * HOUR)] {
        let deadline = T0.after(720 * HOUR);
        table.create(&Record { idle, deadline, ..record(key(n), b"x", T0) }, T0).unwrap();
    }
    assert_eq!(table.purge(T0.after(48 * HOUR)), Ok(2));
    assert_eq!(table.stats().live, 1);
}

#[test]
fn a_record_as_large_as_a_slab_takes_the_place_of_a_slab_or_two_of_the_longest_idle() {
    let geometry = Geometry::new(16 << 20, 64 << 10).unwrap();
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    let fits = capacity(geometry, 500);
    let at = |n| T0.after(Duration::from_millis(n));
    (0..fits).for_each(|n| {
        create(&table, n, 500, at(n)).unwrap();
    });
    let chunks_per_slab = 102;
    for n in fits..fits + 5 {
        let evicted = create(&table, n, 64 << 10, at(fits)).unwrap().evicted_live;
        assert!((1..=2 * chunks_per_slab).contains(&evicted), "{evicted}");
        assert!(is_found(&table, n, at(fits)));
    }
    // Within a second of the last sweep, the parts of the index take turns: each gives its longest idle.
    let late = (fits * 3 / 4..fits).filter(|&n| !is_found(&table, n, at(fits))).count() as u64;
    assert!(late < table.stats().evicted_live / 10, "{late} of {}", table.stats().evicted_live);
    assert_eq!(table.check(), Ok(()));
}
