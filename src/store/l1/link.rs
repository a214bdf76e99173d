//! What a table knows of the store behind it: its clock, how long records are trusted without asking it, how far its
//! log has been read, and who reads it. Single words, read and written without the lock: each is right by itself.
//!
//! Uptimes are milliseconds since this machine was started; all its processes agree on them, and no clock that is set
//! moves them. Timestamps are the store's.

use super::at;
use super::index::View;
use crate::clock::Timestamp;

/// The view of one process on these words.
#[derive(Clone, Copy)]
pub struct Link<'v>(pub(super) &'v View<'v>);

impl Link<'_> {
    /// For the first process of a server: nothing is trusted until the store has been heard. Its clock is taken to show
    /// `now` until then. What was known of another store than `store` is forgotten.
    pub fn open(&self, store: u64, now: Timestamp, uptime: u64) {
        for word in [at::LEASE, at::LEADER, at::LEADER_UNTIL, at::LOST] {
            self.0.mem.store(word, 0);
        }
        self.set_clock(now, uptime);
        if self.0.mem.load(at::STORE) != store {
            for word in [at::POSITION, at::POSITION + 1, at::LOG, at::CONTACT, at::FLUSHED] {
                self.0.mem.store(word, 0);
            }
            self.next_generation();
            self.0.mem.store(at::STORE, store);
        }
    }

    /// Which store all this is about.
    pub fn store(&self) -> u64 {
        self.0.mem.load(at::STORE)
    }

    /// The store's clock.
    pub fn now(&self, uptime: u64) -> Timestamp {
        Timestamp::from_millis(self.0.mem.load(at::OFFSET).wrapping_add(uptime))
    }

    /// The store's clock showed `now` at `uptime`.
    pub fn set_clock(&self, now: Timestamp, uptime: u64) {
        self.0.mem.store(at::OFFSET, now.as_millis().wrapping_sub(uptime));
    }

    /// Until which uptime records are trusted.
    pub fn lease(&self) -> u64 {
        // Partner: the release in `renew`. A reader that sees a lease sees what the log said before it was given.
        self.0.mem.load_acquire(at::LEASE)
    }

    /// Trusts records until that uptime: the log was read to its end by a reader who began `SessionClusterLogoutBound`
    /// before.
    pub fn renew(&self, until: u64) {
        self.0.mem.publish(at::LEASE, until);
    }

    /// The generation of records that are trusted.
    pub fn generation(&self) -> u16 {
        self.0.mem.load(at::GENERATION) as u16
    }

    /// As [`super::Table::invalidate`]. The caller holds the lock, or is alone.
    pub(super) fn next_generation(&self) {
        self.0.mem.count(at::GENERATION);
    }

    /// Grows whenever something happened that a record, loaded from the store meanwhile, may be ignorant of.
    pub fn sequence(&self) -> u64 {
        self.0.mem.load(at::SEQUENCE)
    }

    /// The next part of the index whose tombstones the store has to be told of, because it may have lost them.
    pub fn reassert(&self) -> Option<usize> {
        usize::try_from(self.0.mem.load(at::REASSERT)).ok()?.checked_sub(1)
    }

    /// It was told of the parts before.
    pub fn set_reassert(&self, next: Option<usize>) {
        self.0.mem.store(at::REASSERT, next.map_or(0, |part| part as u64 + 1));
    }

    /// Notes whether the store is there. True when that is news.
    pub fn announce(&self, there: bool) -> bool {
        let lost = u64::from(!there);
        self.0.mem.exchange(at::LOST, 1 - lost, lost)
    }

    /// By the store's clock, when its log had last been read to the end.
    pub fn contact(&self) -> Timestamp {
        Timestamp::from_millis(self.0.mem.load(at::CONTACT))
    }

    /// Its log was read to the end as it stood then.
    pub fn heard(&self, now: Timestamp) {
        self.0.mem.raise(at::CONTACT, now.as_millis());
    }

    /// The last log entry that was applied, as two numbers, and which log it is in.
    pub fn position(&self) -> ([u64; 2], u64) {
        let word = |at| self.0.mem.load(at);
        ([word(at::POSITION), word(at::POSITION + 1)], word(at::LOG))
    }

    /// The log has been applied so far. For its one reader.
    pub fn set_position(&self, [major, minor]: [u64; 2], log: u64) {
        // A death between these stores leaves a position before the right one, at most: entries are then applied twice.
        self.0.mem.store(at::POSITION + 1, 0);
        self.0.mem.publish(at::POSITION, major);
        self.0.mem.publish(at::POSITION + 1, minor);
        self.0.mem.publish(at::LOG, log);
    }

    /// The watermark: the highest cutoff of a mark that this host has heard of.
    pub fn watermark(&self) -> Timestamp {
        Timestamp::from_millis(self.0.mem.load(at::WATERMARK))
    }

    /// A mark was heard of, and is in the table.
    pub fn raise_watermark(&self, cutoff: Timestamp) {
        self.0.mem.raise(at::WATERMARK, cutoff.as_millis());
    }

    /// Until when visits were told to the store.
    pub fn flushed(&self) -> Timestamp {
        Timestamp::from_millis(self.0.mem.load(at::FLUSHED))
    }

    /// Visits until `until` were told to the store.
    pub fn set_flushed(&self, until: Timestamp) {
        self.0.mem.store(at::FLUSHED, until.as_millis());
    }

    /// Whether `me`, a number that no other process has, reads the log, now until `until`: true for the process that
    /// did so already, and for the first to ask when none does any more.
    pub fn lead(&self, me: u64, uptime: u64, until: u64) -> bool {
        let leader = self.0.mem.load(at::LEADER);
        if leader != me {
            let vacant = leader == 0 || self.0.mem.load(at::LEADER_UNTIL) < uptime;
            if !vacant || !self.0.mem.exchange(at::LEADER, leader, me) {
                return false;
            }
        }
        self.0.mem.store(at::LEADER_UNTIL, until);
        true
    }

    /// Leaves the reading to others.
    pub fn resign(&self, me: u64) {
        self.0.mem.exchange(at::LEADER, me, 0);
    }
}
