//! What begins and what ends in a visit. Each is stored when the call returns, or it has not happened.

use super::state::{Known, Visit};
use crate::ffi::mod_session;
use crate::module::log;
use crate::session::ledger::Listed;
use crate::session::payload::Payload;
use crate::session::rights::Rights;
use crate::session::scope::{Effect, Scope};
use crate::session::sessions::{Session, SessionError};
use crate::session::sign_in::{Beginning, Change, Established, Inheritance, Occasion, Shown, Voucher};
use crate::store::tombstone::Reason;
use std::sync::Arc;

impl<'r> Visit<'r> {
    /// Ends or refreshes every session of a scope.
    ///
    /// # Errors
    /// When that was not stored.
    pub(crate) fn mark(self, scope: Scope<'_>, effect: Effect) -> Result<(), SessionError> {
        let cutoff = self.sessions().mark(scope, effect, self.now())?;
        // What begins after it in this visit is not meant.
        self.state.watermark.set(self.state.watermark.get().max(cutoff));
        Ok(())
    }

    /// Ends one of the user's sessions.
    ///
    /// # Errors
    /// When that was not stored.
    pub(crate) fn end_listed(self, listed: &Listed) -> Result<(), SessionError> {
        self.sessions().end_listed(listed, self.now())
    }

    /// Signs in whom `payload` names, by the word of `voucher`; `from` is the session that counts where `r` goes. False
    /// if another request had changed that session first; then nothing begins. See [`Sessions::sign_in`].
    ///
    /// # Errors
    /// When it was not stored; then no cookie is set either.
    pub(crate) fn sign_in(
        self,
        voucher: Voucher,
        payload: Payload,
        from: Option<&Session>,
    ) -> Result<bool, Arc<SessionError>> {
        let found = self.found();
        let shown = Shown { session: found.as_deref(), ids: &self.state.ids };
        // A session that is to go on in the new one is not ended, whatever comes of it.
        let goes_on =
            from.is_some_and(|old| voucher.inheritance(old.payload(), &payload) == Inheritance::All);
        let client = self.client();
        let signed_in = self.sessions().sign_in(voucher, payload, from, shown, self.occasion(client));
        let ended = match &signed_in {
            Ok(established) => established.as_ref().is_some_and(|established| established.ended_shown),
            // Some may have been, before it failed.
            Err(_) => !goes_on,
        };
        if ended {
            // Nothing of an ended session lives on, in mod_session neither.
            mod_session::forget(self.r);
            *self.state.known.borrow_mut() = None;
        }
        Ok(self.welcome(signed_in?))
    }

    /// Begins a session, and sets its cookie. False if another request had taken the place of the old one first; then
    /// none begins.
    ///
    /// # Errors
    /// When it was not stored; then no cookie is set either.
    pub(crate) fn begin(self, beginning: Beginning<'_>) -> Result<bool, SessionError> {
        let client = self.client();
        let established = self.sessions().establish(beginning, self.occasion(client))?;
        Ok(self.welcome(established))
    }

    /// Puts a session that says the same in the place of one that is going to be ended while a new one carries on what
    /// it says: else rights that another request takes at that moment would come back by the new one. `None` if another
    /// was first. One without rights keeps its place: nothing can be taken of it.
    ///
    /// # Errors
    /// When it was not stored; then no cookie is set either.
    pub(crate) fn take_place(self, old: &Arc<Session>) -> Result<Option<Arc<Session>>, SessionError> {
        let payload = old.payload();
        if payload.rights == Rights::default() {
            return Ok(Some(Arc::clone(old)));
        }
        let is_taken = self.begin(Beginning::InPlaceOf { old, payload, change: Change::Order })?;
        Ok(self.known_session().filter(|_| is_taken))
    }

    /// The session that came along. One of which nobody could tell is asked for again by its id, when it is ended.
    fn found(self) -> Option<Arc<Session>> {
        match self.session() {
            Known::Found(session) => Some(session),
            Known::Absent(_) | Known::Unavailable(_) => None,
        }
    }

    fn client(self) -> [&'r str; 2] {
        [self.r.client_address(), self.r.headers_in().get_text(c"User-Agent").unwrap_or_default()]
    }

    fn occasion<'a>(self, client: [&'a str; 2]) -> Occasion<'a>
    where
        'r: 'a,
    {
        Occasion { watermark: self.state.watermark.get(), list: self.host.ledger(), client, now: self.now() }
    }

    /// Gives the browser the cookie of a session that has begun. False if there is none, because another request has
    /// taken the place of the one that came along: that one then counts only if it still answers.
    fn welcome(self, established: Option<Established>) -> bool {
        let Some(Established { begun, unlisted, .. }) = established else {
            self.look_again();
            return false;
        };
        if let Some(error) = unlisted {
            log::failure(self.r, &error);
        }
        log::evictions(self.r, self.host.store().table(), &begun);
        self.give_cookie(&begun.session);
        *self.state.known.borrow_mut() = Some(Known::Found(Arc::new(begun.session)));
        true
    }

    /// Ends every session that the visitor's cookies lead to, and clears the cookie.
    ///
    /// # Errors
    /// When an end was not stored: a session may go on, and the cookie is kept.
    pub(crate) fn end(self, reason: Reason) -> Result<(), Arc<SessionError>> {
        self.end_shown(reason)?;
        self.forget_cookie();
        Ok(())
    }

    /// As [`Visit::end`], where another cookie is about to be set.
    ///
    /// # Errors
    /// As [`Visit::end`].
    pub(crate) fn end_shown(self, reason: Reason) -> Result<(), Arc<SessionError>> {
        let found = self.found();
        let shown = Shown { session: found.as_deref(), ids: &self.state.ids };
        self.sessions().end_shown(shown, reason, self.now())?;
        mod_session::forget(self.r);
        *self.state.known.borrow_mut() = Some(Known::Absent(Some(reason)));
        Ok(())
    }
}
