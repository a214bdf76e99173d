//! What was said already, in memory that all processes of the host share: so that what many requests would say is said
//! by one of them. Each thing is one word: a tag of it, and until when it need not be said again. No lock, and no
//! clean-up: a word whose time has passed is free.

use crate::sync::{AtomicU64, Ordering};

/// The words. The first four hold a secret, so that nobody can have somebody else's line kept back.
pub struct Said<'m>(&'m [AtomicU64]);

/// Whether something is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Now, and then not again for its time.
    New,
    /// It was said.
    Old,
    /// There is no room to tell.
    Unknown,
}

impl<'m> Said<'m> {
    /// Words that it takes: 8 KiB.
    pub const WORDS: usize = 1024;
    const SECRET: usize = 4;
    /// Words that are looked at for one thing.
    const PROBES: usize = 8;

    /// `words` are all zero when they are used for the first time; `secret` is then used. What was said before is to be
    /// said again: the configuration may have changed.
    #[must_use]
    pub fn new(words: &'m [AtomicU64], secret: [u64; 4]) -> Self {
        for (word, secret) in words.iter().zip(secret) {
            let _ = word.compare_exchange(0, secret | 1, Ordering::Relaxed, Ordering::Relaxed);
        }
        words.iter().skip(Self::SECRET).for_each(|word| word.store(0, Ordering::Relaxed));
        Said(words)
    }

    /// Whether `what` is to be said at `now`; if so, it is taken for said until `until`. Both are seconds of any clock.
    #[must_use]
    pub fn take(&self, what: &[u8], now: u32, until: u32) -> Turn {
        let (tag, places) = self.places(what);
        let mut free = None;
        for word in places {
            let found = word.load(Ordering::Relaxed);
            let (its, its_end) = ((found >> 32) as u32, found as u32);
            if its_end <= now {
                free = free.or(Some((word, found)));
            } else if its == tag {
                return Turn::Old;
            }
        }
        let Some((word, found)) = free else { return Turn::Unknown };
        let wanted = u64::from(tag) << 32 | u64::from(until);
        match word.compare_exchange(found, wanted, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Turn::New,
            // Somebody else was quicker, with this or another thing.
            Err(other) if (other >> 32) as u32 == tag => Turn::Old,
            Err(_) => Turn::Unknown,
        }
    }

    fn places(&self, what: &[u8]) -> (u32, impl Iterator<Item = &AtomicU64>) {
        let (secret, words) = self.0.split_at_checked(Self::SECRET).unwrap_or_default();
        let mut key = [0; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip(secret) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        let [a, b, c, d, e, f, g, h, ..] = *blake3::keyed_hash(&key, what).as_bytes();
        let (tag, first) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]) as usize);
        let count = words.len().max(1);
        (tag, (0..Self::PROBES).filter_map(move |n| words.get((first + n) % count)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn words() -> Vec<AtomicU64> {
        (0..Said::WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn a_thing_is_said_once_until_its_time_is_over() {
        let words = words();
        let said = Said::new(&words, [1, 2, 3, 4]);
        assert_eq!(said.take(b"door", 100, 200), Turn::New);
        assert_eq!(said.take(b"door", 199, 300), Turn::Old);
        assert_eq!(said.take(b"other", 199, 300), Turn::New);
        assert_eq!(said.take(b"door", 200, 300), Turn::New);
        // A new configuration.
        let said = Said::new(&words, [5, 6, 7, 8]);
        assert_eq!(said.take(b"door", 201, 300), Turn::New);
    }

    #[test]
    fn a_flood_of_things_leaves_no_room_and_says_so() {
        let words = words();
        let said = Said::new(&words, [1, 2, 3, 4]);
        let turns: Vec<Turn> = (0..10_000_u32).map(|n| said.take(&n.to_le_bytes(), 1, 100)).collect();
        let new = turns.iter().filter(|turn| **turn == Turn::New).count();
        assert!(new > Said::WORDS / 2 && new < Said::WORDS, "{new}");
        assert_eq!(turns.last(), Some(&Turn::Unknown));
        assert_eq!(said.take(&0_u32.to_le_bytes(), 50, 100), Turn::Old);
    }
}
