//! Rights: what a user was found to be and to have when they logged in. Grants are yes or no, attributes are values;
//! both are kept in the session, so that no page has to ask for them. They have an age, after which they are asked for
//! anew.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::time::Duration;

/// The rights of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// Names of what was granted. Each is also a group, whose sessions can be ended or refreshed at once.
    pub grants: Vec<String>,
    /// Values by name.
    pub attributes: Vec<Attribute>,
    /// When they were evaluated, ms since 1970; 0 for never.
    pub at: u64,
    /// Path of the login where that was, for the next time; `None` where the page itself says how.
    pub place: Option<String>,
}

/// What came of asking for a user's rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evaluated {
    /// These are their rights.
    Rights(Rights),
    /// The user may not log in, or may not stay.
    NotAllowed,
    /// Nobody can tell; why.
    Failed(String),
}

/// A name and its values: none, one, or a list, each of any bytes but NUL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its values, in their order.
    pub values: Vec<ByteBuf>,
}

/// A user who is not granted this one cannot log in; one who loses it has the session ended.
pub const LOGIN: &str = "login";

/// What stands between the values of a list where only one text can be shown.
pub const SEPARATOR: &[u8] = b";";

impl Rights {
    /// The most grants, and the most attributes, of a session.
    pub const MAX: usize = 64;
    /// Bytes of all values of an attribute.
    pub const MAX_VALUE: usize = 8 << 10;

    /// Whether `name` was granted.
    #[must_use]
    pub fn grants(&self, name: &str) -> bool {
        self.grants.iter().any(|grant| grant == name)
    }

    /// The values of an attribute; none if it is not there.
    #[must_use]
    pub fn values(&self, name: &str) -> &[ByteBuf] {
        self.attributes.iter().find(|attribute| attribute.name == name).map_or(&[], |found| &found.values)
    }

    /// Gives an attribute these values in place of those that it has; with none, removes it.
    pub fn set(&mut self, name: &str, values: Vec<ByteBuf>) {
        let found = self.attributes.iter().position(|attribute| attribute.name == name);
        match (found, values.is_empty()) {
            (Some(i), true) => drop(self.attributes.remove(i)),
            (Some(i), false) => self.attributes[i].values = values,
            (None, true) => {}
            (None, false) => self.attributes.push(Attribute { name: name.to_owned(), values }),
        }
    }

    /// Whether a session may hold them.
    #[must_use]
    pub fn are_few_enough(&self) -> bool {
        self.grants.len() <= Self::MAX && self.attributes.len() <= Self::MAX
    }

    /// Whether they are older than `age`.
    #[must_use]
    pub fn are_older_than(&self, age: Duration, now: Timestamp) -> bool {
        now.since(Timestamp::from_millis(self.at)) > age
    }
}

/// Whether `name` can name a grant or an attribute: 1 to 64 letters, digits, `-`, `_` and `.`, a letter first.
#[must_use]
pub fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// `value` as a list: split at any of `separators`, spaces around each trimmed, empty ones left out.
#[must_use]
pub fn split(value: &[u8], separators: &str) -> Vec<ByteBuf> {
    let parts = value.split(|byte| separators.as_bytes().contains(byte)).map(<[u8]>::trim_ascii);
    parts.filter(|part| !part.is_empty()).map(ByteBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(values: &[&str]) -> Vec<ByteBuf> {
        values.iter().map(|value| ByteBuf::from(value.as_bytes())).collect()
    }

    #[test]
    fn an_attribute_is_set_replaced_and_removed() {
        let mut rights = Rights::default();
        rights.set("role", list(&["tutor"]));
        rights.set("role", list(&["tutor", "marker"]));
        assert_eq!(rights.values("role"), list(&["tutor", "marker"]));
        rights.set("role", Vec::new());
        assert_eq!(rights, Rights::default());
        assert!(rights.values("role").is_empty());
    }

    #[test]
    fn lists_are_split_and_trimmed() {
        assert_eq!(split(b" a; b ,c;;", ";,"), list(&["a", "b", "c"]));
        assert_eq!(split(b"", ";"), list(&[]));
        assert_eq!(split(b"a b", ";"), list(&["a b"]));
    }

    #[test]
    fn names_are_short_and_plain() {
        for name in ["a", "Role-2_x.y"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "2a", "a b", "a\r\nb", "é", &"a".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn rights_never_evaluated_are_older_than_anything() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let rights = Rights { at: now.as_millis(), ..Rights::default() };
        assert!(!rights.are_older_than(Duration::ZERO, now));
        assert!(rights.are_older_than(Duration::from_secs(1), now.after(Duration::from_secs(2))));
        assert!(Rights::default().are_older_than(Duration::from_secs(86_400), now));
    }
}
