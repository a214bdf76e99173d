//! `mod_session_cluster`: login sessions inside Apache httpd, shared by every worker process.
//!
//! Four floors, arrows only down:
//!
//! | floor | what it holds | what it knows |
//! |---|---|---|
//! | `module` | what httpd calls: hooks, directives, handlers | `session`, `store`, `ffi` |
//! | [`session`] | what a session means: ids, cookies, timeouts | `store` |
//! | [`store`] | where sessions are kept: the table in shared memory | the leaves |
//! | `ffi` | the host made safe: all `unsafe` code | the leaves |
//!
//! The leaves, [`chance`], [`clock`] and `sync`, may be used by any floor.

#[cfg(all(simulation, feature = "httpd"))]
compile_error!("a module that lives by simulated time is of no use: build with --no-default-features");

pub mod chance;
pub mod clock;
pub mod session;
pub mod store;
mod sync;

#[cfg(feature = "httpd")]
pub mod ffi;
#[cfg(feature = "httpd")]
pub mod module;

/// The record that httpd looks up by name when it loads the module; the only symbol that the library exports.
#[cfg(feature = "httpd")]
// The one visible exception to "all unsafe code is in ffi": the name must not be mangled.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, missing_docs)]
pub static mut session_cluster_module: ffi::sys::module = ffi::http_config::record::<module::SessionCluster>(
    c"mod_session_cluster.c",
    module::conf::directives::COMMANDS.as_ptr(),
    ffi::hooks::register::<module::SessionCluster>,
);
