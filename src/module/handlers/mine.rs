//! The handler by which users see where they are logged in, and end one of their sessions or all others.

use crate::ffi::http_protocol::{Form, discard_body};
use crate::ffi::httpd::{Outcome, Request, Status};
use crate::module::answer;
use crate::module::doors::here::{Counted, Here, here};
use crate::module::log;
use crate::module::pages::{self, MySession, Said};
use crate::module::posted::{self, Asked, Bounds};
use crate::module::visit::Visit;
use crate::session::ledger::LedgerSecret;
use crate::session::payload::Principal;
use crate::session::scope::{Effect, Scope};
use crate::session::sessions::{Session, SessionError};
use crate::session::sign_in::{Beginning, Change};
use std::sync::Arc;

const FORM: Bounds = Bounds { fields: 4, bytes: 4096, optional: false };

pub(super) fn handle(r: Request<'_>) -> Outcome {
    let Some(visit) = Visit::of(r) else { return Outcome::Declined };
    let Some(list) = visit.host().ledger() else {
        discard_body(r);
        log::NO_LIST.say(r, || {
            "no list of sessions is kept: add 'SessionClusterSecret file:conf/session-cluster.secret'".into()
        });
        return answer::misconfigured();
    };
    // Only who is let in as the user of this very session, by the same login, sees the user's others.
    let counted = match here(r) {
        Here::Session(counted) => Some(counted),
        Here::Nobody => None,
        Here::Unavailable(error) => return answer::not_done(r, &error),
    };
    let session = counted.as_ref().map(Counted::session);
    let found = session.and_then(|session| Some((session, session.payload().principal.as_ref()?)));
    let Some((session, person)) = found.filter(|_| r.user().is_some()) else {
        discard_body(r);
        if r.user().is_none() {
            log::OPEN_LIST.say_once(r, || {
                "the list of sessions is for those who logged in: add AuthType and Require".into()
            });
        }
        return Outcome::Answer(Status::FORBIDDEN);
    };
    let done = match posted::asked(r, FORM) {
        Ok(Asked::Form(form)) => act(visit, list, session, person, &form),
        Ok(Asked::Page) => Ok(Said::Nothing),
        Err(outcome) => return outcome,
    };
    match done.and_then(|said| Ok((said, visit.list(list, person)?))) {
        Ok((said, (listed, more))) => {
            let this = visit.known_session().map(|session| session.line());
            let sessions: Vec<MySession> =
                listed.iter().map(|listed| MySession::of(listed, this == Some(listed.log_id))).collect();
            pages::mine(r, &person.user, &sessions, more, said)
        }
        Err(error) => answer::not_done(r, &error),
    }
}

/// Does what the form asks for.
fn act(
    visit: Visit<'_>,
    list: &LedgerSecret,
    session: &Arc<Session>,
    person: &Principal,
    form: &Form,
) -> Result<Said, SessionError> {
    // Its successor may have fewer rights: who has that one asks again.
    session.permits(Change::Rights)?;
    if form.get("others").is_some() {
        let session = visit.take_place(session)?.ok_or(SessionError::Superseded)?;
        // One mark ends all, also those that no list has; this browser gets a session that was born after it.
        visit.mark(Scope::Person(person), Effect::End)?;
        visit.begin(Beginning::Beside { old: &session, payload: session.payload() })?;
        return Ok(Said::OthersEnded);
    }
    let wanted = form.get("session").unwrap_or_default();
    let (listed, _) = visit.list(list, person)?;
    match listed.iter().find(|listed| listed.log_id.to_string() == wanted && listed.log_id != session.line())
    {
        Some(listed) => {
            visit.end_listed(listed)?;
            Ok(Said::Ended)
        }
        None => Ok(Said::Nothing),
    }
}
