//! Request headers that only this server may set, and how an application reads their names.

use crate::ffi::httpd::Request;
use std::ffi::CString;

/// Takes out of a request whatever a client sent by the name of a header that this virtual host exports.
pub(crate) fn scrub(r: Request<'_>, exported: &[CString]) {
    if exported.is_empty() {
        return;
    }
    let headers = r.headers_in();
    let forged =
        headers.names(|name| exported.iter().any(|exported| reads_the_same(name, exported.as_bytes())));
    forged.into_iter().for_each(|name| headers.unset(name));
    keep(r, |name| exported.iter().any(|ours| reads_the_same(name, ours.as_bytes())));
}

/// Lets no client have headers of ours taken out again, those that `is_ours` knows by name: what a client names in
/// `Connection` goes no further than this server. Words are told apart as mod_proxy does it.
pub(crate) fn keep(r: Request<'_>, is_ours: impl Fn(&[u8]) -> bool) {
    let headers = r.headers_in();
    let Some(hops) = headers.get(c"Connection") else { return };
    if hop_names(hops).any(&is_ours) {
        let others: Vec<&[u8]> = hop_names(hops).filter(|hop| !is_ours(hop)).collect();
        headers.set_bytes(c"Connection", &others.join(&b", "[..]));
    }
}

/// The words of a `Connection` header. mod_proxy takes commas, semicolons and white space for the end of one; what it
/// takes for one word because of quotation marks names no header.
fn hop_names(hops: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends_word = |byte: &u8| matches!(byte, b',' | b';' | b'\x0b') || byte.is_ascii_whitespace();
    hops.split(ends_word).filter(|word| !word.is_empty())
}

/// Whether an application may take one header for the other: case goes, and in a CGI environment `-` becomes `_`, as
/// does, with some servers, anything that is neither letter nor digit.
pub(crate) fn reads_the_same(a: &[u8], b: &[u8]) -> bool {
    let folded = |byte: &u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'_' };
    a.iter().map(folded).eq(b.iter().map(folded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_connection_header_end_where_a_proxy_ends_them() {
        for hops in
            ["close, X-A", "close; X-A", "close X-A", ";X-A,,close", "close\tX-A", "X-A;\"a b\"", "\"a\" X-A"]
        {
            assert!(hop_names(hops.as_bytes()).any(|word| word == b"X-A"), "{hops}");
        }
        assert!(!hop_names(b"close, X-AB, \"X-A\"").any(|word| word == b"X-A"));
    }

    #[test]
    fn headers_that_an_application_confuses_are_the_same() {
        for same in ["X-Session-User", "x-session-user", "X_Session_User", "X-Session.User"] {
            assert!(reads_the_same(same.as_bytes(), b"X-Session-User"), "{same}");
        }
        for other in ["X-Session-Users", "XSession-User", "X-Session-Use", ""] {
            assert!(!reads_the_same(other.as_bytes(), b"X-Session-User"), "{other}");
        }
    }
}
