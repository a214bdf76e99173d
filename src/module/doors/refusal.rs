//! What visitors get who have to log in: a browser that wants a page goes to the login and comes back, one that posts a
//! form finds the login in place of the answer and sends the form after it, a program is told so in JSON.

use crate::ffi::http_protocol::Form;
use crate::ffi::http_request::{answer_plainly, answer_with};
use crate::ffi::httpd::{Outcome, Request, Status};
use crate::module::conf;
use crate::module::log;
use crate::module::posted::is_cross_site;
use crate::module::visit::Visit;
use crate::session::csrf::{Reader, reader};
use crate::session::form;
use crate::session::redirect::encode_query;

/// The largest form that is kept over a login: fields, and bytes in the encoded form.
const KEPT_FIELDS: usize = 100;
/// See [`KEPT_FIELDS`].
pub(crate) const KEPT_BYTES: usize = 16 << 10;

/// What the login page may stand for.
const REFUSALS: [Status; 2] = [Status::UNAUTHORIZED, Status::FORBIDDEN];

/// Refuses `r` for want of a login.
pub(crate) fn refuse(r: Request<'_>) -> Outcome {
    r.err_headers_out().set(c"Cache-Control", "no-store");
    let login = conf::dir(r).login.get();
    // A subrequest asks whether the visitor may see a page: a listing shows what may be seen.
    if let Some(login) = login.filter(|_| !r.is_subrequest()) {
        let page = reader_of(r) == Reader::Page;
        if page && login.split('?').next() == Some(r.first().path()) {
            log::LOGIN_BEHIND_DOOR.say_once(r, || {
                "the login page is behind the door that it opens: add 'Require all granted' to its location".into()
            });
            return Outcome::Answer(Status::FORBIDDEN);
        }
        if page {
            let mark = if login.contains('?') { '&' } else { '?' };
            let location = format!("{login}{mark}to={}", encode_query(r.first().unparsed_uri()));
            r.err_headers_out().set(c"Location", &location);
            return Outcome::Answer(Status::SEE_OTHER);
        }
        keep_form(r);
        show_login(r);
    }
    let challenge = match r.auth_name() {
        Some(name) => format!("Session realm=\"{}\"", name.replace(['"', '\\'], "")),
        None => "Session".into(),
    };
    r.err_headers_out().set(c"WWW-Authenticate", &challenge);
    Outcome::Answer(Status::UNAUTHORIZED)
}

/// Has the login handler answer in place of a bare refusal, if it is on this server.
pub(crate) fn show_login(r: Request<'_>) {
    let login = conf::dir(r).login.get();
    let local = |login: &&std::sync::Arc<str>| login.starts_with('/');
    let Some(login) = login.filter(local).filter(|_| !r.is_subrequest()) else { return };
    if login.split('?').next() != Some(r.first().path()) {
        REFUSALS.iter().for_each(|&status| answer_with(r, status, login));
        if let Some(visit) = Visit::begun(r) {
            visit.notes().show_login(true);
        }
    }
}

/// The visitor was let in, if by another line of `Require` than the one that asked for a login: should the page be
/// refused for some other reason, another login would not help.
pub(crate) fn allowed(visit: Visit<'_>) {
    let r = visit.request();
    if !r.is_subrequest() && visit.notes().show_login(false) {
        REFUSALS.iter().for_each(|&status| answer_plainly(r, status));
    }
}

/// Who reads the answer to the client's own request: a person or a program.
pub(crate) fn reader_of(r: Request<'_>) -> Reader {
    let headers = r.first().headers_in();
    reader(
        r.first().method(),
        headers.get_text(c"Sec-Fetch-Mode"),
        headers.get_text(c"Accept"),
        headers.get_text(c"X-Requested-With"),
    )
}

/// Reads the form that a visitor was sending, so that it need not be filled in again. Not one that another site's page
/// sends: its visitor would send it a second time, and then with a session.
fn keep_form(r: Request<'_>) {
    if reader_of(r) != Reader::Form || is_cross_site(r) || r.parent().is_some() {
        return;
    }
    let Some(visit) = Visit::of(r) else { return };
    if let Ok(form) = Form::read(r, KEPT_FIELDS, KEPT_BYTES) {
        let text = form::encode(form.fields());
        if text.len() <= KEPT_BYTES {
            visit.notes().keep_form(text);
        }
    }
}
