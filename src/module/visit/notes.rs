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
