//! Any `Cookie` header: what is stripped is not found again, what was set is found, and no byte is invented. Any route
//! behind an id leaves the id as it is, and leads to the node that a balancer would take it for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mod_session_cluster::session::cookie::{CookieSpec, MAX_CANDIDATES, Stripped};
use mod_session_cluster::session::id::SessionId;

fuzz_target!(|header: &[u8]| {
    let spec = CookieSpec::new("SCID").expect("a token");
    let routed = spec.clone().with_attributes(&["Route=web1"]).expect("a route");
    for https in [false, true] {
        let values: Vec<&[u8]> = spec.find(https, header).collect();
        assert!(values.len() <= MAX_CANDIDATES);
        for value in values {
            assert!(!value.iter().any(|byte| b";,".contains(byte)));
            // Must not panic, whatever it says.
            let _ = SessionId::from_cookie_value(value);
            let route = value.iter().position(|&byte| byte == b'.').map(|dot| &value[dot + 1..]);
            assert_eq!(routed.leads_here(value), route == Some(b"web1".as_slice()));
            assert!(spec.leads_here(value));
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

    let session = SessionId::random().expect("randomness");
    let id = session.to_text();
    // The whole input as a route, as far as it can stand in a cookie.
    let end = header.iter().position(|byte| b";,".contains(byte)).unwrap_or(header.len());
    let forged = [b"SCID=", id.as_bytes(), b".", &header[..end]].concat();
    for value in spec.find(false, &forged) {
        assert!(SessionId::from_cookie_value(value) == Some(session.clone()));
    }
    assert_eq!(spec.find(false, &forged).count(), 1);
    assert_eq!(spec.strip(&forged), Stripped::Empty);

    for https in [false, true] {
        assert_eq!(spec.find(https, &rest).count(), 0);
        let set = spec.set(https, &id);
        let mut sent = set.split(';').next().unwrap_or_default().as_bytes().to_vec();
        sent.extend_from_slice(b"; ");
        sent.extend_from_slice(&rest);
        assert!(spec.find(https, &sent).eq([id.as_bytes()]));

        let set = routed.set(https, &id);
        let sent = set.split(';').next().unwrap_or_default().as_bytes();
        for value in routed.find(https, sent) {
            assert!(routed.leads_here(value));
            assert!(SessionId::from_cookie_value(value) == Some(session.clone()));
        }
        assert_eq!(routed.find(https, sent).count(), 1);
    }
});
