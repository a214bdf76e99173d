//! The pages that people see: short HTML that needs no script, loads nothing, and reads well on a phone and aloud. What
//! they look like is in the HTML and CSS files beside this one, and in [`templates`].

mod templates;
pub(crate) mod texts;

use crate::clock::Timestamp;
use crate::ffi::http_protocol::send;
use crate::ffi::httpd::{Outcome, Request, Status};
use crate::ffi::strings::http_date;
use crate::module::conf;
use crate::module::conf::settings::Reach;
use crate::session::ledger::Listed;
use crate::store::tombstone::Reason;
use minijinja::context;
use minijinja::value::Value;
use templates::render;

/// Seconds after which a client may try again what the store could not do.
pub(crate) const RETRY_AFTER: &str = "2";

/// What the login form shows.
#[derive(Default)]
pub(crate) struct LoginForm<'a> {
    /// The name that was tried.
    pub(crate) user: Option<&'a str>,
    /// Where to go after the login.
    pub(crate) to: Option<&'a str>,
    /// The form that was to be posted there, percent-encoded.
    pub(crate) body: Option<&'a str>,
    /// Why the login was refused, if it was.
    pub(crate) refused: Option<Refused>,
    /// Why the last session ended.
    pub(crate) reason: Option<Reason>,
    /// Who is signed in already.
    pub(crate) signed_in: Option<&'a str>,
}

/// Why a login was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Name or password were wrong.
    Password,
    /// They were right, and the user may not log in all the same.
    NotAllowed,
    /// Too many logins have failed.
    Throttled,
    /// The form was not one that this page makes.
    Malformed,
}

impl Refused {
    fn status_and_text(self) -> (Status, &'static str) {
        match self {
            Refused::Password => (Status::UNPROCESSABLE, "wrong"),
            Refused::NotAllowed => (Status::UNPROCESSABLE, "not_allowed"),
            Refused::Throttled => (Status::TOO_MANY_REQUESTS, "throttled"),
            Refused::Malformed => (Status::BAD_REQUEST, "wrong"),
        }
    }
}

/// Sends the login form.
pub(crate) fn login(r: Request<'_>, form: &LoginForm<'_>) -> Outcome {
    let refused = form.refused.map(Refused::status_and_text);
    let notice = form.reason.map(explain).or(form.signed_in.map(|_| "signed_in_as"));
    let more = context! {
        user => form.user.unwrap_or_default(),
        to => form.to.unwrap_or_default(),
        body => form.body.unwrap_or_default(),
        error => refused.map(|(_, text)| text),
        notice,
        who => form.signed_in,
    };
    send_page(r, refused.map(|(status, _)| status), "login", "sign_in", more)
}

/// Says that the login is done, and asks whether to send what the visitor was sending before it.
pub(crate) fn resume(r: Request<'_>, to: &str, fields: &[(String, String)]) -> Outcome {
    let fields: Value = fields.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect();
    send_page(r, None, "resume", "resume", context! { to, fields })
}

/// Sends the question whether to log out.
pub(crate) fn confirm_logout(r: Request<'_>, user: Option<&str>, to: Option<&str>) -> Outcome {
    let notice = user.map(|_| "signed_in_as");
    send_page(r, None, "logout", "logout", context! { to, notice, who => user })
}

/// Says that there is no session any more.
pub(crate) fn signed_out(r: Request<'_>, next: &str) -> Outcome {
    send_page(r, None, "signed_out", "signed_out", context! { to => next })
}

/// Says that a login or logout could not be done now, and was not.
pub(crate) fn try_again(r: Request<'_>) -> Outcome {
    r.err_headers_out().set(c"Retry-After", RETRY_AFTER);
    send_page(r, Some(Status::UNAVAILABLE), "try_again", "try_again", context! {})
}

/// What the form of the administrator's page came to.
pub(crate) enum Administered<'a> {
    /// It is shown for the first time.
    Nothing,
    /// This was done.
    Done(&'a str),
    /// It was not filled in as it should be.
    Wrong,
    /// It asks for more than may be done here.
    TooFar,
}

/// Sends the form by which an administrator ends or refreshes sessions.
pub(crate) fn admin(r: Request<'_>, reach: Reach, so_far: &Administered<'_>) -> Outcome {
    let (status, done, error) = match *so_far {
        Administered::Nothing => (None, None, None),
        Administered::Done(done) => (None, Some(done), None),
        Administered::Wrong => (Some(Status::BAD_REQUEST), None, Some("admin_wrong")),
        Administered::TooFar => (Some(Status::FORBIDDEN), None, Some("admin_too_far")),
    };
    let all = reach == Reach::All;
    send_page(r, status, "admin", "admin", context! { done, error, all })
}

/// What was done on the page of one's own sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nothing yet.
    Nothing,
    /// One session was ended.
    Ended,
    /// All others were ended.
    OthersEnded,
}

/// A session on the page of one's own.
#[derive(Clone)]
pub(crate) struct MySession(Value);

impl MySession {
    /// Of the list; `this`: it is that of the browser that asks.
    pub(crate) fn of(listed: &Listed, this: bool) -> Self {
        MySession(context! {
            began => minute(Timestamp::from_millis(listed.login.at)),
            seen => listed.last_seen.map(minute),
            address => listed.login.address.as_str(),
            agent => listed.login.agent.as_str(),
            name => listed.log_id.to_string(),
            this,
        })
    }
}

/// An instant to the minute, in UTC: without a script, a page does not know its reader's time zone.
fn minute(instant: Timestamp) -> String {
    let text = http_date(instant.as_millis());
    text.rsplit_once(':').map_or_else(|| text.clone(), |(minutes, _)| format!("{minutes} UTC"))
}

/// Sends the list of a user's sessions; `more`: there may be others.
pub(crate) fn mine(r: Request<'_>, user: &str, sessions: &[MySession], more: bool, said: Said) -> Outcome {
    let notice = match said {
        Said::Nothing => None,
        Said::Ended => Some("mine_ended"),
        Said::OthersEnded => Some("mine_others_ended"),
    };
    let sessions: Value = sessions.iter().cloned().map(|session| session.0).collect();
    send_page(r, None, "mine", "mine", context! { user, sessions, more, notice })
}

/// Leads the browser on to `target`, with a GET.
pub(crate) fn see_other(r: Request<'_>, target: &str) -> Outcome {
    r.err_headers_out().set(c"Cache-Control", "no-store");
    r.headers_out().set(c"Location", target);
    Outcome::Answer(Status::SEE_OTHER)
}

/// Refuses a method that a handler does not know. `post`: whether it takes a form.
pub(crate) fn method_not_allowed(r: Request<'_>, post: bool) -> Outcome {
    r.allow_get_and(post);
    Outcome::Answer(Status::METHOD_NOT_ALLOWED)
}

fn explain(reason: Reason) -> &'static str {
    match reason {
        Reason::Logout => "ended_logout",
        Reason::Idle => "ended_idle",
        Reason::Lifetime => "ended_lifetime",
        Reason::Admin => "ended_admin",
        Reason::Marked => "ended_all",
        Reason::Superseded | Reason::Replaced | Reason::Evicted => "ended_other",
    }
}

/// Where a form is posted to, if not to where the browser thinks it is: a page may stand in for another, as its
/// `ErrorDocument`.
fn action(r: Request<'_>) -> Option<String> {
    r.parent().map(|_| r.encoded_path())
}

fn send_page(r: Request<'_>, status: Option<Status>, page: &str, title: &str, more: Value) -> Outcome {
    let texts: Option<Value> = conf::dir(r)
        .texts
        .get()
        .map(|texts| Value::from_pairs(texts.iter().map(|(name, text)| (name.clone(), text.clone()))));
    let all = context! { page, title, action => action(r), texts, ..more };
    let (html, own) = render(r, &all);
    // Where a Set-Cookie of this answer puts it as well, so that it is sent once.
    r.err_headers_out().set(c"Cache-Control", "no-store");
    let headers = r.headers_out();
    let policy = if own {
        // Pictures, fonts, styles and scripts of the site itself.
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    } else {
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    };
    if own {
        headers.set(c"Vary", "Accept-Language");
    }
    headers.set(c"Content-Security-Policy", policy);
    headers.set(c"X-Content-Type-Options", "nosniff");
    headers.set(c"Referrer-Policy", "same-origin");
    send(r, status, c"text/html; charset=utf-8", &html);
    Outcome::Ok
}
