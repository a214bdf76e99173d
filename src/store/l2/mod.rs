//! L2: the store that all nodes of a cluster share, and the truth about every session. `contract` says what a store
//! does, `memory` is the reference, and each other file or directory an engine. `tests/backends` holds every one to
//! these laws. This file only names the parts: none of them imports from it.
//!
//! 1. **Create is insert-if-absent.** Of two creates of a key one wins; over a tombstone none does.
//! 2. **Retire only shortens.** A deadline moves earlier or stays.
//! 3. **A tombstone wins for ever**: over records, over later creates, and over later tombstones, until its time is
//!    over.
//! 4. **Touch merges by maximum**, and creates nothing.
//! 5. **A mark only rises**, and rises above every cutoff given out before.
//! 6. **Found, absent and unavailable are never mixed.** What cannot be told, or is of another version, is unavailable.
//! 7. **An operation ends within its time**, whatever the engine does.
//! 8. **What ends, is retired or is marked stands in the log** in an order that all readers agree on, before the call
//!    returns.
//! 9. **One session takes another's place.** Of all that ask for it, in whatever order and from wherever, one is the
//!    first, for ever, and is told so each time that it asks. Who wants the place is told apart by name, not by time.
//!
//! All times are the engine's own: see [`Pulse::now`].

mod away;
mod breaker;
mod contract;
pub mod dbd;
mod draining;
pub mod files;
mod memory;
#[cfg(feature = "redis")]
pub mod redis;
pub mod socache;
pub mod wire;
pub mod workers;

pub use away::Away;
pub use contract::{
    BATCH, Backend, Event, Log, Mark, Metadata, NodeReport, NodeWord, Position, Pulse, Stored, Unavailable,
    WORD_AFTER,
};
pub use draining::Draining;
pub use memory::MemoryBackend;
