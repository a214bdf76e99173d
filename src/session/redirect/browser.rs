//! How a browser resolves a return address, told apart from the code under test: the parts of the WHATWG URL
//! parser that decide which host and path a relative address leads to. Knows no rule of what we accept.

/// Where a browser goes from a page of `https://host.example/` when it is sent to `target`: the path, or `None` if it
/// leaves the host (or follows another scheme).
pub(crate) fn path_on_this_host(target: &str) -> Option<String> {
    let trimmed = target.trim_matches(|c: char| c <= ' ');
    let text: String = trimmed.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
    if has_scheme(&text) {
        return None;
    }
    let path = text.split(['?', '#']).next().unwrap_or_default().replace('\\', "/");
    if path.starts_with("//") {
        return None;
    }
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = path.trim_start_matches('/').split('/').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part.to_ascii_lowercase().replace("%2e", ".").as_str() {
            ".." => {
                segments.pop();
                if last {
                    segments.push("");
                }
            }
            "." if last => segments.push(""),
            "." => {}
            _ => segments.push(part),
        }
    }
    Some(format!("/{}", segments.join("/")))
}

/// A path as a server reads it: percent-escapes decoded once, bad ones left as they are.
pub(crate) fn decoded(path: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), path.as_bytes());
    while let [first, tail @ ..] = rest {
        let escape =
            tail.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let is_hex = |digits: &&str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        match escape.filter(is_hex).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

/// Panics unless `target`, which was accepted under `prefix`, leads every browser and every server to a path of this
/// host under it.
pub(crate) fn assert_stays(target: &str, prefix: &str) {
    let written = target.split(['?', '#']).next().unwrap_or_default();
    let resolved = path_on_this_host(target);
    assert_eq!(resolved.as_deref(), Some(written), "a browser goes elsewhere with {target:?}");
    let is_under = |path: &[u8]| {
        let rest = path.strip_prefix(prefix.trim_end_matches('/').as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    let read = decoded(written);
    assert!(is_under(&read), "a server reads {target:?} as outside of {prefix:?}");
    assert!(!read.iter().any(|&byte| byte < b' ' || byte == 0x7f || byte == b'\\'), "{target:?}");
    assert!(!has_steps(&read), "a server that decodes first goes elsewhere with {target:?}");
    let segments = read.split(|&byte| byte == b'/').count();
    assert_eq!(segments, written.split('/').count(), "a server sees other segments in {target:?}");
    assert!(
        !decoded(target).iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)),
        "{target:?} splits a header"
    );
}

/// Whether a decoded path has a segment `.` or `..`, perhaps with parameters behind a `;`.
fn has_steps(path: &[u8]) -> bool {
    let name = |segment: &[u8]| segment.split(|&byte| byte == b';').next().map(<[u8]>::to_vec);
    path.split(|&byte| byte == b'/').any(|segment| matches!(name(segment).as_deref(), Some(b"." | b"..")))
}

fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}
