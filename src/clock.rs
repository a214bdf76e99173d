//! Instants and the clocks that tell them: the only door to time. No file above the leaves asks the system for the wall
//! clock, for the time since boot or for [`Instant`], and none sleeps, but through this one. In the product these are
//! the system's own, at no cost. In a crate that is built for simulation they are simulated (see `simulated`),
//! so that whole nodes, a table with its watcher over the reference store, run through hours in milliseconds, the same
//! each time.
//!
//! The border: what waits for something outside of the process stays real. Time-outs of sockets (Redis, TLS), threads
//! that wait for a job or for an answer (`store/l2/workers`), and what file servers, databases and caches take, are no
//! part of a simulation.
//!
//! Timestamps are wall-clock milliseconds, because they are compared across processes, restarts and reboots; a clock
//! that steps back makes ages zero, never negative.

#[cfg(simulation)]
pub mod simulated;
#[cfg(not(simulation))]
mod system;

#[cfg(simulation)]
use simulated as source;
#[cfg(not(simulation))]
use system as source;

pub use source::{Instant, sleep, uptime, wait_for};

use std::time::Duration;

/// An instant: milliseconds since 1970-01-01T00:00:00Z. Fits 48 bits until the year 10889.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The largest instant that a table word can hold (48 bits).
    pub const MAX: Timestamp = Timestamp((1 << 48) - 1);

    /// The instant `ms` milliseconds after 1970, capped at [`Timestamp::MAX`].
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        if ms > Self::MAX.0 { Self::MAX } else { Timestamp(ms) }
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// This instant plus `span`, capped at [`Timestamp::MAX`].
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self::from_millis(self.0.saturating_add(span))
    }

    /// This instant less `span`, not before 1970.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Timestamp(self.0.saturating_sub(span))
    }

    /// How long ago `earlier` was, seen from this instant; zero if it lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A source of the present instant.
pub trait Clock {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// The machine's wall clock; in a simulation, the simulated one.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::default().after(source::since_1970())
    }
}
