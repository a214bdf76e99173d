//! Request headers by which an authentication module tells applications who the user is. Where the session answers in
//! its place, the session sets them as the module did when it vouched for the user, and takes out what a client sends
//! by those names.

use crate::ffi::httpd::Request;
use crate::module::headers::{keep, reads_the_same};
use crate::session::payload::{Entry, Payload, Principal};

/// Headers that say something of one request, its body, its way or what its client can take, and nothing of a user. A
/// module that sets one means this request only, as mod_auth_form does with the type of a body that it kept.
const OF_ONE_REQUEST: &[&str] = &[
    "Accept",
    "Authorization",
    "Cache-Control",
    "Connection",
    "Cookie",
    "Cookie2",
    "Date",
    "Early-Data",
    "Expect",
    "Forwarded",
    "Host",
    "HTTP2-Settings",
    "Keep-Alive",
    "Max-Forwards",
    "Origin",
    "Pragma",
    "Prefer",
    "Priority",
    "Range",
    "Referer",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Upgrade-Insecure-Requests",
    "User-Agent",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Requested-With",
];
/// Beginnings of the names of such headers.
const FAMILIES_OF_ONE_REQUEST: &[&str] =
    &["Accept-", "Access-Control-", "Content-", "If-", "Proxy-", "Sec-", "Want-"];

/// Bytes of names and values that a session keeps.
const MAX_BYTES: usize = 16 << 10;

/// The headers that were set since the values lay at `before`, even if they say the same, without those that carry a
/// login or a session, or are of this one request. `None` when they are too large to keep: the module that sets them
/// then has to be asked for each page.
pub(crate) fn new_headers(r: Request<'_>, before: &[usize]) -> Option<Vec<Entry>> {
    let headers = r.headers_in();
    let now = headers.pairs().into_iter().zip(headers.places());
    let set: Vec<Entry> = now
        .filter(|(pair, place)| !before.contains(place) && !is_of_one_request(&pair.0))
        .map(|(pair, _)| Entry::from(pair))
        .collect();
    let bytes: usize = set.iter().map(|entry| entry.name.len() + entry.value.len()).sum();
    (bytes <= MAX_BYTES).then_some(set)
}

/// Whether the module that vouched for the user of a session tells of them by headers.
pub(crate) fn has_headers(payload: &Payload) -> bool {
    !payload.headers.is_empty() || !families(payload).is_empty()
}

/// Sets the headers that a session's login came with, and no others of their families.
pub(crate) fn restore(r: Request<'_>, payload: &Payload) {
    // A session may be from a time when more was kept.
    let vouched = || payload.headers.iter().filter(|entry| !is_of_one_request(&entry.name));
    let families = families(payload);
    if families.is_empty() && vouched().next().is_none() {
        return;
    }
    let headers = r.headers_in();
    let ours = |name: &[u8]| {
        vouched().any(|entry| reads_the_same(name, entry.name.as_bytes()))
            || families
                .iter()
                .any(|family| name.get(..family.len()).is_some_and(|start| reads_the_same(start, family)))
    };
    headers.names(ours).into_iter().for_each(|name| headers.unset(name));
    keep(r, ours);
    for Entry { name, value } in vouched() {
        headers.set_bytes(r.pool().c_string(name), value);
    }
}

/// Whether a header is of [`OF_ONE_REQUEST`] or those families.
fn is_of_one_request(name: &str) -> bool {
    let begins = |start: &&str| name.get(..start.len()).is_some_and(|s| s.eq_ignore_ascii_case(start));
    OF_ONE_REQUEST.iter().any(|other| name.eq_ignore_ascii_case(other))
        || FAMILIES_OF_ONE_REQUEST.iter().any(begins)
}

/// Beginnings of names that only the module may set: mod_auth_openidc's, and those with an underscore, which no browser
/// sends.
fn families(payload: &Payload) -> Vec<&[u8]> {
    let oidc = |principal: &Principal| principal.means.auth_type.eq_ignore_ascii_case("openid-connect");
    let mut families: Vec<&[u8]> = Vec::new();
    if payload.principal.as_ref().is_some_and(oidc) {
        families.push(b"OIDC_");
    }
    for Entry { name, .. } in &payload.headers {
        families.extend(name.rfind('_').and_then(|end| name.as_bytes().get(..=end)));
    }
    families
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_describes_one_request_says_nothing_of_a_user() {
        for name in ["content-type", "Content-Length", "RANGE", "If-Match", "Accept", "accept-language", "TE"]
        {
            assert!(is_of_one_request(name), "{name}");
        }
        for name in ["X-Remote-User", "OIDC_CLAIM_sub", "ACCEPT_USER", "Rangers", "X-Forwarded-User", ""] {
            assert!(!is_of_one_request(name), "{name}");
        }
    }
}
