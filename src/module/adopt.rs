//! Verify once: what another module authenticated becomes a session, so that it need not do so again. Also what every
//! page with a session gets: its log id, and word to caches that it is for one person.

use super::SessionCluster;
use super::answer;
use super::export;
use super::rights::{self, Evaluated};
use super::runtime::VirtualHost;
use super::visit::{Beginning, Known, News, Visit};
use crate::ffi::hooks::RequestHook;
use crate::ffi::http_config::{dir_config, kept};
use crate::ffi::http_log::{self, Level};
use crate::ffi::httpd::{Outcome, Request};
use crate::session::payload::{Means, Payload, Principal};
use crate::session::rights::Rights;
use crate::session::sessions::{Session, SessionError};
use crate::store::tombstone::Reason;
use std::borrow::Cow;

pub(super) struct Fixups;

impl RequestHook for Fixups {
    fn run(r: Request<'_>) -> Outcome {
        if dir_config::<SessionCluster>(r).adopts() && r.parent().is_none() {
            adopt(r);
        }
        export::export(r);
        let Some(session) = kept::<SessionCluster>(r.first()).and_then(Visit::known_session) else {
            return Outcome::Declined;
        };
        label(r, &session);
        Outcome::Declined
    }
}

/// Gives a page that a session has to do with its log id, and tells caches that it is for one person.
pub(super) fn label(r: Request<'_>, session: &Session) {
    r.environment().set(c"SESSION_LOGID", session.log_id());
    if r.err_headers_out().get(c"Cache-Control").is_none() {
        // Shared caches, mod_cache among them, know of Authorization but nothing of our cookie. Not in headers_out,
        // which a backend's answer replaces.
        r.err_headers_out().set(c"Cache-Control", "private");
    }
}

/// Makes a session of the user that another module has just authenticated, unless the session says the same already.
fn adopt(r: Request<'_>) {
    let (Some(user), Some(auth_type)) = (r.user(), r.auth_type()) else { return };
    // A user that stands there without having been authenticated is somebody's claim.
    if r.authenticated_by().is_none() {
        return;
    }
    if auth_type.eq_ignore_ascii_case(Means::OWN) || user.is_empty() || user.contains(char::is_control) {
        return;
    }
    let Some((visit, host)) = Visit::of(r) else { return };
    let means = Means { auth_type: auth_type.into(), auth_name: r.auth_name().map(Cow::into_owned) };
    let principal = Some(Principal { user: user.into(), means });
    let evaluate = |had: &Rights| match rights::evaluate(r, had, true, host) {
        Evaluated::Rights(rights) => Some(rights),
        Evaluated::NotAllowed => {
            http_log::request::<SessionCluster>(r, Level::Info, || {
                format!("SC0308: no session for '{user}': 'login' is not granted")
            });
            None
        }
        Evaluated::Failed(why) => {
            answer::log_rights_failure(r, &why);
            None
        }
    };
    let result = match visit.session(r, host) {
        Known::Found(session)
            if says(&session, user, auth_type, r.auth_name().as_deref())
                && !visit.is_stale(host, &session) =>
        {
            Ok(())
        }
        Known::Found(session) => {
            let had = session.payload();
            if had.principal.as_ref().is_none_or(|p| p.user == user) {
                // Rights are a person's. What a session without one holds was given to nobody.
                let none = Rights::default();
                let rights = if had.principal.is_some() { &had.rights } else { &none };
                let Some(rights) = evaluate(rights) else { return };
                let payload = Payload { principal, rights, ..had.clone() };
                let news = News::Login;
                visit.begin(r, host, &Beginning::Supersede { old: &session, payload: &payload, news })
            } else {
                // Another person on the same browser: nothing of the old session may pass on.
                match visit.end_all(r, host, Reason::Replaced) {
                    Ok(()) => match evaluate(&Rights::default()) {
                        Some(rights) => anew(visit, r, host, principal, rights),
                        None => Ok(()),
                    },
                    Err(error) => {
                        answer::log_failure(r, &error);
                        Ok(())
                    }
                }
            }
        }
        Known::Absent(_) => match evaluate(&Rights::default()) {
            Some(rights) => anew(visit, r, host, principal, rights),
            None => Ok(()),
        },
        // The page was authenticated by its own module; that there is no telling about a session takes nothing away.
        Known::Unavailable(_) => Ok(()),
    };
    // The page was authenticated by its own module, and is served in any case.
    if let Err(error) = result {
        answer::log_failure(r, &error);
    }
}

/// Whether a session says already that `user` logged in by these means.
fn says(session: &Session, user: &str, auth_type: &str, auth_name: Option<&str>) -> bool {
    let principal = session.payload().principal.as_ref();
    principal.is_some_and(|p| p.user == user && p.means.open(auth_type, auth_name))
}

/// Begins a session on probation: a client that keeps no cookies would otherwise leave one behind with each request.
fn anew(
    visit: &Visit,
    r: Request<'_>,
    host: &VirtualHost,
    principal: Option<Principal>,
    rights: Rights,
) -> Result<(), SessionError> {
    let payload = Payload { principal, rights, ..Payload::default() };
    visit.begin(r, host, &Beginning::Anew { payload: &payload, probation: true })
}
