//! Any return address: refused, or resolved by every browser to a path on this host under the allowed prefix.
#![no_main]

#[path = "../../src/session/redirect/browser.rs"]
mod browser;

use libfuzzer_sys::fuzz_target;
use mod_session_cluster::session::redirect::{ReturnTo, encode_query};

fuzz_target!(|input: (bool, &str)| {
    let (under_prefix, text) = input;
    // Half of the addresses begin where something can be accepted.
    let (prefix, target) =
        if under_prefix { ("/app", format!("/app{text}")) } else { ("/", text.to_owned()) };
    let allowed = ReturnTo::new(&[prefix]).expect("a path");
    if let Some(accepted) = allowed.accept(&target) {
        assert_eq!(accepted, target);
        browser::assert_stays(accepted, prefix);
    }
    // A prefix that is taken accepts itself.
    if let Ok(allowed) = ReturnTo::new(&[text]) {
        assert_eq!(allowed.accept(text), Some(text));
    }
    assert_eq!(browser::decoded(&encode_query(text)), text.as_bytes());
});
