//! mod_session's provider: where `SessionCluster On` stands, the entries that mod_session and its friends keep (such as
//! mod_auth_form's) live in our sessions. First save of something = begin, unchanged = nothing, changed = supersede,
//! emptied = end.

use super::SessionCluster;
use super::answer;
use super::visit::{Beginning, Known, News, Visit};
use crate::ffi::http_config::dir_config;
use crate::ffi::httpd::{Outcome, Request};
use crate::ffi::mod_session::{SessionProvider, SessionRec};
use crate::session::payload::{Entry, Means, Payload};
use crate::store::tombstone::Reason;

pub(super) struct Provider;

impl SessionProvider for Provider {
    type Module = SessionCluster;

    fn provides(r: Request<'_>) -> bool {
        dir_config::<SessionCluster>(r).provides() && Visit::of(r).is_some()
    }

    fn load(r: Request<'_>) -> Result<Vec<(String, Vec<u8>)>, Outcome> {
        let Some((visit, host)) = Visit::of(r) else { return Ok(Vec::new()) };
        match visit.session(r, host) {
            Known::Found(session) => Ok(session.payload().entries.iter().cloned().map(Entry::into).collect()),
            Known::Absent(_) => Ok(Vec::new()),
            Known::Unavailable(error) => Err(answer::failed(r, &error)),
        }
    }

    fn save(r: Request<'_>, z: SessionRec<'_>) -> Outcome {
        let Some((visit, host)) = Visit::of(r) else { return Outcome::Declined };
        let entries: Vec<Entry> = z.entries().into_iter().map(Entry::from).collect();
        let saved = match visit.session(r, host) {
            Known::Found(session) => {
                let had = session.payload();
                // Who logged in by our own form stays logged in when an application forgets its last entry. A login
                // that lives in the entries themselves, as mod_auth_form's does, goes with them.
                let own_login = had.principal.as_ref().is_some_and(|p| p.means.auth_type == Means::OWN);
                if had.entries == entries {
                    Ok(())
                } else if entries.is_empty() && !own_login {
                    return match visit.end(r, host, Reason::Logout) {
                        Ok(()) => Outcome::Ok,
                        Err(error) => answer::failed(r, &error),
                    };
                } else {
                    // An adopted principal may rest on the entries that changed: its module is asked again.
                    let principal = had.principal.clone().filter(|_| own_login);
                    let payload = Payload { entries, principal, ..had.clone() };
                    visit.begin(
                        r,
                        host,
                        &Beginning::Supersede { old: &session, payload: &payload, news: News::Data },
                    )
                }
            }
            Known::Absent(_) if entries.is_empty() => Ok(()),
            Known::Absent(_) => {
                let payload = Payload { entries, ..Payload::default() };
                visit.begin(r, host, &Beginning::Anew { payload: &payload, probation: false })
            }
            Known::Unavailable(error) => return answer::failed(r, &error),
        };
        match saved {
            Ok(()) => Outcome::Ok,
            Err(error) => answer::failed(r, &error),
        }
    }
}
