//! How a server starts: what `httpd -t` looks at, its life, its table, its store, and the thread that listens to the
//! other servers. A server that runs goes on over each restart: what cannot be had anew is what it was before.

mod access;
pub mod caches;
pub(crate) mod cluster;
pub(crate) mod databases;
mod good;
mod inspect;
pub(crate) mod lifecycle;
mod mistakes;
mod places;
mod program;
pub(crate) mod secret;
pub mod stores;
pub(crate) mod table;
pub(crate) mod table_file;
pub(crate) mod threads;
mod trailers;
pub(crate) mod watcher;
