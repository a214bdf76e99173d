//! What one step of a visit leaves for a later one.

use crate::clock::Timestamp;
use crate::ffi::httpd::Status;
use crate::session::rights::Source;
use crate::session::sessions::Session;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

/// The notes of a visit.
#[derive(Default)]
pub(crate) struct Notes {
    /// When the session was last seen before this visit.
    seen_before: Cell<Option<Timestamp>>,
    /// Where the values of the request's headers lay before another module was asked who the user is.
    headers: RefCell<Option<Vec<usize>>>,
    /// Whether what another module authenticated was looked at.
    adopted: Cell<bool>,
    /// Of the request whose handler began last, if an application's orders count where it stands: which it is.
    heeded: Cell<Option<usize>>,
    /// Which request was told last of the session, and where the list of what it was told lies.
    told: Cell<Option<(usize, usize)>>,
    /// Of the request that was let in last: which it is, and by which settings.
    let_in: Cell<Option<(usize, usize)>>,
    /// Whether a refusal is to be answered with the login page.
    shows_login: Cell<bool>,
    /// Whether the answer was stopped because the store did not confirm what the application ordered.
    refused: Cell<bool>,
    /// What to answer because mod_session's session could not be loaded, or was not saved.
    not_loaded: Cell<Option<Status>>,
    unsaved: Cell<Option<Status>>,
    /// The form that was sent before the login that it needs, encoded.
    form: RefCell<Option<String>>,
    /// How far it is with asking for rights anew.
    inquiry: Cell<Inquiry>,
    /// The session whose rights were all found to count, and how old they might be.
    counting: RefCell<Option<(Arc<Session>, Option<Duration>)>>,
    /// The instant by which the age of rights is judged.
    judged_at: Cell<Option<Timestamp>>,
}

/// How far a visit is with asking for rights anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Inquiry {
    /// It may.
    #[default]
    Open,
    /// It is at it, and what is asked may look at the session itself: there, the answers so far are no answers.
    UnderWay(Source),
    /// Here is nobody who could be asked.
    Nobody,
    /// Who was asked could not tell.
    Untold,
    /// Another request came first, and its answers are in the session that took the place of this one.
    Overtaken,
}

impl Notes {
    /// Notes when the session was last seen before this visit. The first look counts: later ones see this visit.
    pub(super) fn see(&self, seen: Timestamp) {
        if self.seen_before.get().is_none() {
            self.seen_before.set(Some(seen));
        }
    }

    /// When the session was last seen before this visit, to a second or so; `None` for one that has just begun.
    pub(crate) fn seen_before(&self) -> Option<Timestamp> {
        self.seen_before.get()
    }

    /// Notes where the values of the request's headers lie before another module is asked who the user is.
    pub(crate) fn note_headers(&self, headers: Vec<usize>) {
        *self.headers.borrow_mut() = Some(headers);
    }

    /// What was noted of the request's headers.
    pub(crate) fn noted_headers(&self) -> Option<Vec<usize>> {
        self.headers.take()
    }

    /// Notes that what another module authenticated is looked at. False if it was before.
    pub(crate) fn adopts_first_time(&self) -> bool {
        !self.adopted.replace(true)
    }

    /// Notes the request whose handler may order from now on; `None` for one whose orders do not count.
    pub(crate) fn heed(&self, request: Option<usize>) {
        self.heeded.set(request);
    }

    /// The request whose orders count.
    pub(crate) fn heeded(&self) -> Option<usize> {
        self.heeded.get()
    }

    /// Notes that a request was told what the list at that place says; 0 for nothing.
    pub(crate) fn tell(&self, request: usize, list: usize) {
        self.told.set(Some((request, list)));
    }

    /// What [`Notes::tell`] noted last.
    pub(crate) fn told(&self) -> Option<(usize, usize)> {
        self.told.get()
    }

    /// Notes by which settings a request was let in. The first time counts.
    pub(crate) fn let_in(&self, request: usize, settings: usize) {
        if self.let_in.get().is_none_or(|(known, _)| known != request) {
            self.let_in.set(Some((request, settings)));
        }
    }

    /// Whether a request has other settings than those by which it was let in, as after `DirectoryIndex`: those of a
    /// page that httpd looked up as a request of its own, with `.htaccess` files that nobody here has seen.
    pub(crate) fn has_moved(&self, request: usize, settings: usize) -> bool {
        self.let_in.get().is_some_and(|(known, by)| known == request && by != settings)
    }

    /// Notes that a refusal is to be answered with the login page, or is not any more. Returns what was noted before.
    pub(crate) fn show_login(&self, shows: bool) -> bool {
        self.shows_login.replace(shows)
    }

    /// Notes that the answer was stopped.
    pub(crate) fn refuse(&self) {
        self.refused.set(true);
    }

    /// Whether the answer was stopped.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.get()
    }

    /// How far the visit is with asking for rights anew.
    pub(crate) fn inquiry(&self) -> Inquiry {
        self.inquiry.get()
    }

    /// Notes how that ended.
    pub(crate) fn conclude(&self, inquiry: Inquiry) {
        self.inquiry.set(inquiry);
    }

    /// Does `inquire`, which asks what `source` stands for, and lets nothing in it ask for rights anew.
    pub(crate) fn inquiring<T>(&self, source: Source, inquire: impl FnOnce() -> T) -> T {
        let before = self.inquiry.replace(Inquiry::UnderWay(source));
        let result = inquire();
        self.inquiry.set(before);
        result
    }

    /// Notes that all rights of a session count where they may be of that age.
    pub(crate) fn count_all(&self, session: &Arc<Session>, age: Option<Duration>) {
        *self.counting.borrow_mut() = Some((Arc::clone(session), age));
    }

    /// Whether that was noted.
    pub(crate) fn all_count(&self, session: &Arc<Session>, age: Option<Duration>) -> bool {
        let counting = self.counting.borrow();
        counting.as_ref().is_some_and(|(counts, of)| Arc::ptr_eq(counts, session) && *of == age)
    }

    /// The instant by which the age of rights is judged in this visit, `now` if they were not before: what was asked in
    /// it does not become too old in it, however long that took.
    pub(crate) fn judged_at(&self, now: impl FnOnce() -> Timestamp) -> Timestamp {
        let at = self.judged_at.get().unwrap_or_else(now);
        self.judged_at.set(Some(at));
        at
    }

    /// Notes that mod_session was not told what its session holds.
    pub(crate) fn note_not_loaded(&self, status: Status) {
        self.not_loaded.set(Some(status));
    }

    /// What to answer if mod_session was not told what its session holds.
    pub(crate) fn not_loaded(&self) -> Option<Status> {
        self.not_loaded.get()
    }

    /// Notes that what mod_session had to save was not saved.
    pub(crate) fn note_unsaved(&self, status: Status) {
        self.unsaved.set(Some(status));
    }

    /// What to answer if what mod_session had to save was not saved.
    pub(crate) fn unsaved(&self) -> Option<Status> {
        self.unsaved.get()
    }

    /// Keeps a form until the login page is made.
    pub(crate) fn keep_form(&self, form: String) {
        *self.form.borrow_mut() = Some(form);
    }

    /// The form that was kept.
    pub(crate) fn kept_form(&self) -> Option<String> {
        self.form.borrow_mut().take()
    }
}
