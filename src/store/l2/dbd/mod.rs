//! A store in a database (SQLite, MariaDB or MySQL, PostgreSQL) that something else connects to: in httpd, mod_dbd. The
//! tables are those of `httpd-conf/sql`.
//!
//! Every transaction that writes to the log first raises the one row of the table of state. The lock of that row lets
//! writers commit one after the other, in the order of their positions, so that no position is ever left out and a
//! reader who has seen one has seen all before it. What is written and what is told of it are one transaction.
//!
//! All statements are whole texts: a driver that reconnects forgets prepared ones, and a pool between here and the
//! database too.

mod backend;
mod client;
mod config;
mod error;
mod log;
mod shared;
mod sql;

pub use backend::DbdBackend;
pub use client::{Connection, Database, Rows};
pub use config::DbdConfig;
