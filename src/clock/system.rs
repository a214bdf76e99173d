//! The clocks of the machine: what a server lives by.

use parking_lot::{Condvar, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use std::thread::sleep;
pub use std::time::Instant;

/// Milliseconds since the machine was started, suspended times included. All processes agree on it, and nobody can set
/// it. Costs some 25 ns and no system call.
#[must_use]
pub fn uptime() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanos) =
        (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000)
}

/// The wall clock: time since 1970; zero before that.
pub(super) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Waits on a condition for up to `patience`, and may return earlier.
pub fn wait_for<T>(condition: &Condvar, guard: &mut MutexGuard<'_, T>, patience: Duration) {
    condition.wait_for(guard, patience);
}
