//! The login handler. GET shows the form; POST checks name and password by httpd's authn providers, begins a session
//! and leads back to the page that was wanted. The password is looked at once and kept nowhere.

use super::attempt::Attempt;
use crate::ffi::http_config::dir_config;
use crate::ffi::http_log::{self, Level};
use crate::ffi::http_protocol::{Form, discard_body, send};
use crate::ffi::httpd::{Outcome, Request, Status};
use crate::ffi::mod_auth::{AuthnProvider, Verdict};
use crate::module::SessionCluster;
use crate::module::answer;
use crate::module::doors::refusal;
use crate::module::doors::rights::{self, Evaluated};
use crate::module::pages::{self, LoginForm, Refused};
use crate::module::visit::{Beginning, Known, Visit};
use crate::session::csrf::{Reader, cross_site_post};
use crate::session::form;
use crate::session::payload::{Payload, Principal};
use crate::session::redirect::ReturnTo;
use crate::store::tombstone::Reason;
use percent_encoding::percent_decode_str;
use serde_json::json;
use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::sync::atomic::AtomicU64;
use zeroize::Zeroizing;

/// Bounds of a form: fields, and bytes of names and values in all.
const FORM_FIELDS: usize = 16;
const FORM_BYTES: usize = (16 << 10) + 3 * refusal::KEPT_BYTES;
/// The longest user name, in bytes.
const USER_BYTES: usize = 255;

pub(crate) fn handle(r: Request<'_>) -> Outcome {
    match r.method() {
        "GET" | "HEAD" => show(r),
        "POST" => log_in(r),
        _ => pages::method_not_allowed(r),
    }
}

fn show(r: Request<'_>) -> Outcome {
    let Some((visit, host)) = Visit::of(r) else { return Outcome::Declined };
    let known = visit.session(r, host);
    let (reason, signed_in) = match &known {
        Known::Absent(reason) => (*reason, None),
        Known::Found(session) => (None, session.payload().principal.as_ref()),
        Known::Unavailable(error) => return answer::not_done(r, error),
    };
    // Standing in for a refusal, to a program.
    if r.parent().is_some() && refusal::reader_of(r) == Reader::Program {
        let reason = reason.map(|reason| reason.as_str());
        let body = json!({ "error": "login_required", "login": r.path(), "reason": reason });
        r.err_headers_out().set(c"Cache-Control", "no-store");
        send(r, None, c"application/json", &format!("{body}\n"));
        return Outcome::Ok;
    }
    let (to, body) = (return_address(r), visit.notes().kept_form());
    let to = to.filter(|to| target(r, Some(to)) == **to);
    let form = LoginForm {
        to: to.as_deref(),
        body: body.as_deref(),
        reason,
        signed_in: signed_in.map(|principal| principal.user.as_str()),
        ..LoginForm::default()
    };
    pages::login(r, &form)
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
    let clean = |name: &str| form.get(name).filter(|text| !text.contains(char::is_control));
    let (to, body) = (clean("httpd_location"), clean("httpd_body"));
    let shown = to.filter(|to| target(r, Some(to)) == *to);
    let again = |user: Option<&str>, refused: Refused| {
        pages::login(r, &LoginForm { user, to: shown, body, refused: Some(refused), ..LoginForm::default() })
    };
    let user = clean("httpd_username").filter(|user| (1..=USER_BYTES).contains(&user.len()));
    let password = form.get("httpd_password").and_then(|password| CString::new(password).ok());
    // Where a provider may keep it for the request, and wiped when that ends.
    let password = password.map(|password| r.pool().place(Zeroizing::new(password.into_bytes_with_nul())));
    let password = password.and_then(|bytes| CStr::from_bytes_with_nul(bytes).ok());
    let malformed = form.get("httpd_location") != to;
    let Some((user, password)) = user.zip(password).filter(|_| !malformed) else {
        return again(None, Refused::Malformed);
    };
    let attempt = match Attempt::take(r, host, user) {
        Ok(attempt) => attempt,
        Err(wait) => {
            http_log::request::<SessionCluster>(r, Level::Info, || {
                let wait = wait.as_secs();
                format!("SC0313: login of '{user}' was not looked at: too many have failed; {wait} s to wait")
            });
            r.err_headers_out().set(c"Retry-After", wait.as_secs().max(1).to_string());
            return again(Some(user), Refused::Throttled);
        }
    };
    match check(r, user, password) {
        Verdict::Granted => attempt.succeeded(),
        Verdict::Failed => {
            attempt.give_back();
            return Outcome::Answer(Status::INTERNAL);
        }
        Verdict::Denied | Verdict::UnknownUser => {
            http_log::request::<SessionCluster>(r, Level::Info, || {
                format!("SC0301: login of '{user}' was refused")
            });
            return again(Some(user), Refused::Password);
        }
    }
    // What the provider made of the name goes for all that follows: LDAP may know the user by another one.
    let user = r.user().filter(|user| !user.is_empty() && !user.contains(char::is_control)).unwrap_or(user);
    let rights = match rights::evaluate(r, &rights::of_login(r), true, host) {
        Evaluated::Rights(rights) => rights,
        Evaluated::NotAllowed => {
            http_log::request::<SessionCluster>(r, Level::Info, || {
                format!("SC0308: login of '{user}' was refused: 'login' is not granted")
            });
            r.claim_user(None);
            return again(Some(user), Refused::NotAllowed);
        }
        Evaluated::Failed(why) => {
            answer::log_rights_failure(r, &why);
            r.claim_user(None);
            return pages::try_again(r);
        }
    };
    // Sessions that came with the request are ended, not continued: their ids may be known to others.
    if let Err(error) = visit.end_all(r, host, Reason::Replaced) {
        return answer::not_done(r, &error);
    }
    let principal = Some(Principal { user: user.into(), means: rights::own_means(r), typed: None });
    let payload = Payload { principal, rights, ..Payload::default() };
    if let Err(error) = visit.begin(r, host, &Beginning::Anew { payload: &payload, probation: false }) {
        return answer::not_done(r, &error);
    }
    let next = target(r, to);
    match body.and_then(form::decode).filter(|_| to == Some(next.as_str())) {
        Some(fields) => pages::resume(r, &next, &fields),
        None => pages::see_other(r, &next),
    }
}

/// Asks the providers in turn, until one knows the user.
fn check<'r>(r: Request<'r>, user: &str, password: &'r CStr) -> Verdict {
    let dir = dir_config::<SessionCluster>(r);
    let providers: &[AuthnProvider] = dir.authn.get().map_or(&[], |providers| providers);
    let name = r.pool().c_string(user);
    // Providers and what they call expect to find the name there, as in a Basic login.
    r.claim_user(Some(user));
    for provider in providers {
        match provider.check(r, name, password) {
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
        static LAST: AtomicU64 = AtomicU64::new(0);
        answer::log_now_and_then(r, &LAST, Level::Error, || {
            "SC0302: nothing checks passwords here: add 'SessionClusterAuthn file' (or ldap, dbd, dbm) to this location".into()
        });
        return Verdict::Failed;
    }
    Verdict::UnknownUser
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

/// Where to go next: `wanted` if that is allowed here, else the default.
pub(crate) fn target(r: Request<'_>, wanted: Option<&str>) -> String {
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
pub(crate) fn return_address(r: Request<'_>) -> Option<Cow<'_, str>> {
    match r.query().split('&').find_map(|pair| pair.strip_prefix("to=")) {
        Some(to) => percent_decode_str(to).decode_utf8().ok(),
        None => r.parent().map(|_| r.first().unparsed_uri().into()),
    }
}
