//! What the table answers: the outcomes and errors of its operations, in the caller's terms.

use super::lock::LockError;
use crate::clock::Timestamp;
use crate::store::record::Record;
use crate::store::tombstone::Reason;
use std::time::Duration;

/// The outcome of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The record is here and its deadline has not passed; the caller's buffer holds its payload.
    Found(Found),
    /// There is no such record, or it ended; with what is known about its end.
    Absent(Option<Gone>),
    /// The record kept changing, or the memory is damaged: the table cannot tell.
    Torn,
}

/// A record that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// When the session began.
    pub created: Timestamp,
    /// When it ends at the latest, as it stands now.
    pub deadline: Timestamp,
    /// When it was to end at the latest when it was stored.
    pub born_deadline: Timestamp,
    /// The reason that will be told once the deadline has passed: [`Reason::Superseded`] during the grace.
    pub ends_as: Reason,
    /// Its idle timeout. The table does not judge idleness; its caller does.
    pub idle: Duration,
    /// When it was last seen, to within a second.
    pub last_seen: Timestamp,
    /// Where it lies, for [`Table::touch`](super::Table::touch).
    pub slot: Slot,
}

/// A record that another store holds, to be kept in the table as well.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The record, with the deadline that it was born with.
    pub record: Record<'a>,
    /// Its deadline as it stands now.
    pub deadline: Timestamp,
    /// What is told once that has passed.
    pub ends_as: Reason,
    /// The generation in which the store was asked for it.
    pub generation: u16,
    /// [`Link::sequence`](super::Link::sequence), read before the store was asked.
    pub sequence: u64,
}

/// Where a record lies, and how it was when it was read. Goes stale harmlessly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub(super) number: usize,
    pub(super) entry: u64,
    pub(super) stamp: u64,
    pub(super) fate: u64,
    pub(super) generation: u16,
}

impl Slot {
    /// The generation of the record; see [`Link::generation`](super::Link::generation).
    #[must_use]
    pub const fn generation(&self) -> u16 {
        self.generation
    }
}

/// The table could not tell: what was asked for kept changing, or the memory is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record could not be read in one piece")]
pub struct Torn;

/// What is known about the end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Why it ended.
    pub reason: Reason,
    /// When it ended.
    pub at: Timestamp,
}

/// A record was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// Live sessions that had to go for it; more than zero means that the table is too small.
    pub evicted_live: u32,
}

/// Why the table did not do what was asked. No session was begun, ended or retired then; a create that found no room
/// may have evicted others for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A record or tombstone of that key is here already.
    #[error("a record or tombstone of that key exists already")]
    Exists,
    /// The payload is larger than the table takes.
    #[error("the record has {len} bytes, and the table takes at most {max}")]
    TooLarge {
        /// Bytes of the payload.
        len: usize,
        /// The table's bound.
        max: usize,
    },
    /// No room was found, even by evicting.
    #[error("no room was found in the table, even by evicting")]
    Full,
    /// The writers' lock is not to be had.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// Why a piece of memory cannot be used as a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// It does not begin as a table does.
    #[error("this is not a session table")]
    NotATable,
    /// It was written by another version of the layout.
    #[error("the table has layout version {found}, which this module does not read")]
    OtherVersion {
        /// The version found.
        found: u64,
    },
    /// Its size is not the size of the memory given.
    #[error("the table says that it has {found} bytes, which is not the size of its memory")]
    OtherSize {
        /// Bytes according to its header.
        found: u64,
    },
    /// Its header contradicts itself.
    #[error("the header of the table is damaged")]
    Damaged,
    /// The writers' lock is not to be had. Says nothing about the table: it must not be formatted for that.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// What a recovery kept and dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Entries kept, tombstones included.
    pub kept: usize,
    /// Of these, tombstones.
    pub tombstones: usize,
    /// Entries dropped because something about them was wrong.
    pub dropped: usize,
}

/// The table's figures. Counters only grow (until the table is formatted anew).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// When the table was formatted.
    pub created: Timestamp,
    /// Bytes of the whole table.
    pub bytes_total: u64,
    /// Bytes for records, which is the whole less the index and the bookkeeping.
    pub bytes_arena: u64,
    /// Of these, bytes in use by records and tombstones (each rounded up to its size class).
    pub bytes_used: u64,
    /// Slots of the index.
    pub slots: u64,
    /// Records in the table, those past their deadline but not yet swept included.
    pub live: u64,
    /// Tombstones in the table.
    pub tombstones: u64,
    /// Loads that found a record.
    pub hits: u64,
    /// Loads that found nothing.
    pub misses: u64,
    /// Loads that found the reason of an end.
    pub gone: u64,
    /// Loads that could not tell.
    pub torn: u64,
    /// Times that a last-seen time was moved.
    pub touches: u64,
    /// Records created.
    pub begins: u64,
    /// Tombstones set, by reason, in the order of [`Reason::ALL`].
    pub ends: [u64; Reason::ALL.len()],
    /// Deadlines moved earlier.
    pub retires: u64,
    /// Records and tombstones swept because their time had passed.
    pub expired: u64,
    /// Tombstones evicted to make room before their time.
    pub evicted_tombstones: u64,
    /// Live sessions evicted to make room: more than zero means that the table is too small.
    pub evicted_live: u64,
    /// Times that a writer found a dead one's work and repaired the table.
    pub repairs: u64,
    /// Entries dropped by repairs and recoveries because they were damaged.
    pub dropped: u64,
}
