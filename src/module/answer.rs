//! The one place where an error becomes HTTP: what could not be done, as a status, a header and perhaps a page.

use super::log;
use super::pages;
use crate::ffi::httpd::{Outcome, Request, Status};
use crate::session::sessions::SessionError;

/// The answer to a request whose session could not be looked up, begun or ended. The cookie is kept.
pub(crate) fn failed(r: Request<'_>, error: &SessionError) -> Outcome {
    log::failure(r, error);
    if error.is_retryable() { try_later(r) } else { misconfigured() }
}

/// As [`failed`], for a login or logout: with a page that says that nothing was done.
pub(crate) fn not_done(r: Request<'_>, error: &SessionError) -> Outcome {
    log::failure(r, error);
    if error.is_retryable() { pages::try_again(r) } else { misconfigured() }
}

/// The answer when something other than the store could not tell: the same, to a client.
pub(crate) fn try_later(r: Request<'_>) -> Outcome {
    r.err_headers_out().set(c"Retry-After", pages::RETRY_AFTER);
    Outcome::Answer(Status::UNAVAILABLE)
}

/// As [`try_later`], for an error page whose headers are made already.
pub(crate) fn say_try_later(r: Request<'_>) {
    r.headers_out().set(c"Retry-After", pages::RETRY_AFTER);
    r.headers_out().set(c"Cache-Control", "no-store");
}

/// The answer when only an administrator can help. The log says how.
pub(crate) fn misconfigured() -> Outcome {
    Outcome::Answer(Status::INTERNAL)
}
