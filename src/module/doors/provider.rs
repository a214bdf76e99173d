//! mod_session's provider: where `SessionCluster On` stands, the entries that mod_session and its friends keep (such as
//! mod_auth_form's) live in our sessions. First save of something = begin, unchanged = nothing, changed = supersede,
//! emptied = end.

use super::fixups::label;
use super::kept::Kept;
use crate::ffi::httpd::{Outcome, Request};
use crate::ffi::mod_session::{SessionProvider, SessionRec};
use crate::module::answer;
use crate::module::conf;
use crate::module::session_cluster::SessionCluster;
use crate::module::visit::{Known, Visit};
use crate::session::payload::{Entry, Means, Payload};
use crate::session::sessions::{Session, SessionError};
use crate::session::sign_in::{Beginning, Change, Voucher};
use crate::store::tombstone::Reason;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Provider;

impl SessionProvider for Provider {
    type Module = SessionCluster;

    fn provides(r: Request<'_>) -> bool {
        conf::dir(r).provides() && Visit::of(r).is_some()
    }

    fn load(r: Request<'_>) -> Result<Vec<(String, Vec<u8>)>, Outcome> {
        let Some(visit) = Visit::of(r) else { return Ok(Vec::new()) };
        // Asked again, also for the error page: it has been said.
        if let Some(status) = visit.notes().not_loaded() {
            return Err(Outcome::Answer(status));
        }
        entries(visit).map_err(|error| {
            let outcome = answer::failed(r, &error);
            if let Outcome::Answer(status) = outcome {
                visit.notes().note_not_loaded(status);
            }
            outcome
        })
    }

    fn save(r: Request<'_>, z: SessionRec<'_>) -> Outcome {
        let Some(visit) = Visit::of(r) else { return Outcome::Declined };
        // The error page in place of an answer whose session was not saved.
        if let Some(status) = visit.notes().unsaved() {
            Kept::not_saved(visit, status);
            return Outcome::Answer(status);
        }
        let entries: Vec<Entry> = z.entries().into_iter().map(Entry::from).collect();
        let saved = match visit.session() {
            Known::Found(session) => save(visit, &session, entries, z.max_age()),
            Known::Absent(_) if entries.is_empty() => Ok(()),
            Known::Absent(_) => {
                let payload = Payload { entries, max_age: z.max_age(), ..Payload::default() };
                visit
                    .begin(Beginning::Anew { payload: &payload, probation: false })
                    .map(drop)
                    .map_err(Arc::new)
            }
            Known::Unavailable(error) => Err(error),
        };
        let Err(error) = saved else { return Outcome::Ok };
        let outcome = answer::failed(r, &error);
        if let Outcome::Answer(status) = outcome {
            Kept::not_saved(visit, status);
        }
        outcome
    }
}

/// The entries of the session that a visitor comes with.
fn entries(visit: Visit<'_>) -> Result<Vec<(String, Vec<u8>)>, Arc<SessionError>> {
    match visit.session() {
        // The store of a cluster hears of visits late: there `SessionClusterIdle` says how long is too long.
        Known::Found(session) if visit.host().store().cluster().is_none() && is_too_old(visit, &session) => {
            visit.end(Reason::Idle)?;
            Ok(Vec::new())
        }
        Known::Found(session) => {
            label(visit.request(), &session);
            Ok(session.payload().entries.iter().cloned().map(Entry::into).collect())
        }
        Known::Absent(_) => Ok(Vec::new()),
        Known::Unavailable(error) => Err(error),
    }
}

type Saved = Result<(), Arc<SessionError>>;

fn save(visit: Visit<'_>, session: &Arc<Session>, entries: Vec<Entry>, max_age: u32) -> Saved {
    let had = session.payload();
    if had.entries == entries && had.max_age == max_age {
        return Ok(());
    }
    // Who logged in by our own form stays logged in when an application forgets its last entry. A login that lives in
    // the entries themselves, as mod_auth_form's does, goes with them.
    let own_login = had.principal.as_ref().is_some_and(|p| p.means.auth_type == Means::OWN);
    if entries.is_empty() && !own_login {
        return visit.end(Reason::Logout);
    }
    if own_login && session.permits(Change::Data).is_err() {
        // The first change wins.
        return Ok(());
    }
    if credentials(&had.entries).any(|credential| !entries.contains(credential)) {
        // A logout, or somebody else: nothing of the login may go on, under whatever id it was known.
        if own_login {
            let Some(session) = visit.take_place(session)? else { return Ok(()) };
            visit.end_shown(Reason::Logout)?;
            let payload = Payload { entries, max_age, ..had.clone() };
            visit.begin(Beginning::Beside { old: &session, payload: &payload })?;
            return Ok(());
        }
        let payload = Payload { entries, max_age, ..Payload::default() };
        visit.sign_in(Voucher::ModSession, payload, None)?;
        return Ok(());
    }
    let payload = Payload { entries, max_age, ..had.clone() };
    visit.begin(Beginning::InPlaceOf { old: session, payload: &payload, change: Change::Data })?;
    Ok(())
}

/// The entries in which mod_auth_form keeps a login: `<AuthName>-user`, `-pw` and `-site`.
fn credentials(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    let is_credential = |name: &str| ["-user", "-pw", "-site"].iter().any(|end| name.ends_with(end));
    entries.iter().filter(move |entry| is_credential(&entry.name))
}

/// Whether the session was not visited for longer than `SessionMaxAge` allowed when it was saved.
fn is_too_old(visit: Visit<'_>, session: &Session) -> bool {
    let max_age = session.payload().max_age;
    max_age > 0
        && visit
            .notes()
            .seen_before()
            .is_some_and(|seen| visit.now().since(seen) > Duration::from_secs(max_age.into()))
}
