//! Any bytes as a session id, a payload or a sealed record: refused, or read as exactly what would be written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mod_session_cluster::session::id::SessionId;
use mod_session_cluster::session::payload::Payload;
use mod_session_cluster::session::realm::Realm;

fuzz_target!(|bytes: &[u8]| {
    if let Some(id) = SessionId::from_cookie_value(bytes) {
        let text = id.to_text();
        assert!(bytes.starts_with(text.as_bytes()));
        assert!(SessionId::from_cookie_value(text.as_bytes()) == Some(id));
    }

    if let Ok(payload) = Payload::decode(bytes) {
        let written = payload.encode().expect("memory");
        // A number may have been written longer than it need be, never shorter.
        assert!(written.len() <= bytes.len());
        assert_eq!(Payload::decode(&written).as_ref(), Ok(&payload));
    }

    let secret = Realm::new("fuzz").derive(&SessionId::random().expect("randomness")).secret;
    assert!(secret.open(b"facts", &mut bytes.to_vec()).is_err(), "noise passed for a sealed record");
    let mut sealed = bytes.to_vec();
    secret.seal(b"facts", &mut sealed).expect("small enough");
    assert_eq!(secret.open(b"facts", &mut sealed), Ok(bytes));
});
