//! Verify once: what another module authenticated becomes a session, so that it need not do so again.

use super::name::session_name;
use super::rights;
use super::vouched;
use crate::ffi::hooks::RequestHook;
use crate::ffi::httpd::{Outcome, Request};
use crate::module::answer;
use crate::module::conf;
use crate::module::htaccess;
use crate::module::log;
use crate::module::visit::{Known, Visit};
use crate::session::payload::{Means, Payload, Principal};
use crate::session::rights::{Evaluated, Rights};
use crate::session::sessions::{Session, SessionError};
use crate::session::sign_in::{Beginning, Change, Voucher};
use crate::store::tombstone::Reason;
use std::borrow::Cow;
use std::sync::Arc;

/// When the user is known, and before it is asked what they may: that, too, is kept in the session.
pub(crate) struct Adoption;

impl RequestHook for Adoption {
    fn run(r: Request<'_>) -> Outcome {
        adopt(r)
    }
}

/// Makes a session of the user that another module has just authenticated, unless the session says the same already.
/// The page was authenticated by its own module, and is served, unless nobody can tell what rights go with it.
pub(crate) fn adopt(r: Request<'_>) -> Outcome {
    if !conf::dir(r).adopts() || r.parent().is_some() {
        return Outcome::Declined;
    }
    let (Some(user), Some(auth_type)) = (r.user(), r.auth_type()) else { return Outcome::Declined };
    // A user that stands there without having been authenticated is somebody's claim.
    if r.authenticated_by().is_none() {
        return Outcome::Declined;
    }
    if Means::is_own(auth_type) || user.is_empty() || user.contains(char::is_control) {
        return Outcome::Declined;
    }
    let Some(visit) = Visit::of(r).filter(|visit| visit.notes().adopts_first_time()) else {
        return Outcome::Declined;
    };
    if htaccess::vouches(r) {
        return Outcome::Declined;
    }
    let Some(name) = session_name(r, user) else { return Outcome::Declined };
    if name != user {
        // This page, too, has the name that the session will give to all others.
        r.claim_user(Some(name));
    }
    let means = Means { auth_type: auth_type.into(), auth_name: r.auth_name().map(Cow::into_owned) };
    let typed = r.basic_user().and_then(|typed| String::from_utf8(typed).ok());
    let typed = typed.unwrap_or_else(|| user.to_owned());
    let typed = Some(typed).filter(|typed| !typed.is_empty() && typed != name);
    keep(visit, Principal { user: name.into(), means, typed }).unwrap_or_else(|error| {
        log::failure(r, &error);
        Outcome::Declined
    })
}

/// Keeps in a session that `principal` has logged in.
fn keep(visit: Visit<'_>, principal: Principal) -> Result<Outcome, Arc<SessionError>> {
    let r = visit.request();
    let session = match visit.session() {
        Known::Found(session) => Some(session),
        Known::Absent(_) => None,
        // That nobody can tell of a session takes nothing away.
        Known::Unavailable(_) => return Ok(Outcome::Declined),
    };
    let stale = session.as_ref().is_some_and(|session| visit.is_stale(session));
    let same = session.as_ref().filter(|session| says(session, &principal));
    if let Some(session) = same
        && !stale
        && rights::unasked(r, session.payload()).is_none()
    {
        return Ok(Outcome::Declined);
    }
    // Where the session itself opened the door, or no door was asked, nothing was noted.
    let noted = visit.notes().noted_headers();
    let vouched = noted.is_some() || same.is_none();
    // Rights are of a login. What another login of the same name was given, or nobody, is not theirs.
    let had = session.as_ref().map(|session| session.payload());
    let by_same = |p: &Principal| p.user == principal.user && p.means == principal.means;
    let known = had.filter(|had| had.principal.as_ref().is_some_and(by_same));
    let known = known.map_or_else(Rights::default, |had| had.rights.clone());
    let rights = match rights::evaluate(visit, &principal.user, &known, vouched) {
        Evaluated::Rights(rights) => rights,
        Evaluated::NotAllowed => {
            if session.is_some() {
                visit.end(Reason::Admin)?;
            }
            return Ok(Outcome::Declined);
        }
        Evaluated::Failed(_) => return Ok(answer::try_later(r)),
    };
    if let (Some(old), false) = (same, vouched) {
        // Nobody proved anew who the user is, and what the module that did said of them stays.
        let had_none = old.payload().rights == Rights::default();
        let change = if had_none { Change::FirstRights } else { Change::Rights };
        // Who names the user for each page, before a door could be asked, has done so again.
        let fresh_under = if stale { visit.watermark().as_millis() } else { old.payload().fresh_under };
        let payload = Payload { rights, fresh_under, ..old.payload().clone() };
        visit.begin(Beginning::InPlaceOf { old, payload: &payload, change })?;
        return Ok(Outcome::Declined);
    }
    let headers = noted.map_or_else(|| Some(Vec::new()), |before| vouched::new_headers(r, &before));
    let Some(headers) = headers else {
        log::TOO_MANY_HEADERS.say(r, || {
            "no session was begun: the module that authenticated the user sets more headers than one can keep".into()
        });
        return Ok(Outcome::Declined);
    };
    let payload = Payload { principal: Some(principal), rights, headers, ..Payload::default() };
    visit.sign_in(Voucher::Module, payload, session.as_deref())?;
    Ok(Outcome::Declined)
}

/// Whether a session says already that this very user logged in by these means.
fn says(session: &Session, principal: &Principal) -> bool {
    let Principal { user, means, .. } = principal;
    let said = session.payload().principal.as_ref();
    said.is_some_and(|said| {
        said.user == *user && said.means.open(&means.auth_type, means.auth_name.as_deref())
    })
}
