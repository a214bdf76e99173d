//! `SessionClusterBackend`: an application begins a session, changes it or ends it by a header of its answer. The
//! answer waits until the store has confirmed that; if it does not, the client is told to try again. The headers go no
//! further.

use super::rights;
use crate::ffi::httpd::{Outcome, Request};
use crate::ffi::util_filter::AnswerGate;
use crate::module::answer;
use crate::module::conf;
use crate::module::log;
use crate::module::visit::{Here, Visit, here};
use crate::session::order::Order;
use crate::session::payload::{Payload, Principal};
use crate::session::rights::Rights;
use crate::session::sessions::{Session, SessionError};
use crate::session::sign_in::{Beginning, Change, Voucher};
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
        // What is included in a page has no headers of its own; an error page has those of the answer that it stands
        // for.
        let heeds = |r: &Request<'_>| conf::dir(*r).heeds_backend();
        !r.is_subrequest() && std::iter::successors(Some(r), |r| r.parent()).any(|r| heeds(&r))
    }

    fn pass(r: Request<'_>) -> Outcome {
        let Some(visit) = Visit::of(r) else { return Outcome::Ok };
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
            Ok((order, true)) => replace(visit, &order),
            Ok((order, false)) => update(visit, &order),
            Err(complaint) => {
                drop_order(r, &complaint);
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

/// Says that an order was not carried out.
fn drop_order(r: Request<'_>, why: &str) {
    log::BAD_ORDER.say(r, || format!("the application's session header was dropped: {why}"));
}

fn replace(visit: Visit<'_>, order: &Order) -> Done {
    if *order == Order::default() {
        return visit.end(Reason::Logout);
    }
    match here(visit.request()) {
        Here::Session(session) if order.user.is_none() => {
            change(visit, &session, order.applied(&session.payload().rights, true))
        }
        Here::Session(session) => sign_in(visit, order, Some(&session)),
        Here::Nobody => sign_in(visit, order, None),
        Here::Unavailable(error) => Err(error),
    }
}

fn update(visit: Visit<'_>, order: &Order) -> Done {
    let r = visit.request();
    match here(r) {
        Here::Session(session) if !order.changes_user(session.payload()) => {
            change(visit, &session, order.applied(&session.payload().rights, false))
        }
        Here::Session(_) | Here::Nobody => {
            drop_order(r, "an update needs a session that counts here, and names no other user");
            Ok(())
        }
        Here::Unavailable(error) => Err(error),
    }
}

/// Puts a session with other rights in the place of `old`.
fn change(visit: Visit<'_>, old: &Session, rights: Rights) -> Done {
    if rights == old.payload().rights {
        return Ok(());
    }
    if !rights.are_few_enough() {
        drop_order(visit.request(), "the session would have too many grants or attributes");
        return Ok(());
    }
    let payload = Payload { rights, ..old.payload().clone() };
    let change = Change::Order;
    if !visit.begin(Beginning::InPlaceOf { old, payload: &payload, change })? {
        drop_order(visit.request(), "the session was superseded while the application was at work");
    }
    Ok(())
}

/// Begins a session that says what the order says. What mod_session keeps in the one that counts here goes along,
/// unless it is another person's.
fn sign_in(visit: Visit<'_>, order: &Order, from: Option<&Session>) -> Done {
    let r = visit.request();
    let user = order.user.clone();
    let principal = user.map(|user| Principal { user, means: rights::own_means(r), typed: None });
    let rights = order.applied(&Rights { at: visit.now().as_millis(), ..Rights::default() }, true);
    visit.sign_in(Voucher::Application, Payload { principal, rights, ..Payload::default() }, from)?;
    if let Some(user) = &order.user {
        log::APPLICATION_LOGIN.say(r, || format!("the application logged '{user}' in"));
    }
    Ok(())
}
