//! One look at the clock and at the lease, for all that a page decides at once by what the table says. It must come
//! before the look at the table, and is of no use after a wait: see `docs/consistency.md`, rule 3.

use crate::clock::Timestamp;

/// Such a look; see [`super::tiers::Store::moment`].
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The present instant: by the clock of the cluster's store, or the local one where there is none.
    pub now: Timestamp,
    leased: bool,
}

impl Moment {
    pub(super) fn new(now: Timestamp, leased: bool) -> Self {
        Moment { now, leased }
    }

    /// Whether the log of the cluster had been read to its end within the logout bound. Always, where there is none.
    #[must_use]
    pub fn is_leased(&self) -> bool {
        self.leased
    }
}
