//! mod_session's provider: where `SessionCluster On` stands, the entries that mod_session and its friends keep (such as
//! mod_auth_form's) live in our sessions. First save of something = begin, unchanged = nothing, changed = supersede,
//! emptied = end.

use super::fixups::label;
use crate::ffi::http_config::dir_config;
use crate::ffi::httpd::{Outcome, Request};
use crate::ffi::mod_session::{SessionProvider, SessionRec};
use crate::module::SessionCluster;
use crate::module::answer;
use crate::module::host::VirtualHost;
use crate::module::visit::{Beginning, Known, News, Visit};
use crate::session::payload::{Entry, Means, Payload};
use crate::session::rights::Rights;
use crate::session::sessions::{Session, SessionError};
use crate::store::tombstone::Reason;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Provider;

impl SessionProvider for Provider {
    type Module = SessionCluster;

    fn provides(r: Request<'_>) -> bool {
        dir_config::<SessionCluster>(r).provides() && Visit::of(r).is_some()
    }

    fn load(r: Request<'_>) -> Result<Vec<(String, Vec<u8>)>, Outcome> {
        let Some((visit, host)) = Visit::of(r) else { return Ok(Vec::new()) };
        match visit.session(r, host) {
            // The store of a cluster hears of visits late: there `SessionClusterIdle` says how long is too long.
            Known::Found(session)
                if host.store().cluster().is_none() && is_too_old(visit, &session, host) =>
            {
                visit.end_all(r, host, Reason::Idle).map_err(|error| answer::failed(r, &error))?;
                visit.forget_cookie(r, host);
                Ok(Vec::new())
            }
            Known::Found(session) => {
                label(r, &session);
                Ok(session.payload().entries.iter().cloned().map(Entry::into).collect())
            }
            Known::Absent(_) => Ok(Vec::new()),
            Known::Unavailable(error) => Err(answer::failed(r, &error)),
        }
    }

    fn save(r: Request<'_>, z: SessionRec<'_>) -> Outcome {
        let Some((visit, host)) = Visit::of(r) else { return Outcome::Declined };
        let entries: Vec<Entry> = z.entries().into_iter().map(Entry::from).collect();
        let saved = match visit.session(r, host) {
            Known::Found(session) => save(r, visit, host, &session, entries, z.max_age()),
            Known::Absent(_) if entries.is_empty() => Ok(()),
            Known::Absent(_) => {
                let payload = Payload { entries, max_age: z.max_age(), ..Payload::default() };
                anew(r, visit, host, &payload)
            }
            Known::Unavailable(error) => Err(error),
        };
        match saved {
            Ok(()) => Outcome::Ok,
            Err(error) => answer::failed(r, &error),
        }
    }
}

type Saved = Result<(), Arc<SessionError>>;

fn save(
    r: Request<'_>,
    visit: &Visit,
    host: &VirtualHost,
    session: &Session,
    entries: Vec<Entry>,
    max_age: u32,
) -> Saved {
    let had = session.payload();
    if had.entries == entries && had.max_age == max_age {
        return Ok(());
    }
    // Who logged in by our own form stays logged in when an application forgets its last entry. A login that lives in the
    // entries themselves, as mod_auth_form's does, goes with them.
    let own_login = had.principal.as_ref().is_some_and(|p| p.means.auth_type == Means::OWN);
    if entries.is_empty() && !own_login {
        return visit.end(r, host, Reason::Logout);
    }
    if own_login && session.is_superseded() && had.rights != Rights::default() {
        // The first change wins: what was taken from its successor meanwhile must not come back by this one.
        return Ok(());
    }
    if credentials(&had.entries).any(|credential| !entries.contains(credential)) {
        // A logout, or somebody else: nothing of the login may go on, under whatever id it was known.
        visit.end_all(r, host, Reason::Logout)?;
        if own_login {
            let payload = Payload { entries, max_age, ..had.clone() };
            visit.begin(r, host, &Beginning::Again { old: session, payload: &payload })?;
            return Ok(());
        }
        return anew(r, visit, host, &Payload { entries, max_age, ..Payload::default() });
    }
    let payload = Payload { entries, max_age, ..had.clone() };
    let beginning = Beginning::Supersede { old: session, payload: &payload, news: News::Data };
    visit.begin(r, host, &beginning)?;
    Ok(())
}

fn anew(r: Request<'_>, visit: &Visit, host: &VirtualHost, payload: &Payload) -> Saved {
    visit.begin(r, host, &Beginning::Anew { payload, probation: false })?;
    Ok(())
}

/// The entries in which mod_auth_form keeps a login: `<AuthName>-user`, `-pw` and `-site`.
fn credentials(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    let is_credential = |name: &str| ["-user", "-pw", "-site"].iter().any(|end| name.ends_with(end));
    entries.iter().filter(move |entry| is_credential(&entry.name))
}

/// Whether the session was not visited for longer than `SessionMaxAge` allowed when it was saved.
fn is_too_old(visit: &Visit, session: &Session, host: &VirtualHost) -> bool {
    let max_age = session.payload().max_age;
    max_age > 0
        && visit
            .notes()
            .seen_before()
            .is_some_and(|seen| Visit::now(host).since(seen) > Duration::from_secs(max_age.into()))
}
