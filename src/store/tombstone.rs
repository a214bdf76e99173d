//! What is left of a session that ended. It outlives the record's deadline, so nothing can bring the session back, and
//! it answers "why was I logged out?".

use crate::clock::Timestamp;

/// Why a session ended. The numbers are stored and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Reason {
    /// The user logged out.
    Logout = 1,
    /// The idle timeout passed.
    Idle = 2,
    /// The absolute timeout passed.
    Lifetime = 3,
    /// An administrator ended it.
    Admin = 4,
    /// A newer session with the same login took its place (and the grace has passed).
    Superseded = 5,
    /// The table was full and this was the longest idle session.
    Evicted = 6,
    /// All sessions of its user, group or realm were ended at once, by a mark.
    Marked = 7,
    /// A new login took its place, at once.
    Replaced = 8,
}

impl Reason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Reason; 8] = [
        Reason::Logout,
        Reason::Idle,
        Reason::Lifetime,
        Reason::Admin,
        Reason::Superseded,
        Reason::Evicted,
        Reason::Marked,
        Reason::Replaced,
    ];

    /// The stored number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason with that number, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The word used in logs, status pages and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Logout => "logout",
            Reason::Idle => "idle",
            Reason::Lifetime => "lifetime",
            Reason::Admin => "admin",
            Reason::Superseded => "superseded",
            Reason::Evicted => "evicted",
            // The word that logs, pages and applications know it by since the first version.
            Reason::Marked => "epoch",
            Reason::Replaced => "replaced",
        }
    }
}

/// What is left of a session that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Why it ended.
    pub reason: Reason,
    /// Number of the node where it ended; 0 on a single host.
    pub node: u16,
    /// When it ended.
    pub at: Timestamp,
    /// Until when it is kept.
    pub until: Timestamp,
    /// Whether other sessions end by it, as those of a superseded session's line do. Such a tombstone makes room only
    /// after every session has.
    pub ends_line: bool,
}
