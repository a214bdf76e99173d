//! Making room: sweeping what is past its time, and, when that is not enough, evicting in an exact order: first
//! tombstones, those whose time ends first before others, then the longest idle sessions, then tombstones by which
//! other sessions end. (In a table that has a store behind it, the longest idle sessions come before all tombstones:
//! they can be had from there again.)
//!
//! The order is exact at the price of a scan of the index, so one scan collects 64 victims; what changes later is
//! either offered to the list or found out when its turn comes. A whole scan is made at most once a second: a writer
//! that needs more room within it takes the first of one part of the index after the other, so that no writer holds the
//! lock for long.

use super::arena::Chunk;
use super::at::{self, VICTIMS};
use super::index::View;
use super::layout::BUCKET;
use super::slot::Entry;
use super::write::Writer;
use crate::clock::Timestamp;
use crate::store::tombstone::Reason;
use std::ops::Range;
use std::time::Duration;

/// How eagerly an entry is evicted: the least first. Tombstones, records, tombstones that end a line.
type Rank = u64;

/// A full table is swept for space at most this often.
const SWEEP_QUANTUM: Duration = Duration::from_secs(1);

/// Buckets that are scanned for victims between two sweeps. A table of up to 2 MiB has no more of them.
const PART: usize = 2048;

impl View<'_> {
    /// The order of eviction.
    pub(super) fn rank(&self, slot: usize) -> Rank {
        let fate = self.fate(slot);
        let (turn, time) = if !self.entry(slot).is_tombstone() {
            (u64::from(!self.backed), self.seen(slot).at())
        } else if fate.reason() == Reason::Superseded {
            (2, fate.deadline())
        } else {
            (u64::from(self.backed), fate.deadline())
        };
        turn << 62 | time.as_millis()
    }

    /// Whether an entry is past its time by more than `linger` (tombstones do not linger).
    pub(super) fn is_lapsed(&self, slot: usize, now: Timestamp, linger: Duration) -> bool {
        let entry = self.entry(slot);
        let deadline = self.fate(slot).deadline();
        if entry.is_tombstone() {
            return deadline <= now;
        }
        let seen = self.seen(slot);
        // The hint spares a look at the chunk of each record that is in use.
        deadline.after(linger) <= now
            || (seen.may_be_idle(now, linger) && now.since(seen.at()) > self.head(entry).idle() + linger)
    }
}

impl Writer<'_, '_> {
    /// A chunk of that class or a larger one, with as little loss as possible. `None` when nothing is left to evict.
    pub(super) fn obtain(&self, class: usize, now: Timestamp, evicted_live: &mut u32) -> Option<Chunk> {
        for _ in 0..=self.map.slots {
            if let Some(chunk) = self.allocate(class) {
                return Some(chunk);
            }
            if self.sweep_is_due(now) && self.sweep_all(now) > 0 {
                continue;
            }
            if let Some(chunk) = self.allocate_larger(class) {
                return Some(chunk);
            }
            let victim = self.next_victim(now)?;
            self.evict(victim, now, evicted_live);
        }
        None
    }

    /// Sees to it that the next chunk of so many words is to be had at once.
    pub(super) fn make_room(&self, words: usize, now: Timestamp) {
        let chunk = self.map.classes.fitting(words).and_then(|class| self.obtain(class, now, &mut 0));
        if let Some(chunk) = chunk {
            self.release(chunk.at);
        }
    }

    /// Drops an entry for the sake of its space, and counts it as what it was.
    pub(super) fn evict(&self, slot: usize, now: Timestamp, evicted_live: &mut u32) {
        let lapsed = self.is_lapsed(slot, now, Duration::ZERO);
        let tombstone = self.entry(slot).is_tombstone();
        self.remove(slot);
        if lapsed {
            self.mem.add(at::EXPIRED, 1);
        } else if tombstone {
            self.mem.add(at::EVICTED_TOMBSTONES, 1);
            self.mem.add(at::SEQUENCE, 1);
        } else {
            self.mem.add(at::EVICTED_LIVE, 1);
            *evicted_live += 1;
        }
    }

    /// Removes what is past its time by more than `linger`. Returns how many entries went.
    pub(super) fn sweep(&self, slots: Range<usize>, now: Timestamp, linger: Duration) -> usize {
        let mut swept = 0;
        for slot in slots {
            if !self.entry(slot).is_empty() && self.is_lapsed(slot, now, linger) {
                self.remove(slot);
                self.mem.add(at::EXPIRED, 1);
                swept += 1;
            }
        }
        swept
    }

    /// Whether the clock has moved far enough since the last sweep for space; a step back counts.
    fn sweep_is_due(&self, now: Timestamp) -> bool {
        let last = Timestamp::from_millis(self.mem.load(at::SWEPT));
        now < last || now.since(last) >= SWEEP_QUANTUM
    }

    fn sweep_all(&self, now: Timestamp) -> usize {
        self.mem.store(at::SWEPT, now.as_millis());
        self.scan(0..self.map.buckets, now)
    }

    /// Sweeps buckets of what is past its time, and makes a new list of victims from the rest. Returns how many entries
    /// went.
    fn scan(&self, buckets: impl Iterator<Item = usize>, now: Timestamp) -> usize {
        let mut best = [(Rank::MAX, 0); VICTIMS];
        let mut found = 0;
        let mut swept = 0;
        for bucket in buckets {
            let slots = bucket * BUCKET..(bucket + 1) * BUCKET;
            swept += self.sweep(slots.clone(), now, Duration::ZERO);
            for slot in slots.filter(|&slot| !self.entry(slot).is_empty()) {
                let rank = self.rank(slot);
                let place = best.partition_point(|&(other, _)| other <= rank);
                if let Some(tail) = best.get_mut(place..)
                    && let Some(last) = tail.last_mut()
                {
                    *last = (rank, slot as u64);
                    tail.rotate_right(1);
                    found += 1;
                }
            }
        }
        let found = found.min(VICTIMS);
        for (i, &(rank, slot)) in best.iter().take(found).rev().enumerate() {
            self.set_victim(i, rank, slot);
        }
        self.mem.store(at::VICTIM_COUNT, found as u64);
        swept
    }

    /// The entry that goes next.
    fn next_victim(&self, now: Timestamp) -> Option<usize> {
        let buckets = self.map.buckets;
        for _ in 0..=buckets.div_ceil(PART) {
            if let Some(victim) = self.pop_victim() {
                return Some(victim);
            }
            let from = self.cursor();
            let to = from + PART.min(buckets);
            self.scan((from..to).map(|bucket| bucket % buckets), now);
            self.mem.store(at::CURSOR, (to % buckets) as u64);
        }
        self.pop_victim()
    }

    fn pop_victim(&self) -> Option<usize> {
        while let Some(last) = self.victims().checked_sub(1) {
            let (rank, slot) = self.victim(last);
            self.mem.store(at::VICTIM_COUNT, last as u64);
            let slot = usize::try_from(slot).ok().filter(|&slot| slot < self.map.slots)?;
            // A visit, or a new tenant, has changed the rank.
            if self.entry(slot) != Entry::EMPTY && self.rank(slot) == rank {
                return Some(slot);
            }
        }
        None
    }

    /// Puts a new entry into the list of victims, if it ranks among them: nothing off the list may rank before
    /// anything on it.
    pub(super) fn offer(&self, slot: usize) {
        let count = self.victims();
        let rank = self.rank(slot);
        if count == 0 || rank >= self.victim(0).0 {
            return;
        }
        let place = (0..count).find(|&i| self.victim(i).0 <= rank).unwrap_or(count);
        if count == VICTIMS {
            for i in 1..place {
                let (rank, slot) = self.victim(i);
                self.set_victim(i - 1, rank, slot);
            }
            self.set_victim(place - 1, rank, slot as u64);
        } else {
            for i in (place..count).rev() {
                let (rank, slot) = self.victim(i);
                self.set_victim(i + 1, rank, slot);
            }
            self.set_victim(place, rank, slot as u64);
            self.mem.store(at::VICTIM_COUNT, count as u64 + 1);
        }
    }

    fn victims(&self) -> usize {
        usize::try_from(self.mem.load(at::VICTIM_COUNT)).unwrap_or(0).min(VICTIMS)
    }

    fn victim(&self, i: usize) -> (Rank, u64) {
        (self.mem.load(at::VICTIM_LIST + 2 * i), self.mem.load(at::VICTIM_LIST + 2 * i + 1))
    }

    fn set_victim(&self, i: usize, rank: Rank, slot: u64) {
        self.mem.store(at::VICTIM_LIST + 2 * i, rank);
        self.mem.store(at::VICTIM_LIST + 2 * i + 1, slot);
    }
}
