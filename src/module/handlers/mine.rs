//! The handler by which users see where they are logged in, and end one of their sessions or all others.

use super::login::is_cross_site;
use crate::ffi::http_log::{self, Level};
use crate::ffi::http_protocol::{Form, discard_body};
use crate::ffi::httpd::{Outcome, Request, Status};
use crate::module::SessionCluster;
use crate::module::answer;
use crate::module::host::VirtualHost;
use crate::module::pages::{self, MySession, Said};
use crate::module::visit::{Beginning, Known, Visit};
use crate::session::ledger::LedgerSecret;
use crate::session::scope::{Effect, Scope};
use crate::session::sessions::{Session, SessionError};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub(crate) fn handle(r: Request<'_>) -> Outcome {
    let Some((visit, host)) = Visit::of(r) else { return Outcome::Declined };
    let Some(ledger) = host.ledger() else {
        discard_body(r);
        static LAST: AtomicU64 = AtomicU64::new(0);
        answer::log_now_and_then(r, &LAST, Level::Error, || {
            "SC0314: no list of sessions is kept: add 'SessionClusterSecret file:conf/session-cluster.secret'"
                .into()
        });
        return Outcome::Answer(Status::INTERNAL);
    };
    let session = match visit.session(r, host) {
        Known::Found(session) => session,
        Known::Absent(_) => {
            discard_body(r);
            return Outcome::Answer(Status::FORBIDDEN);
        }
        Known::Unavailable(error) => return answer::not_done(r, &error),
    };
    // Only who is let in as the user of this very session sees the user's others.
    let Some(user) = r.user().filter(|user| names(&session, user)) else {
        discard_body(r);
        http_log::request::<SessionCluster>(r, Level::Info, || {
            "SC0315: the list of sessions is for those who logged in: add AuthType and Require".into()
        });
        return Outcome::Answer(Status::FORBIDDEN);
    };
    let result = match r.method() {
        "GET" | "HEAD" => Ok(Said::Nothing),
        "POST" if is_cross_site(r) => {
            discard_body(r);
            return Outcome::Answer(Status::FORBIDDEN);
        }
        "POST" => match Form::read(r, 4, 4096) {
            Ok(form) => act(r, visit, host, ledger, &session, user, &form),
            Err(status) => return Outcome::Answer(status),
        },
        _ => return pages::method_not_allowed(r),
    };
    let shown = result.and_then(|said| Ok((said, visit.list(host, ledger, user)?)));
    match shown {
        Ok((said, (listed, more))) => {
            let this = visit.known_session().map(|session| session.line());
            let sessions: Vec<MySession> =
                listed.iter().map(|listed| MySession::of(listed, this == Some(listed.log_id))).collect();
            pages::mine(r, user, &sessions, more, said)
        }
        Err(error) => answer::not_done(r, &error),
    }
}

/// Does what the form asks for.
fn act(
    r: Request<'_>,
    visit: &Visit,
    host: &VirtualHost,
    ledger: &LedgerSecret,
    session: &Arc<Session>,
    user: &str,
    form: &Form,
) -> Result<Said, SessionError> {
    if session.is_superseded() {
        // Its successor may have fewer rights: whoever has that one asks again.
        return Err(SessionError::Superseded);
    }
    if form.get("others").is_some() {
        // One mark ends all, also those that no list has; this browser gets a session that was born after it.
        visit.mark(host, Scope::User(user), Effect::End)?;
        visit.begin(r, host, &Beginning::Again { old: session, payload: session.payload() })?;
        return Ok(Said::OthersEnded);
    }
    let wanted = form.get("session").unwrap_or_default();
    let (listed, _) = visit.list(host, ledger, user)?;
    match listed.iter().find(|listed| listed.log_id.to_string() == wanted && listed.log_id != session.line())
    {
        Some(listed) => {
            visit.end_listed(host, listed)?;
            Ok(Said::Ended)
        }
        None => Ok(Said::Nothing),
    }
}

fn names(session: &Session, user: &str) -> bool {
    session.payload().principal.as_ref().is_some_and(|principal| principal.user == user)
}
