//! Simulated clocks, in a crate that is built for simulation. Each thread has its own: a simulation is one
//! thread that runs whole nodes, and time stands still in it until it is told to go on. So nothing that happens depends
//! on how fast the machine is, and hours pass in milliseconds.
//!
//! All clocks go on together. What differs between the nodes of a simulation (a wall clock that was set wrong, a host
//! that was started later) is set by [`set_wall_clock`] and [`set_uptime`] before a node's turn.

use parking_lot::{Condvar, MutexGuard};
use std::cell::Cell;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// Where the clocks stand when a thread first looks: 2023-11-14T22:13:20Z, on a host that was started a quarter of an
/// hour ago.
const START: Clocks = Clocks {
    passed: Duration::ZERO,
    wall: Duration::from_secs(1_700_000_000),
    uptime: Duration::from_secs(900),
};

/// What has passed so far, and what each clock showed before that.
#[derive(Clone, Copy)]
struct Clocks {
    passed: Duration,
    wall: Duration,
    uptime: Duration,
}

thread_local! {
    static CLOCKS: Cell<Clocks> = const { Cell::new(START) };
}

fn change(change: impl FnOnce(&mut Clocks)) {
    let mut clocks = CLOCKS.get();
    change(&mut clocks);
    CLOCKS.set(clocks);
}

/// Puts all clocks of this thread where they stand at the beginning.
pub fn reset() {
    CLOCKS.set(START);
}

/// Lets time go on, for all clocks of this thread.
pub fn advance(by: Duration) {
    change(|clocks| clocks.passed = clocks.passed.saturating_add(by));
}

/// What has passed since the beginning.
#[must_use]
pub fn passed() -> Duration {
    CLOCKS.get().passed
}

/// Sets the wall clock to so many milliseconds since 1970. Nothing else notices.
pub fn set_wall_clock(ms: u64) {
    change(|clocks| clocks.wall = Duration::from_millis(ms).saturating_sub(clocks.passed));
}

/// Sets the uptime to so many milliseconds, not less than what has passed.
pub fn set_uptime(ms: u64) {
    change(|clocks| clocks.uptime = Duration::from_millis(ms).saturating_sub(clocks.passed));
}

/// As in a server: milliseconds since the machine was started.
#[must_use]
pub fn uptime() -> u64 {
    let clocks = CLOCKS.get();
    u64::try_from((clocks.uptime + clocks.passed).as_millis()).unwrap_or(u64::MAX)
}

/// As in a server: the wall clock.
pub(super) fn since_1970() -> Duration {
    let clocks = CLOCKS.get();
    clocks.wall + clocks.passed
}

/// Nobody else runs meanwhile: to sleep is to let time go on.
pub fn sleep(time: Duration) {
    advance(time);
}

/// Nobody else runs meanwhile, so that there is nothing to wait for: returns at once, and no time passes. The
/// simulation decides when the caller looks again.
pub fn wait_for<T>(_condition: &Condvar, _guard: &mut MutexGuard<'_, T>, _patience: Duration) {}

/// What stands in for [`std::time::Instant`]: the same operations, as far as they are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// The present instant.
    #[must_use]
    pub fn now() -> Self {
        Instant(passed())
    }

    /// What has passed since.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Self::now().saturating_duration_since(*self)
    }

    /// From an earlier instant to this one; zero if that was later.
    #[must_use]
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, by: Duration) -> Instant {
        Instant(self.0 + by)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, by: Duration) {
        self.0 += by;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, by: Duration) -> Instant {
        Instant(self.0.saturating_sub(by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_time_stands_still_until_it_is_told_to_go_on() {
        reset();
        let (start, up, wall) = (Instant::now(), uptime(), since_1970());
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!((start.elapsed(), uptime(), since_1970()), (Duration::ZERO, up, wall));
        advance(Duration::from_secs(7200));
        assert_eq!(start.elapsed(), Duration::from_secs(7200));
        assert_eq!((uptime(), since_1970()), (up + 7_200_000, wall + Duration::from_secs(7200)));
        sleep(Duration::from_millis(3));
        assert_eq!(Instant::now(), start + Duration::from_millis(7_200_003));
    }

    #[test]
    fn simulated_clocks_that_are_set_move_nothing_else() {
        reset();
        advance(Duration::from_secs(10));
        let start = Instant::now();
        set_wall_clock(1_800_000_000_000);
        assert_eq!((since_1970(), start.elapsed()), (Duration::from_secs(1_800_000_000), Duration::ZERO));
        set_uptime(60_000);
        assert_eq!(uptime(), 60_000);
        advance(Duration::from_secs(1));
        assert_eq!((since_1970(), uptime()), (Duration::from_secs(1_800_000_001), 61_000));
        assert_eq!(passed(), Duration::from_secs(11));
    }

    #[test]
    fn simulated_time_is_each_threads_own() {
        reset();
        std::thread::spawn(|| advance(Duration::from_secs(5))).join().unwrap();
        assert_eq!(passed(), Duration::ZERO);
    }
}
