//! What a session says: who logged in, by what means, and the attributes kept with it. Written once at login,
//! sealed, never changed. The wire form is postcard's, behind a version byte; unknown versions are refused.

use super::rights::Rights;
use serde::{Deserialize, Serialize};

/// The facts of a session. An anonymous session (one that an application began without a login) has no principal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// Who logged in.
    pub principal: Option<Principal>,
    /// Entries that mod_session keeps in the session, in their order.
    pub entries: Vec<Entry>,
    /// Request headers that the module which vouched for the user had set.
    pub headers: Vec<Entry>,
    /// What mod_session set as the longest time between two visits, s; 0 for none.
    pub max_age: u32,
    /// Key of the first session of the line, if this one supersedes another: its tombstone ends the whole line.
    pub origin: Option<[u8; 32]>,
    /// What the user was found to be and to have.
    pub rights: Rights,
    /// When the user last proved who they are, ms since 1970.
    pub auth_time: u64,
    /// The watermark when the session began, ms since 1970: later marks of its scopes end it.
    pub born_under: u64,
    /// The same for marks that have it refreshed, when somebody last vouched for the user. Rights have their own.
    pub fresh_under: u64,
}

/// A name and a value of any bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
}

impl From<(String, Vec<u8>)> for Entry {
    fn from((name, value): (String, Vec<u8>)) -> Self {
        Entry { name, value }
    }
}

impl From<Entry> for (String, Vec<u8>) {
    fn from(Entry { name, value }: Entry) -> Self {
        (name, value)
    }
}

/// Who logged in, and how. A session opens a door only where the same means stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The user name, as `REMOTE_USER` shows it.
    pub user: String,
    /// The means of the login.
    pub means: Means,
    /// The name that the user typed, if the provider knows them by another.
    pub typed: Option<String>,
}

/// What authenticated a login: httpd's `AuthType` and `AuthName` where it happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Means {
    /// `AuthType`: `Session` for the own login handler, else the adopted one, such as `Basic`.
    pub auth_type: String,
    /// `AuthName`, if one was set.
    pub auth_name: Option<String>,
}

impl Principal {
    /// Whether both are the same person: of one name, by one login. The name alone says nothing, for each login may
    /// have names of its own.
    #[must_use]
    pub fn is(&self, other: &Principal) -> bool {
        self.user == other.user && self.means.open(&other.means.auth_type, other.means.auth_name.as_deref())
    }

    /// Digests what tells this person from others: what is the same for two of whom one [`Principal::is`] the other.
    pub(super) fn digest(&self, hasher: &mut blake3::Hasher) {
        let Means { auth_type, auth_name } = &self.means;
        let parts = [Some(auth_type.to_ascii_lowercase()), auth_name.clone(), Some(self.user.clone())];
        for part in parts {
            // A length before each part: no two lists of parts give the same bytes.
            let length = part.as_ref().map_or(u64::MAX, |part| part.len() as u64);
            hasher.update(&length.to_le_bytes()).update(part.unwrap_or_default().as_bytes());
        }
    }
}

impl Means {
    /// The `AuthType` of the own login handler.
    pub const OWN: &str = "Session";

    /// Whether a login by these means opens a door that asks for `auth_type` and `auth_name`. Types compare
    /// without regard to case, as httpd compares them; names exactly.
    #[must_use]
    pub fn open(&self, auth_type: &str, auth_name: Option<&str>) -> bool {
        same_type(&self.auth_type, auth_type) && self.auth_name.as_deref() == auth_name
    }

    /// Whether an `AuthType` is that of the own login handler.
    #[must_use]
    pub fn is_own(auth_type: &str) -> bool {
        same_type(auth_type, Self::OWN)
    }
}

/// Mostly they are spelled the same, which each page finds out in a tenth of what folding costs.
fn same_type(a: &str, b: &str) -> bool {
    a == b || a.eq_ignore_ascii_case(b)
}

const VERSION: u8 = 3;

impl Payload {
    /// The wire form.
    ///
    /// # Errors
    /// Only when memory for it cannot be had.
    pub fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        postcard::to_extend(self, vec![VERSION]).map_err(|_| PayloadError::Malformed)
    }

    /// Reads the wire form. Allocates no more than the input is long, times a small constant.
    ///
    /// # Errors
    /// [`PayloadError`] for another version, or for bytes that [`Payload::encode`] would not have written.
    pub fn decode(bytes: &[u8]) -> Result<Self, PayloadError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => match postcard::take_from_bytes(rest) {
                Ok((payload, [])) => Ok(payload),
                _ => Err(PayloadError::Malformed),
            },
            Some((&version, _)) => Err(PayloadError::Version(version)),
            None => Err(PayloadError::Malformed),
        }
    }
}

/// Why a payload could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Written by another version of the module.
    #[error("payload version {0} is not known here")]
    Version(u8),
    /// Not a payload.
    #[error("malformed payload")]
    Malformed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::session::rights::{Place, Source};
    use proptest::prelude::*;

    fn alice() -> Payload {
        let mut rights = Rights::of_login(Place { path: "/login".into(), ..Place::default() });
        rights.ask(Source::Login, Timestamp::from_millis(1), Timestamp::from_millis(2), |_| false);
        rights.grant(Source::Login, "staff");
        rights.set(Source::Orders, "role", vec![b"tutor".to_vec().into()]);
        Payload {
            principal: Some(Principal {
                user: "alice".into(),
                means: Means { auth_type: "Basic".into(), auth_name: Some("Intranet".into()) },
                typed: None,
            }),
            entries: vec![Entry { name: "k".into(), value: vec![0, 255] }],
            headers: vec![Entry { name: "OIDC_CLAIM_sub".into(), value: b"a".to_vec() }],
            max_age: 1800,
            origin: Some([9; 32]),
            rights,
            auth_time: 1_700_000_000_000,
            born_under: 1_700_000_000_000,
            fresh_under: 1_700_000_000_001,
        }
    }

    #[test]
    fn other_versions_and_trailing_bytes_are_refused() {
        let mut bytes = alice().encode().unwrap();
        assert_eq!(Payload::decode(&bytes), Ok(alice()));
        bytes.push(0);
        assert_eq!(Payload::decode(&bytes), Err(PayloadError::Malformed));
        bytes[0] = 99;
        assert_eq!(Payload::decode(&bytes), Err(PayloadError::Version(99)));
        assert_eq!(Payload::decode(&[]), Err(PayloadError::Malformed));
    }

    #[test]
    fn a_weak_login_does_not_open_a_strong_door() {
        let means = alice().principal.unwrap().means;
        assert!(means.open("basic", Some("Intranet")));
        assert!(!means.open("Basic", Some("intranet")));
        assert!(!means.open("Basic", None));
        assert!(!means.open("Session", Some("Intranet")));
    }

    #[test]
    fn a_person_is_a_name_and_the_login_that_knows_it() {
        let digest = |principal: &Principal| {
            let mut hasher = blake3::Hasher::new();
            principal.digest(&mut hasher);
            hasher.finalize()
        };
        let person = |auth_type: &str, auth_name: Option<&str>, user: &str| Principal {
            user: user.into(),
            means: Means { auth_type: auth_type.into(), auth_name: auth_name.map(str::to_owned) },
            typed: None,
        };
        let alice = person("Basic", Some("Intranet"), "alice");
        let same = Principal { typed: Some("ALICE".into()), ..person("basic", Some("Intranet"), "alice") };
        assert!(alice.is(&same));
        assert_eq!(digest(&alice), digest(&same));
        for other in [
            person("Basic", Some("Forum"), "alice"),
            person("Basic", Some("intranet"), "alice"),
            person("Basic", None, "alice"),
            person("Basic", Some(""), "Intranetalice"),
            person("Session", Some("Intranet"), "alice"),
            person("Basic", Some("Intranet"), "Alice"),
            person("Basic", Some("Intraneta"), "lice"),
        ] {
            assert!(!alice.is(&other), "{other:?}");
            assert_ne!(digest(&alice), digest(&other), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn noise_is_never_more_than_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(payload) = Payload::decode(&bytes) {
                prop_assert_eq!(Payload::decode(&payload.encode().unwrap()), Ok(payload));
            }
        }

        #[test]
        fn entries_of_any_bytes_come_back(entries: Vec<(String, Vec<u8>)>) {
            let entries = entries.into_iter().map(Entry::from).collect();
            let payload = Payload { entries, ..Payload::default() };
            prop_assert_eq!(Payload::decode(&payload.encode().unwrap()), Ok(payload));
        }
    }
}
