//! L1: the table of sessions in shared memory. Readers take no lock, make no system call and never wait; writers take
//! turns under a lock and may die at any instruction. `docs/l1-table.md` has the byte map and the protocols.
//!
//! [`Table`] is all that others see. Below it, from the outside in: `write`, `evict` and `recover` (the lock's holder),
//! `arena` (chunks), `index` (slots), `slot` (the protocol between a writer and readers), `layout`, `at` and `mem`
//! (words). This file only names the parts: none of them imports from it.

mod arena;
mod at;
mod counters;
mod evict;
mod index;
mod layout;
mod link;
mod lock;
mod mem;
mod outcome;
mod recover;
mod scan;
mod slot;
mod table;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
mod write;

pub use layout::{Geometry, GeometryError};
pub use link::Link;
pub use lock::{LockError, ProcessLock, WriteLock};
pub use outcome::{
    Arrival, AttachError, Created, Found, Gone, Lookup, Recovery, Slot, Stats, TableError, Torn,
};
pub use table::Table;
