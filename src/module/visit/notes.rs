//! What one step of a visit leaves for a later one.

use crate::clock::Timestamp;
use std::cell::{Cell, RefCell};

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
    /// Whether a refusal is to be answered with the login page.
    shows_login: Cell<bool>,
    /// Whether the answer was stopped because the store did not confirm what the application ordered.
    refused: Cell<bool>,
    /// The form that was sent before the login that it needs, encoded.
    form: RefCell<Option<String>>,
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

    /// Keeps a form until the login page is made.
    pub(crate) fn keep_form(&self, form: String) {
        *self.form.borrow_mut() = Some(form);
    }

    /// The form that was kept.
    pub(crate) fn kept_form(&self) -> Option<String> {
        self.form.borrow_mut().take()
    }
}
