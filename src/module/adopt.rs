//! Verify once: what another module authenticated becomes a session, so that it need not do so again. Also what every
//! page with a session gets: its log id, and word to caches that it is for one person.

use super::SessionCluster;
use super::answer;
use super::runtime::VirtualHost;
use super::visit::{Beginning, Known, Visit};
use crate::clock::{Clock, SystemClock};
use crate::ffi::hooks::RequestHook;
use crate::ffi::http_config::{dir_config, kept};
use crate::ffi::httpd::{Outcome, Request};
use crate::session::payload::{Means, Payload, Principal};
use crate::session::sessions::SessionError;
use crate::store::tombstone::Reason;

pub(super) struct Fixups;

impl RequestHook for Fixups {
    fn run(r: Request<'_>) -> Outcome {
        if dir_config::<SessionCluster>(r).adopts()
            && r.parent().is_none()
            && let Err(outcome) = adopt(r)
        {
            return outcome;
        }
        let Some(session) = kept::<SessionCluster>(r.first()).and_then(Visit::known_session) else {
            return Outcome::Declined;
        };
        r.environment().set(c"SESSION_LOGID", session.log_id());
        if r.is_authenticated() && r.err_headers_out().get(c"Cache-Control").is_none() {
            // Shared caches, mod_cache among them, know of Authorization but nothing of our cookie.
            r.headers_out().merge(c"Cache-Control", "private");
        }
        Outcome::Declined
    }
}

/// Makes a session of the user that another module has just authenticated, unless the session says the same already.
fn adopt(r: Request<'_>) -> Result<(), Outcome> {
    let (Some(user), Some(auth_type)) = (r.user(), r.auth_type()) else { return Ok(()) };
    if auth_type.eq_ignore_ascii_case(Means::OWN) || user.is_empty() || user.contains(char::is_control) {
        return Ok(());
    }
    let Some((visit, host)) = Visit::of(r) else { return Ok(()) };
    let means = Means { auth_type: auth_type.into(), auth_name: r.auth_name().map(Into::into) };
    let principal = Some(Principal { user: user.into(), means });
    let result = match visit.session(r, host) {
        Known::Found(session) if session.payload().principal == principal => Ok(()),
        Known::Found(session) => {
            let had = session.payload();
            if had.principal.as_ref().is_none_or(|p| p.user == user) {
                let payload = Payload { principal, ..had.clone() };
                visit.begin(r, host, &Beginning::Supersede(&session, &payload))
            } else {
                // Another person on the same browser: nothing of the old session may pass on.
                host.sessions()
                    .end(&session, Reason::Replaced, SystemClock.now())
                    .and_then(|_| anew(visit, r, host, principal))
            }
        }
        Known::Absent(_) => anew(visit, r, host, principal),
        // The page was authenticated by its own module; that there is no telling about a session takes nothing away.
        Known::Unavailable(_) => Ok(()),
    };
    result.map_err(|error| answer::failed(r, &error))
}

/// Begins a session on probation: a client that keeps no cookies would otherwise leave one behind with each request.
fn anew(
    visit: &Visit,
    r: Request<'_>,
    host: &VirtualHost,
    principal: Option<Principal>,
) -> Result<(), SessionError> {
    let payload = Payload { principal, ..Payload::default() };
    visit.begin(r, host, &Beginning::Anew { payload: &payload, probation: true })
}
