//! The pages that people see: short HTML that needs no script, loads nothing, and reads well on a phone and aloud.

use crate::ffi::http_protocol::send;
use crate::ffi::httpd::{Outcome, Request, Status};
use crate::store::tombstone::Reason;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Seconds after which a client may try again what the store could not do.
pub(super) const RETRY_AFTER: &str = "2";

/// What the login form shows.
#[derive(Default)]
pub(super) struct LoginForm<'a> {
    /// The name that was tried.
    pub(super) user: Option<&'a str>,
    /// Where to go after the login.
    pub(super) to: Option<&'a str>,
    /// Why the login was refused, if it was.
    pub(super) refused: Option<Refused>,
    /// Why the last session ended.
    pub(super) reason: Option<Reason>,
}

/// Why a login was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Name or password were wrong.
    Password,
    /// They were right, and the user may not log in all the same.
    NotAllowed,
}

/// Sends the login form.
pub(super) fn login(r: Request<'_>, form: &LoginForm<'_>) -> Outcome {
    let notice = match (form.refused, form.reason) {
        (Some(refused), _) => {
            let text = match refused {
                Refused::Password => "The name or the password is wrong.",
                Refused::NotAllowed => "This account cannot sign in here.",
            };
            format!("<p class=\"notice\" id=\"notice\" role=\"alert\">{text}</p>")
        }
        (None, Some(reason)) => format!("<p class=\"notice\" role=\"status\">{}</p>", explain(reason)),
        (None, None) => String::new(),
    };
    let invalid =
        if form.refused.is_some() { " aria-invalid=\"true\" aria-describedby=\"notice\"" } else { "" };
    let (user, to) = (escape(form.user.unwrap_or_default()), hidden_target(form.to));
    let (status, action) = (form.refused.map(|_| Status::UNPROCESSABLE), action(r));
    let body = format!(
        "<h1>Sign in</h1>{notice}<form method=\"post\" action=\"{action}\">\
         <label for=\"user\">User name</label>\
         <input id=\"user\" name=\"httpd_username\" value=\"{user}\" autocomplete=\"username\" autocapitalize=\"none\" \
         spellcheck=\"false\" maxlength=\"255\" required autofocus{invalid}>\
         <label for=\"password\">Password</label>\
         <input id=\"password\" name=\"httpd_password\" type=\"password\" autocomplete=\"current-password\" \
         required{invalid}>{to}<button>Sign in</button></form>"
    );
    send_page(r, status, "Sign in", &body)
}

/// Sends the question whether to log out.
pub(super) fn confirm_logout(r: Request<'_>, to: Option<&str>) -> Outcome {
    let (to, action) = (hidden_target(to), action(r));
    let body = format!(
        "<h1>Sign out?</h1><form method=\"post\" action=\"{action}\">{to}\
         <button autofocus>Sign out</button></form>"
    );
    send_page(r, None, "Sign out", &body)
}

/// Says that there is no session any more.
pub(super) fn signed_out(r: Request<'_>) -> Outcome {
    send_page(r, None, "Signed out", "<h1>Signed out</h1><p>Your session here has ended.</p>")
}

/// Says that a login or logout could not be done now, and was not.
pub(super) fn try_again(r: Request<'_>) -> Outcome {
    r.err_headers_out().set(c"Retry-After", RETRY_AFTER);
    let body = "<h1>One moment</h1><p>This could not be done just now. Nothing has changed. Please try again in a few \
                seconds.</p>";
    send_page(r, Some(Status::UNAVAILABLE), "One moment", body)
}

/// Sends the form by which an administrator ends or refreshes sessions; `done` is what was just done.
pub(super) fn admin(r: Request<'_>, done: Option<&str>) -> Outcome {
    let notice = done
        .map(|done| format!("<p class=\"notice\" role=\"status\">{}</p>", escape(done)))
        .unwrap_or_default();
    let action = action(r);
    let body = format!(
        "<h1>Sessions</h1>{notice}<form method=\"post\" action=\"{action}\">\
         <label for=\"action\">What</label><select id=\"action\" name=\"action\">\
         <option value=\"end\">end</option><option value=\"refresh\">ask again who they are</option></select>\
         <label for=\"scope\">Whose</label><select id=\"scope\" name=\"scope\">\
         <option value=\"user\">a user's</option><option value=\"group\">a group's</option>\
         <option value=\"realm\">all of this site</option><option value=\"all\">all of the cluster</option></select>\
         <label for=\"name\">Name of user or group</label><input id=\"name\" name=\"name\" maxlength=\"255\">\
         <button>Do it</button></form>"
    );
    send_page(r, None, "Sessions", &body)
}

/// Leads the browser on to `target`, with a GET.
pub(super) fn see_other(r: Request<'_>, target: &str) -> Outcome {
    r.err_headers_out().set(c"Cache-Control", "no-store");
    r.headers_out().set(c"Location", target);
    Outcome::Answer(Status::SEE_OTHER)
}

/// Refuses a method that the handlers do not know.
pub(super) fn method_not_allowed(r: Request<'_>) -> Outcome {
    r.allow_get_and_post();
    Outcome::Answer(Status::METHOD_NOT_ALLOWED)
}

fn explain(reason: Reason) -> &'static str {
    match reason {
        Reason::Logout => "You signed out.",
        Reason::Idle => "You were signed out because you were away for a while.",
        Reason::Lifetime => "You were signed out because you signed in long ago.",
        Reason::Admin | Reason::Epoch => "You were signed out by the administrator.",
        Reason::Superseded | Reason::Replaced | Reason::Evicted => "Please sign in again.",
    }
}

/// Where a form is posted to: the handler itself, also where it stands in for another page as its `ErrorDocument`.
fn action(r: Request<'_>) -> String {
    const PLAIN: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(r.path(), PLAIN).to_string()
}

fn hidden_target(to: Option<&str>) -> String {
    to.map(|to| format!("<input type=\"hidden\" name=\"httpd_location\" value=\"{}\">", escape(to)))
        .unwrap_or_default()
}

/// Text for HTML, in elements and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;margin:0;padding:1rem;display:grid;place-items:center;min-height:90vh;\
background:#f4f5f7;color:#1b1f24}\
main{width:min(22rem,100%);box-sizing:border-box;background:#fff;padding:1.5rem;border-radius:.75rem;\
border:1px solid #c9ced6}\
h1{font-size:1.4rem;margin:0 0 1rem}label{display:block;margin:.75rem 0 .25rem;font-weight:600}\
input,select,button{font:inherit;width:100%;box-sizing:border-box;padding:.6rem .7rem;border-radius:.4rem;\
border:1px solid #6b7480}\
button{margin-top:1.25rem;background:#0b57d0;color:#fff;border-color:#0b57d0;font-weight:600;cursor:pointer}\
:focus-visible{outline:3px solid #0b57d0;outline-offset:2px}\
.notice{border-left:4px solid #b3261e;padding:.25rem .75rem;margin:0 0 1rem}\
@media(prefers-color-scheme:dark){body{background:#14171a;color:#e6e8ea}main{background:#1e2226;border-color:#454c54}\
input,select{background:#14171a;color:inherit;border-color:#8b949e}.notice{border-color:#f2b8b5}\
:focus-visible{outline-color:#8ab4f8}}";

fn send_page(r: Request<'_>, status: Option<Status>, title: &str, body: &str) -> Outcome {
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body><main>{body}</main></body></html>\n"
    );
    // Where a Set-Cookie of this answer puts it as well, so that it is sent once.
    r.err_headers_out().set(c"Cache-Control", "no-store");
    let headers = r.headers_out();
    headers.set(
        c"Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    );
    headers.set(c"X-Content-Type-Options", "nosniff");
    headers.set(c"Referrer-Policy", "same-origin");
    send(r, status, c"text/html; charset=utf-8", &page);
    Outcome::Ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_name_stays_text() {
        assert_eq!(escape("<a href='x'>&\"é"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;é");
    }
}
