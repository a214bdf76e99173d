//! What is kept of a visit, and how each step of it gets at that.

use super::notes::Notes;
use crate::clock::Timestamp;
use crate::ffi::http_config::{keep, kept, kept_with_connection};
use crate::ffi::httpd::Request;
use crate::module::conf;
use crate::module::conf::cache_control::CacheControl;
use crate::module::host::{HostLock, VirtualHost};
use crate::module::session_cluster::SessionCluster;
use crate::session::cookie::{MAX_CANDIDATES, Stripped};
use crate::session::id::SessionId;
use crate::session::sessions::{Session, SessionError, Sessions};
use crate::store::tiers::Budget;
use crate::store::tombstone::Reason;
use arrayvec::ArrayVec;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// A request, what is known of the visit that it belongs to, and the virtual host that it came to.
#[derive(Clone, Copy)]
pub(crate) struct Visit<'r> {
    pub(super) r: Request<'r>,
    pub(super) state: &'r State,
    pub(super) host: &'r VirtualHost,
}

/// What is known of a visit so far; kept with its first request.
pub struct State {
    pub(super) https: bool,
    /// What the cookies hold, without those that hold no id.
    pub(super) ids: ArrayVec<SessionId, MAX_CANDIDATES>,
    /// Whether each of them leads to this node, as far as it has to.
    pub(super) leads_here: ArrayVec<bool, MAX_CANDIDATES>,
    /// The session that the request before it on the same connection had, if it shows the same cookie and no other.
    pub(super) remembered: Option<Arc<Session>>,
    /// `None` before the first lookup.
    pub(super) known: RefCell<Option<Known>>,
    /// What one step of the visit leaves for a later one.
    pub(super) notes: Notes,
    /// What it may yet spend waiting for the store of the cluster.
    pub(super) budget: Budget,
    /// The marks that a session which begins in this visit is born under: those before anybody vouched for the user.
    pub(super) watermark: Cell<Timestamp>,
    /// Whether our cookie was set in it.
    pub(super) answered: Cell<bool>,
    /// Which answer was marked as private last.
    pub(super) marked: Cell<Option<Mark>>,
}

/// That the answer to a request was marked as private.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    /// Which request.
    pub(super) request: usize,
    /// Where the settings lie that counted for it. They may be others when it is known where the request goes.
    pub(super) settings: usize,
    pub(super) word: CacheControl,
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

impl<'r> Visit<'r> {
    /// The visit that `r` belongs to; `None` where the module is not in use.
    pub(crate) fn of(r: Request<'r>) -> Option<Self> {
        Self::with_cookies(r, |first| first.headers_in().get(c"Cookie"))
    }

    /// As [`Visit::of`], where the request is known to bring these cookies.
    pub(crate) fn bringing(r: Request<'r>, cookies: &'r [u8]) -> Option<Self> {
        Self::with_cookies(r, |_| Some(cookies))
    }

    fn with_cookies(r: Request<'r>, cookies: impl FnOnce(Request<'r>) -> Option<&'r [u8]>) -> Option<Self> {
        let first = r.first();
        let host = conf::server(first.server()).host.get()?;
        let state = match kept::<SessionCluster>(first) {
            Some(state) => state,
            None => keep::<SessionCluster>(first, State::take(first, host, cookies(first))),
        };
        Some(Visit { r, state, host })
    }

    /// The visit that `r` belongs to, if it showed a cookie or something asked for its session.
    pub(crate) fn begun(r: Request<'r>) -> Option<Self> {
        let first = r.first();
        let state = kept::<SessionCluster>(first)?;
        let host = conf::server(first.server()).host.get()?;
        Some(Visit { r, state, host })
    }

    /// The request.
    pub(crate) fn request(self) -> Request<'r> {
        self.r
    }

    /// The virtual host.
    pub(crate) fn host(self) -> &'r VirtualHost {
        self.host
    }

    /// What one step of the visit left for a later one.
    pub(crate) fn notes(self) -> &'r Notes {
        &self.state.notes
    }

    /// The time, as the sessions of this visit see it.
    pub(crate) fn now(self) -> Timestamp {
        self.host.now()
    }

    /// The watermark of marks before anybody vouched for the user, or was asked anything about them.
    pub(crate) fn watermark(self) -> Timestamp {
        self.state.watermark.get()
    }

    pub(super) fn sessions(self) -> Sessions<'r, 'static, HostLock> {
        self.host.sessions(&self.state.budget)
    }
}

impl State {
    /// Reads the cookie of a request and takes it out, so that no application, backend or log ever sees a session id.
    fn take(r: Request<'_>, host: &VirtualHost, header: Option<&[u8]>) -> State {
        let mut state = State {
            https: r.is_https(),
            ids: ArrayVec::new(),
            leads_here: ArrayVec::new(),
            remembered: None,
            known: RefCell::new(None),
            notes: Notes::default(),
            budget: host.budget(),
            watermark: Cell::new(host.store().watermark()),
            answered: Cell::new(false),
            marked: Cell::new(None),
        };
        let Some(header) = header else { return state };
        let (cookies, stripped) = host.cookie().take(state.https, header);
        let mut both = cookies.clone();
        if let (Some(cookie), None) = (both.next(), both.next())
            && let Some(session) = kept_with_connection::<SessionCluster>(r).recall(host, cookie)
        {
            state.show(host, cookie, session.id().clone());
            state.remembered = Some(session);
        } else {
            for cookie in cookies {
                if let Some(id) = SessionId::from_cookie_value(cookie) {
                    state.show(host, cookie, id);
                }
            }
        }
        match stripped {
            Stripped::Unchanged => {}
            Stripped::Empty => r.headers_in().unset(c"Cookie"),
            Stripped::Changed(rest) => r.headers_in().set_bytes(c"Cookie", &rest),
        }
        state
    }

    fn show(&mut self, host: &VirtualHost, cookie: &[u8], id: SessionId) {
        self.ids.push(id);
        self.leads_here.push(host.cookie().leads_here(cookie));
    }
}
