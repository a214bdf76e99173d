//! `SessionClusterExport`: what a session says, as environment variables for programs that httpd runs and as request headers
//! for backends. A header that is exported anywhere is never let through as a client sent it, by whatever path it came.

use super::rights::{self, Here};
use crate::ffi::http_config::{dir_config, kept};
use crate::ffi::httpd::Request;
use crate::module::SessionCluster;
use crate::module::answer;
use crate::session::rights::SEPARATOR;
use crate::session::sessions::SessionError;
use std::ffi::CString;
use std::sync::Arc;

/// One thing to export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Fact or attribute.
    pub what: String,
    /// Environment or header.
    pub kind: Kind,
    /// Name of the variable or header.
    pub name: CString,
}

/// Where something is exported to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The environment of programs.
    Env,
    /// The headers that a backend gets.
    Header,
}

/// Exports what is to be exported where `r` goes.
///
/// # Errors
/// When nobody can tell what the session says: a program must not take its user for somebody who is not logged in.
pub(crate) fn export(r: Request<'_>) -> Result<(), Arc<SessionError>> {
    let Some(exports) = dir_config::<SessionCluster>(r).exports.get() else { return Ok(()) };
    // A visitor without a cookie costs nothing more than this.
    let here = if kept::<SessionCluster>(r.first()).is_some() { rights::here(r) } else { Here::Nobody };
    if let Here::Unavailable(error) = here {
        return Err(error);
    }
    let mut value = Vec::new();
    for Export { what, kind, name } in exports.iter() {
        value.clear();
        if let Here::Session(session) = &here {
            rights::each_value(session, what, |one| {
                value.extend_from_slice(if value.is_empty() { b"" } else { SEPARATOR });
                value.extend_from_slice(one);
            });
        }
        let table = match kind {
            Kind::Env => r.environment(),
            Kind::Header => r.headers_in(),
        };
        // What a line break or a NUL would make of a header, or a log, is not for a session to say.
        let clean = !value.iter().any(u8::is_ascii_control);
        if !clean {
            answer::log_unclean(r, what);
        }
        if value.is_empty() || !clean {
            table.unset(name);
        } else {
            table.set(name, &value);
        }
    }
    Ok(())
}

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

/// Whether an application may take one header for the other: case goes, and in a CGI environment `-` becomes `_`, as does,
/// with some servers, anything that is neither letter nor digit.
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
