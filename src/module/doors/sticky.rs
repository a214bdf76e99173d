//! The sticky route: a browser whose cookie leads to another node, because that one is away, or was given no route,
//! gets the same cookie with this node's, once, and the balancer then leaves it here. Decided when the answer begins:
//! what happened to the session meanwhile counts. Where no route is configured, every cookie leads here.

use crate::ffi::httpd::{Outcome, Request};
use crate::ffi::util_filter::AnswerGate;
use crate::module::visit::Visit;
use std::ffi::CStr;

pub(crate) struct Sticky;

impl AnswerGate for Sticky {
    const NAME: &CStr = c"SESSION_CLUSTER_ROUTE";

    fn pass(r: Request<'_>) -> Outcome {
        if let Some(visit) = Visit::of(r) {
            visit.lead_here();
        }
        Outcome::Ok
    }
}
