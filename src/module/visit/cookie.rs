//! The session cookie in the answer of a visit.

use super::state::Visit;
use crate::session::sessions::Session;

impl Visit<'_> {
    /// Has the browser forget its cookie.
    pub(crate) fn forget_cookie(self) {
        self.set_cookie(&self.host.cookie().clear(self.state.https));
    }

    /// Whether a cookie leads to another node, and none was set in this visit.
    pub(crate) fn has_strayed(self) -> bool {
        !self.state.answered.get() && self.state.leads_here.contains(&false)
    }

    /// Has the balancer give this browser to this node from now on, if its cookie leads elsewhere: the same session,
    /// with our route. Not where the session is about to end. Its successor's cookie may be on its way to the browser
    /// already, and must not be overwritten.
    pub(crate) fn lead_here(self) {
        let Some(session) = self.known_session().filter(|_| self.has_strayed()) else { return };
        // A browser may show one id twice, by cookies for different paths. One that leads here is enough.
        let mut shown = self.state.ids.iter().zip(&self.state.leads_here);
        let leads = shown.any(|(id, &leads)| leads && *id == *session.id());
        if !leads && self.sessions().goes_on(&session, self.now()) {
            self.give_cookie(&session);
        }
    }

    pub(super) fn give_cookie(self, session: &Session) {
        self.set_cookie(&self.host.cookie().set(self.state.https, &session.id().to_text()));
    }

    /// Sets our cookie in the answer, in place of one that was set earlier in this visit. `err_headers_out` is sent
    /// with every answer, also with redirects and errors; an error page that is under way has moved what stood there to
    /// `headers_out`.
    fn set_cookie(self, cookie: &str) {
        let ours = format!("{}=", self.host.cookie().name(self.state.https));
        for headers in [self.r.headers_out(), self.r.err_headers_out()] {
            let all = headers.pairs();
            let set = || all.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Set-Cookie"));
            if set().any(|(_, value)| value.starts_with(ours.as_bytes())) {
                headers.unset(c"Set-Cookie");
                for (_, value) in set().filter(|(_, value)| !value.starts_with(ours.as_bytes())) {
                    headers.add(c"Set-Cookie", value);
                }
            }
        }
        self.r.err_headers_out().add(c"Set-Cookie", cookie);
        self.r.err_headers_out().set(c"Cache-Control", "no-store");
        self.state.answered.set(true);
    }
}
