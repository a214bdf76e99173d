//! Writers that die at any of their stores. Whatever was going on, readers go on at once, the next writer repairs,
//! the operation was done or not done, and no other session is lost.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A table in some state, and an operation at which a writer dies.
struct Scene {
    geometry: Geometry,
    prepare: fn(&TestTable<'_>),
    operate: fn(&TestTable<'_>) -> Result<(), TableError>,
    /// Sessions to watch.
    keys: u64,
    /// Of these, the one that the operation begins or ends.
    subject: u64,
    /// Stores between two deaths that are tried: 1 is every store.
    step: u64,
}

impl Scene {
    /// Which sessions are there.
    fn present(&self, table: &TestTable<'_>) -> Vec<bool> {
        (0..self.keys).map(|n| is_found(table, n, T0)).collect()
    }

    fn play(&self) {
        let words = memory(self.geometry);
        let table = TestTable::format(&words, ProcessLock::new(), self.geometry, T0);
        (self.prepare)(&table);
        assert_eq!(table.check(), Ok(()));
        let before = self.present(&table);
        let prepared = copy_of(&words);
        (self.operate)(&table).unwrap();
        let after = self.present(&table);
        assert_eq!(table.check(), Ok(()));

        let mut deaths = 0;
        for n in (0..).step_by(self.step as usize) {
            let words = copy_of(&prepared);
            let table = TestTable::attach(&words, ProcessLock::new()).unwrap();
            death::after(n);
            let died = catch_unwind(AssertUnwindSafe(|| (self.operate)(&table))).is_err();
            death::never();
            if !died {
                break;
            }
            deaths += 1;
            self.judge(&table, &before, &after, n);
            let repairs = table.stats().repairs;
            // Any next writer, of any process, repairs.
            let other = TestTable::attach(&words, ProcessLock::new()).unwrap();
            assert_eq!(other.retire(&key(u64::MAX), T0, Reason::Admin, T0), Ok(false));
            assert_eq!(other.check(), Ok(()), "death at store {n}");
            assert!(other.stats().repairs <= repairs + 1);
            assert_eq!(other.stats().dropped, 0, "death at store {n}");
            self.judge(&other, &before, &after, n);
            // And the operation can be tried again.
            match (self.operate)(&other) {
                Ok(()) | Err(TableError::Exists) => {}
                Err(error) => panic!("{error} after a death at store {n}"),
            }
            assert_eq!(other.check(), Ok(()));
        }
        assert!(deaths > 5, "only {deaths} deaths");
    }

    fn judge(&self, table: &TestTable<'_>, before: &[bool], after: &[bool], n: u64) {
        for (i, now) in self.present(table).into_iter().enumerate() {
            let (was, will) = (before[i], after[i]);
            let (least, most) =
                if i as u64 == self.subject { (was && will, was || will) } else { (will, was) };
            assert!(
                least <= now && now <= most,
                "session {i} was {was}, is {now}, would be {will}, at store {n}"
            );
        }
    }
}

fn some(table: &TestTable<'_>) {
    for n in 0..30 {
        create(table, n, 100 * n as usize, T0).unwrap();
    }
    table.end(&key(7), tombstone(T0), T0).unwrap();
}

/// Fills a table with records of 3000 bytes, the first ones idle for longest.
fn full(table: &TestTable<'_>) {
    for n in 0..capacity(table.geometry(), 3000) {
        let sealed = payload(&key(n), 3000);
        let last_seen = T0.before(Duration::from_secs(1000)).after(Duration::from_millis(n));
        let record = Record { last_seen, ..record(key(n), &sealed, T0) };
        assert_eq!(table.create(&record, T0), Ok(Created { evicted_live: 0 }));
    }
}

/// Every second record of a full table is gone.
fn sparse(table: &TestTable<'_>) {
    full(table);
    for n in (0..capacity(table.geometry(), 3000)).step_by(2) {
        table.retire(&key(n), T0.before(HOUR), Reason::Admin, T0).unwrap();
    }
    table.purge(T0).unwrap();
}

#[test]
fn a_death_in_a_create_leaves_the_session_whole_or_absent() {
    Scene {
        geometry: smallest(4000),
        prepare: some,
        operate: |table| create(table, 50, 700, T0).map(drop),
        keys: 51,
        subject: 50,
        step: 1,
    }
    .play();
}

#[test]
fn a_death_in_an_end_leaves_a_session_or_a_tombstone() {
    Scene {
        geometry: smallest(4000),
        prepare: some,
        operate: |table| table.end(&key(20), tombstone(T0), T0).map(drop),
        keys: 31,
        subject: 20,
        step: 1,
    }
    .play();
}

#[test]
fn a_death_in_the_end_of_an_unknown_session_harms_nobody() {
    Scene {
        geometry: smallest(4000),
        prepare: some,
        operate: |table| table.end(&key(40), tombstone(T0), T0).map(drop),
        keys: 41,
        subject: 40,
        step: 1,
    }
    .play();
}

#[test]
fn a_death_in_the_end_of_a_session_in_a_full_table_harms_nobody_else() {
    Scene {
        geometry: smallest(4000),
        prepare: |table| {
            full(table);
            create(table, 399, 3000, T0).unwrap();
        },
        operate: |table| table.end(&key(20), tombstone(T0), T0).map(drop),
        keys: 400,
        subject: 20,
        step: 1,
    }
    .play();
}

#[test]
fn a_death_in_a_purge_loses_only_what_had_ended() {
    Scene {
        geometry: smallest(4000),
        prepare: |table| {
            some(table);
            for n in [3, 4, 5, 11, 29] {
                table.retire(&key(n), T0.before(HOUR), Reason::Admin, T0).unwrap();
            }
        },
        operate: |table| table.purge(T0).map(drop),
        keys: 30,
        subject: 30,
        step: 1,
    }
    .play();
}

#[test]
fn a_death_in_an_eviction_loses_only_its_victims() {
    Scene {
        geometry: smallest(4000),
        prepare: |table| {
            full(table);
            create(table, 399, 3000, T0).unwrap();
        },
        operate: |table| create(table, 400, 3000, T0).map(drop),
        keys: 401,
        subject: 400,
        step: 3,
    }
    .play();
}

#[test]
fn a_death_while_records_move_to_other_slabs_loses_none() {
    Scene {
        geometry: smallest(4000),
        prepare: sparse,
        operate: |table| {
            // The class of small records has no slab and none is free: one must be vacated.
            create(table, 400, 1000, T0).map(drop)
        },
        keys: 401,
        subject: 400,
        step: 7,
    }
    .play();
}

#[test]
fn a_death_in_a_repair_is_repaired() {
    Scene {
        geometry: smallest(4000),
        prepare: |table| {
            some(table);
            table.view.mem.store(at::INTENT, 1);
            assert_eq!(table.check(), Ok(()));
        },
        operate: |table| table.retire(&key(20), T0, Reason::Admin, T0).map(drop),
        keys: 31,
        subject: 20,
        step: 1,
    }
    .play();
}

#[test]
fn a_repair_is_counted_and_gives_a_tombstone_its_own_time() {
    let geometry = smallest(4000);
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    some(&table);
    let slot = table.view.find(&key(7).words()).unwrap();
    // As if the writer had died between the entry and the fate of the tombstone.
    table.view.mem.store(table.view.map.fate(slot), Fate::new(T0, Reason::Admin).word());
    table.view.mem.store(at::INTENT, 1);
    assert_eq!(table.purge(T0), Ok(0));
    assert_eq!(table.stats().repairs, 1);
    assert_eq!(load(&table, 7, T0), Lookup::Absent(Some(Gone { reason: Reason::Logout, at: T0 })));
    assert_eq!(table.view.fate(slot), Fate::new(tombstone(T0).until, Reason::Logout));
}
