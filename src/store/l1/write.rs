//! What a writer does to the table, in steps between any two of which it may die: first the chunk, then one store of
//! the entry, then the bookkeeping. Exists only while the lock is held.

use super::at;
use super::index::{Fate, Seen, View, tombstone_fate};
use super::layout::BUCKET;
use super::outcome::TableError;
use super::slot::{self, Entry, Head};
use crate::clock::Timestamp;
use crate::store::key::Key;
use crate::store::tombstone::{Reason, Tombstone};
use crate::sync::{Ordering, fence};
use std::ops::Deref;
use std::time::Duration;

/// How long a record past its time is kept, unless its space is needed, so that its visitor can be told the reason.
pub(super) const LINGER: Duration = Duration::from_secs(3600);

/// The table in the hands of the holder of its lock. Never loops without bound, logs or does I/O, and allocates nothing
/// (a recovery, which nobody waits for, has a buffer).
pub(super) struct Writer<'v, 'm>(&'v View<'m>);

impl<'m> Deref for Writer<'_, 'm> {
    type Target = View<'m>;

    fn deref(&self) -> &View<'m> {
        self.0
    }
}

impl<'v, 'm> Writer<'v, 'm> {
    /// Buckets that each create sweeps on its way.
    const SWEEP_STEP: usize = 4;

    /// Runs `op` as the table's only writer: the caller holds the lock. First repairs what a dead writer left.
    pub(super) fn run<R>(view: &'v View<'m>, op: impl FnOnce(&Self) -> R) -> R {
        let writer = Writer(view);
        let orphaned = view.mem.load(at::INTENT) != 0;
        view.mem.store(at::INTENT, 1);
        // No store of the work may come before the intent, or a death could go unnoticed.
        fence(Ordering::Release);
        if orphaned {
            writer.repair();
        }
        let result = op(&writer);
        // Not reached by a panic of `op`: that, too, is for the next writer to repair.
        view.mem.publish(at::INTENT, 0);
        result
    }

    /// Stores a record or tombstone whose key is not in the table. Returns how many live sessions had to go for it.
    pub(super) fn insert(
        &self,
        head: Head,
        payload: &[u8],
        seen: Seen,
        fate: Fate,
        now: Timestamp,
    ) -> Result<u32, TableError> {
        if self.find(&head.key).is_some() {
            return Err(TableError::Exists);
        }
        self.sweep_some(now);
        let class = self.map.classes.fitting(head.chunk_words()).ok_or(TableError::Full)?;
        let mut evicted_live = 0;
        let chunk = self.obtain(class, now, &mut evicted_live).ok_or(TableError::Full)?;
        let slot = self.vacant(&head.key, now, &mut evicted_live);
        let head = head.in_class(chunk.class);
        slot::fill(self.mem, chunk.at, &head, payload);
        self.occupy_slot(slot, Entry::new(&head.key, chunk.at, head.info.is_tombstone()), seen, fate);
        Ok(evicted_live)
    }

    /// Sweeps a few buckets, so that a table in use cleans itself without ever pausing for it.
    fn sweep_some(&self, now: Timestamp) {
        let bucket = self.cursor();
        let end = (bucket + Self::SWEEP_STEP).min(self.map.buckets);
        self.sweep(bucket * BUCKET..end * BUCKET, now, LINGER);
        self.mem.store(at::CURSOR, (end % self.map.buckets) as u64);
    }

    /// The bucket where sweeping goes on.
    pub(super) fn cursor(&self) -> usize {
        usize::try_from(self.mem.load(at::CURSOR)).unwrap_or(0) % self.map.buckets
    }

    /// An empty slot for a key, in the emptier of its buckets; if both are full, the worst of the sixteen goes.
    fn vacant(&self, key: &[u64; 4], now: Timestamp, evicted_live: &mut u32) -> usize {
        let empty = |bucket: usize| {
            let mut slots =
                (bucket * BUCKET..(bucket + 1) * BUCKET).filter(|&slot| self.entry(slot).is_empty());
            let first = slots.next();
            (first, slots.count())
        };
        let [first, second] = self.buckets_of(key);
        let ((one, more), (other, even_more)) = (empty(first), empty(second));
        let (one, other) = if even_more > more { (other, one) } else { (one, other) };
        if let Some(slot) = one.or(other) {
            return slot;
        }
        let worst = self.slots_of(key).min_by_key(|&slot| {
            let lapsed = self.is_lapsed(slot, now, Duration::ZERO);
            (!lapsed, self.rank(slot))
        });
        let worst = worst.unwrap_or(first * BUCKET);
        self.evict(worst, now, evicted_live);
        worst
    }

    fn occupy_slot(&self, slot: usize, entry: Entry, seen: Seen, fate: Fate) {
        slot::occupy(self.mem, self.place(slot), entry, seen.word(), fate.word());
        self.mem.add(Self::count_of(entry), 1);
        self.offer(slot);
    }

    /// Puts a tombstone in the place of a record or of another tombstone. Evicts nobody for it.
    pub(super) fn bury(&self, slot: usize, tombstone: Head, fate: Fate) {
        let class = self.map.classes.fitting(tombstone.chunk_words()).unwrap_or(0);
        let Some(chunk) = self.allocate(class).or_else(|| self.allocate_larger(class)) else {
            // The record's own chunk is then the place. A death between the two steps leaves no tombstone, but no
            // session either.
            let seen = self.seen(slot);
            self.remove(slot);
            if let Some(chunk) = self.allocate(class).or_else(|| self.allocate_larger(class)) {
                let head = tombstone.in_class(chunk.class);
                slot::fill(self.mem, chunk.at, &head, &[]);
                self.occupy_slot(slot, Entry::new(&head.key, chunk.at, true), seen, fate);
            }
            return;
        };
        let head = tombstone.in_class(chunk.class);
        slot::fill(self.mem, chunk.at, &head, &[]);
        // Only now, because the allocation may have moved the record.
        let old = self.entry(slot);
        self.mem.publish(self.map.entry(slot), Entry::new(&head.key, chunk.at, true).word());
        // No reader may take the tombstone's fate for the record's: a reader that sees this fate sees the new entry.
        // Partner: the acquire fence in `read`, before it looks at the entry again.
        fence(Ordering::Release);
        self.mem.store(self.map.fate(slot), fate.word());
        self.mem.sub(Self::count_of(old), 1);
        self.mem.add(at::TOMBSTONES, 1);
        self.release(old.chunk());
        self.offer(slot);
    }

    /// Puts a tombstone in the place of a record, or of nothing; the first one stays. True when a live record ended.
    pub(super) fn end(&self, key: &Key, tombstone: &Tombstone, now: Timestamp) -> Result<bool, TableError> {
        let head = Head::of_tombstone(key, tombstone);
        let fate = tombstone_fate(&head);
        let ended = match self.find(&head.key) {
            Some(slot) if self.entry(slot).is_tombstone() => return Ok(false),
            Some(slot) => {
                let live = self.is_live(slot, now);
                self.bury(slot, head, fate);
                live
            }
            None => {
                self.insert(head, &[], Seen::new(tombstone.at, Duration::ZERO), fate, now)?;
                false
            }
        };
        let reason = Reason::ALL.iter().position(|&reason| reason == tombstone.reason).unwrap_or(0);
        self.mem.add(at::ENDS + reason, 1);
        Ok(ended)
    }

    /// Empties a slot.
    pub(super) fn remove(&self, slot: usize) {
        let entry = self.entry(slot);
        self.mem.publish(self.map.entry(slot), Entry::EMPTY.word());
        self.mem.sub(Self::count_of(entry), 1);
        self.release(entry.chunk());
    }

    /// Whether a slot holds a record whose deadline has not passed.
    pub(super) fn is_live(&self, slot: usize, now: Timestamp) -> bool {
        !self.entry(slot).is_tombstone() && self.fate(slot).deadline() > now
    }

    /// Moves a record's deadline earlier; or leaves it, and has it end as superseded all the same.
    pub(super) fn hasten(&self, slot: usize, deadline: Timestamp, reason: Reason) {
        let fate = self.fate(slot);
        let is_superseded = reason == Reason::Superseded && fate.reason() != reason;
        if deadline < fate.deadline() || deadline == fate.deadline() && is_superseded {
            self.mem.store(self.map.fate(slot), Fate::new(deadline, reason).word());
            self.mem.add(at::RETIRES, 1);
        }
    }

    /// Which word counts such entries.
    const fn count_of(entry: Entry) -> usize {
        if entry.is_tombstone() { at::TOMBSTONES } else { at::LIVE }
    }
}
