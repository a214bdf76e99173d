//! The login handler. GET shows the form; POST checks name and password by httpd's authn providers, begins a session
//! and leads back to the page that was wanted. The password is looked at once and kept nowhere.

use super::SessionCluster;
use super::answer;
use super::page::{self, LoginForm, Refused};
use super::rights::{self, Evaluated};
use super::visit::{Beginning, Known, Visit};
use crate::ffi::http_config::dir_config;
use crate::ffi::http_log::{self, Level};
use crate::ffi::http_protocol::{Form, discard_body};
use crate::ffi::httpd::{Outcome, Request, Status};
use crate::ffi::mod_auth::{AuthnProvider, Verdict};
use crate::session::csrf::cross_site_post;
use crate::session::payload::{Payload, Principal};
use crate::session::redirect::ReturnTo;
use crate::store::tombstone::Reason;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::ffi::CString;

/// Bounds of a form: fields, and bytes of names and values in all.
const FORM_FIELDS: usize = 16;
const FORM_BYTES: usize = 16 << 10;
/// The longest user name, in bytes.
const USER_BYTES: usize = 255;

pub(super) fn handle(r: Request<'_>) -> Outcome {
    match r.method() {
        "GET" | "HEAD" => show(r),
        "POST" => log_in(r),
        _ => page::method_not_allowed(r),
    }
}

fn show(r: Request<'_>) -> Outcome {
    let Some((visit, host)) = Visit::of(r) else { return Outcome::Declined };
    let reason = match visit.session(r, host) {
        Known::Absent(reason) => reason,
        Known::Found(_) => None,
        Known::Unavailable(error) => return answer::not_done(r, &error),
    };
    let to = return_address(r);
    page::login(r, &LoginForm { to: to.as_deref(), reason, ..LoginForm::default() })
}

fn log_in(r: Request<'_>) -> Outcome {
    let Some((visit, host)) = Visit::of(r) else { return Outcome::Declined };
    if is_cross_site(r) {
        discard_body(r);
        return Outcome::Answer(Status::FORBIDDEN);
    }
    let form = match Form::read(r, FORM_FIELDS, FORM_BYTES) {
        Ok(form) => form,
        Err(status) => return Outcome::Answer(status),
    };
    let (user, password) = (form.get("httpd_username"), form.get("httpd_password"));
    let Some((user, password)) = user.zip(password) else { return Outcome::Answer(Status::BAD_REQUEST) };
    let clean = |text: &str| !text.contains(char::is_control);
    if !clean(user)
        || user.is_empty()
        || user.len() > USER_BYTES
        || !clean(form.get("httpd_location").unwrap_or_default())
    {
        return Outcome::Answer(Status::BAD_REQUEST);
    }
    let Ok(password) = CString::new(password) else { return Outcome::Answer(Status::BAD_REQUEST) };

    let to = form.get("httpd_location");
    match check(r, user, &password) {
        Verdict::Granted => {}
        Verdict::Failed => return Outcome::Answer(Status::INTERNAL),
        Verdict::Denied | Verdict::UnknownUser => {
            http_log::request::<SessionCluster>(r, Level::Info, || {
                format!("SC0301: login of '{user}' was refused")
            });
            let form = LoginForm { user: Some(user), to, refused: Some(Refused::Password), reason: None };
            return page::login(r, &form);
        }
    }
    // What the provider made of the name goes for all that follows: LDAP may know the user by another one.
    let user = r.user().filter(|user| clean(user) && !user.is_empty()).unwrap_or(user);
    let rights = match rights::evaluate(r, &rights::of_login(r), true, host) {
        Evaluated::Rights(rights) => rights,
        Evaluated::NotAllowed => {
            http_log::request::<SessionCluster>(r, Level::Info, || {
                format!("SC0308: login of '{user}' was refused: 'login' is not granted")
            });
            let form = LoginForm { user: Some(user), to, refused: Some(Refused::NotAllowed), reason: None };
            return page::login(r, &form);
        }
        Evaluated::Failed(why) => {
            answer::log_rights_failure(r, &why);
            return page::try_again(r);
        }
    };
    // Sessions that came with the request are ended, not continued: their ids may be known to others.
    if let Err(error) = visit.end_all(r, host, Reason::Replaced) {
        return answer::not_done(r, &error);
    }
    let principal = Some(Principal { user: user.into(), means: rights::own_means(r) });
    let payload = Payload { principal, rights, ..Payload::default() };
    if let Err(error) = visit.begin(r, host, &Beginning::Anew { payload: &payload, probation: false }) {
        return answer::not_done(r, &error);
    }
    page::see_other(r, &target(r, to))
}

/// Asks the providers in turn, until one knows the user.
fn check(r: Request<'_>, user: &str, password: &CString) -> Verdict {
    let dir = dir_config::<SessionCluster>(r);
    let providers: &[AuthnProvider] = dir.authn.get().map_or(&[], |providers| providers);
    let Ok(name) = CString::new(user) else { return Verdict::UnknownUser };
    // Providers and what they call expect to find the name there, as in a Basic login.
    r.claim_user(Some(user));
    for provider in providers {
        match provider.check(r, &name, password) {
            Verdict::UnknownUser => {}
            Verdict::Granted => return Verdict::Granted,
            verdict => {
                r.claim_user(None);
                return verdict;
            }
        }
    }
    r.claim_user(None);
    if providers.is_empty() {
        http_log::request::<SessionCluster>(r, Level::Error, || {
            "SC0302: nothing checks passwords here: add 'SessionClusterAuthn file' (or ldap, dbd, dbm) to this location".into()
        });
        return Verdict::Failed;
    }
    Verdict::UnknownUser
}

/// Whether a POST comes from another site's page, and so perhaps against its sender's will.
pub(super) fn is_cross_site(r: Request<'_>) -> bool {
    let headers = r.headers_in();
    cross_site_post(
        headers.get_text(c"Sec-Fetch-Site"),
        headers.get_text(c"Origin"),
        headers.get_text(c"Host"),
    )
}

/// Where to go next: `wanted` if that is allowed here, else the default.
pub(super) fn target(r: Request<'_>, wanted: Option<&str>) -> String {
    let own;
    let allowed = match dir_config::<SessionCluster>(r).return_to.get() {
        Some(allowed) => allowed.as_ref(),
        None => {
            own = ReturnTo::default();
            &own
        }
    };
    wanted.and_then(|to| allowed.accept(to)).unwrap_or(allowed.default_target()).to_owned()
}

/// The return address in `?to=`; where the page stands in for another as its `ErrorDocument`, that page's address.
pub(super) fn return_address(r: Request<'_>) -> Option<Cow<'_, str>> {
    match r.query().split('&').find_map(|pair| pair.strip_prefix("to=")) {
        Some(to) => percent_decode_str(to).decode_utf8().ok(),
        None => r.parent().map(|_| r.first().unparsed_uri().into()),
    }
}
