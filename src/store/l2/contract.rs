//! The contract of a store, which `l2/mod.rs` states as laws: the operations of a [`Backend`] and of the [`Log`] of
//! what happened, and the words in which they answer. Nothing here knows an engine.

use crate::clock::{Instant, Timestamp};
use crate::store::key::Key;
use crate::store::record::Record;
use crate::store::succession::{Succession, Successor};
use crate::store::tombstone::{Reason, Tombstone};
use std::time::Duration;

/// A store of records and tombstones, and of the log of what happened to them. Shared by all threads of a process.
pub trait Backend: Send + Sync {
    /// Stores a record. False when a record or tombstone of that key is there.
    ///
    /// # Errors
    /// When the engine did not confirm it by `within`; it may then be stored all the same.
    fn create(&self, record: &Record<'_>, within: Instant) -> Result<bool, Unavailable>;

    /// Looks up a key. The sealed payload of a record replaces what `sealed` holds. One round trip, where the engine
    /// can. A tombstone that is found stands in the log before the call returns, even if its writer died before that.
    ///
    /// # Errors
    /// When the engine did not answer by `within`, or in a form that is not known here.
    fn load(&self, key: &Key, sealed: &mut Vec<u8>, within: Instant) -> Result<Stored, Unavailable>;

    /// Moves the deadline of a record earlier, and writes that to the log. Returns how the key stands now.
    ///
    /// # Errors
    /// As [`Backend::create`].
    fn retire(
        &self,
        key: &Key,
        deadline: Timestamp,
        reason: Reason,
        within: Instant,
    ) -> Result<Stored, Unavailable>;

    /// Has the session `by` take the place of this one, if none has it yet, and writes that to the log: this one ends
    /// as [`Reason::Superseded`], at `deadline` unless it was to end earlier. Whoever asks second changes nothing. One
    /// step for all who ask, and no harm when it is done twice for the same `by`: that one is the first both times. A
    /// record that ends as superseded, by a successor whose name is not known, has no place to give.
    ///
    /// # Errors
    /// As [`Backend::create`].
    fn supersede(
        &self,
        key: &Key,
        by: Successor,
        deadline: Timestamp,
        within: Instant,
    ) -> Result<Succession, Unavailable>;

    /// Puts a tombstone where a record is, or nothing, and writes it to the log. Returns how the key stood before. With
    /// a tombstone there, that one stays, and an engine that might have died before it wrote it to the log does so now.
    ///
    /// # Errors
    /// As [`Backend::create`]: the session may go on, and the caller must say so.
    fn end(&self, key: &Key, tombstone: &Tombstone, within: Instant) -> Result<Stored, Unavailable>;

    /// Moves the last-seen times of records later, a batch at a time. Keys that are not there are left out.
    ///
    /// # Errors
    /// When the engine did not confirm all of them; the batch can then be sent again.
    fn touch(&self, seen: &[(Key, Timestamp)], within: Instant) -> Result<(), Unavailable>;

    /// Raises the mark of a scope to `cutoff`, or, without one, above every cutoff so far, and writes that to the log.
    /// It is kept for `keep` from now. Returns the cutoff.
    ///
    /// # Errors
    /// As [`Backend::create`].
    fn mark(
        &self,
        scope: &Key,
        cutoff: Option<Timestamp>,
        keep: Duration,
        within: Instant,
    ) -> Result<Timestamp, Unavailable>;

    /// The cutoffs of scopes, in their order; `None` for one without a mark. One round trip.
    ///
    /// # Errors
    /// As [`Backend::load`].
    fn cutoffs(&self, scopes: &[Key], within: Instant) -> Result<Vec<Option<Timestamp>>, Unavailable>;

    /// Whether there is a log that tells what happened. Without one, what a table holds is trusted only for as long as
    /// each record by itself is fresh, [`Log::read`] never gives anything, and law 8 means nothing.
    fn has_log(&self) -> bool {
        true
    }

    /// This process ends: nothing is begun any more, and what is under way is waited for, shortly. May run in the
    /// handler of a signal.
    fn stop(&self) {}

    /// The engine, or another in its place, was heard by another process after a loss: connections from before it, and
    /// the pause that is kept after failures, are dropped.
    fn revive(&self) {}

    /// Opens the log for reading, with a connection of its own.
    ///
    /// # Errors
    /// When the engine cannot be reached by `within`.
    fn log(&self, within: Instant) -> Result<Box<dyn Log>, Unavailable>;
}

/// The log of an engine, as one reader sees it. Dropped after any error, as is its connection.
pub trait Log: Send {
    /// Asks for the state of the engine, and leaves word of this node, unless it did so less than [`WORD_AFTER`] ago.
    ///
    /// # Errors
    /// When there is no answer by `within`.
    fn pulse(&mut self, node: &NodeReport, within: Instant) -> Result<Pulse, Unavailable>;

    /// The entries after `position`, at most [`BATCH`] of them, in their order. Waits for the first for up to
    /// `patience`.
    ///
    /// # Errors
    /// When there is no answer soon after `patience`, and when entries after `position` were removed.
    fn read(&mut self, position: Position, patience: Duration)
    -> Result<Vec<(Position, Event)>, Unavailable>;

    /// Every mark that is kept: scope, cutoff, and until when.
    ///
    /// # Errors
    /// When there is no answer by `within`.
    fn marks(&mut self, within: Instant) -> Result<Vec<Mark>, Unavailable>;

    /// What the nodes of the cluster last left word of.
    ///
    /// # Errors
    /// When there is no answer by `within`.
    fn nodes(&mut self, within: Instant) -> Result<Vec<NodeWord>, Unavailable>;

    /// Removes entries and marks that nobody needs any more: entries written before `before`, a bounded number at a
    /// time.
    ///
    /// # Errors
    /// When there is no answer by `within`.
    fn purge(&mut self, before: Timestamp, within: Instant) -> Result<(), Unavailable>;
}

/// Entries that [`Log::read`] returns at most. Fewer mean that there were no more.
pub const BATCH: usize = 500;

/// A node leaves word of itself at least that often, if the engine is asked often enough.
pub const WORD_AFTER: Duration = Duration::from_secs(5);

/// How a key stands in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// A record, perhaps past its deadline: that is for the caller to judge.
    Record(Metadata),
    /// A tombstone.
    Tombstone(Tombstone),
    /// Nothing.
    Nothing,
}

impl Stored {
    /// What came of asking for the place of a session that stands so now.
    #[must_use]
    pub fn succession(self, is_first: bool) -> Succession {
        match self {
            Stored::Record(metadata) if is_first => Succession::First(metadata.deadline),
            Stored::Record(metadata) => Succession::Second(metadata.deadline),
            Stored::Tombstone(tombstone) => Succession::Gone(Some(tombstone.reason)),
            Stored::Nothing => Succession::Gone(None),
        }
    }
}

/// What a store says of a record, beside its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// When the session began.
    pub created: Timestamp,
    /// When it was to end at the latest when it was stored.
    pub born_deadline: Timestamp,
    /// When it ends at the latest, as it stands now.
    pub deadline: Timestamp,
    /// The reason that is told once the deadline has passed.
    pub ends_as: Reason,
    /// Its idle timeout.
    pub idle: Duration,
    /// When it was last seen, as far as the nodes have told.
    pub last_seen: Timestamp,
}

/// A place in the log: what was written after it has not been read. Ordered as the log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Milliseconds of the engine's clock, or any other number that grows.
    pub major: u64,
    /// Tells entries of one millisecond apart.
    pub minor: u64,
}

/// The state of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// The engine's clock.
    pub now: Timestamp,
    /// Tells this log, as served by these processes, from any other. When it has changed, writes may have been lost.
    pub identity: u64,
    /// The last entry that was removed from the log.
    pub trimmed: Position,
    /// The last entry.
    pub last: Position,
}

/// What happened, as the log tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session ended.
    Ended {
        /// Its key.
        key: Key,
        /// Its tombstone.
        tombstone: Tombstone,
    },
    /// A deadline moved earlier.
    Retired {
        /// The session's key.
        key: Key,
        /// To when.
        deadline: Timestamp,
        /// What to tell once it has passed.
        reason: Reason,
    },
    /// A mark rose.
    Marked(Mark),
    /// Something that a newer version of this module wrote. What it says is not known, so that nothing read before it
    /// can be trusted without asking the store.
    Unknown,
}

/// The mark of a scope, such as all sessions of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The scope's key.
    pub scope: Key,
    /// Sessions born under a watermark below it are marked.
    pub cutoff: Timestamp,
    /// Until when the mark is kept: when no session born before it can be left.
    pub until: Timestamp,
}

/// What a node tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReport {
    /// Its name.
    pub name: String,
    /// Tells the settings that all nodes must share from others.
    pub fingerprint: String,
    /// Version of the module.
    pub version: String,
}

/// What a node told of itself, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeWord {
    /// What it told.
    pub report: NodeReport,
    /// When, by the engine's clock.
    pub at: Timestamp,
}

/// The store could not tell, or did not confirm. Not the same as absent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);
