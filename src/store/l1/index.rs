//! The index: buckets of eight slots, two buckets for each key, and what the three words of a slot mean. The index
//! is the truth about what the table holds; all other bookkeeping can be rebuilt from it.

use super::layout::{BUCKET, Map};
use super::mem::Mem;
use super::slot::{self, Entry, Head, Place, Read};
use crate::clock::Timestamp;
use crate::store::tombstone::Reason;
use std::time::Duration;

/// A table's memory and its map: what readers and writers share.
#[derive(Clone, Copy)]
pub(super) struct View<'m> {
    pub(super) mem: Mem<'m>,
    pub(super) map: Map,
    /// Whether another store holds every record as well. A full table then drops records before tombstones.
    pub(super) backed: bool,
}

impl View<'_> {
    /// The two buckets of a key, always different ones.
    pub(super) fn buckets_of(&self, key: &[u64; 4]) -> [usize; 2] {
        let buckets = self.map.buckets;
        // A key's words are uniform, so the high half of the product is a uniform bucket number.
        let bucket = |word: u64| ((u128::from(word) * buckets as u128) >> 64) as usize;
        let first = bucket(key[0]);
        let second = bucket(key[1]);
        if first == second { [first, (second + 1) % buckets] } else { [first, second] }
    }

    /// The sixteen slots where a key can be.
    pub(super) fn slots_of(&self, key: &[u64; 4]) -> impl Iterator<Item = usize> + use<> {
        self.buckets_of(key).into_iter().flat_map(|bucket| bucket * BUCKET..(bucket + 1) * BUCKET)
    }

    /// The slots that may hold a key, by their tags. All sixteen entries are looked at, without a branch, because
    /// that lets the processor fetch both buckets at once. A key that is in the table stays in its slot.
    pub(super) fn candidates(&self, key: &[u64; 4]) -> impl Iterator<Item = usize> + use<> {
        let tag = Entry::tag(key);
        let [first, second] = self.buckets_of(key);
        let mut mask = 0u32;
        for i in 0..BUCKET {
            mask |= u32::from(self.entry(first * BUCKET + i).may_be(tag)) << i;
            mask |= u32::from(self.entry(second * BUCKET + i).may_be(tag)) << (i + BUCKET);
        }
        std::iter::from_fn(move || {
            let i = mask.trailing_zeros() as usize;
            mask &= mask.checked_sub(1)?;
            Some(if i < BUCKET { first * BUCKET + i } else { second * BUCKET + i - BUCKET })
        })
    }

    pub(super) const fn place(&self, slot: usize) -> Place {
        Place { entry: self.map.entry(slot), seen: self.map.seen(slot), fate: self.map.fate(slot) }
    }

    /// What a slot holds, if it holds `key`. Needs no lock.
    pub(super) fn read_slot(&self, slot: usize, key: &[u64; 4], payload: &mut Vec<u8>) -> Read {
        slot::read(self.mem, self.place(slot), key, self.map.arena, self.map.geometry.max_record(), payload)
    }

    pub(super) fn entry(&self, slot: usize) -> Entry {
        Entry::from_word(self.mem.load(self.map.entry(slot)))
    }

    pub(super) fn head(&self, entry: Entry) -> Head {
        Head::load(self.mem, entry.chunk())
    }

    pub(super) fn seen(&self, slot: usize) -> Seen {
        Seen::from_word(self.mem.load(self.map.seen(slot)))
    }

    pub(super) fn fate(&self, slot: usize) -> Fate {
        Fate::from_word(self.mem.load(self.map.fate(slot)))
    }

    /// The slot of a key. For the writer: nothing changes meanwhile.
    pub(super) fn find(&self, key: &[u64; 4]) -> Option<usize> {
        self.candidates(key).find(|&slot| self.head(self.entry(slot)).key == *key)
    }
}

/// A last-seen word: milliseconds (bits 16 to 63) and the idle timeout in seconds, rounded up (bits 0 to 15), so that
/// words of one slot merge by maximum and a scan can tell who idled out without a look at the chunks. The second
/// part is a hint: the chunk has the exact timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen(u64);

impl Seen {
    pub(super) fn new(at: Timestamp, idle: Duration) -> Self {
        let seconds = idle.as_millis().div_ceil(1000);
        Seen(at.as_millis() << 16 | u64::from(u16::try_from(seconds).unwrap_or(u16::MAX)))
    }

    pub(super) const fn from_word(word: u64) -> Self {
        Seen(word)
    }

    pub(super) const fn word(self) -> u64 {
        self.0
    }

    pub(super) const fn at(self) -> Timestamp {
        Timestamp::from_millis(self.0 >> 16)
    }

    /// The same, seen later.
    pub(super) const fn moved_to(self, at: Timestamp) -> Self {
        Seen(at.as_millis() << 16 | self.0 & 0xffff)
    }

    /// The later of two marks of one record.
    pub(super) fn later(self, other: Seen) -> Self {
        if other.at() > self.at() { self.moved_to(other.at()) } else { self }
    }

    /// The idle timeout, in whole seconds, rounded up, and at most about 18 hours.
    pub(super) const fn idle_hint(self) -> Duration {
        Duration::from_secs(self.0 & 0xffff)
    }

    /// Whether the idle timeout may have passed by more than `grace`. The largest hint stands for all longer timeouts.
    pub(super) fn may_be_idle(self, now: Timestamp, grace: Duration) -> bool {
        let hint = self.0 & 0xffff;
        now.since(self.at()) > Duration::from_secs(hint) + grace
    }
}

/// A fate word: the deadline in milliseconds (bits 0 to 47), the reason told once it has passed (bits 48 to 55), and a
/// check byte. For a tombstone: until when it is kept, and its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fate(u64);

impl Fate {
    pub(super) fn new(deadline: Timestamp, reason: Reason) -> Self {
        let word = deadline.as_millis() | u64::from(reason.code()) << 48;
        Fate(word | Self::check(word) << 56)
    }

    pub(super) const fn from_word(word: u64) -> Self {
        Fate(word)
    }

    pub(super) const fn word(self) -> u64 {
        self.0
    }

    pub(super) const fn deadline(self) -> Timestamp {
        Timestamp::from_millis(self.0 & Timestamp::MAX.as_millis())
    }

    pub(super) fn reason(self) -> Reason {
        Reason::from_code((self.0 >> 48) as u8).unwrap_or(Reason::Lifetime)
    }

    /// Whether it is as it was written.
    pub(super) fn is_intact(self) -> bool {
        Self::check(self.0) == self.0 >> 56 && Reason::from_code((self.0 >> 48) as u8).is_some()
    }

    fn check(word: u64) -> u64 {
        (word & !(0xff << 56)).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56
    }
}

/// The fate of a tombstone, as its chunk tells it. That of one that ends a line says [`Reason::Superseded`], which is
/// the reason of no tombstone, so that a scan can tell without a look at the chunk.
pub(super) fn tombstone_fate(head: &Head) -> Fate {
    let reason = head.info.reason().unwrap_or(Reason::Logout);
    Fate::new(head.deadline(), if head.info.ends_line() { Reason::Superseded } else { reason })
}
