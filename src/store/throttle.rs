//! Throttling of logins that fail, by counters in memory that all processes of the host share. Each counter is one
//! word: the instant at which all failures so far are forgiven (the "theoretical arrival time" of the generic cell rate
//! algorithm, ITU-T I.371). No lock, and no clean-up: a counter whose time has passed is as good as new. Everybody has
//! two of them, and the lesser counts (a count-min sketch): that others share one does no harm.

use crate::clock::Timestamp;
use crate::sync::{AtomicU64, Ordering};
use std::time::Duration;

/// How many logins may fail, and how fast that is forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Failures that are allowed at once.
    pub failures: u32,
    /// How long it takes until as many are allowed again.
    pub within: Duration,
}

impl Limit {
    /// A limit for many users together: one address, or one name from any address.
    #[must_use]
    pub fn times(self, factor: u32) -> Self {
        Limit { failures: self.failures.saturating_mul(factor), ..self }
    }

    /// Milliseconds in which one failure is forgiven.
    fn step(self) -> u64 {
        let within = u64::try_from(self.within.as_millis()).unwrap_or(u64::MAX);
        (within / u64::from(self.failures.max(1))).max(1)
    }
}

/// The counters. The first four words hold a secret, so that nobody can choose whose counter they share.
pub struct Throttle<'m>(&'m [AtomicU64]);

impl<'m> Throttle<'m> {
    /// Words that the counters take: 256 KiB.
    pub const WORDS: usize = 32 << 10;
    const SECRET: usize = 4;

    /// Counters in `words`, which are all zero when they are used for the first time; `secret` is then used.
    #[must_use]
    pub fn new(words: &'m [AtomicU64], secret: [u64; 4]) -> Self {
        for (word, secret) in words.iter().zip(secret) {
            // The first one stays; httpd does this before it has children.
            let _ = word.compare_exchange(0, secret | 1, Ordering::Relaxed, Ordering::Relaxed);
        }
        Throttle(words)
    }

    /// Counts a login of `who` as failed, before it is known whether it does, so that many at a time are counted as
    /// well.
    ///
    /// # Errors
    /// How long `who` has to wait before the next login is looked at; it was not counted.
    pub fn take(&self, who: &[u8], limit: Limit, now: Timestamp) -> Result<(), Duration> {
        let allowed = limit.step().saturating_mul(u64::from(limit.failures.max(1)));
        let add = |counter: &AtomicU64| {
            let later = |forgiven: u64| forgiven.max(now.as_millis()).saturating_add(limit.step());
            let before = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |f| Some(later(f)));
            let due = later(before.unwrap_or_default()).saturating_sub(allowed);
            Timestamp::from_millis(due).since(now)
        };
        // Somebody else may share one of the two, and hardly ever both: the lesser counts.
        let wait = self.counters(who).map(add).min().unwrap_or_default();
        if wait.is_zero() {
            return Ok(());
        }
        self.give_back(who, limit);
        Err(wait)
    }

    /// Takes back what [`Throttle::take`] counted: the login did not fail.
    pub fn give_back(&self, who: &[u8], limit: Limit) {
        for counter in self.counters(who) {
            let back = |forgiven: u64| Some(forgiven.saturating_sub(limit.step()));
            let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
        }
    }

    /// Forgets the failures of `who`, who has logged in.
    pub fn forgive(&self, who: &[u8]) {
        self.counters(who).for_each(|counter| counter.store(0, Ordering::Relaxed));
    }

    /// The two counters of `who`, each in a half of its own.
    fn counters(&self, who: &[u8]) -> impl Iterator<Item = &AtomicU64> {
        let (secret, counters) = self.0.split_at_checked(Self::SECRET).unwrap_or_default();
        let mut key = [0; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip(secret) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        let [a, b, c, d, e, f, g, h, ..] = *blake3::keyed_hash(&key, who).as_bytes();
        let places = [[a, b, c, d], [e, f, g, h]].map(|bytes| u32::from_le_bytes(bytes) as usize);
        let halves = counters.chunks_exact((counters.len() / 2).max(1));
        halves.zip(places).filter_map(|(half, place)| half.get(place % half.len()))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { failures: 3, within: Duration::from_secs(30) };
    const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn words() -> Vec<AtomicU64> {
        (0..Throttle::WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn some_failures_are_allowed_and_the_next_has_to_wait() {
        let words = words();
        let throttle = Throttle::new(&words, [1, 2, 3, 4]);
        for _ in 0..LIMIT.failures {
            assert_eq!(throttle.take(b"alice", LIMIT, START), Ok(()));
        }
        let wait = throttle.take(b"alice", LIMIT, START).unwrap_err();
        assert_eq!(wait, Duration::from_secs(10));
        assert_eq!(throttle.take(b"alice", LIMIT, START), Err(wait), "to ask costs nothing");
        assert_eq!(throttle.take(b"bob", LIMIT, START), Ok(()));
        // One is forgiven in a third of the time, all in the whole of it.
        assert_eq!(throttle.take(b"alice", LIMIT, START.after(wait)), Ok(()));
        assert!(throttle.take(b"alice", LIMIT, START.after(wait)).is_err());
        throttle.give_back(b"alice", LIMIT);
        assert_eq!(throttle.take(b"alice", LIMIT, START.after(wait)), Ok(()));
        throttle.forgive(b"alice");
        assert_eq!(throttle.take(b"alice", LIMIT, START.after(wait)), Ok(()));
    }

    #[test]
    fn who_shares_a_counter_with_somebody_else_does_not_wait_for_them() {
        let words = words();
        let throttle = Throttle::new(&words, [1, 2, 3, 4]);
        // One counter in sixteen is full: with a single counter each, one name in sixteen would have to wait.
        for n in 0..1000 {
            let guesser = format!("guesser {n}");
            let _ = [(); 3].map(|()| throttle.take(guesser.as_bytes(), LIMIT, START));
        }
        let user = |n: usize| format!("user {n}");
        let waits = (0..1000).filter(|&n| throttle.take(user(n).as_bytes(), LIMIT, START).is_err()).count();
        assert!(waits <= 15, "{waits}");
    }

    #[test]
    fn other_processes_see_the_same_counters() {
        let words = words();
        let (one, two) = (Throttle::new(&words, [1, 2, 3, 4]), Throttle::new(&words, [5, 6, 7, 8]));
        (0..3).for_each(|_| assert_eq!(one.take(b"alice", LIMIT, START), Ok(())));
        assert!(two.take(b"alice", LIMIT, START).is_err());
    }

    #[test]
    fn of_many_logins_at_once_no_more_are_looked_at_than_may_fail() {
        let words = words();
        let throttle = Throttle::new(&words, [1, 2, 3, 4]);
        let taken = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        if throttle.take(b"x", LIMIT, START).is_ok() {
                            taken.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), LIMIT.failures);
    }
}
