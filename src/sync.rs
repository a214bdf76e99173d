//! The only door to atomics: std's in the product, loom's when the crate is built with `--cfg loom`,
//! so that the same slot protocol runs in httpd and in the model checker.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
