//! What every shared store must do, held against each that there is: the laws of `store::l2`, one function a law, and
//! what is particular to an engine beside them.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

mod backends {
    #[macro_use]
    mod laws;
    mod concurrent;
    mod dbd;
    mod dbd_faults;
    mod draining;
    mod files;
    mod files_faults;
    mod logs;
    mod memory;
    mod places;
    mod probe;
    mod redis;
    mod redis_faults;
    mod redis_secrets;
    mod socache;
    mod socache_faults;
    mod store;
    mod table;
}
