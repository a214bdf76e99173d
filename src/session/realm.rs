//! A realm: the group of virtual hosts that share sessions. From its name come the keys that turn a session id
//! into the key of a record and into the secret that seals it, so that one realm's cookie means nothing in another.

use super::id::SessionId;
use crate::store::key::Key;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A realm. Holds no secret: all secrecy comes from the session id.
#[derive(Clone, PartialEq, Eq)]
pub struct Realm([u8; 32]);

impl Realm {
    /// The realm of that name. The same name gives the same realm on every host.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Realm(blake3::derive_key("mod_session_cluster v1 realm", name.as_bytes()))
    }

    /// The bytes, for digesting.
    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What belongs to `id` in this realm. One digest, keyed by the id, gives both: BLAKE3's output can be read on, and
    /// its first half says nothing about its second.
    #[must_use]
    pub fn derive(&self, id: &SessionId) -> Derived {
        Derived::keyed(id.as_bytes(), &self.0)
    }
}

/// What is derived from a session id.
pub struct Derived {
    /// The key under which its record is stored.
    pub key: Key,
    /// What seals its record.
    pub secret: Secret,
}

impl Derived {
    /// What comes of `secret`, for `purpose`.
    pub(super) fn keyed(secret: &[u8; 32], purpose: &[u8]) -> Self {
        let mut output = [0; 64];
        blake3::Hasher::new_keyed(secret).update(purpose).finalize_xof().fill(&mut output);
        let mut derived = Derived { key: Key::new([0; 32]), secret: Secret([0; 32]) };
        let (key, secret) = output.split_at(32);
        derived.secret.0.copy_from_slice(secret);
        if let Some(key) = key.first_chunk() {
            derived.key = Key::new(*key);
        }
        output.zeroize();
        derived
    }
}

/// The secret that seals one record.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Bytes that a seal adds to a payload.
    pub const SEAL_LEN: usize = 16;

    /// Seals `payload` in place; it grows by [`Secret::SEAL_LEN`] bytes. `associated` data are bound to the seal:
    /// [`Secret::open`] succeeds only with the same ones.
    ///
    /// # Errors
    /// When the payload is larger than the cipher takes (256 GiB).
    pub fn seal(&self, associated: &[u8], payload: &mut Vec<u8>) -> Result<(), SealError> {
        self.cipher()?
            .seal_in_place_append_tag(Self::nonce(), Aad::from(associated), payload)
            .map_err(|_| SealError)
    }

    /// Opens what [`Secret::seal`] sealed, in place, and returns the payload.
    ///
    /// # Errors
    /// When it was sealed for another id, realm or associated data, or was changed since.
    pub fn open<'a>(&self, associated: &[u8], sealed: &'a mut [u8]) -> Result<&'a [u8], SealError> {
        let payload = self.cipher()?.open_in_place(Self::nonce(), Aad::from(associated), sealed);
        payload.map(|payload| &*payload).map_err(|_| SealError)
    }

    fn cipher(&self) -> Result<LessSafeKey, SealError> {
        UnboundKey::new(&CHACHA20_POLY1305, &self.0).map(LessSafeKey::new).map_err(|_| SealError)
    }

    /// One constant nonce is right here: a secret seals exactly one payload in its life, because records are never
    /// updated, so no (secret, nonce) pair is ever used for two payloads.
    fn nonce() -> Nonce {
        Nonce::assume_unique_for_key([0; 12])
    }
}

/// A payload could not be sealed, or a sealed one does not belong to this id, realm and associated data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the seal does not fit")]
pub struct SealError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_payload_opens_for_its_id_realm_and_associated_data_only() {
        let (realm, id) = (Realm::new("www.example.com"), SessionId::random().unwrap());
        let secret = realm.derive(&id).secret;
        let mut sealed = b"alice".to_vec();
        secret.seal(b"associated", &mut sealed).unwrap();
        assert_eq!(sealed.len(), 5 + Secret::SEAL_LEN);
        assert!(!sealed.windows(5).any(|w| w == b"alice"));

        assert_eq!(secret.open(b"associated", &mut sealed.clone()), Ok(&b"alice"[..]));
        assert_eq!(secret.open(b"Facts", &mut sealed.clone()), Err(SealError));
        let another = realm.derive(&SessionId::random().unwrap()).secret;
        assert_eq!(another.open(b"associated", &mut sealed.clone()), Err(SealError));
        let elsewhere = Realm::new("other").derive(&id).secret;
        assert_eq!(elsewhere.open(b"associated", &mut sealed.clone()), Err(SealError));
        for i in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[i] ^= 1;
            assert_eq!(secret.open(b"associated", &mut bent), Err(SealError));
        }
        assert_eq!(secret.open(b"associated", &mut sealed[..3].to_vec()), Err(SealError));
    }

    #[test]
    fn one_id_has_a_different_key_in_each_realm() {
        let id = SessionId::random().unwrap();
        assert_ne!(Realm::new("a").derive(&id).key, Realm::new("b").derive(&id).key);
        assert_eq!(Realm::new("a").derive(&id).key, Realm::new("a").derive(&id).key);
    }

    #[test]
    fn the_key_is_the_digest_that_any_blake3_gives() {
        let id = SessionId::random().unwrap();
        let realm = blake3::derive_key("mod_session_cluster v1 realm", b"r");
        assert_eq!(
            Realm::new("r").derive(&id).key.as_bytes(),
            blake3::keyed_hash(id.as_bytes(), &realm).as_bytes()
        );
    }
}
