//! A store in Redis (5.0 or later) or Valkey: one server, the master that sentinels name, or a cluster. Records and
//! tombstones are plain strings that expire by themselves; the log is a stream. All steps that must be one are scripts.
//!
//! A call that finds its connection closed is made once more with a new one. So an operation may be done twice, and
//! each is such that this is no harm: a second create of the same bytes succeeds, and a second end finds its own
//! tombstone.

mod backend;
mod cluster;
mod config;
mod connect;
mod link;
mod log;
mod names;
mod pool;
mod route;
mod scripts;
mod shared;
mod stream;

pub use backend::RedisBackend;
pub use config::{RedisConfig, SecretSource};
