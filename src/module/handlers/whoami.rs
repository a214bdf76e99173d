//! The whoami handler: the visitor's session as JSON, for scripts and for administrators who wonder.

use crate::clock::Timestamp;
use crate::ffi::http_protocol::send;
use crate::ffi::httpd::{Outcome, Request};
use crate::module::answer;
use crate::module::pages;
use crate::module::visit::{Known, Visit};
use crate::session::payload::Principal;
use serde_json::{Value, json};

pub(crate) fn handle(r: Request<'_>) -> Outcome {
    if !matches!(r.method(), "GET" | "HEAD") {
        return pages::method_not_allowed(r, false);
    }
    let Some(visit) = Visit::of(r) else { return Outcome::Declined };
    let body = match visit.session() {
        Known::Found(session) => {
            let principal = session.payload().principal.as_ref();
            let means = principal.map(|p| &p.means);
            json!({
                "authenticated": principal.is_some(),
                "user": principal.map(|Principal { user, .. }| user),
                "auth_type": means.map(|m| &m.auth_type),
                "auth_name": means.and_then(|m| m.auth_name.as_ref()),
                "created": seconds(session.created()),
                "expires": seconds(session.deadline()),
                "idle_timeout": session.idle().as_secs(),
                "log_id": session.log_id().to_string(),
            })
        }
        Known::Absent(reason) => {
            json!({ "authenticated": false, "reason": reason.map(|reason| reason.as_str()) })
        }
        Known::Unavailable(error) => return answer::failed(r, &error),
    };
    r.err_headers_out().set(c"Cache-Control", "no-store");
    send(r, None, c"application/json", &format!("{body}\n"));
    Outcome::Ok
}

/// Seconds since 1970, as scripts like them.
fn seconds(instant: Timestamp) -> Value {
    Value::from(instant.as_secs())
}
