//! `SessionClusterBackend`: an application begins a session, changes it or ends it by a header of its answer. The answer
//! waits until the store has confirmed that; if it does not, the client is told to try again. The headers go no further.

use super::rights::{self, Here};
use crate::ffi::http_config::dir_config;
use crate::ffi::http_log::{self, Level};
use crate::ffi::httpd::{Outcome, Request};
use crate::ffi::util_filter::AnswerGate;
use crate::module::SessionCluster;
use crate::module::answer;
use crate::module::host::VirtualHost;
use crate::module::visit::{Beginning, Known, News, Visit};
use crate::session::order::Order;
use crate::session::payload::{Payload, Principal};
use crate::session::rights::Rights;
use crate::session::sessions::{Session, SessionError};
use crate::store::tombstone::Reason;
use std::ffi::CStr;
use std::sync::Arc;

/// The whole of what the session says from now on; with a user, a login; empty, its end.
const REPLACE: &CStr = c"X-Session-Replace";
/// What changes of it.
const UPDATE: &CStr = c"X-Session-Update";

pub(crate) struct Orders;

impl AnswerGate for Orders {
    const NAME: &CStr = c"SESSION_CLUSTER_BACKEND";

    fn watches(r: Request<'_>) -> bool {
        // What is included in a page has no headers of its own; an error page has those of the answer that it stands for.
        let heeds = |r: &Request<'_>| dir_config::<SessionCluster>(*r).heeds_backend();
        !r.is_subrequest() && std::iter::successors(Some(r), |r| r.parent()).any(|r| heeds(&r))
    }

    fn pass(r: Request<'_>) -> Outcome {
        let Some((visit, host)) = Visit::of(r) else { return Outcome::Ok };
        if visit.notes().is_refused() {
            // The error page of an answer that was stopped here.
            answer::say_try_later(r);
            return Outcome::Ok;
        }
        let order = match take(r) {
            Ok(Some((text, all))) => Order::parse(&text).map(|order| (order, all)).map_err(|e| e.to_string()),
            Ok(None) => return Outcome::Ok,
            Err(complaint) => Err(complaint),
        };
        let done = match order {
            Ok((order, true)) => replace(r, visit, host, &order),
            Ok((order, false)) => update(r, visit, host, &order),
            Err(complaint) => {
                answer::log_bad_order(r, &complaint);
                Ok(())
            }
        };
        match done {
            Ok(()) => Outcome::Ok,
            Err(error) => {
                visit.notes().refuse();
                answer::failed(r, &error)
            }
        }
    }
}

type Done = Result<(), Arc<SessionError>>;

/// Takes the headers out of the answer. Returns the order's text, and whether it is the whole of what the session says.
fn take(r: Request<'_>) -> Result<Option<(Vec<u8>, bool)>, String> {
    let mut found = Vec::new();
    for headers in [r.headers_out(), r.err_headers_out()] {
        for (name, all) in [(REPLACE, true), (UPDATE, false)] {
            if headers.get(name).is_some() {
                let named = |given: &String| given.as_bytes().eq_ignore_ascii_case(name.to_bytes());
                let pairs = headers.pairs().into_iter().filter(|(given, _)| named(given));
                found.extend(pairs.map(|(_, value)| (value, all)));
                headers.unset(name);
            }
        }
    }
    if found.len() > 1 {
        return Err("there is more than one".into());
    }
    Ok(found.pop())
}

fn replace(r: Request<'_>, visit: &Visit, host: &VirtualHost, order: &Order) -> Done {
    if *order == Order::default() {
        return visit.end(r, host, Reason::Logout);
    }
    let session = match rights::here(r) {
        Here::Session(session) => session,
        Here::Nobody => return anew(r, visit, host, order, Payload::default()),
        Here::Unavailable(error) => return Err(error),
    };
    if order.user.is_none() {
        return change(r, visit, host, &session, order.applied(&session.payload().rights, true));
    }
    // Somebody has logged in. What mod_session keeps goes along, unless it is another person's.
    let same = session.payload().principal.is_none() || !order.changes_user(session.payload());
    let kept = if same { session.payload().entries.clone() } else { Vec::new() };
    anew(r, visit, host, order, Payload { entries: kept, ..Payload::default() })
}

fn update(r: Request<'_>, visit: &Visit, host: &VirtualHost, order: &Order) -> Done {
    match rights::here(r) {
        Here::Session(session) if !order.changes_user(session.payload()) => {
            change(r, visit, host, &session, order.applied(&session.payload().rights, false))
        }
        Here::Session(_) | Here::Nobody => {
            answer::log_bad_order(r, "an update needs a session that counts here, and names no other user");
            Ok(())
        }
        Here::Unavailable(error) => Err(error),
    }
}

/// Why a change is dropped that comes second.
const TOO_LATE: &str = "the session was superseded while the application was at work";

/// Puts a session with other rights in the place of `old`.
fn change(r: Request<'_>, visit: &Visit, host: &VirtualHost, old: &Session, rights: Rights) -> Done {
    if rights == old.payload().rights {
        return Ok(());
    }
    if !rights.are_few_enough() {
        answer::log_bad_order(r, "the session would have too many grants or attributes");
        return Ok(());
    }
    if old.is_superseded() {
        // What was taken from its successor meanwhile must not come back by it.
        answer::log_bad_order(r, TOO_LATE);
        return Ok(());
    }
    let payload = Payload { rights, ..old.payload().clone() };
    if !visit.begin(r, host, &Beginning::Supersede { old, payload: &payload, news: News::Data })? {
        answer::log_bad_order(r, TOO_LATE);
    }
    Ok(())
}

/// Ends what sessions there are, and begins one that says what the order says and what `kept` does.
fn anew(r: Request<'_>, visit: &Visit, host: &VirtualHost, order: &Order, kept: Payload) -> Done {
    if let Known::Unavailable(error) = visit.session(r, host) {
        return Err(error);
    }
    visit.end_all(r, host, Reason::Replaced)?;
    let principal =
        order.user.clone().map(|user| Principal { user, means: rights::own_means(r), typed: None });
    if let Some(Principal { user, .. }) = &principal {
        http_log::request::<SessionCluster>(r, Level::Info, || {
            format!("SC0309: the application logged '{user}' in")
        });
    }
    let at = Visit::now(host).as_millis();
    let rights = order.applied(&Rights { at, ..Rights::default() }, true);
    let payload = Payload { principal, rights, ..kept };
    visit.begin(r, host, &Beginning::Anew { payload: &payload, probation: false })?;
    Ok(())
}
