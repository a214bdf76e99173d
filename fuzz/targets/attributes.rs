//! Any cookie name and attributes in the configuration: refused, or written as one well-formed `Set-Cookie` header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mod_session_cluster::session::cookie::CookieSpec;

fuzz_target!(|input: (&str, Vec<&str>)| {
    let (name, attributes) = input;
    let Ok(spec) = CookieSpec::new(name).and_then(|spec| spec.with_attributes(&attributes)) else { return };
    let asked =
        |name: &str| attributes.iter().any(|attribute| attribute.to_ascii_lowercase().starts_with(name));
    for https in [false, true] {
        let header = spec.set(https, "value");
        assert!(header.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{header:?}");
        let mut parts = header.split("; ");
        assert_eq!(parts.next(), Some(format!("{}=value", spec.name(https)).as_str()));
        let parts: Vec<&str> = parts.collect();
        let known = |part: &&str| {
            ["Path=/", "HttpOnly", "SameSite=", "Secure", "Domain="]
                .iter()
                .any(|known| part.starts_with(known))
        };
        assert!(parts.iter().all(known), "{header:?}");
        let secure = parts.contains(&"Secure");
        assert_eq!(secure, https || asked("secure"));
        let prefixed = ["__Host-", "__Secure-"].iter().any(|prefix| spec.name(https).starts_with(prefix));
        assert_eq!(secure, prefixed, "{header:?}");
        // What browsers demand of the prefix, else they drop the cookie.
        if spec.name(https).starts_with("__Host-") {
            assert!(parts.contains(&"Path=/") && !asked("domain"), "{header:?}");
        }
        assert!(secure || !parts.contains(&"SameSite=None"), "{header:?}");
        let cleared = spec.clear(https);
        assert!(cleared.contains("; Max-Age=0; Expires=") && cleared.starts_with(spec.name(https)));
    }
});
