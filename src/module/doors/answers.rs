//! What is done when an answer begins: what the handler is told of the session is made to fit the place where the
//! request stands by now, and gates are put in the way of what it says.

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
