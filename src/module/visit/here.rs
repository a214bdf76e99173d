//! Which session counts at a place.

use super::state::{Known, Visit};
use crate::ffi::httpd::Request;
use crate::session::sessions::{Session, SessionError};
use std::sync::Arc;

/// The session whose rights count where a request goes.
pub(crate) enum Here {
    /// This one.
    Session(Arc<Session>),
    /// There is none.
    Nobody,
    /// Nobody can tell.
    Unavailable(Arc<SessionError>),
}

/// The session whose rights count where `r` goes: where an `AuthType` stands, one whose login was by the same means,
/// and of the very user that the request has; elsewhere, any.
pub(crate) fn here(r: Request<'_>) -> Here {
    let Some(visit) = Visit::of(r) else { return Here::Nobody };
    let session = match visit.session() {
        Known::Found(session) => session,
        Known::Absent(_) => return Here::Nobody,
        Known::Unavailable(error) => return Here::Unavailable(error),
    };
    let Some(auth_type) = r.auth_type().filter(|auth_type| !auth_type.eq_ignore_ascii_case("None")) else {
        return Here::Session(session);
    };
    let fits = session.payload().principal.as_ref().is_some_and(|principal| {
        principal.means.open(auth_type, r.auth_name().as_deref())
            && r.user().is_none_or(|user| user == principal.user)
    });
    if fits { Here::Session(session) } else { Here::Nobody }
}
