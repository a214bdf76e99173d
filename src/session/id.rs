//! The session id: the secret that a browser keeps in its cookie and nobody else keeps anywhere.
//! Written as base64url without padding; wiped from memory when dropped.

use crate::chance;
use data_encoding::BASE64URL_NOPAD;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// 256 random bits. Has no `Debug` and no `Display`, so that it cannot reach a log by accident.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SessionId([u8; SessionId::LEN]);

impl SessionId {
    /// Bytes of randomness.
    pub const LEN: usize = 32;
    /// Characters of the written form.
    pub const TEXT_LEN: usize = 43;

    /// A new id from the kernel's random source.
    ///
    /// # Errors
    /// When the kernel has no randomness to give, which on a booted Linux does not happen.
    pub fn random() -> Result<Self, chance::Error> {
        let mut id = SessionId([0; Self::LEN]);
        chance::fill(&mut id.0)?;
        Ok(id)
    }

    /// Where in a cookie value a written id may stand: all of it, or what is before a `.` and a route, which may be
    /// any.
    #[must_use]
    pub fn text_in(value: &[u8]) -> Option<&[u8]> {
        let (text, rest) = value.split_at_checked(Self::TEXT_LEN)?;
        (rest.is_empty() || rest.starts_with(b".")).then_some(text)
    }

    /// Reads a cookie value, with a route or without. `None` for anything but an id that [`SessionId::to_text`] wrote.
    #[must_use]
    pub fn from_cookie_value(value: &[u8]) -> Option<Self> {
        let text = Self::text_in(value)?;
        let mut id = SessionId([0; Self::LEN]);
        let decoded = BASE64URL_NOPAD.decode_mut(text, &mut id.0).ok()?;
        (decoded == Self::LEN).then_some(id)
    }

    /// The written form: [`SessionId::TEXT_LEN`] characters of `A-Za-z0-9-_`.
    #[must_use]
    pub fn to_text(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// The bytes, for digesting.
    pub(crate) const fn as_bytes(&self) -> &[u8; SessionId::LEN] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_differ() {
        let ids: std::collections::HashSet<String> =
            (0..1000).map(|_| SessionId::random().unwrap().to_text()).collect();
        assert_eq!(ids.len(), 1000);
    }

    #[test]
    fn a_route_mark_is_ignored_and_other_endings_are_refused() {
        let text = SessionId([7; 32]).to_text();
        let read = |value: &str| SessionId::from_cookie_value(value.as_bytes()).is_some();
        assert!(read(&text));
        assert!(read(&format!("{text}.node1")));
        assert!(!read(&format!("{text}x")));
        assert!(!read(&text[..42]));
        assert!(!read(&format!("{}=", &text[..42])));
    }

    #[test]
    fn a_second_spelling_of_the_same_bits_is_refused() {
        // The last character carries two unused bits, which must be zero.
        let text = SessionId([0; 32]).to_text();
        assert!(text.ends_with('A'));
        let other = format!("{}B", &text[..42]);
        assert!(SessionId::from_cookie_value(other.as_bytes()).is_none());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: [u8; 32]) {
            let id = SessionId(bytes);
            prop_assert!(SessionId::from_cookie_value(id.to_text().as_bytes()) == Some(id));
        }

        #[test]
        fn nothing_but_the_written_form_is_read(value in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(id) = SessionId::from_cookie_value(&value) {
                prop_assert!(value.starts_with(id.to_text().as_bytes()));
            }
        }
    }
}
