//! Floor 1: the host made safe. One file for each C header that it wraps, and all `unsafe` code of the crate.
//! Knows nothing of sessions: what httpd calls is described by traits here and implemented on the module floor.
//!
//! Three rules keep it sound. Wrappers borrow for the lifetime that httpd guarantees (a request's `'r`, a
//! configuration's `'c`), so none outlives its pool. Every callback is one call of [`guard`], so no panic crosses into
//! C. Shared memory is handed out as `&[AtomicU64]` only.
#![allow(unsafe_code)]

pub mod ap_expr;
pub mod ap_socache;
pub mod apr_pools;
pub mod apr_tables;
pub mod guard;
pub mod hooks;
pub mod htaccess;
pub mod http_config;
pub mod http_log;
pub mod http_protocol;
pub mod http_request;
pub mod httpd;
pub mod mod_auth;
pub mod mod_cache;
pub mod mod_dbd;
pub mod mod_session;
pub mod mpm_common;
pub mod shared_memory;
pub mod strings;
pub mod sys;
pub mod threads;
pub mod unixd;
pub mod util_cfgtree;
pub mod util_filter;
pub mod util_mutex;

#[cfg(test)]
#[link(name = "apstub", kind = "static")]
unsafe extern "C" {}
