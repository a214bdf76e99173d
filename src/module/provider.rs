//! mod_session's provider: where `SessionCluster On` stands, the entries that mod_session and its friends keep (such as
//! mod_auth_form's) live in our sessions. First save of something = begin, unchanged = nothing, changed = supersede,
//! emptied = end.

use super::SessionCluster;
use super::answer;
use super::visit::{Beginning, Known, Visit};
use crate::ffi::http_config::dir_config;
use crate::ffi::httpd::{Outcome, Request};
use crate::ffi::mod_session::{Loaded, SessionProvider, SessionRec};
use crate::session::payload::Payload;
use crate::store::tombstone::Reason;

pub(super) struct Provider;

impl SessionProvider for Provider {
    type Module = SessionCluster;

    fn load(r: Request<'_>, z: &mut Loaded<'_>) -> Outcome {
        if !dir_config::<SessionCluster>(r).provides() {
            return Outcome::Declined;
        }
        let Some((visit, host)) = Visit::of(r) else { return Outcome::Declined };
        match visit.session(r, host) {
            Known::Found(session) => {
                z.set(&session.payload().entries);
                Outcome::Ok
            }
            Known::Absent(_) => Outcome::Ok,
            Known::Unavailable(error) => answer::failed(r, &error),
        }
    }

    fn save(r: Request<'_>, z: SessionRec<'_>) -> Outcome {
        if !dir_config::<SessionCluster>(r).provides() {
            return Outcome::Declined;
        }
        let Some((visit, host)) = Visit::of(r) else { return Outcome::Declined };
        let entries = z.entries();
        let saved = match visit.session(r, host) {
            Known::Found(session) => {
                let had = session.payload();
                if had.entries == entries {
                    Ok(())
                } else if entries.is_empty() {
                    return match visit.end(r, host, Reason::Logout) {
                        Ok(_) => Outcome::Ok,
                        Err(error) => answer::failed(r, &error),
                    };
                } else {
                    let payload = Payload { entries, ..had.clone() };
                    visit.begin(r, host, &Beginning::Supersede(&session, &payload))
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
