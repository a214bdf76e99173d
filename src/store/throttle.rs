//! Throttling of logins that fail, by counters in memory that all processes of the host share. Each counter is one word:
//! the instant at which all failures so far are forgiven (the "theoretical arrival time" of the generic cell rate
//! algorithm, ITU-T I.371). No lock, and no clean-up: a counter whose time has passed is as good as new.

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
    /// Words that the counters take: 64 KiB.
    pub const WORDS: usize = 8192;
    const SECRET: usize = 4;

    /// Counters in `words`, which are all zero when they are used for the first time; `secret` is then used.
    #[must_use]
    pub fn new(words: &'m [AtomicU64], secret: [u64; 4]) -> Self {
        for (word, secret) in words.iter().zip(secret) {
            // Whoever comes first wins; httpd does this before it has children.
            let _ = word.compare_exchange(0, secret | 1, Ordering::Relaxed, Ordering::Relaxed);
        }
        Throttle(words)
    }

    /// How long `who` has to wait before the next login is looked at; zero for now.
    #[must_use]
    pub fn wait(&self, who: &[u8], limit: Limit, now: Timestamp) -> Duration {
        let Some(counter) = self.counter(who) else { return Duration::ZERO };
        let forgiven = counter.load(Ordering::Relaxed).max(now.as_millis());
        let allowed = limit.step().saturating_mul(u64::from(limit.failures.max(1)));
        let due = forgiven.saturating_add(limit.step()).saturating_sub(allowed);
        Timestamp::from_millis(due).since(now)
    }

    /// Counts a failed login of `who`.
    pub fn count(&self, who: &[u8], limit: Limit, now: Timestamp) {
        let Some(counter) = self.counter(who) else { return };
        let later = |forgiven: u64| Some(forgiven.max(now.as_millis()).saturating_add(limit.step()));
        let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
    }

    /// Forgets the failures of `who`, who has logged in.
    pub fn forgive(&self, who: &[u8]) {
        if let Some(counter) = self.counter(who) {
            counter.store(0, Ordering::Relaxed);
        }
    }

    fn counter(&self, who: &[u8]) -> Option<&AtomicU64> {
        let (secret, counters) = self.0.split_at_checked(Self::SECRET)?;
        let mut key = [0; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip(secret) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        let [a, b, c, d, ..] = *blake3::keyed_hash(&key, who).as_bytes();
        let index = u32::from_le_bytes([a, b, c, d]) as usize % counters.len().max(1);
        counters.get(index)
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
            assert_eq!(throttle.wait(b"alice", LIMIT, START), Duration::ZERO);
            throttle.count(b"alice", LIMIT, START);
        }
        let wait = throttle.wait(b"alice", LIMIT, START);
        assert_eq!(wait, Duration::from_secs(10));
        assert_eq!(throttle.wait(b"bob", LIMIT, START), Duration::ZERO);
        // One is forgiven in a third of the time, all in the whole of it.
        assert_eq!(throttle.wait(b"alice", LIMIT, START.after(wait)), Duration::ZERO);
        throttle.count(b"alice", LIMIT, START.after(wait));
        assert!(throttle.wait(b"alice", LIMIT, START.after(wait)) > Duration::ZERO);
        throttle.forgive(b"alice");
        assert_eq!(throttle.wait(b"alice", LIMIT, START.after(wait)), Duration::ZERO);
    }

    #[test]
    fn other_processes_see_the_same_counters() {
        let words = words();
        let (one, two) = (Throttle::new(&words, [1, 2, 3, 4]), Throttle::new(&words, [5, 6, 7, 8]));
        (0..3).for_each(|_| one.count(b"alice", LIMIT, START));
        assert!(two.wait(b"alice", LIMIT, START) > Duration::ZERO);
    }

    #[test]
    fn failures_counted_at_once_are_all_counted() {
        let words = words();
        let throttle = Throttle::new(&words, [1, 2, 3, 4]);
        let limit = Limit { failures: 400, within: Duration::from_secs(400) };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| throttle.count(b"x", limit, START)));
            }
        });
        assert_eq!(throttle.wait(b"x", limit, START), Duration::from_secs(1));
    }
}
