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
    // Nor may a client have one taken out again: what it names here goes no further than this server.
    let Some(hops) = headers.get(c"Connection") else { return };
    let is_ours = |hop: &&[u8]| exported.iter().any(|ours| reads_the_same(hop.trim_ascii(), ours.as_bytes()));
    if hops.split(|&byte| byte == b',').any(|hop| is_ours(&hop)) {
        let others: Vec<&[u8]> = hops.split(|&byte| byte == b',').filter(|hop| !is_ours(hop)).collect();
        headers.set_bytes(c"Connection", &others.join(&b','));
    }
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
    fn headers_that_an_application_confuses_are_the_same() {
        for same in ["X-Session-User", "x-session-user", "X_Session_User", "X-Session.User"] {
            assert!(reads_the_same(same.as_bytes(), b"X-Session-User"), "{same}");
        }
        for other in ["X-Session-Users", "XSession-User", "X-Session-Use", ""] {
            assert!(!reads_the_same(other.as_bytes(), b"X-Session-User"), "{other}");
        }
    }
}
