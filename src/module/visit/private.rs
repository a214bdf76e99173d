//! What is made with a session is for one person. Whatever asks for the session of a visit makes the answer private,
//! whether there is a session or not: the same page is another one for somebody who has one. It is marked where it is
//! looked up, hence before any cache can save it, on the answer itself and on each request on the way to it.

use super::state::{Mark, Visit};
use crate::ffi::apr_tables::Table;
use crate::ffi::httpd::Request;
use crate::ffi::mod_cache;
use crate::module::conf;
use crate::module::conf::cache_control::CacheControl;
use crate::module::log;
use std::ffi::CStr;
use std::iter::successors;

impl Visit<'_> {
    /// Whether anything has asked for the session.
    pub(crate) fn has_asked(self) -> bool {
        self.state.known.borrow().is_some()
    }

    /// Whether the answer to this request is marked as private, as far as the last mark tells.
    pub(crate) fn is_marked(self) -> bool {
        self.state.marked.get().is_some_and(|mark| mark.request == self.r.place())
    }

    /// Whether the request brought a cookie that may lead to a session.
    pub(crate) fn shows_cookie(self) -> bool {
        !self.state.ids.is_empty()
    }

    /// Has caches know that the answer to this request is for one person, and the answer that it is a part of.
    #[inline]
    pub(crate) fn mark_private(self) {
        // Mostly it was asked before, and nothing has changed.
        let is_of =
            |mark: Mark| mark.request == self.r.place() && mark.settings == self.r.place_of_settings();
        if !self.state.marked.get().is_some_and(is_of) {
            self.make_private();
        }
    }

    // Apart from what is asked several times in a page.
    #[inline(never)]
    fn make_private(self) {
        let request = self.r.place();
        let before = self.state.marked.get().filter(|mark| mark.request == request).map(|mark| mark.word);
        // What is included has no headers of its own; what came here by an internal redirect has the same ones.
        let (mut word, mut r) = (CacheControl::Private, self.r);
        while let (Some(parent), true) = (r.parent(), r.is_subrequest()) {
            mod_cache::keep_out(r);
            word = word.max(conf::dir(r).cache_control());
            r = parent;
        }
        word = word.max(conf::dir(r).cache_control());
        self.tell(r, word, before);
        successors(Some(r), |r| r.parent()).for_each(mod_cache::keep_out);
        self.state.marked.set(Some(Mark { request, settings: self.r.place_of_settings(), word }));
    }

    /// Says it in the headers. In those that are sent in any case: a backend's answer replaces the others.
    fn tell(self, r: Request<'_>, word: CacheControl, before: Option<CacheControl>) {
        let headers = r.err_headers_out();
        if r.headers_are_sent() {
            self.note_late(r);
            return;
        }
        match headers.get(NAME) {
            None => headers.put(NAME, word.header()),
            // Said earlier in this visit, when it was not known yet where the request goes.
            Some(said) if before.is_some_and(|before| said == before.header().to_bytes()) => {
                headers.put(NAME, word.header());
            }
            Some(_) => {
                if let Some(value) = word.in_place_of(&said(headers)) {
                    headers.set(NAME, value);
                }
            }
        }
    }

    /// Says in the log that a page went out as one for everybody.
    fn note_late(self, r: Request<'_>) {
        // When it is written to the log, an answer is sent as well, but not made any more.
        let made_of_it = self.r.is_subrequest() && self.known_session().is_some();
        let is_private =
            |word: &str| ["private", "no-store"].contains(&word.trim().to_ascii_lowercase().as_str());
        if made_of_it && !said(r.headers_out()).split(',').any(is_private) {
            let part = self.r.path();
            log::TOLD_TOO_LATE.say(r, || {
                format!(
                    "a part of this page, {part}, asked for the session when the page's headers were sent"
                )
            });
        }
    }
}

const NAME: &CStr = c"Cache-Control";

/// All that headers say to caches.
fn said(headers: Table<'_>) -> String {
    let all =
        headers.pairs().into_iter().filter(|(name, _)| name.as_bytes().eq_ignore_ascii_case(NAME.to_bytes()));
    let all: Vec<String> = all.map(|(_, value)| String::from_utf8_lossy(&value).into_owned()).collect();
    all.join(", ")
}
