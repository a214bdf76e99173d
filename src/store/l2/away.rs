//! The store in the place of one that cannot be opened while a server runs: all that it says is that it is away, and
//! why. So nobody is taken for absent, and what known sessions may do is what `SessionClusterOutage` says.

use crate::clock::{Instant, Timestamp};
use crate::store::key::Key;
use crate::store::l2::contract::{Backend, Log, Stored, Unavailable};
use crate::store::record::Record;
use crate::store::succession::{Succession, Successor};
use crate::store::tombstone::{Reason, Tombstone};
use std::time::Duration;

/// A store that is away.
pub struct Away {
    why: String,
}

impl Away {
    /// One that is away for that reason.
    #[must_use]
    pub fn new(why: String) -> Self {
        Away { why }
    }

    fn is_away<R>(&self) -> Result<R, Unavailable> {
        Err(Unavailable(format!("it was not opened: {}", self.why)))
    }
}

impl Backend for Away {
    fn create(&self, _: &Record<'_>, _: Instant) -> Result<bool, Unavailable> {
        self.is_away()
    }

    fn load(&self, _: &Key, _: &mut Vec<u8>, _: Instant) -> Result<Stored, Unavailable> {
        self.is_away()
    }

    fn retire(&self, _: &Key, _: Timestamp, _: Reason, _: Instant) -> Result<Stored, Unavailable> {
        self.is_away()
    }

    fn supersede(&self, _: &Key, _: Successor, _: Timestamp, _: Instant) -> Result<Succession, Unavailable> {
        self.is_away()
    }

    fn end(&self, _: &Key, _: &Tombstone, _: Instant) -> Result<Stored, Unavailable> {
        self.is_away()
    }

    fn touch(&self, _: &[(Key, Timestamp)], _: Instant) -> Result<(), Unavailable> {
        self.is_away()
    }

    fn mark(&self, _: &Key, _: Option<Timestamp>, _: Duration, _: Instant) -> Result<Timestamp, Unavailable> {
        self.is_away()
    }

    fn cutoffs(&self, _: &[Key], _: Instant) -> Result<Vec<Option<Timestamp>>, Unavailable> {
        self.is_away()
    }

    fn log(&self, _: Instant) -> Result<Box<dyn Log>, Unavailable> {
        self.is_away()
    }
}
