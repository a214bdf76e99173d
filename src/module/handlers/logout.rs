//! The logout handler. POST ends the session, then and there; GET only asks, because a link or an image must not be
//! able to log anybody out.

use super::address::{return_address, target};
use crate::ffi::http_protocol::Form;
use crate::ffi::httpd::{Outcome, Request};
use crate::module::answer;
use crate::module::pages;
use crate::module::posted::{self, Asked, Bounds};
use crate::module::visit::{Known, Visit};
use crate::session::scope::{Effect, Scope};
use crate::store::tombstone::Reason;

const FORM: Bounds = Bounds { fields: 4, bytes: 4096, optional: true };

pub(super) fn handle(r: Request<'_>) -> Outcome {
    let Some(visit) = Visit::of(r) else { return Outcome::Declined };
    match posted::asked(r, FORM) {
        Ok(Asked::Page) => show(visit),
        Ok(Asked::Form(form)) => log_out(visit, &form),
        Err(outcome) => outcome,
    }
}

fn show(visit: Visit<'_>) -> Outcome {
    let r = visit.request();
    let to = return_address(r).filter(|to| target(r, Some(to)) == **to);
    match visit.session() {
        Known::Found(session) => {
            let user = session.payload().principal.as_ref().map(|principal| principal.user.as_str());
            pages::confirm_logout(r, user, to.as_deref())
        }
        Known::Absent(_) => pages::signed_out(r, &target(r, None)),
        Known::Unavailable(error) => answer::not_done(r, &error),
    }
}

fn log_out(visit: Visit<'_>, form: &Form) -> Outcome {
    let r = visit.request();
    if let (Some(_), Known::Found(session)) = (form.get("everywhere"), visit.session())
        && let Some(principal) = &session.payload().principal
        && let Err(error) = visit.mark(Scope::Person(principal), Effect::End)
    {
        return answer::not_done(r, &error);
    }
    if let Err(error) = visit.end(Reason::Logout) {
        return answer::not_done(r, &error);
    }
    // Browsers show pages that they left without asking for them again, whatever Cache-Control says.
    r.err_headers_out().set(c"Clear-Site-Data", "\"cache\"");
    match form.get("httpd_location") {
        Some(to) => pages::see_other(r, &target(r, Some(to))),
        None => pages::signed_out(r, &target(r, None)),
    }
}
