//! When a store without a log was last asked about a key, for all processes of the host: what was heard of it a moment
//! ago need not be asked again. A cache of single words, each with the key's tag and an uptime; a word that is
//! overwritten by another key's costs a question. That two keys share place and tag (49 bits) is not to be expected
//! among millions of sessions.

use super::key::Key;
use crate::sync::{AtomicU64, Ordering};
use std::time::Duration;

/// The words, shared by all processes.
pub struct Confirmed(&'static [AtomicU64]);

impl Confirmed {
    /// Words that they take: 512 KiB. Within a logout bound hardly more keys than that are asked about.
    pub const WORDS: usize = 64 << 10;
    /// Bits of an uptime in milliseconds. They begin again after twelve days; a word that was left alone for exactly as
    /// long is taken for fresh for one bound.
    const UPTIME: u32 = 30;
    const CYCLE: u64 = (1 << Self::UPTIME) - 1;

    /// Over words that are all zero when they are used for the first time.
    #[must_use]
    pub fn new(words: &'static [AtomicU64]) -> Self {
        Confirmed(words)
    }

    /// Notes that a question about `key` was put at uptime `asked`, and that what came of it is in the table.
    pub fn note(&self, key: &Key, asked: u64) {
        if let Some(word) = self.word(key) {
            // Partner: the acquire in `asked`. A reader that sees this sees what was put into the table before.
            word.store(Self::tag(key) | asked & Self::CYCLE, Ordering::Release);
        }
    }

    /// The uptime at which a question about `key` was put, if that was less than `bound` before uptime `now`.
    #[must_use]
    pub fn asked(&self, key: &Key, now: u64, bound: Duration) -> Option<u64> {
        let word = self.word(key).map_or(0, |word| word.load(Ordering::Acquire));
        let age = now.wrapping_sub(word) & Self::CYCLE;
        let fresh = word & !Self::CYCLE == Self::tag(key) && u128::from(age) < bound.as_millis();
        fresh.then(|| now.wrapping_sub(age))
    }

    fn word(&self, key: &Key) -> Option<&AtomicU64> {
        let [_, _, place, _] = key.words();
        self.0.get(usize::try_from(place).unwrap_or_default() % self.0.len().max(1))
    }

    fn tag(key: &Key) -> u64 {
        let [.., tag] = key.words();
        // Never that of an empty word.
        (tag | 1) << Self::UPTIME
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn key(n: u64) -> Key {
        Key::from_words([0, 0, n, n])
    }

    fn confirmed() -> Confirmed {
        Confirmed::new(Vec::leak((0..64).map(|_| AtomicU64::new(0)).collect()))
    }

    #[test]
    fn what_was_asked_is_fresh_for_the_bound_and_no_longer() {
        let (confirmed, bound) = (confirmed(), Duration::from_millis(500));
        assert_eq!(confirmed.asked(&key(0), 100, bound), None, "nothing was asked yet");
        confirmed.note(&key(2), 1000);
        let cycle = Confirmed::CYCLE + 1;
        for (now, fresh) in [(999, false), (1000, true), (1499, true), (1500, false), (cycle, false)] {
            assert_eq!(confirmed.asked(&key(2), now, bound), fresh.then_some(1000), "{now}");
        }
    }

    #[test]
    fn a_key_in_the_place_of_another_is_not_taken_for_it() {
        let (confirmed, bound) = (confirmed(), Duration::from_millis(500));
        confirmed.note(&key(2), 1000);
        assert_eq!(confirmed.asked(&key(2 + 64), 1001, bound), None);
        confirmed.note(&key(2 + 64), 1001);
        assert_eq!(confirmed.asked(&key(2 + 64), 1002, bound), Some(1001));
        assert_eq!(confirmed.asked(&key(2), 1002, bound), None);
    }
}
