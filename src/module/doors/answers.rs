//! What is done when an answer begins: what the handler is told of the session is made to fit the place where the
//! request stands by now, gates are put in the way of what it says, and caches are told what cannot be said any more
//! when its parts are known.

use super::export;
use super::orders;
use super::sticky::Sticky;
use crate::ffi::httpd::Request;
use crate::ffi::util_filter::{AnswerHook, watch};
use crate::module::conf;
use crate::module::visit::Visit;

pub(crate) struct Answers;

impl AnswerHook for Answers {
    fn begins(r: Request<'_>) {
        if conf::server(r.server()).heeds_backend {
            orders::answer_begins(r);
        }
        if let Some(visit) = Visit::begun(r) {
            export::follow(visit);
            lead(visit);
            mark_parts(visit);
        }
    }

    fn fails(r: Request<'_>) {
        if conf::server(r.server()).heeds_backend {
            orders::answer_fails(r);
        }
        if let Some(visit) = Visit::begun(r) {
            lead(visit);
        }
    }
}

/// What is included in a page has no headers of its own.
fn lead(visit: Visit<'_>) {
    if visit.has_strayed() && !visit.request().is_subrequest() {
        watch::<Sticky>(visit.request());
    }
}

/// Makes a page private whose later parts may ask for the session when its headers are sent.
fn mark_parts(visit: Visit<'_>) {
    if !visit.is_marked() && visit.shows_cookie() && visit.request().is_made_of_parts() {
        visit.mark_private();
    }
}
