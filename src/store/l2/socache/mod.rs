//! A store in one of httpd's object caches (memcache, redis, dbm, shmcb): something that can only store over what is
//! there, and may forget. No log, hence `Backend::has_log` is false; a table in front of it must ask for each record
//! again and again.
//!
//! Entries: `K` record, or tombstone over it; `K.t` the tombstone again; `K.s` last seen; `M` and `M.SCOPE` marks; `G`
//! a guard.
//!
//! Why nothing comes back, although there is only "store":
//! * Only `create` stores a record with its full time, and keys are drawn once. `retire` stores it with less.
//! * `end` stores `K.t` first and `K` then. `create` and `retire` store `K` first and look at `K.t` then, and store a
//!   tombstone that they find over their record. Whichever comes last leaves a tombstone in `K`.
//! * A record counts only where `K.t` is not there. So it is no matter when a writer dies or is held up between its two
//!   steps.
//! * A cache may throw away any entry, so also `K.t` alone. A record comes back only if that happens while a `retire`
//!   of the same session is held up between its look at `K` and its write of it; and then for no longer than the grace
//!   it gave.
//!
//! Why an outage is no absence: clients of memcached and Redis say "not found" also while they hold a server for dead,
//! as they do for a while after an operation failed. So "not found" is believed only of a client of which nothing has
//! failed, before and after, and which then finds the guard, or can store it: see `Engine::certainly`. What is found is
//! believed of any.

mod backend;
mod config;
mod engine;
mod log;
mod marks;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

pub use backend::SocacheBackend;
pub use config::SocacheConfig;
pub use engine::Cache;
