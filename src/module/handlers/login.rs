//! The login handler. GET shows the form; POST checks name and password by httpd's authn providers, begins a session
//! and leads back to the page that was wanted. The password is looked at once and kept nowhere.

use super::address::{return_address, target};
use super::attempt::{self, Attempt, TooMany};
use crate::clock::{Instant, sleep};
use crate::ffi::http_protocol::{Form, send};
use crate::ffi::httpd::{Outcome, Request};
use crate::ffi::mod_auth::{AuthnProvider, Verdict};
use crate::module::answer;
use crate::module::conf;
use crate::module::doors::name::{MAX_NAME, session_name};
use crate::module::doors::refusal;
use crate::module::doors::rights;
use crate::module::htaccess;
use crate::module::log;
use crate::module::pages::{self, LoginForm, Refused};
use crate::module::posted::{self, Asked, Bounds};
use crate::module::visit::{Known, Visit};
use crate::session::csrf::Reader;
use crate::session::form;
use crate::session::payload::{Payload, Principal};
use crate::session::rights::Evaluated;
use crate::session::sign_in::Voucher;
use crate::store::pace::Found;
use serde_json::json;
use std::ffi::{CStr, CString};
use zeroize::Zeroizing;

/// The form of a login holds what the visitor was sending before it, too.
const FORM: Bounds = Bounds { fields: 16, bytes: (16 << 10) + 3 * refusal::KEPT_BYTES, optional: false };

pub(super) fn handle(r: Request<'_>) -> Outcome {
    let Some(visit) = Visit::of(r) else { return Outcome::Declined };
    match posted::asked(r, FORM) {
        Ok(Asked::Page) => show(visit),
        Ok(Asked::Form(form)) => log_in(visit, &form),
        Err(outcome) => outcome,
    }
}

fn show(visit: Visit<'_>) -> Outcome {
    let r = visit.request();
    let known = visit.session();
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

/// What the form of a login says, as far as it can be used.
struct Credentials<'r> {
    user: &'r str,
    /// Wiped when the request ends.
    password: &'r CStr,
}

impl<'r> Credentials<'r> {
    fn of(r: Request<'r>, form: &'r Form) -> Option<Self> {
        let user = clean(form, "httpd_username").filter(|user| (1..=MAX_NAME).contains(&user.len()))?;
        let password = CString::new(form.get("httpd_password")?).ok()?;
        // Where a provider may keep it for the request, and wiped when that ends.
        let password = r.pool().place(Zeroizing::new(password.into_bytes_with_nul()));
        let password = CStr::from_bytes_with_nul(password).ok()?;
        Some(Credentials { user, password })
    }
}

/// A field without control characters.
fn clean<'f>(form: &'f Form, name: &str) -> Option<&'f str> {
    form.get(name).filter(|text| !text.contains(char::is_control))
}

fn log_in(visit: Visit<'_>, form: &Form) -> Outcome {
    let r = visit.request();
    if htaccess::vouches(r) {
        return answer::misconfigured();
    }
    let (to, body) = (clean(form, "httpd_location"), clean(form, "httpd_body"));
    let again = |user: Option<&str>, refused: Refused| {
        let to = to.filter(|to| target(r, Some(to)) == *to);
        pages::login(r, &LoginForm { user, to, body, refused: Some(refused), ..LoginForm::default() })
    };
    let malformed = form.get("httpd_location") != to;
    let Some(credentials) = Credentials::of(r, form).filter(|_| !malformed) else {
        return again(None, Refused::Malformed);
    };
    let typed = credentials.user;
    match verify(visit, &credentials) {
        Verified::Yes => {}
        Verified::No(refused) => return again(Some(typed), refused),
        Verified::NotAsked => return answer::misconfigured(),
    }
    // What the provider made of the name goes for all that follows: LDAP may know the user by another one.
    let user = r.user().filter(|user| !user.is_empty() && !user.contains(char::is_control)).unwrap_or(typed);
    let Some(user) = session_name(r, user) else {
        r.claim_user(None);
        return answer::misconfigured();
    };
    r.claim_user(Some(user));
    let rights = match rights::evaluate(visit, user, &rights::of_login(r), true) {
        Evaluated::Rights(rights) => rights,
        Evaluated::NotAllowed => {
            r.claim_user(None);
            return again(Some(user), Refused::NotAllowed);
        }
        Evaluated::Failed(_) => {
            r.claim_user(None);
            return pages::try_again(r);
        }
    };
    let principal = Some(Principal { user: user.into(), means: rights::own_means(r), typed: None });
    let payload = Payload { principal, rights, ..Payload::default() };
    if let Err(error) = visit.sign_in(Voucher::Form, payload, None) {
        return answer::not_done(r, &error);
    }
    let next = target(r, to);
    match body.and_then(form::decode).filter(|_| to == Some(next.as_str())) {
        Some(fields) => pages::resume(r, &next, &fields),
        None => pages::see_other(r, &next),
    }
}

/// What came of looking at name and password.
enum Verified {
    Yes,
    No(Refused),
    /// Nobody could look at them.
    NotAsked,
}

/// Looks at name and password, unless too many logins have failed already.
fn verify(visit: Visit<'_>, credentials: &Credentials<'_>) -> Verified {
    let (r, user) = (visit.request(), credentials.user);
    let attempt = match Attempt::take(visit, user) {
        Ok(attempt) => attempt,
        Err(TooMany { wait, counter, within }) => {
            log::THROTTLED.say_once_within(r, &counter, within, || {
                let (user, wait) = (log::quoted(user), wait.as_secs());
                format!("login of {user} was not looked at: too many have failed; {wait} s to wait")
            });
            r.err_headers_out().set(c"Retry-After", wait.as_secs().max(1).to_string());
            return Verified::No(Refused::Throttled);
        }
    };
    let begun = Instant::now();
    let verdict = check(r, credentials);
    let note =
        |found: Found| visit.host().pace().note(attempt::login(visit).as_bytes(), found, begun.elapsed());
    match verdict {
        Verdict::Granted => {
            let _ = note(Found::Name);
            attempt.succeeded();
            Verified::Yes
        }
        Verdict::Failed => {
            attempt.give_back();
            Verified::NotAsked
        }
        Verdict::Denied | Verdict::UnknownUser => {
            log::WRONG_PASSWORD
                .say(r, || format!("login of {} was refused: wrong name or password", log::quoted(user)));
            // Whoever measures how long it takes learns nothing of the name.
            sleep(note(if verdict == Verdict::Denied { Found::Name } else { Found::Nobody }));
            Verified::No(Refused::Password)
        }
    }
}

/// Asks the providers in turn, until one knows the user.
fn check<'r>(r: Request<'r>, credentials: &Credentials<'r>) -> Verdict {
    let providers: &[AuthnProvider] = conf::dir(r).authn.get().map_or(&[], |providers| providers);
    let name = r.pool().c_string(credentials.user);
    // Providers and what they call expect to find the name there, as in a Basic login.
    r.claim_user(Some(credentials.user));
    for provider in providers {
        match provider.check(r, name, credentials.password) {
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
        log::NO_AUTHN.say(r, || {
            "nothing checks passwords here: add 'SessionClusterAuthn file' (or ldap, dbd, dbm) to this location".into()
        });
        return Verdict::Failed;
    }
    Verdict::UnknownUser
}
