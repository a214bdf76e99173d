//! The table alone, in memory and in a mapped file, held to those laws that make sense without a store behind it:
//! nobody else reads a log, and marks are made one at a time.

use super::store::Store;
use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::ffi::shared_memory;
use mod_session_cluster::store::key::Key;
use mod_session_cluster::store::l1::{
    Found, Geometry, LockError, Lookup, ProcessLock, Table, TableError, WriteLock,
};
use mod_session_cluster::store::l2::{Backend, Log, Metadata, Stored, Unavailable};
use mod_session_cluster::store::record::Record;
use mod_session_cluster::store::succession::{Succession, Successor};
use mod_session_cluster::store::tombstone::{Reason, Tombstone};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One lock for all who have the table open.
#[derive(Clone)]
struct Shared(Arc<ProcessLock>);

impl WriteLock for Shared {
    type Guard<'a> = <ProcessLock as WriteLock>::Guard<'a>;

    fn lock(&self) -> Result<Self::Guard<'_>, LockError> {
        self.0.lock()
    }
}

/// A table of its own, whose clock stands still.
struct InTable {
    words: &'static [AtomicU64],
    lock: Shared,
    now: Arc<Mutex<Timestamp>>,
}

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

impl InTable {
    fn new(words: impl FnOnce(usize) -> &'static [AtomicU64]) -> Self {
        let geometry = Geometry::new(8 << 20, 64 << 10).unwrap();
        let (words, lock) = (words(geometry.words()), Shared(Arc::default()));
        Table::format(words, lock.clone(), geometry, START);
        InTable { words, lock, now: Arc::new(Mutex::new(START)) }
    }

    fn in_memory() -> Self {
        InTable::new(|words| Vec::leak((0..words).map(|_| AtomicU64::new(0)).collect()))
    }

    fn in_a_file() -> Self {
        InTable::new(|words| shared_memory::file(tempfile::tempfile().unwrap(), words * 8).unwrap())
    }

    fn open(&self) -> One {
        One { table: Table::attach(self.words, self.lock.clone()).unwrap(), now: Arc::clone(&self.now) }
    }
}

impl Store for InTable {
    fn client(&self) -> Box<dyn Backend> {
        Box::new(self.open())
    }

    fn pass(&self, span: Duration) {
        let now = {
            let mut now = self.now.lock().unwrap();
            *now = now.after(span);
            *now
        };
        self.open().table.purge(now).unwrap();
    }
}

/// The table as one process has it open.
struct One {
    table: Table<'static, Shared>,
    now: Arc<Mutex<Timestamp>>,
}

fn unavailable(error: impl ToString) -> Unavailable {
    Unavailable(error.to_string())
}

impl One {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    fn stored(&self, key: &Key, lookup: Lookup) -> Result<Stored, Unavailable> {
        match lookup {
            Lookup::Found(Found { created, born_deadline, deadline, ends_as, idle, last_seen, .. }) => {
                Ok(Stored::Record(Metadata { created, born_deadline, deadline, ends_as, idle, last_seen }))
            }
            Lookup::Absent(None) => Ok(Stored::Nothing),
            Lookup::Absent(Some(_)) => {
                let all = self.table.tombstones(0..self.table.parts());
                let its = all.into_iter().find(|(other, _)| other == key);
                Ok(its.map_or(Stored::Nothing, |(_, tombstone)| Stored::Tombstone(tombstone)))
            }
            Lookup::Torn => Err(unavailable("torn")),
        }
    }
}

impl Backend for One {
    fn create(&self, record: &Record<'_>, _: Instant) -> Result<bool, Unavailable> {
        match self.table.create(record, self.now()) {
            Ok(_) => Ok(true),
            Err(TableError::Exists) => Ok(false),
            Err(error) => Err(unavailable(error)),
        }
    }

    fn load(&self, key: &Key, sealed: &mut Vec<u8>, _: Instant) -> Result<Stored, Unavailable> {
        let lookup = self.table.load(key, self.now(), sealed);
        self.stored(key, lookup)
    }

    fn retire(
        &self,
        key: &Key,
        deadline: Timestamp,
        reason: Reason,
        _: Instant,
    ) -> Result<Stored, Unavailable> {
        self.table.retire(key, deadline, reason, self.now()).map_err(unavailable)?;
        self.stored(key, self.table.peek(key, self.now()))
    }

    /// A table loses no answers, so that nobody asks twice, and who asked need not be known.
    fn supersede(
        &self,
        key: &Key,
        _: Successor,
        deadline: Timestamp,
        _: Instant,
    ) -> Result<Succession, Unavailable> {
        self.table.supersede(key, deadline, self.now()).map_err(unavailable)
    }

    fn end(&self, key: &Key, tombstone: &Tombstone, _: Instant) -> Result<Stored, Unavailable> {
        let before = self.stored(key, self.table.peek(key, self.now()))?;
        self.table.end(key, *tombstone, self.now()).map_err(unavailable)?;
        Ok(before)
    }

    fn touch(&self, seen: &[(Key, Timestamp)], _: Instant) -> Result<(), Unavailable> {
        for (key, at) in seen {
            if let Lookup::Found(found) = self.table.peek(key, self.now()) {
                self.table.raise_last_seen(found.slot, *at);
            }
        }
        Ok(())
    }

    fn mark(
        &self,
        scope: &Key,
        cutoff: Option<Timestamp>,
        keep: Duration,
        _: Instant,
    ) -> Result<Timestamp, Unavailable> {
        let above = self.table.link().watermark().after(Duration::from_millis(1)).max(self.now());
        self.table
            .mark(scope, cutoff.unwrap_or(above), self.now().after(keep), self.now())
            .map_err(unavailable)?;
        self.table.cutoff_of(scope).map_err(unavailable)?.ok_or_else(|| unavailable("the mark is gone"))
    }

    fn cutoffs(&self, scopes: &[Key], _: Instant) -> Result<Vec<Option<Timestamp>>, Unavailable> {
        scopes.iter().map(|scope| self.table.cutoff_of(scope).map_err(unavailable)).collect()
    }

    fn has_log(&self) -> bool {
        false
    }

    /// Tells the time.
    fn log(&self, within: Instant) -> Result<Box<dyn Log>, Unavailable> {
        mod_session_cluster::store::l2::MemoryBackend::new(self.now()).log(within)
    }
}

macro_rules! hold_a_table_to_the_laws {
    ($begin:expr) => {
        hold_to_the_laws! { $begin;
            laws: what_is_created_is_loaded, what_was_never_there_is_nothing,
                of_two_creates_of_a_key_the_first_wins, no_create_wins_over_a_tombstone,
                retire_moves_a_deadline_earlier_and_never_later, retire_brings_nothing_back,
                the_first_tombstone_stays, end_needs_no_record, a_tombstone_goes_when_its_time_is_over,
                touch_moves_last_seen_later_and_never_earlier, touch_creates_nothing,
                a_mark_only_rises, a_mark_rises_above_every_stamp_given_out_before,
                stamps_are_those_of_the_marks_that_are_kept;
            places: the_first_who_asks_for_a_place_has_it, a_place_is_taken_though_no_deadline_moves,
                there_is_no_place_of_what_has_ended, what_was_superseded_is_seen_and_ends_like_others,
                what_was_retired_as_superseded_has_no_place_to_give;
            concurrent: of_threads_that_create_a_key_one_wins, of_threads_that_want_a_place_in_a_table_one_has_it,
                the_latest_touch_of_all_threads_stays;
        }
    };
}

mod in_memory {
    hold_a_table_to_the_laws!(super::InTable::in_memory());
}

mod in_a_file {
    hold_a_table_to_the_laws!(super::InTable::in_a_file());
}
