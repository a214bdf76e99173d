//! The session of a visit, and the other sessions of its user.

use super::state::{Known, Visit};
use crate::clock::{Clock, SystemClock};
use crate::ffi::http_config::kept_with_connection;
use crate::module::session_cluster::SessionCluster;
use crate::session::ledger::{LedgerSecret, Listed};
use crate::session::payload::Principal;
use crate::session::rights::Source;
use crate::session::sessions::{Resumed, Session, SessionError};
use std::sync::Arc;
use std::time::Duration;

impl Visit<'_> {
    /// Its session, looked up on the first call. Of several cookies, the first that leads to a live session counts.
    /// The answer is for one person from then on.
    pub(crate) fn session(self) -> Known {
        let asked = self.state.known.borrow().clone();
        let known = asked.unwrap_or_else(|| {
            let known = self.look_up();
            *self.state.known.borrow_mut() = Some(known.clone());
            known
        });
        self.mark_private();
        known
    }

    /// Looks once more for the session that came along.
    pub(super) fn look_again(self) {
        let known = self.look_up();
        *self.state.known.borrow_mut() = Some(known);
    }

    fn look_up(self) -> Known {
        // Not when the request line came: a connection may be parked after it for as long as it likes.
        let moment = self.host.store().moment(|| SystemClock.now());
        let sessions = self.sessions();
        if let Some(session) = &self.state.remembered
            && let Some(seen) = sessions.resumes_unchanged(session, moment)
        {
            self.state.notes.see(seen);
            return Known::Found(Arc::clone(session));
        }
        let mut known = Known::Absent(None);
        for id in &self.state.ids {
            match sessions.resume(id, moment.now) {
                Ok(Resumed::Found { session, seen }) => {
                    self.state.notes.see(seen);
                    if self.state.ids.len() == 1 {
                        kept_with_connection::<SessionCluster>(self.r).remember(self.host, &session);
                    }
                    return Known::Found(session);
                }
                Ok(Resumed::Absent(reason)) => {
                    if let Known::Absent(None) = known {
                        known = Known::Absent(reason);
                    }
                }
                Err(error) => known = Known::Unavailable(Arc::new(error)),
            }
        }
        known
    }

    /// The session, if it was looked up in this visit and lives.
    pub(crate) fn known_session(self) -> Option<Arc<Session>> {
        match &*self.state.known.borrow() {
            Some(Known::Found(session)) => Some(Arc::clone(session)),
            _ => None,
        }
    }

    /// Whether the one who vouched for the user of a session has to be asked again. When nobody can tell: not now.
    pub(crate) fn is_stale(self, session: &Session) -> bool {
        self.sessions().is_stale(session).unwrap_or(false)
    }

    /// The answers of a session that have to be asked again before they count: see `session/freshness.rs`.
    ///
    /// # Errors
    /// When nobody can tell.
    pub(crate) fn outdated(
        self,
        session: &Session,
        age: Option<Duration>,
    ) -> Result<Vec<Source>, SessionError> {
        let age = age.map(|age| (age, self.notes().judged_at(|| self.now())));
        self.sessions().outdated(session, age)
    }

    /// The sessions of a person, as the list of logins has them, and whether there may be others.
    ///
    /// # Errors
    /// When nobody can tell.
    pub(crate) fn list(
        self,
        list: &LedgerSecret,
        principal: &Principal,
    ) -> Result<(Vec<Listed>, bool), SessionError> {
        self.sessions().list(list, principal, self.now())
    }

    /// As [`Visit::list`], of everybody who has that name. What the store is asked here takes nothing from the time
    /// that what follows may wait for it.
    ///
    /// # Errors
    /// When nobody can tell.
    pub(crate) fn list_named(
        self,
        list: &LedgerSecret,
        user: &str,
    ) -> Result<(Vec<Listed>, bool), SessionError> {
        let budget = self.host.budget();
        self.host.sessions(&budget).list_named(list, user, self.now())
    }
}
