//! Throttling of logins that fail, by counters in memory that all processes of the host share. Each counter is one
//! word: part of a digest of whom it counts for, and the instant at which all failures so far are forgiven (the
//! "theoretical arrival time" of the generic cell rate algorithm, ITU-T I.371). No lock, and no clean-up: a counter
//! whose time has passed is as good as new. A counter lives in a bucket of eight; where all eight are taken, the one
//! that is forgiven first makes room. So nobody waits for what others have done, however many names they try.

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

/// A counter: a tag (bits 44 to 63), and when all is forgiven, ms since 1970 (bits 0 to 43). Zero is one that nobody
/// has.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Counter(u64);

impl Counter {
    const FORGIVEN: u64 = (1 << 44) - 1;
    const NOBODYS: Counter = Counter(0);

    fn new(tag: u64, forgiven: u64) -> Self {
        Counter(tag | forgiven.min(Self::FORGIVEN))
    }

    fn forgiven(self) -> u64 {
        self.0 & Self::FORGIVEN
    }

    fn is_of(self, tag: u64) -> bool {
        self.0 & !Self::FORGIVEN == tag
    }
}

/// The counters. The first words hold a secret, so that nobody can choose whose bucket they share.
pub struct Throttle<'m>(&'m [AtomicU64]);

impl<'m> Throttle<'m> {
    /// Words that the counters take: 256 KiB.
    pub const WORDS: usize = 32 << 10;
    const SECRET: usize = 4;
    /// Words of a bucket, which share a cache line.
    const BUCKET: usize = 8;

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
        let mut wait = Duration::ZERO;
        self.change(who, |tag, forgiven| {
            let later = forgiven.max(now.as_millis()).saturating_add(limit.step());
            wait = Timestamp::from_millis(later.saturating_sub(allowed)).since(now);
            wait.is_zero().then(|| Counter::new(tag, later))
        });
        if wait.is_zero() { Ok(()) } else { Err(wait) }
    }

    /// Takes back what [`Throttle::take`] counted: the login did not fail.
    pub fn give_back(&self, who: &[u8], limit: Limit) {
        self.change(who, |tag, forgiven| {
            (forgiven > 0).then(|| Counter::new(tag, forgiven.saturating_sub(limit.step())))
        });
    }

    /// Forgets the failures of `who`, who has logged in.
    pub fn forgive(&self, who: &[u8]) {
        self.change(who, |_, forgiven| (forgiven > 0).then_some(Counter::NOBODYS));
    }

    /// Puts what `next` makes of the counter of `who` in its place: of its tag and of when all is forgiven, which is 0
    /// where there is none. `None` leaves it as it is.
    fn change(&self, who: &[u8], mut next: impl FnMut(u64, u64) -> Option<Counter>) {
        let Some((tag, bucket)) = self.bucket(who) else { return };
        loop {
            let all = || bucket.iter().map(|word| (word, Counter(word.load(Ordering::Relaxed))));
            let its = all().find(|(_, counter)| counter.is_of(tag));
            let place = its.or_else(|| all().min_by_key(|(_, counter)| counter.forgiven()));
            let Some((word, counter)) = place else { return };
            let forgiven = if its.is_some() { counter.forgiven() } else { 0 };
            let Some(new) = next(tag, forgiven) else { return };
            // Whoever was first has changed what this one has seen.
            if word.compare_exchange(counter.0, new.0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    /// The tag and the bucket of `who`.
    fn bucket(&self, who: &[u8]) -> Option<(u64, &[AtomicU64])> {
        let mut key = [0; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip(self.0.iter().take(Self::SECRET)) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        let [a, b, c, d, e, f, g, h, ..] = *blake3::keyed_hash(&key, who).as_bytes();
        let digest = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        // The first bucket has the secret in it.
        let buckets = (self.0.len() / Self::BUCKET).checked_sub(1).filter(|&buckets| buckets > 0)?;
        let chosen = (digest & Counter::FORGIVEN) as usize % buckets + 1;
        let bucket = self.0.get(chosen * Self::BUCKET..(chosen + 1) * Self::BUCKET)?;
        // No tag is zero.
        Some((digest & !Counter::FORGIVEN | 1 << 44, bucket))
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
    fn nobody_waits_for_what_others_did_however_many_they_are() {
        let words = words();
        let throttle = Throttle::new(&words, [1, 2, 3, 4]);
        for _ in 0..LIMIT.failures {
            assert_eq!(throttle.take(b"alice", LIMIT, START), Ok(()));
        }
        // Three times as many names as there are counters, each tried until it has to wait.
        for n in 0..100_000 {
            let guesser = format!("guesser {n}");
            let _ = [(); 4].map(|()| throttle.take(guesser.as_bytes(), LIMIT, START));
        }
        let user = |n: usize| format!("user {n}");
        let waits = (0..1000).filter(|&n| throttle.take(user(n).as_bytes(), LIMIT, START).is_err()).count();
        assert_eq!(waits, 0);
    }

    #[test]
    fn who_has_failed_often_is_not_forgotten_for_those_who_failed_once() {
        let words = words();
        let throttle = Throttle::new(&words, [1, 2, 3, 4]);
        for _ in 0..LIMIT.failures {
            assert_eq!(throttle.take(b"alice", LIMIT, START), Ok(()));
        }
        for n in 0..100_000 {
            let _ = throttle.take(format!("guesser {n}").as_bytes(), LIMIT, START);
        }
        assert!(throttle.take(b"alice", LIMIT, START).is_err());
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
