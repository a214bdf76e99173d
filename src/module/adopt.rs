//! Verify once: what another module authenticated becomes a session, so that it need not do so again. Also what every
//! page with a session gets: its log id, and word to caches that it is for one person.

use super::SessionCluster;
use super::answer;
use super::export;
use super::rights::{self, Evaluated};
use super::runtime::VirtualHost;
use super::visit::{Beginning, Known, News, Visit};
use super::vouched;
use crate::ffi::hooks::RequestHook;
use crate::ffi::http_config::{dir_config, kept};
use crate::ffi::http_log::{self, Level};
use crate::ffi::httpd::{Outcome, Request};
use crate::session::payload::{Means, Payload, Principal};
use crate::session::rights::Rights;
use crate::session::sessions::{Session, SessionError};
use crate::store::tombstone::Reason;
use std::borrow::Cow;
use std::sync::Arc;

/// When the user is known, and before it is asked what they may: that, too, is kept in the session.
pub(super) struct Adoption;

impl RequestHook for Adoption {
    fn run(r: Request<'_>) -> Outcome {
        adopt(r);
        Outcome::Declined
    }
}

pub(super) struct Fixups;

impl RequestHook for Fixups {
    fn run(r: Request<'_>) -> Outcome {
        // Some modules name the user before httpd asks for one, as mod_ssl does, and then nobody else is asked.
        adopt(r);
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

/// Makes a session of the user that another module has just authenticated, unless the session says the same already. Whatever
/// comes of it, the page was authenticated by its own module.
fn adopt(r: Request<'_>) {
    if !dir_config::<SessionCluster>(r).adopts() || r.parent().is_some() {
        return;
    }
    let (Some(user), Some(auth_type)) = (r.user(), r.auth_type()) else { return };
    // A user that stands there without having been authenticated is somebody's claim.
    if r.authenticated_by().is_none() {
        return;
    }
    if auth_type.eq_ignore_ascii_case(Means::OWN) || user.is_empty() || user.contains(char::is_control) {
        return;
    }
    let Some((visit, host)) = Visit::of(r).filter(|(visit, _)| visit.notes().adopts_first_time()) else {
        return;
    };
    let means = Means { auth_type: auth_type.into(), auth_name: r.auth_name().map(Cow::into_owned) };
    let typed = r.basic_user().and_then(|name| String::from_utf8(name).ok());
    let typed = typed.filter(|name| !name.is_empty() && name != user);
    if let Err(error) = keep(r, visit, host, Principal { user: user.into(), means, typed }) {
        answer::log_failure(r, &error);
    }
}

/// Keeps in a session that `principal` has logged in.
fn keep(
    r: Request<'_>,
    visit: &Visit,
    host: &VirtualHost,
    principal: Principal,
) -> Result<(), Arc<SessionError>> {
    let session = match visit.session(r, host) {
        Known::Found(session) => Some(session),
        Known::Absent(_) => None,
        // That there is no telling about a session takes nothing away.
        Known::Unavailable(_) => return Ok(()),
    };
    let stale = session.as_ref().is_some_and(|session| visit.is_stale(host, session));
    if let Some(session) = &session
        && !stale
        && says(session, &principal)
        && (session.payload().rights.at != 0 || !rights::asks(r))
    {
        return Ok(());
    }
    // Whose session it was: nobody's yet, or the same person's. Nothing of another's may pass on.
    let had = session.as_ref().map(|session| session.payload());
    let same = had.filter(|had| had.principal.as_ref().is_none_or(|p| p.user == principal.user));
    // Rights are a person's. What a session without one holds was given to nobody; and what is stale must be asked for.
    let known = same.filter(|had| had.principal.is_some() && (!stale || rights::asks(r)));
    let rights = match rights::evaluate(
        r,
        &known.map_or_else(Rights::default, |had| had.rights.clone()),
        true,
        host,
    ) {
        Evaluated::Rights(rights) => rights,
        Evaluated::NotAllowed => {
            http_log::request::<SessionCluster>(r, Level::Info, || {
                format!("SC0308: no session for '{}': 'login' is not granted", principal.user)
            });
            return if session.is_some() { visit.end(r, host, Reason::Admin) } else { Ok(()) };
        }
        Evaluated::Failed(why) => {
            answer::log_rights_failure(r, &why);
            return Ok(());
        }
    };
    let Some(headers) = vouched::new_headers(r, &visit.notes().noted_headers()) else {
        http_log::request::<SessionCluster>(r, Level::Warning, || {
            "SC0316: no session was begun: the module that authenticated the user sets more headers than one can keep".into()
        });
        return Ok(());
    };
    let said = same.cloned().unwrap_or_default();
    let payload = Payload { principal: Some(principal), rights, headers, ..said };
    match &session {
        Some(old) if same.is_some() => {
            visit.begin(r, host, &Beginning::Supersede { old, payload: &payload, news: News::Login })?;
        }
        _ => {
            if session.is_some() {
                visit.end_all(r, host, Reason::Replaced)?;
            }
            // On probation: a client that keeps no cookies would otherwise leave a session behind with each request.
            visit.begin(r, host, &Beginning::Anew { payload: &payload, probation: true })?;
        }
    }
    Ok(())
}

/// Whether a session says already that this very user logged in by these means.
fn says(session: &Session, principal: &Principal) -> bool {
    let Principal { user, means, .. } = principal;
    let said = session.payload().principal.as_ref();
    said.is_some_and(|said| {
        said.user == *user && said.means.open(&means.auth_type, means.auth_name.as_deref())
    })
}
