//! What mod_session does not tell: that the session of a page could not be loaded, or was not saved. It would go on as
//! if there were none, and as if it were. Each is answered as any other door answers it: try again later.

use crate::ffi::httpd::{Outcome, Request, Status};
use crate::ffi::mod_session;
use crate::ffi::util_filter::{AnswerGate, watch};
use crate::module::answer;
use crate::module::conf;
use crate::module::visit::Visit;
use std::ffi::CStr;

/// Has mod_session load its session where ours are its, if it keeps one there. Anything but `Declined` is to be
/// answered in the place of the page.
pub(super) fn load(r: Request<'_>) -> Outcome {
    if !conf::dir(r).provides() {
        return Outcome::Declined;
    }
    mod_session::load(r);
    let Some(visit) = Visit::begun(r) else { return Outcome::Declined };
    match visit.notes().not_loaded() {
        // The page that tells of an outage must not be refused for it.
        Some(_) if visit.notes().is_refused() || tells_of_outage(r) => Outcome::Declined,
        Some(status) => answered(r, status),
        None => Outcome::Declined,
    }
}

fn tells_of_outage(r: Request<'_>) -> bool {
    std::iter::successors(r.parent(), |r| r.parent()).any(|r| r.status() == Status::UNAVAILABLE)
}

fn answered(r: Request<'_>, status: Status) -> Outcome {
    if status == Status::UNAVAILABLE { answer::try_later(r) } else { Outcome::Answer(status) }
}

/// Stands behind mod_session's own filter, where what it had to save was not saved.
pub(crate) struct Kept;

impl Kept {
    /// Notes that it was not, and has the answer to `r` stopped.
    pub(super) fn not_saved(visit: Visit<'_>, status: Status) {
        visit.notes().note_unsaved(status);
        // It saves when the first of the answer comes by, before any of that is sent. Later, nobody can be told.
        if !visit.request().headers_are_sent() {
            watch::<Kept>(visit.request());
        }
    }
}

impl AnswerGate for Kept {
    const NAME: &CStr = c"SESSION_CLUSTER_KEPT";

    fn pass(r: Request<'_>) -> Outcome {
        let Some(visit) = Visit::begun(r) else { return Outcome::Ok };
        let Some(status) = visit.notes().unsaved() else { return Outcome::Ok };
        if visit.notes().is_refused() {
            // The error page of an answer that was stopped here.
            if status == Status::UNAVAILABLE {
                answer::say_try_later(r);
            }
            return Outcome::Ok;
        }
        visit.notes().refuse();
        answered(r, status)
    }
}
