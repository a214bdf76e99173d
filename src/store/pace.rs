//! How long it takes to look at a password, so that the answer to a name that nobody has can take as long: a password
//! that is compared by bcrypt takes a quarter of a second, an unknown name none, and whoever measures that knows who
//! has an account. What was seen before says how long, whatever it is that answers; one word for each kind of answer of
//! a login, which all processes of the host share.

use crate::sync::{AtomicU64, Ordering};
use std::time::Duration;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The name, so that a password was compared.
    Name,
    /// No such name.
    Nobody,
}

/// The words.
#[derive(Clone, Copy)]
pub struct Pace<'m>(&'m [AtomicU64]);

impl<'m> Pace<'m> {
    /// Words that they take: two for each login, of which a server seldom has more than a few.
    pub const WORDS: usize = 64;
    /// The longest time that counts. An answer is never held back for longer.
    pub const LONGEST: Duration = Duration::from_secs(2);

    /// The pace in `words`, which are all zero when they are used for the first time.
    #[must_use]
    pub const fn new(words: &'m [AtomicU64]) -> Self {
        Pace(words)
    }

    /// Notes that the login of that name took so long to find what it found. Returns how long its answer, if it is a
    /// refusal, has still to wait so that it says no more than a refusal. Microseconds count.
    #[must_use]
    pub fn note(&self, login: &[u8], found: Found, took: Duration) -> Duration {
        let words = |found: Found| {
            let [a, b, ..] = *blake3::hash(login).as_bytes();
            let number = usize::from(u16::from_le_bytes([a, b])) % (Self::WORDS / 2);
            self.0.get(number * 2 + usize::from(found == Found::Nobody))
        };
        let took = took.min(Self::LONGEST);
        let micros = u64::try_from(took.as_micros()).unwrap_or_default();
        if let Some(word) = words(found) {
            // A mean of the last few. That two at a time forget one of them does no harm.
            let mean = word.load(Ordering::Relaxed);
            let mean = if mean == 0 { micros } else { (mean * 7).saturating_add(micros) / 8 };
            word.store(mean.max(1), Ordering::Relaxed);
        }
        let mean = |found| words(found).map_or(0, |word| word.load(Ordering::Relaxed));
        let usual = Duration::from_micros(mean(Found::Name).max(mean(Found::Nobody)));
        usual.min(Self::LONGEST).saturating_sub(took)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_name_that_nobody_has_takes_as_long_as_one_that_somebody_has() {
        let words: Vec<AtomicU64> = (0..Pace::WORDS).map(|_| AtomicU64::new(0)).collect();
        let pace = Pace::new(&words);
        assert_eq!(pace.note(b"login", Found::Nobody, ms(1)), Duration::ZERO, "nothing is known yet");
        for _ in 0..20 {
            let _ = pace.note(b"login", Found::Name, ms(250));
        }
        assert_eq!(pace.note(b"login", Found::Nobody, ms(1)), ms(249));
        // The other way round: with several providers, a name that none of them has takes longer.
        for _ in 0..40 {
            let _ = pace.note(b"login", Found::Nobody, ms(400));
        }
        let wait = pace.note(b"login", Found::Name, ms(250));
        assert!((ms(145)..=ms(150)).contains(&wait), "{wait:?}");
        assert_eq!(Pace::new(&words).note(b"another", Found::Nobody, ms(1)), Duration::ZERO);
    }

    #[test]
    fn one_slow_answer_holds_nobody_back_for_long() {
        let words: Vec<AtomicU64> = (0..Pace::WORDS).map(|_| AtomicU64::new(0)).collect();
        let pace = Pace::new(&words);
        for _ in 0..20 {
            let _ = pace.note(b"login", Found::Name, ms(5));
        }
        let _ = pace.note(b"login", Found::Name, Duration::from_secs(600));
        assert!(pace.note(b"login", Found::Nobody, ms(1)) < ms(260));
        for _ in 0..100 {
            let _ = pace.note(b"login", Found::Name, Duration::from_secs(600));
        }
        assert!(pace.note(b"login", Found::Nobody, ms(1)) < Pace::LONGEST);
    }
}
