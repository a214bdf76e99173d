//! Any `Cookie` header: what is stripped is not found again, what was set is found, and no byte is invented.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mod_session_cluster::session::cookie::{CookieSpec, MAX_CANDIDATES, Stripped};
use mod_session_cluster::session::id::SessionId;

fuzz_target!(|header: &[u8]| {
    let spec = CookieSpec::new("SCID").expect("a token");
    for https in [false, true] {
        let values: Vec<&[u8]> = spec.find(https, header).collect();
        assert!(values.len() <= MAX_CANDIDATES);
        for value in values {
            assert!(!value.iter().any(|byte| b";,".contains(byte)));
            // Must not panic, whatever it says.
            let _ = SessionId::from_cookie_value(value);
        }
    }

    let rest = match spec.strip(header) {
        Stripped::Unchanged => header.to_vec(),
        Stripped::Empty => Vec::new(),
        Stripped::Changed(rest) => {
            assert!(rest.len() < header.len());
            rest
        }
    };
    assert_eq!(spec.strip(&rest), Stripped::Unchanged);

    let id = SessionId::random().expect("randomness").to_text();
    for https in [false, true] {
        assert_eq!(spec.find(https, &rest).count(), 0);
        let set = spec.set(https, &id);
        let mut sent = set.split(';').next().unwrap_or_default().as_bytes().to_vec();
        sent.extend_from_slice(b"; ");
        sent.extend_from_slice(&rest);
        assert!(spec.find(https, &sent).eq([id.as_bytes()]));
    }
});
