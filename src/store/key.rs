//! The key of a session: all that a table or a store ever sees of a session id.

use std::fmt;

/// 256-bit digest of realm and session id. Not secret, yet never logged whole: see [`Key::log_id`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; Key::LEN]);

impl Key {
    /// Bytes in a key.
    pub const LEN: usize = 32;

    /// A key from its bytes, which must be uniformly distributed (the table uses them as a hash).
    #[must_use]
    pub const fn new(bytes: [u8; Key::LEN]) -> Self {
        Key(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Key::LEN] {
        &self.0
    }

    /// The key as four little-endian words, as it lies in the table.
    #[must_use]
    pub fn words(&self) -> [u64; 4] {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(self.0.chunks_exact(8)) {
            *word = bytes.iter().rev().fold(0, |acc, &b| (acc << 8) | u64::from(b));
        }
        words
    }

    /// The inverse of [`Key::words`].
    #[must_use]
    pub fn from_words(words: [u64; 4]) -> Self {
        let mut bytes = [0; Key::LEN];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Key(bytes)
    }

    /// A key that stands for one of several questions about this one. `question` is not 0.
    #[must_use]
    pub fn about(&self, question: u8) -> Self {
        Key(self.0.map(|byte| byte ^ question))
    }

    /// A short name for logs: the first 48 bits as 12 hex digits, by which a log reader can follow a session. They
    /// say nothing of the session id, of which the key is a digest.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let [a, b, c, d, e, f, ..] = self.0;
        let mut digits = [0; LogId::LEN];
        for (pair, byte) in digits.chunks_exact_mut(2).zip([a, b, c, d, e, f]) {
            pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        LogId(digits)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.log_id())
    }
}

/// The log-safe name of a session; see [`Key::log_id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogId([u8; LogId::LEN]);

impl LogId {
    const LEN: usize = 12;
}

impl AsRef<[u8]> for LogId {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&digit| write!(f, "{}", char::from(digit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_back_is_the_same_key() {
        let key = Key::new(std::array::from_fn(|i| i as u8));
        assert_eq!(Key::from_words(key.words()), key);
        assert_eq!(key.words()[0], 0x0706_0504_0302_0100);
    }

    #[test]
    fn a_log_id_is_the_beginning_of_the_key_in_hex() {
        let key = Key::new(std::array::from_fn(|i| 0xf0 + i as u8 % 16));
        assert_eq!(key.log_id().to_string(), "f0f1f2f3f4f5");
        assert_eq!(format!("{key:?}"), "Key(f0f1f2f3f4f5)");
    }
}
