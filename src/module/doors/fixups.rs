//! What every page gets before it is answered: what programs and backends are told of the session, its log id, and word
//! to caches that the page is for one person.

use super::adopt::adopt;
use super::export;
use super::kept;
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
        let loaded = kept::load(r);
        if loaded != Outcome::Declined {
            return loaded;
        }
        if let Err(error) = export::export(r) {
            return answer::failed(r, &error);
        }
        let Some(visit) = Visit::begun(r) else { return Outcome::Declined };
        // What is only looked up, as an index is, says nothing of where its parent was let in.
        if !r.is_subrequest() {
            visit.notes().let_in(r.place(), r.place_of_settings());
        }
        export::note(visit);
        refusal::allowed(visit);
        if visit.has_asked() {
            // Also where the session was asked for on the way here.
            visit.mark_private();
        }
        if let Some(session) = visit.known_session() {
            label(r, &session);
        }
        Outcome::Declined
    }
}

/// Gives a page that a session has to do with its log id.
pub(super) fn label(r: Request<'_>, session: &Session) {
    r.environment().set(c"SESSION_LOGID", session.log_id());
}
