//! A stored session as the store floor sees it: a little plain metadata that the table needs, and a sealed payload
//! that only the holder of the session id can open.

use super::key::Key;
use crate::clock::Timestamp;
use std::time::Duration;

/// A record about to be stored. Immutable once stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Whose record it is.
    pub key: Key,
    /// When the session began.
    pub created: Timestamp,
    /// When it ends at the latest.
    pub deadline: Timestamp,
    /// Where its idle clock starts (the table's `seen` word): the begin, or earlier for a session on probation.
    pub last_seen: Timestamp,
    /// Idle timeout: the longest time between two visits. Whole milliseconds, at most [`Record::LONGEST`].
    pub idle: Duration,
    /// The sealed payload, at most the table's record bound.
    pub sealed: &'a [u8],
}

impl Record<'_> {
    /// The longest lifetime and the longest idle timeout of a session. Every field of a record has room for more; but
    /// what has to outlive all sessions, such as a mark, is kept for a time that follows from this one.
    pub const LONGEST: Duration = Duration::from_secs(49 * 86_400);
}
