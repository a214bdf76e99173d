//! The door: who may in, asked by httpd wherever a page requires a user. A live session of the right means opens it;
//! under `AuthType Session` nothing else does.

use super::here::{Judged, judge};
use super::refusal::refuse;
use super::vouched;
use crate::ffi::hooks::RequestHook;
use crate::ffi::httpd::{Outcome, Request, Status};
use crate::module::answer;
use crate::module::conf;
use crate::module::log;
use crate::module::visit::{Known, Visit};
use crate::session::payload::{Means, Principal};
use crate::session::sessions::Session;
use std::sync::Arc;

pub(crate) struct Door;

impl RequestHook for Door {
    fn run(r: Request<'_>) -> Outcome {
        let Some(auth_type) = r.auth_type() else { return Outcome::Declined };
        let dir = conf::dir(r);
        let own = Means::is_own(auth_type);
        if !(own || dir.adopts() || dir.provides()) {
            return Outcome::Declined;
        }
        let Some(visit) = Visit::of(r) else { return Outcome::Declined };
        let outcome = Door::decide(visit, auth_type, own);
        if outcome == Outcome::Declined && dir.adopts() {
            // Another module is asked now, and may tell applications of the user by request headers.
            visit.notes().note_headers(r.headers_in().places());
        }
        outcome
    }
}

impl Door {
    fn decide(visit: Visit<'_>, auth_type: &str, own: bool) -> Outcome {
        let r = visit.request();
        let dir = conf::dir(r);
        match visit.session() {
            Known::Found(session) => {
                let principal = session.payload().principal.as_ref();
                let fits = |p: &&Principal| p.means.open(auth_type, r.auth_name().as_deref());
                match principal.filter(fits) {
                    // A session that has to be refreshed leaves the question to the module that vouched for it.
                    Some(principal)
                        if own
                            || (dir.adopts()
                                && !shows_other_user(r, principal)
                                && !visit.is_stale(&session)) =>
                    {
                        open(visit, &session, own)
                    }
                    None if own && principal.is_some_and(|p| p.means.auth_type == Means::OWN) => {
                        other_login(r)
                    }
                    _ if own => refuse(r),
                    _ => Outcome::Declined,
                }
            }
            Known::Absent(_) if own => refuse(r),
            Known::Absent(_) => Outcome::Declined,
            Known::Unavailable(error) => answer::failed(r, &error),
        }
    }
}

/// Lets the user of a session in, once their rights are fresh enough.
fn open(visit: Visit<'_>, session: &Arc<Session>, own: bool) -> Outcome {
    let r = visit.request();
    if !own {
        // First of all: what is evaluated anew may ask for these headers, and must not ask the client.
        vouched::restore(r, session.payload());
    }
    match judge(visit, Arc::clone(session), true) {
        Judged::Counts(counted) => {
            if let Some(principal) = &counted.session().payload().principal {
                r.authenticate(&principal.user, &principal.means.auth_type);
            }
            Outcome::Ok
        }
        Judged::LoginNeeded if own => refuse(r),
        Judged::LoginNeeded => Outcome::Declined,
        Judged::Untold(error) => answer::failed(r, &error),
    }
}

/// Whether the request brings a Basic login for anybody but the user of a session, or a login of another kind.
fn shows_other_user(r: Request<'_>, principal: &Principal) -> bool {
    let is_theirs = |name: Vec<u8>| {
        name == principal.user.as_bytes()
            || principal.typed.as_ref().is_some_and(|typed| name == typed.as_bytes())
    };
    r.basic_user().is_some_and(|name| !is_theirs(name))
}

/// The visitor has logged in, but by a login for another `AuthName`. To send them to the login again would lead them in
/// circles where the login and the door were meant to be for each other.
fn other_login(r: Request<'_>) -> Outcome {
    log::OTHER_LOGIN.say_once(r, || {
        let name = log::quoted(&r.auth_name().unwrap_or_default());
        format!("the session's login was for another AuthName than {name}: give login and door the same one")
    });
    Outcome::Answer(Status::FORBIDDEN)
}
