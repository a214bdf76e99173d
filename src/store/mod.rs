//! Floor 2: where sessions are kept. Knows keys, sealed records and tombstones; knows nothing of cookies, users
//! or httpd. Safe code only: shared memory arrives here as `&[AtomicU64]`.
#![forbid(unsafe_code)]

pub mod cluster;
pub mod confirmed;
pub mod key;
pub mod l1;
pub mod l2;
pub mod marks;
pub mod moment;
pub mod pace;
pub mod private;
pub mod record;
pub mod said;
pub mod succession;
pub mod throttle;
pub mod tiers;
pub mod tombstone;
pub mod visits;
pub mod watch;
