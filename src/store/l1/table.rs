//! The table itself: all that others see of it. Readers look things up without a lock; what changes something runs a
//! `Writer` under the writers' lock. What it holds is listed by `scan`, what it knows of the store behind it by `link`.

use super::at;
use super::counters::Counter;
use super::index::{Fate, Seen, View, tombstone_fate};
use super::layout::{BUCKET, Geometry, Map};
use super::link::Link;
use super::lock::{LockError, WriteLock};
use super::mem::Mem;
use super::outcome::{
    Arrival, AttachError, Created, Found, Gone, Lookup, Recovery, Slot, Stats, TableError, Torn,
};
use super::slot::{Entry, Head, Read};
use super::write::{LINGER, Writer};
use crate::clock::Timestamp;
use crate::store::key::Key;
use crate::store::record::Record;
use crate::store::succession::Succession;
use crate::store::tombstone::{Reason, Tombstone};
use crate::sync::AtomicU64;
use std::time::Duration;

/// A table of sessions over words that may be shared with other processes. Many may be open on the same words, in any
/// number of processes, as long as their locks exclude one another.
pub struct Table<'m, L> {
    pub(super) view: View<'m>,
    lock: L,
}

impl<'m, L: WriteLock> Table<'m, L> {
    /// A last-seen time is moved only when it is at least this old: a busy session costs its neighbours one cache
    /// line a second.
    pub const TOUCH_QUANTUM: Duration = Duration::from_secs(1);

    /// Buckets that a purge treats under one hold of the lock.
    const BATCH: usize = 1024;

    /// Makes an empty table. `words` must have [`Geometry::words`] words (more are ignored, and with fewer the table
    /// is of no use) and should begin on a cache line. Nobody else may use them yet.
    pub fn format(words: &'m [AtomicU64], lock: L, geometry: Geometry, now: Timestamp) -> Self {
        let map = Map::new(geometry);
        let mem = Mem::new(words.get(..geometry.words()).unwrap_or(words));
        mem.publish(at::MAGIC, 0);
        for word in 0..map.arena {
            // Memory fresh from the kernel is zero already, and writing to it would only take its pages.
            if mem.load(word) != 0 {
                mem.store(word, 0);
            }
        }
        let view = View { mem, map, backed: false };
        Writer::run(&view, |writer| (0..map.slabs).rev().for_each(|slab| writer.close_slab(slab)));
        mem.store(at::CREATED, now.as_millis());
        geometry.write(mem);
        Table { view, lock }
    }

    /// Opens a table that is in use, or was left in order. Looks at the header only.
    ///
    /// # Errors
    /// When `words` is not a table of this version and of exactly that size.
    pub fn attach(words: &'m [AtomicU64], lock: L) -> Result<Self, AttachError> {
        let geometry = Geometry::stated(words)?;
        let mem = Mem::new(words);
        if geometry.words() != words.len() {
            return Err(AttachError::OtherSize { found: geometry.bytes() as u64 });
        }
        Ok(Table { view: View { mem, map: Map::new(geometry), backed: false }, lock })
    }

    /// The same table, as one whose records are all in another store as well: when it is full, records go first.
    #[must_use]
    pub fn backed(mut self) -> Self {
        self.view.backed = true;
        self
    }

    /// What it knows of the store behind it.
    pub fn link(&self) -> Link<'_> {
        Link(&self.view)
    }

    /// Opens a table that nobody else uses and of which nothing is known, such as a file after a crash: checks every
    /// entry, drops those that are wrong, and rebuilds the bookkeeping. Takes about a second for a million sessions.
    ///
    /// # Errors
    /// As [`Table::attach`], and when the lock is not to be had.
    pub fn recover(words: &'m [AtomicU64], lock: L) -> Result<(Self, Recovery), AttachError> {
        let table = Self::attach(words, lock)?;
        let guard = table.lock.lock()?;
        // A repair would trust the slabs' classes, which are yet to be judged; recovery does its work, and more.
        table.view.mem.store(at::INTENT, 0);
        let recovery = Writer::run(&table.view, |writer| writer.recover());
        drop(guard);
        Ok((table, recovery))
    }

    /// Copies the live records and the tombstones of `other`, as they stand. What is here already, or too large, is
    /// left out; what does not fit evicts what is here in the usual order, which the figures of this table then tell.
    ///
    /// # Errors
    /// When the lock is not to be had, or the table is full.
    pub fn import_from<M: WriteLock>(&self, other: &Table<'_, M>, now: Timestamp) -> Result<(), TableError> {
        let mut payload = Vec::new();
        for slot in 0..other.view.map.slots {
            let entry = other.view.entry(slot);
            let key = other.view.head(entry).key;
            if entry.is_empty() {
                continue;
            }
            let Read::Is(found) = other.view.read_slot(slot, &key, &mut payload) else { continue };
            let tombstone = found.head.info.is_tombstone();
            let fate = if tombstone { tombstone_fate(&found.head) } else { Fate::from_word(found.fate) };
            if fate.deadline() <= now || payload.len() > self.view.map.geometry.max_record() {
                continue;
            }
            let (seen, head) = (Seen::from_word(found.seen), found.head.without_class());
            match self.write(|writer| writer.insert(head, &payload, seen, fate, now))? {
                Ok(_) | Err(TableError::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Looks up a record and copies its payload into `sealed`, whose contents are replaced. Takes no lock.
    pub fn load(&self, key: &Key, now: Timestamp, sealed: &mut Vec<u8>) -> Lookup {
        let lookup = self.lookup(&key.words(), now, sealed);
        self.view.count(match lookup {
            Lookup::Found(_) => Counter::Hits,
            Lookup::Absent(None) => Counter::Misses,
            Lookup::Absent(Some(_)) => Counter::Gone,
            Lookup::Torn => Counter::Torn,
        });
        if !matches!(lookup, Lookup::Found(_)) {
            sealed.clear();
        }
        lookup
    }

    /// When the record in that slot was last seen, if it is the very one that was found there, with the same deadline;
    /// that it has not passed is for the caller to see. `None` when anything has changed: [`Table::load`] then tells
    /// what. Takes no lock, and counts as a load when it succeeds.
    pub fn unchanged(&self, slot: &Slot) -> Option<Timestamp> {
        let view = &self.view;
        let (entry, chunk) = (view.map.entry(slot.number), Entry::from_word(slot.entry).chunk());
        // The entry first. Partner: the release store that publishes one. If the same word stands there for another
        // record by now, that record's stamp was written before it, and is not the old one.
        let same = view.mem.load_acquire(entry) == slot.entry
            && view.mem.load_acquire(chunk) == slot.stamp
            && view.mem.load(view.map.fate(slot.number)) == slot.fate;
        let seen = view.seen(slot.number).at();
        if !same {
            return None;
        }
        view.count(Counter::Hits);
        Some(seen)
    }

    /// Moves the last-seen time of a record later: it was visited at another node. Never moves it earlier.
    pub fn raise_last_seen(&self, slot: Slot, at: Timestamp) {
        let seen = self.view.seen(slot.number);
        if at > seen.at() && self.view.entry(slot.number) == Entry::from_word(slot.entry) {
            self.view.mem.raise(self.view.map.seen(slot.number), seen.moved_to(at).word());
        }
    }

    /// As [`Table::load`], for what became of a session only: copies nothing out and counts nothing.
    pub fn peek(&self, key: &Key, now: Timestamp) -> Lookup {
        self.lookup(&key.words(), now, &mut Vec::new())
    }

    fn lookup(&self, key: &[u64; 4], now: Timestamp, sealed: &mut Vec<u8>) -> Lookup {
        let mut torn = false;
        for number in self.view.candidates(key) {
            let copied = match self.view.read_slot(number, key, sealed) {
                Read::Other => continue,
                Read::Torn => {
                    torn = true;
                    continue;
                }
                Read::Is(copied) => copied,
            };
            let head = copied.head;
            let from = Timestamp::from_millis(head.from);
            if head.info.is_tombstone() {
                return Lookup::Absent(head.info.reason().map(|reason| Gone { reason, at: from }));
            }
            let fate = Fate::from_word(copied.fate);
            let deadline = fate.deadline().min(head.deadline());
            if deadline <= now {
                return Lookup::Absent(Some(Gone { reason: fate.reason(), at: deadline }));
            }
            let seen = Seen::from_word(copied.seen);
            return Lookup::Found(Found {
                created: from,
                deadline,
                born_deadline: head.deadline(),
                ends_as: fate.reason(),
                idle: head.idle(),
                last_seen: seen.at(),
                slot: Slot {
                    number,
                    entry: copied.entry.word(),
                    stamp: copied.stamp,
                    fate: copied.fate,
                    generation: head.info.generation(),
                },
            });
        }
        if torn { Lookup::Torn } else { Lookup::Absent(None) }
    }

    /// Stores a record whose key is not here yet.
    ///
    /// # Errors
    /// [`TableError::Exists`] when a record or a tombstone of that key is here, [`TableError::TooLarge`],
    /// [`TableError::Full`] when even eviction finds no room, and when the lock is not to be had.
    pub fn create(&self, record: &Record<'_>, now: Timestamp) -> Result<Created, TableError> {
        self.create_under(self.link().generation(), record, now)
    }

    /// As [`Table::create`], for a record that the store behind the table took in under that generation.
    ///
    /// # Errors
    /// As [`Table::create`].
    pub fn create_under(
        &self,
        generation: u16,
        record: &Record<'_>,
        now: Timestamp,
    ) -> Result<Created, TableError> {
        self.check_size(record)?;
        let head = Head::of_record(record, generation);
        let seen = Seen::new(record.last_seen, record.idle);
        let fate = Fate::new(record.deadline, Reason::Lifetime);
        self.write(|writer| {
            let evicted_live = writer.insert(head, record.sealed, seen, fate, now)?;
            writer.mem.add(at::BEGINS, 1);
            Ok(Created { evicted_live })
        })?
    }

    /// Whether a record is small enough for the table.
    ///
    /// # Errors
    /// [`TableError::TooLarge`] if not.
    pub fn check_size(&self, record: &Record<'_>) -> Result<(), TableError> {
        let (len, max) = (record.sealed.len(), self.view.map.geometry.max_record());
        if len > max { Err(TableError::TooLarge { len, max }) } else { Ok(()) }
    }

    /// Takes in a record from the store behind the table, in place of a record of the same key that is here. False when
    /// it was not taken in, because a tombstone is here, or because something happened since the store was asked that
    /// the record may be ignorant of: the caller must then ask again.
    ///
    /// # Errors
    /// As [`Table::create`].
    pub fn admit(&self, arrival: &Arrival<'_>, now: Timestamp) -> Result<bool, TableError> {
        let record = &arrival.record;
        self.check_size(record)?;
        let head = Head::of_record(record, arrival.generation);
        let seen = Seen::new(record.last_seen, record.idle);
        let fate = Fate::new(arrival.deadline, arrival.ends_as);
        self.write(|writer| {
            if writer.mem.load(at::SEQUENCE) != arrival.sequence {
                return Ok(false);
            }
            let mut known = seen;
            if let Some(slot) = writer.find(&head.key) {
                if writer.entry(slot).is_tombstone() {
                    return Ok(false);
                }
                known = known.later(writer.seen(slot));
                writer.remove(slot);
            }
            writer.insert(head, record.sealed, known, fate, now)?;
            Ok(true)
        })?
    }

    /// Drops a record, of which the store behind the table knows nothing. Tombstones stay.
    ///
    /// # Errors
    /// When the lock is not to be had.
    pub fn forget(&self, key: &Key) -> Result<(), TableError> {
        let key = key.words();
        self.write(|writer| {
            if let Some(slot) = writer.find(&key).filter(|&slot| !writer.entry(slot).is_tombstone()) {
                writer.remove(slot);
            }
        })?;
        Ok(())
    }

    /// Raises the mark of a scope: a tombstone of reason [`Reason::Marked`] whose time is the cutoff. The later cutoff
    /// stays.
    ///
    /// # Errors
    /// When the lock is not to be had, or the table has no room even for this.
    pub fn mark(
        &self,
        scope: &Key,
        cutoff: Timestamp,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), TableError> {
        let tombstone = Tombstone { reason: Reason::Marked, node: 0, at: cutoff, until, ends_line: true };
        let head = Head::of_tombstone(scope, &tombstone);
        let fate = tombstone_fate(&head);
        self.write(|writer| {
            writer.make_room(head.chunk_words(), now);
            match writer.find(&head.key) {
                Some(slot) if writer.head(writer.entry(slot)).from >= head.from => {}
                Some(slot) => writer.bury(slot, head, fate),
                None => {
                    writer.insert(head, &[], Seen::new(cutoff, Duration::ZERO), fate, now)?;
                }
            }
            Ok::<(), TableError>(())
        })??;
        self.link().raise_watermark(cutoff);
        Ok(())
    }

    /// The cutoff of a scope's mark. Takes no lock.
    ///
    /// # Errors
    /// When the table could not tell.
    pub fn cutoff_of(&self, scope: &Key) -> Result<Option<Timestamp>, Torn> {
        match self.lookup(&scope.words(), Timestamp::default(), &mut Vec::new()) {
            Lookup::Absent(gone) => Ok(gone.map(|gone| gone.at)),
            Lookup::Found(_) => Ok(None),
            Lookup::Torn => Err(Torn),
        }
    }

    /// Moves the deadline of a record earlier, never later; `reason` is told once it has passed. False when there is
    /// no such live record.
    ///
    /// # Errors
    /// When the lock is not to be had.
    pub fn retire(
        &self,
        key: &Key,
        deadline: Timestamp,
        reason: Reason,
        now: Timestamp,
    ) -> Result<bool, TableError> {
        let key = key.words();
        self.write(|writer| {
            writer.mem.add(at::SEQUENCE, 1);
            let Some(slot) = writer.find(&key).filter(|&slot| writer.is_live(slot, now)) else {
                return Ok(false);
            };
            writer.hasten(slot, deadline, reason);
            Ok(true)
        })?
    }

    /// Has another session take the place of this one: it ends as [`Reason::Superseded`], at `deadline` unless it was
    /// to end earlier. One who asks has the place, and whoever asks then, whatever its deadline, is the second.
    ///
    /// # Errors
    /// When the lock is not to be had.
    pub fn supersede(
        &self,
        key: &Key,
        deadline: Timestamp,
        now: Timestamp,
    ) -> Result<Succession, TableError> {
        let (key, reason) = (key.words(), Reason::Superseded);
        Ok(self.write(|writer| {
            let Some(slot) = writer.find(&key) else { return Succession::Gone(None) };
            let (entry, fate) = (writer.entry(slot), writer.fate(slot));
            if entry.is_tombstone() {
                return Succession::Gone(writer.head(entry).info.reason());
            }
            if fate.reason() == reason {
                return Succession::Second(fate.deadline());
            }
            if fate.deadline() <= now {
                return Succession::Gone(Some(fate.reason()));
            }
            writer.mem.add(at::SEQUENCE, 1);
            let deadline = deadline.min(fate.deadline());
            writer.hasten(slot, deadline, reason);
            Succession::First(deadline)
        })?)
    }

    /// Ends a session: from the return on, no load finds it. The first tombstone wins; for a key that is not here,
    /// the tombstone is stored all the same. True when a live record ended.
    ///
    /// # Errors
    /// When the lock is not to be had; [`TableError::Full`] when no room was found for the tombstone of a key that is
    /// not here.
    pub fn end(&self, key: &Key, tombstone: Tombstone, now: Timestamp) -> Result<bool, TableError> {
        self.write(|writer| writer.end(key, &tombstone, now))?
    }

    /// As [`Table::end`], for an end that the store behind the table told of, or acknowledged, under that generation.
    /// False when another one has begun: the store that is followed now may not know of it, and has to be asked again.
    ///
    /// # Errors
    /// As [`Table::end`].
    pub fn end_under(
        &self,
        generation: u16,
        key: &Key,
        tombstone: Tombstone,
        now: Timestamp,
    ) -> Result<bool, TableError> {
        self.write(|writer| {
            // Partner: `invalidate`, which takes the lock too.
            if self.link().generation() != generation {
                return Ok(false);
            }
            writer.end(key, &tombstone, now).map(|_| true)
        })?
    }

    /// Makes every record in the table one that the store has to confirm: a new generation begins. From the return on,
    /// no tombstone of an older one comes in.
    ///
    /// # Errors
    /// When the lock is not to be had.
    pub fn invalidate(&self) -> Result<(), TableError> {
        Ok(self.write(|_| self.link().next_generation())?)
    }

    /// Notes that a session was seen `now`. Takes no lock. Does nothing if the mark is less than
    /// [`Table::TOUCH_QUANTUM`] old, or the record is no longer in that slot.
    pub fn touch(&self, slot: Slot, now: Timestamp) {
        let view = &self.view;
        let seen = view.seen(slot.number);
        // A record that leaves the slot between this look and the mark gives its successor a visit too many: harmless.
        if now.since(seen.at()) >= Self::TOUCH_QUANTUM
            && view.entry(slot.number) == Entry::from_word(slot.entry)
        {
            view.mem.raise(view.map.seen(slot.number), seen.moved_to(now).word());
            view.count(Counter::Touches);
        }
    }

    /// Removes what is past its time: tombstones at once, records an hour after it. Returns how many went.
    ///
    /// # Errors
    /// When the lock is not to be had; what was removed until then stays removed.
    pub fn purge(&self, now: Timestamp) -> Result<usize, TableError> {
        let mut purged = 0;
        for bucket in (0..self.view.map.buckets).step_by(Self::BATCH) {
            let end = (bucket + Self::BATCH).min(self.view.map.buckets);
            purged += self.write(|writer| writer.sweep(bucket * BUCKET..end * BUCKET, now, LINGER))?;
        }
        Ok(purged)
    }

    /// The table's figures. Takes no lock: figures that belong together may differ by what is just being written.
    pub fn stats(&self) -> Stats {
        let view = &self.view;
        let word = |at| view.mem.load(at);
        Stats {
            created: Timestamp::from_millis(word(at::CREATED)),
            bytes_total: view.map.geometry.bytes() as u64,
            bytes_arena: (view.map.slabs * view.map.slab_words * 8) as u64,
            bytes_used: word(at::USED).saturating_mul(8),
            slots: view.map.slots as u64,
            live: word(at::LIVE),
            tombstones: word(at::TOMBSTONES),
            hits: view.counted(Counter::Hits),
            misses: view.counted(Counter::Misses),
            gone: view.counted(Counter::Gone),
            torn: view.counted(Counter::Torn),
            touches: view.counted(Counter::Touches),
            begins: word(at::BEGINS),
            ends: std::array::from_fn(|i| word(at::ENDS + i)),
            retires: word(at::RETIRES),
            expired: word(at::EXPIRED),
            evicted_tombstones: word(at::EVICTED_TOMBSTONES),
            evicted_live: word(at::EVICTED_LIVE),
            repairs: word(at::REPAIRS),
            dropped: word(at::DROPPED),
        }
    }

    /// The table's shape.
    pub fn geometry(&self) -> Geometry {
        self.view.map.geometry
    }

    /// The writers' lock.
    pub fn write_lock(&self) -> &L {
        &self.lock
    }

    /// The table's memory.
    pub fn words(&self) -> &'m [AtomicU64] {
        self.view.mem.words()
    }

    /// Compares all bookkeeping with what follows from the index. For tests and fuzzing, while no writer is at work.
    ///
    /// # Errors
    /// Says the first difference.
    #[doc(hidden)]
    pub fn check(&self) -> Result<(), String> {
        self.view.check()
    }

    fn write<R>(&self, op: impl FnOnce(&Writer<'_, 'm>) -> R) -> Result<R, LockError> {
        let _guard = self.lock.lock()?;
        Ok(Writer::run(&self.view, op))
    }
}
