//! `SessionClusterBackend`: an application begins a session, supersedes it or ends it by a header of its answer. The answer
//! waits until the store has confirmed that; if it does not, the client is told to try again. The headers go no further.

use super::SessionCluster;
use super::answer;
use super::rights;
use super::runtime::VirtualHost;
use super::visit::{Beginning, Known, News, Visit};
use crate::clock::Timestamp;
use crate::ffi::http_config::dir_config;
use crate::ffi::http_log::{self, Level};
use crate::ffi::httpd::{Outcome, Request};
use crate::ffi::util_filter::AnswerGate;
use crate::session::order::Order;
use crate::session::payload::{Payload, Principal};
use crate::session::rights::Rights;
use crate::session::sessions::SessionError;
use crate::store::tombstone::Reason;
use std::ffi::CStr;
use std::sync::Arc;

/// The whole of what the session says from now on; empty, its end.
const REPLACE: &CStr = c"X-Session-Replace";
/// What changes of it.
const UPDATE: &CStr = c"X-Session-Update";

pub(super) struct Backend;

impl AnswerGate for Backend {
    const NAME: &CStr = c"SESSION_CLUSTER_BACKEND";

    fn watches(r: Request<'_>) -> bool {
        // What is included in a page has no headers of its own.
        dir_config::<SessionCluster>(r).heeds_backend() && !r.is_subrequest()
    }

    fn pass(r: Request<'_>) -> Outcome {
        let Some((visit, host)) = Visit::of(r) else { return Outcome::Ok };
        let orders = match take(r) {
            Ok(Some((text, all))) => Order::parse(&text).map(|order| (order, all)).map_err(|e| e.to_string()),
            Ok(None) => return Outcome::Ok,
            Err(complaint) => Err(complaint),
        };
        let (order, all) = match orders {
            Ok(order) => order,
            Err(complaint) => {
                answer::log_bad_order(r, &complaint);
                return Outcome::Ok;
            }
        };
        match carry_out(r, visit, host, &order, all) {
            Ok(()) => Outcome::Ok,
            Err(error) => answer::failed(r, &error),
        }
    }
}

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

fn carry_out(
    r: Request<'_>,
    visit: &Visit,
    host: &VirtualHost,
    order: &Order,
    all: bool,
) -> Result<(), Arc<SessionError>> {
    if all && *order == Order::default() {
        return visit.end(r, host, Reason::Logout);
    }
    let at = Visit::now(host);
    match visit.session(r, host) {
        Known::Unavailable(error) => Err(error),
        Known::Found(session) if !order.changes_user(session.payload()) => {
            let had = session.payload();
            let payload = Payload { rights: order.applied(&had.rights, all), ..had.clone() };
            if payload == *had {
                return Ok(());
            }
            let news = News::Data;
            visit.begin(r, host, &Beginning::Supersede { old: &session, payload: &payload, news })?;
            Ok(())
        }
        Known::Found(_) | Known::Absent(_) if !all => {
            let complaint = "an update needs a session, and names no other user";
            answer::log_bad_order(r, complaint);
            Ok(())
        }
        Known::Found(session) if session.payload().principal.is_none() => {
            // Who logs in takes the entries along that mod_session keeps, and a new id.
            anew(r, visit, host, order, at, session.payload().clone())
        }
        Known::Found(_) | Known::Absent(_) => anew(r, visit, host, order, at, Payload::default()),
    }
}

/// Ends what session there is, and begins one that says what the order says and what `kept` does.
fn anew(
    r: Request<'_>,
    visit: &Visit,
    host: &VirtualHost,
    order: &Order,
    at: Timestamp,
    kept: Payload,
) -> Result<(), Arc<SessionError>> {
    visit.end_all(r, host, Reason::Replaced)?;
    let principal = order.user.clone().map(|user| Principal { user, means: rights::own_means(r) });
    if let Some(Principal { user, .. }) = &principal {
        http_log::request::<SessionCluster>(r, Level::Info, || {
            format!("SC0309: the application logged '{user}' in")
        });
    }
    let had = Rights { at: at.as_millis(), ..Rights::default() };
    let payload =
        Payload { principal, rights: order.applied(&had, true), entries: kept.entries, ..Payload::default() };
    visit.begin(r, host, &Beginning::Anew { payload: &payload, probation: false })?;
    Ok(())
}
