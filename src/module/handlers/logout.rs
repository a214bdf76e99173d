//! The logout handler. POST ends the session, then and there; GET only asks, because a link or an image must not be
//! able to log anybody out.

use super::login::{is_cross_site, return_address, target};
use crate::ffi::http_protocol::{Form, discard_body};
use crate::ffi::httpd::{Outcome, Request, Status};
use crate::module::answer;
use crate::module::pages;
use crate::module::visit::{Known, Visit};
use crate::session::scope::{Effect, Scope};
use crate::store::tombstone::Reason;

pub(crate) fn handle(r: Request<'_>) -> Outcome {
    let Some((visit, host)) = Visit::of(r) else { return Outcome::Declined };
    match r.method() {
        "GET" | "HEAD" => {
            let to = return_address(r).filter(|to| target(r, Some(to)) == **to);
            match visit.session(r, host) {
                Known::Found(session) => {
                    let user = session.payload().principal.as_ref().map(|principal| principal.user.as_str());
                    pages::confirm_logout(r, user, to.as_deref())
                }
                Known::Absent(_) => pages::signed_out(r, &target(r, None)),
                Known::Unavailable(error) => answer::not_done(r, &error),
            }
        }
        "POST" if is_cross_site(r) => {
            discard_body(r);
            Outcome::Answer(Status::FORBIDDEN)
        }
        "POST" => {
            let form = match Form::read(r, 4, 4096) {
                Ok(form) => Some(form),
                Err(Status::UNSUPPORTED_MEDIA_TYPE) => {
                    discard_body(r);
                    None
                }
                Err(status) => return Outcome::Answer(status),
            };
            let everywhere = form.as_ref().is_some_and(|form| form.get("everywhere").is_some());
            if let (true, Known::Found(session)) = (everywhere, visit.session(r, host))
                && let Some(principal) = &session.payload().principal
                && let Err(error) = visit.mark(host, Scope::User(&principal.user), Effect::End)
            {
                return answer::not_done(r, &error);
            }
            if let Err(error) = visit.end(r, host, Reason::Logout) {
                return answer::not_done(r, &error);
            }
            // Browsers show pages that they left without asking for them again, whatever Cache-Control says.
            r.err_headers_out().set(c"Clear-Site-Data", "\"cache\"");
            match form.as_ref().and_then(|form| form.get("httpd_location")) {
                Some(to) => pages::see_other(r, &target(r, Some(to))),
                None => pages::signed_out(r, &target(r, None)),
            }
        }
        _ => pages::method_not_allowed(r),
    }
}
