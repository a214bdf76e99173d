//! How a server starts: its life, its table, its store, and the thread that listens to the other servers.

pub mod caches;
pub(crate) mod cluster;
pub(crate) mod databases;
pub(crate) mod lifecycle;
pub(crate) mod secret;
pub mod stores;
pub(crate) mod table;
pub(crate) mod table_file;
pub(crate) mod threads;
mod trailers;
pub(crate) mod watcher;
