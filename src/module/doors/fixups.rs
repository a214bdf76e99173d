//! What every page gets before it is answered: what programs and backends are told of the session, its log id, and word
//! to caches that the page is for one person.

use super::adopt::adopt;
use super::export;
use super::refusal;
use crate::ffi::hooks::RequestHook;
use crate::ffi::httpd::{Outcome, Request};
use crate::module::answer;
use crate::module::visit::Visit;
use crate::session::sessions::Session;

pub(crate) struct Fixups;

impl RequestHook for Fixups {
    fn run(r: Request<'_>) -> Outcome {
        // Some modules name the user before httpd asks for one, as mod_ssl does, and then nobody else is asked.
        let adopted = adopt(r);
        if adopted != Outcome::Declined {
            return adopted;
        }
        if let Err(error) = export::export(r) {
            return answer::failed(r, &error);
        }
        let Some(visit) = Visit::begun(r) else { return Outcome::Declined };
        export::note(visit);
        refusal::allowed(visit);
        let Some(session) = visit.known_session() else { return Outcome::Declined };
        label(r, &session);
        Outcome::Declined
    }
}

/// Gives a page that a session has to do with its log id, and tells caches that it is for one person.
pub(crate) fn label(r: Request<'_>, session: &Session) {
    r.environment().set(c"SESSION_LOGID", session.log_id());
    if r.err_headers_out().get(c"Cache-Control").is_none() {
        // Shared caches, mod_cache among them, know of Authorization but nothing of our cookie. Not in headers_out,
        // which a backend's answer replaces.
        r.err_headers_out().put(c"Cache-Control", c"private");
    }
}
