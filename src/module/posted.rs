//! What was asked of a handler that shows a page and takes its form: which of the two, with the form, after all that
//! has to be looked at before a form is believed.

use super::{log, pages};
use crate::ffi::http_protocol::{Form, discard_body};
use crate::ffi::httpd::{Outcome, Request, Status};
use crate::session::csrf::cross_site_post;

/// What was asked.
pub(crate) enum Asked {
    /// To be shown the page.
    Page,
    /// What the form says.
    Form(Form),
}

/// The largest form that a handler takes.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// Fields.
    pub(crate) fields: usize,
    /// Bytes of names and values in all.
    pub(crate) bytes: usize,
    /// Whether a POST without a form is one with an empty form.
    pub(crate) optional: bool,
}

/// What `r` asks of a handler.
///
/// # Errors
/// The answer to a form of another site's page, to one that is too large or none, and to a method that no handler
/// knows.
pub(crate) fn asked(r: Request<'_>, bounds: Bounds) -> Result<Asked, Outcome> {
    match r.method() {
        "GET" | "HEAD" => Ok(Asked::Page),
        "POST" if is_cross_site(r) => {
            discard_body(r);
            refused(r);
            Err(Outcome::Answer(Status::FORBIDDEN))
        }
        "POST" => match Form::read(r, bounds.fields, bounds.bytes) {
            Ok(form) => Ok(Asked::Form(form)),
            Err(Status::UNSUPPORTED_MEDIA_TYPE) if bounds.optional => {
                discard_body(r);
                Ok(Asked::Form(Form::default()))
            }
            Err(status) => Err(Outcome::Answer(status)),
        },
        _ => Err(pages::method_not_allowed(r, true)),
    }
}

/// Says so. Where all forms are refused, it is a proxy in between that passes another `Host` on.
fn refused(r: Request<'_>) {
    log::CROSS_SITE.say(r, || {
        let header = |name| log::quoted(r.headers_in().get_text(name).unwrap_or_default());
        format!(
            "a form for {} was refused, because another site's page sent it: Sec-Fetch-Site {}, Origin {}, Host {}",
            log::quoted(r.path()),
            header(c"Sec-Fetch-Site"),
            header(c"Origin"),
            header(c"Host")
        )
    });
}

/// Whether a POST comes from another site's page, and so perhaps against its sender's will.
pub(crate) fn is_cross_site(r: Request<'_>) -> bool {
    let headers = r.headers_in();
    cross_site_post(
        headers.get_text(c"Sec-Fetch-Site"),
        headers.get_text(c"Origin"),
        headers.get_text(c"Host"),
    )
}
