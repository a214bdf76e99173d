//! Who takes a session's place. Of all that ask for it, at the same moment or later, the first has it: that is decided
//! in one step where the truth is, in the store of a cluster, else in the table, and by who asked, never by when.

use super::key::Key;
use super::tombstone::Reason;
use crate::clock::Timestamp;

/// Names the session that takes another's place, beside the one that it took it from: so that who asks again, because
/// the answer was lost, is told that it has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Successor(u64);

impl Successor {
    /// The largest number; databases have no larger ones.
    const LARGEST: u64 = i64::MAX.unsigned_abs();

    /// The session of that key. Part of it is enough: keys are uniform, and nobody can choose one.
    #[must_use]
    pub fn of(key: &Key) -> Self {
        let [word, ..] = key.words();
        // 0 stands for none.
        Successor((word & Self::LARGEST).max(1))
    }

    /// As a number from 1 to 2^63 - 1.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The inverse of [`Successor::number`]; `None` for a number that is none's.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        if number == 0 || number > Self::LARGEST { None } else { Some(Successor(number)) }
    }
}

/// What came of asking for a session's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Succession {
    /// Who asked has it, since now or since it asked before. Until then the session whose place it was still answers.
    First(Timestamp),
    /// Another has had it before; until when, as above.
    Second(Timestamp),
    /// There is no such place: the session has ended, for that reason, or nothing is known of it.
    Gone(Option<Reason>),
}
