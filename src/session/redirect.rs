//! Return addresses: where a visitor goes after a login or logout. An address that a visitor brings along is used only
//! when every browser resolves it to this host, and a server that decodes it once reads it as a path under an allowed
//! prefix. Addresses are refused, never repaired.

#[cfg(test)]
mod browser;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod hostile;

/// Longest return address, in bytes.
pub const MAX_TARGET: usize = 2048;

/// The paths that a return address may lie under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo {
    /// Without a slash at the end, so that the whole host is the empty string.
    prefixes: Vec<String>,
}

impl ReturnTo {
    /// Allows the paths at and below each of `prefixes`; no prefix at all means the whole host.
    ///
    /// # Errors
    /// When a prefix is not a path that [`ReturnTo::accept`] could ever accept.
    pub fn new(prefixes: &[&str]) -> Result<Self, PrefixError> {
        if prefixes.is_empty() {
            return Ok(Self::default());
        }
        let mut allowed = Vec::with_capacity(prefixes.len());
        for prefix in prefixes {
            match local_path(prefix) {
                // No query and no fragment: the path is all there is.
                Some(path) if path.len() == prefix.len() => {
                    allowed.push(path.strip_suffix('/').unwrap_or(path).to_owned());
                }
                _ => return Err(PrefixError((*prefix).to_owned())),
            }
        }
        Ok(ReturnTo { prefixes: allowed })
    }

    /// `target` itself if it is a path on this host, perhaps with a query and a fragment, under an allowed prefix.
    #[must_use]
    pub fn accept<'a>(&self, target: &'a str) -> Option<&'a str> {
        let path = local_path(target)?;
        let is_under = |prefix: &String| {
            path.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.prefixes.iter().any(is_under).then_some(target)
    }

    /// Where to go when no target is wanted, or none that is allowed: the first prefix.
    #[must_use]
    pub fn default_target(&self) -> &str {
        self.prefixes.first().map(String::as_str).filter(|prefix| !prefix.is_empty()).unwrap_or("/")
    }
}

impl Default for ReturnTo {
    /// The whole host.
    fn default() -> Self {
        ReturnTo { prefixes: vec![String::new()] }
    }
}

/// A prefix that is not a plain path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no path to return to: begin with one /, without host, query or .., such as /app")]
pub struct PrefixError(pub String);

/// Percent-encodes `text` for use as a value in a query: all but unreserved characters (RFC 3986), so `/` too.
#[must_use]
pub fn encode_query(text: &str) -> String {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            encoded.push('%');
            encoded.extend(digits.map(char::from));
        }
    }
    encoded
}

/// The path of `target` (all before its query or fragment) if all of `target` is harmless.
fn local_path(target: &str) -> Option<&str> {
    if target.len() > MAX_TARGET || !target.bytes().all(is_plain) {
        return None;
    }
    let path = target.split(['?', '#']).next()?;
    let inside = path.strip_prefix('/')?;
    if inside.starts_with('/') || !inside.split('/').all(is_segment) {
        return None;
    }
    let suffix = target.strip_prefix(path)?;
    Decoded(suffix.bytes()).all(|byte| matches!(byte, Ok(byte) if is_harmless(byte))).then_some(path)
}

/// Whether a byte may stand in an address as it is. Browsers drop TAB and line ends, read `\` as `/`, and encode
/// white space, quotes and angle brackets before they send them.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>')
}

/// Whether a byte may be hidden behind a percent-escape, or stand plain.
const fn is_harmless(byte: u8) -> bool {
    !byte.is_ascii_control() && byte != b'\\'
}

/// Whether a path segment means what it says: no escape that some server would read as a separator, and no step
/// up. Some servers cut parameters off first, so `..;x` is a step up as well.
fn is_segment(segment: &str) -> bool {
    let (mut dots, mut others, mut in_parameters) = (0_u8, false, false);
    for byte in Decoded(segment.bytes()) {
        match byte {
            Ok(byte) if !is_harmless(byte) || byte == b'/' => return false,
            Err(BadEscape) => return false,
            Ok(b';') => in_parameters = true,
            Ok(b'.') if !in_parameters => dots = dots.saturating_add(1),
            Ok(_) => others |= !in_parameters,
        }
    }
    others || !matches!(dots, 1 | 2)
}

/// The bytes of a text with its percent-escapes decoded, once.
struct Decoded<'a>(std::str::Bytes<'a>);

/// A `%` that is not followed by two hex digits.
struct BadEscape;

impl Iterator for Decoded<'_> {
    type Item = Result<u8, BadEscape>;

    fn next(&mut self) -> Option<Self::Item> {
        let byte = self.0.next()?;
        if byte != b'%' {
            return Some(Ok(byte));
        }
        let mut digit = || self.0.next().and_then(|digit| char::from(digit).to_digit(16));
        let decoded = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        Some(decoded.ok_or(BadEscape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn app() -> ReturnTo {
        ReturnTo::new(&["/app", "/docs/"]).unwrap()
    }

    #[test]
    fn ordinary_addresses_come_back_unchanged() {
        let everywhere = ReturnTo::default();
        for address in [
            "/",
            "/app",
            "/app/",
            "/a/b.html?x=1&y=%2Fz#top",
            "/?next=//other.example/",
            "/caf%C3%A9/%7Ealice/...",
            "/a/.hidden/b..c/100%25",
            "/a;v=1/b,c/(d)!$&'*+=:@-._~",
            "/a//b",
        ] {
            assert_eq!(everywhere.accept(address), Some(address));
        }
    }

    #[test]
    fn a_prefix_ends_at_a_segment_boundary() {
        for inside in ["/app", "/app/", "/app/x", "/app?x", "/app#x", "/docs", "/docs/x"] {
            assert_eq!(app().accept(inside), Some(inside));
        }
        for outside in
            ["/", "/application", "/app.html", "/app;x", "/App", "/x/app", "/%61pp", "/app%2fx", "/app/../x"]
        {
            assert_eq!(app().accept(outside), None, "{outside:?}");
        }
    }

    #[test]
    fn an_address_has_a_longest_length() {
        let longest = format!("/{}", "x".repeat(MAX_TARGET - 1));
        assert!(ReturnTo::default().accept(&longest).is_some());
        assert!(ReturnTo::default().accept(&format!("{longest}x")).is_none());
    }

    #[test]
    fn a_prefix_is_a_plain_path() {
        for wrong in
            ["", "app", "//app", "/app?x", "/app#", "/a/../b", "/a b", "https://host.example/", "/%2f"]
        {
            assert_eq!(ReturnTo::new(&["/", wrong]), Err(PrefixError(wrong.into())));
        }
        assert_eq!(ReturnTo::new(&[]), Ok(ReturnTo::default()));
        assert_eq!(ReturnTo::new(&["/"]), Ok(ReturnTo::default()));
    }

    #[test]
    fn a_query_value_holds_no_special_byte() {
        assert_eq!(encode_query("/a b?x=\u{e9}&~-._"), "%2Fa%20b%3Fx%3D%C3%A9%26~-._");
    }

    #[test]
    fn the_reference_resolver_sees_through_known_tricks() {
        for trick in
            ["//evil.example", "/\\evil.example", "/\t/evil.example", " //evil.example", "https:evil.example"]
        {
            assert_eq!(browser::path_on_this_host(trick), None, "{trick:?}");
        }
        assert_eq!(browser::path_on_this_host("/a/./b/%2E%2e/c").as_deref(), Some("/a/c"));
        assert_eq!(browser::path_on_this_host("/a/..").as_deref(), Some("/"));
    }

    /// Addresses made of the pieces that tricks are made of.
    fn addresses() -> impl Strategy<Value = String> {
        let pieces = proptest::sample::select(vec![
            "/",
            "/",
            "/",
            "app",
            "app",
            "docs",
            "evil.example",
            ".",
            "..",
            ";",
            "\\",
            ":",
            "@",
            "?",
            "#",
            "%",
            "%2e",
            "%2E",
            "%2f",
            "%5c",
            "%41",
            "%09",
            "%00",
            "%c3%a9",
            "%252f",
            "\t",
            "\n",
            "\r",
            " ",
            "https:",
            "\u{ff0f}",
            "\u{7f}",
            "&x=y",
        ]);
        proptest::collection::vec(pieces, 0..9).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn an_accepted_address_stays_on_the_host_and_under_its_prefix(address in addresses()) {
            if ReturnTo::default().accept(&address).is_some() {
                browser::assert_stays(&address, "/");
            }
            // Half of the addresses begin where something can be accepted.
            let address = format!("/app{address}");
            if ReturnTo::new(&["/app"]).unwrap().accept(&address).is_some() {
                browser::assert_stays(&address, "/app");
            }
        }

        #[test]
        fn noise_stays_on_the_host_or_is_refused(address in any::<String>()) {
            for address in [format!("/{address}"), address] {
                if ReturnTo::default().accept(&address).is_some() {
                    browser::assert_stays(&address, "/");
                }
            }
        }

        #[test]
        fn a_query_value_decodes_to_what_it_was(text in any::<String>()) {
            let encoded = encode_query(&text);
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
            prop_assert_eq!(browser::decoded(&encoded), text.as_bytes());
        }
    }
}
