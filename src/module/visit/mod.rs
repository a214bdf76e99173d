//! A visit: what one request of a browser (with its subrequests and internal redirects) has to do with sessions. The
//! cookie is taken out of the request once, the session is looked up at most once, and a new cookie is set at most once.

mod notes;
mod remembered;

pub(crate) use remembered::Remembered;

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::ffi::hooks::RequestHook;
use crate::ffi::http_config::{keep, kept, kept_with_connection, server_config};
use crate::ffi::httpd::{Outcome, Request};
use crate::ffi::mod_session;
use crate::module::SessionCluster;
use crate::module::answer;
use crate::module::doors::export;
use crate::module::host::VirtualHost;
use crate::session::cookie::{MAX_CANDIDATES, Stripped};
use crate::session::id::SessionId;
use crate::session::ledger::{LedgerSecret, Listed};
use crate::session::payload::Payload;
use crate::session::scope::{Effect, Scope};
use crate::session::sessions::{Begun, Resumed, Session, SessionError};
use crate::store::tiers::Budget;
use crate::store::tombstone::Reason;
use arrayvec::ArrayVec;
use notes::Notes;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// What is known of a visit so far.
pub struct Visit {
    https: bool,
    /// What the cookies hold.
    shown: ArrayVec<Shown, MAX_CANDIDATES>,
    /// The session that the request before it on the same connection had, if it shows the same cookie and no other.
    remembered: Option<Arc<Session>>,
    /// `None` before the first lookup.
    known: RefCell<Option<Known>>,
    /// What one step of the visit leaves for a later one.
    notes: Notes,
    /// What it may yet spend waiting for the store of the cluster.
    budget: Budget,
    /// The marks that a session which begins in this visit is born under: those before anybody vouched for the user.
    stamp: Cell<Timestamp>,
    /// Whether our cookie was set in it.
    answered: Cell<bool>,
}

/// What one of our cookies says.
struct Shown {
    id: SessionId,
    /// Whether it leads to this node, as far as it has to.
    leads_here: bool,
}

/// The session of a visit.
#[derive(Clone)]
pub(crate) enum Known {
    /// It lives.
    Found(Arc<Session>),
    /// There is none, or none any more; with the reason if there is one to tell.
    Absent(Option<Reason>),
    /// Nobody can tell at the moment. Not the same as absent.
    Unavailable(Arc<SessionError>),
}

impl Visit {
    /// The visit that `r` belongs to. Its virtual host is `None` where the module is not in use.
    pub(crate) fn of(r: Request<'_>) -> Option<(&Visit, &VirtualHost)> {
        let first = r.first();
        let host = server_config::<SessionCluster>(first.server()).host.get()?;
        let visit = match kept::<SessionCluster>(first) {
            Some(visit) => visit,
            None => keep::<SessionCluster>(first, Visit::take(first, host)),
        };
        Some((visit, host))
    }

    /// Reads the cookie of a request and takes it out, so that no application, backend or log ever sees a session id.
    fn take(r: Request<'_>, host: &VirtualHost) -> Visit {
        let mut visit = Visit {
            https: r.is_https(),
            shown: ArrayVec::new(),
            remembered: None,
            known: RefCell::new(None),
            notes: Notes::default(),
            budget: host.budget(),
            stamp: Cell::new(host.store().birth_stamp()),
            answered: Cell::new(false),
        };
        if let Some(header) = r.headers_in().get(c"Cookie") {
            let cookies = host.cookie().find(visit.https, header);
            let mut both = cookies.clone();
            if let (Some(cookie), None) = (both.next(), both.next())
                && let Some(session) = kept_with_connection::<SessionCluster>(r).recall(host, cookie)
            {
                visit.show(host, cookie, session.id().clone());
                visit.remembered = Some(session);
            } else {
                for cookie in cookies {
                    if let Some(id) = SessionId::from_cookie_value(cookie) {
                        visit.show(host, cookie, id);
                    }
                }
            }
            match host.cookie().strip(header) {
                Stripped::Unchanged => {}
                Stripped::Empty => r.headers_in().unset(c"Cookie"),
                Stripped::Changed(rest) => r.headers_in().set_bytes(c"Cookie", &rest),
            }
        }
        visit
    }

    fn show(&mut self, host: &VirtualHost, cookie: &[u8], id: SessionId) {
        self.shown.push(Shown { id, leads_here: host.cookie().leads_here(cookie) });
    }

    /// Its session, looked up on the first call. Of several cookies, the first that leads to a live session counts.
    pub(crate) fn session(&self, r: Request<'_>, host: &VirtualHost) -> Known {
        if let Some(known) = &*self.known.borrow() {
            return known.clone();
        }
        let now = host.store().now(|| Timestamp::from_millis(r.first().time_ms()));
        let sessions = host.sessions(&self.budget);
        if let Some(session) = &self.remembered
            && let Some(seen) = sessions.resumes_unchanged(session, now)
        {
            self.notes.see(seen);
            let known = Known::Found(Arc::clone(session));
            *self.known.borrow_mut() = Some(known.clone());
            return known;
        }
        let mut known = Known::Absent(None);
        for Shown { id, .. } in &self.shown {
            match sessions.resume(id, now) {
                Ok(Resumed::Found { session, seen }) => {
                    self.notes.see(seen);
                    if self.shown.len() == 1 {
                        kept_with_connection::<SessionCluster>(r).remember(host, &session);
                    }
                    known = Known::Found(session);
                    break;
                }
                Ok(Resumed::Absent(reason)) => {
                    if let Known::Absent(None) = known {
                        known = Known::Absent(reason);
                    }
                }
                Err(error) => known = Known::Unavailable(Arc::new(error)),
            }
        }
        *self.known.borrow_mut() = Some(known.clone());
        known
    }

    /// What one step of the visit left for a later one.
    pub(crate) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// The time, as the sessions of this visit see it.
    pub(crate) fn now(host: &VirtualHost) -> Timestamp {
        host.store().now(|| SystemClock.now())
    }

    /// The session, if it was looked up in this visit and lives.
    pub(crate) fn known_session(&self) -> Option<Arc<Session>> {
        match &*self.known.borrow() {
            Some(Known::Found(session)) => Some(Arc::clone(session)),
            _ => None,
        }
    }

    /// Whether whoever vouched for the user of a session has to be asked again. When nobody can tell: not now.
    pub(crate) fn is_stale(&self, host: &VirtualHost, session: &Session) -> bool {
        host.sessions(&self.budget).is_stale(session).unwrap_or(false)
    }

    /// Ends or refreshes every session of a scope.
    ///
    /// # Errors
    /// When that was not stored.
    pub(crate) fn mark(
        &self,
        host: &VirtualHost,
        scope: Scope<'_>,
        effect: Effect,
    ) -> Result<(), SessionError> {
        let stamp = host.sessions(&self.budget).mark(scope, effect, Visit::now(host))?;
        // What begins after it in this visit is not meant.
        self.stamp.set(self.stamp.get().max(stamp));
        Ok(())
    }

    /// The user's sessions, as the ledger tells, and whether there may be others.
    ///
    /// # Errors
    /// When there is no telling.
    pub(crate) fn list(
        &self,
        host: &VirtualHost,
        ledger: &LedgerSecret,
        user: &str,
    ) -> Result<(Vec<Listed>, bool), SessionError> {
        host.sessions(&self.budget).list(ledger, user, Visit::now(host))
    }

    /// Ends one of the user's sessions.
    ///
    /// # Errors
    /// When that was not stored.
    pub(crate) fn end_listed(&self, host: &VirtualHost, listed: &Listed) -> Result<(), SessionError> {
        host.sessions(&self.budget).end_listed(listed, Visit::now(host))
    }

    /// Begins a session, in place of `old` if there is one, and sets its cookie. False if another had taken the place of
    /// `old` meanwhile; then all stays as it is.
    ///
    /// # Errors
    /// When it was not stored; then no cookie is set either.
    pub(crate) fn begin(
        &self,
        r: Request<'_>,
        host: &VirtualHost,
        beginning: &Beginning<'_>,
    ) -> Result<bool, SessionError> {
        let (sessions, now) = (host.sessions(&self.budget), Visit::now(host));
        let (stamp, auth_time) = (self.stamp.get().as_millis(), now.as_millis());
        let (begun, is_new) = match *beginning {
            Beginning::Supersede { old, payload, news } => {
                let mut payload = payload.clone();
                if news != News::Data {
                    payload.fresh_under = stamp;
                }
                if news == News::Login {
                    payload.auth_time = auth_time;
                }
                match sessions.supersede(old, &payload, now) {
                    // The first change wins, and the browser has its cookie.
                    Err(SessionError::Superseded) => return Ok(false),
                    begun => (begun?, old.payload().principal.is_none()),
                }
            }
            Beginning::Anew { payload, probation } => {
                let payload = Payload { born_under: stamp, fresh_under: stamp, auth_time, ..payload.clone() };
                (sessions.begin(&payload, probation, now)?, true)
            }
            Beginning::Again { old, payload } => {
                let payload = Payload { born_under: stamp, ..payload.clone() };
                (sessions.renew(old, &payload, now)?, true)
            }
        };
        if let (true, Some(ledger), Some(principal)) =
            (is_new, host.ledger(), &begun.session.payload().principal)
        {
            let client = [r.client_address(), r.headers_in().get_text(c"User-Agent").unwrap_or_default()];
            // That it is not listed takes nothing from who logged in.
            if let Err(error) = sessions.enter(ledger, &begun.session, &principal.user, client, now) {
                answer::log_failure(r, &error);
            }
        }
        answer::alarm_if_evicting(r, host.store().table(), &begun);
        let Begun { session, .. } = begun;
        self.give_cookie(r, host, &session);
        *self.known.borrow_mut() = Some(Known::Found(Arc::new(session)));
        Ok(true)
    }

    /// Ends every session that the visitor's cookies lead to, and clears the cookie.
    ///
    /// # Errors
    /// When an end was not stored: a session may go on, and the cookie is kept.
    pub(crate) fn end(
        &self,
        r: Request<'_>,
        host: &VirtualHost,
        reason: Reason,
    ) -> Result<(), Arc<SessionError>> {
        self.end_all(r, host, reason)?;
        self.forget_cookie(r, host);
        Ok(())
    }

    /// Has the browser forget its cookie.
    pub(crate) fn forget_cookie(&self, r: Request<'_>, host: &VirtualHost) {
        self.set_cookie(r, host, &host.cookie().clear(self.https));
    }

    /// As [`Visit::end`], for a login that is about to set a cookie of its own. Nothing of an ended session lives on, in
    /// mod_session neither.
    ///
    /// # Errors
    /// As [`Visit::end`].
    pub(crate) fn end_all(
        &self,
        r: Request<'_>,
        host: &VirtualHost,
        reason: Reason,
    ) -> Result<(), Arc<SessionError>> {
        let (sessions, now) = (host.sessions(&self.budget), Visit::now(host));
        if let Known::Found(session) = self.session(r, host) {
            sessions.end(&session, reason, now)?;
        }
        for Shown { id, .. } in &self.shown {
            if let Resumed::Found { session, .. } = sessions.resume(id, now)? {
                sessions.end(&session, reason, now)?;
            }
        }
        mod_session::forget(r);
        *self.known.borrow_mut() = Some(Known::Absent(Some(reason)));
        Ok(())
    }

    /// Whether a cookie leads to another node, and none was set in this visit.
    pub(crate) fn has_strayed(&self) -> bool {
        !self.answered.get() && self.shown.iter().any(|shown| !shown.leads_here)
    }

    /// Has the balancer give this browser to this node from now on, if its cookie leads elsewhere: the same session, with
    /// our route. Not where the session is about to end. Its successor's cookie may be on its way to the browser already,
    /// and must not be overwritten.
    pub(crate) fn lead_here(&self, r: Request<'_>, host: &VirtualHost) {
        let Some(session) = self.known_session().filter(|_| self.has_strayed()) else { return };
        // A browser may show one id twice, by cookies for different paths. One that leads here is enough.
        let leads = self.shown.iter().any(|shown| shown.leads_here && shown.id == *session.id());
        if !leads && host.sessions(&self.budget).goes_on(&session, Visit::now(host)) {
            self.give_cookie(r, host, &session);
        }
    }

    fn give_cookie(&self, r: Request<'_>, host: &VirtualHost, session: &Session) {
        self.set_cookie(r, host, &host.cookie().set(self.https, &session.id().to_text()));
    }

    /// Sets our cookie in the answer, in place of one that was set earlier in this visit. `err_headers_out` is sent
    /// with every answer, also with redirects and errors; an error page that is under way has moved what stood there to
    /// `headers_out`.
    fn set_cookie(&self, r: Request<'_>, host: &VirtualHost, cookie: &str) {
        let ours = format!("{}=", host.cookie().name(self.https));
        for headers in [r.headers_out(), r.err_headers_out()] {
            let all = headers.pairs();
            let set = || all.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Set-Cookie"));
            if set().any(|(_, value)| value.starts_with(ours.as_bytes())) {
                headers.unset(c"Set-Cookie");
                for (_, value) in set().filter(|(_, value)| !value.starts_with(ours.as_bytes())) {
                    headers.add(c"Set-Cookie", value);
                }
            }
        }
        r.err_headers_out().add(c"Set-Cookie", cookie);
        r.err_headers_out().set(c"Cache-Control", "no-store");
        self.answered.set(true);
    }
}

/// How a session begins.
pub(crate) enum Beginning<'a> {
    /// With no session before it.
    Anew {
        /// What it says.
        payload: &'a Payload,
        /// Whether it ends soon unless it is visited.
        probation: bool,
    },
    /// Beside another, for the same login: it ends when that would have.
    Again {
        /// The other.
        old: &'a Session,
        /// What it says.
        payload: &'a Payload,
    },
    /// In the place of another, which answers on for the grace.
    Supersede {
        /// The other.
        old: &'a Session,
        /// What the new one says.
        payload: &'a Payload,
        /// What is new about it.
        news: News,
    },
}

/// Why a session takes the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It keeps other data.
    Data,
    /// The user's rights were evaluated anew.
    Rights,
    /// Somebody vouched for the user anew.
    Login,
}

/// Takes the cookie out of each request, before any other module sees it.
pub(crate) struct TakeCookie;

impl RequestHook for TakeCookie {
    fn run(r: Request<'_>) -> Outcome {
        let config = server_config::<SessionCluster>(r.server());
        export::scrub(r, &config.exported);
        if r.headers_in().get(c"Cookie").is_some() {
            Visit::of(r);
        }
        Outcome::Declined
    }
}
