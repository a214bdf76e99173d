//! `SessionClusterBackend`: an application begins a session, changes it or ends it by a header of its answer. The
//! answer waits until the store has confirmed that; if it does not, the client is told to try again. The headers go no
//! further.
//!
//! An order counts if it was written after the handler of a request began that stands where the directive does, and
//! before that request's answer, or httpd's own redirect to another place, began. httpd hands headers on from request
//! to request, so that at each of these moments what does not count is taken out. It reaches no client either: a
//! server before this one might heed it.

use super::here::by_login;
use super::rights;
use crate::ffi::apr_tables::Table;
use crate::ffi::httpd::{Outcome, Request};
use crate::ffi::util_filter::{AnswerGate, watch};
use crate::module::answer;
use crate::module::conf;
use crate::module::log;
use crate::module::visit::{Known, Visit};
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

    fn pass(r: Request<'_>) -> Outcome {
        let Some(visit) = Visit::begun(r) else { return Outcome::Ok };
        if visit.notes().is_refused() {
            // The error page of an answer that was stopped here.
            answer::say_try_later(r);
        } else if visit.notes().heeded() == Some(r.place())
            && let Err(error) = carry_out(visit, &[r.headers_out(), r.err_headers_out()])
        {
            visit.notes().refuse();
            return answer::failed(r, &error);
        }
        Outcome::Ok
    }
}

/// Takes out of an answer, behind all that could write it there, what was not for [`Orders`] to heed.
pub(crate) struct Unheeded;

impl AnswerGate for Unheeded {
    const NAME: &CStr = c"SESSION_CLUSTER_UNHEEDED";
    const LAST: bool = true;

    fn pass(r: Request<'_>) -> Outcome {
        take_out(r);
        Outcome::Ok
    }
}

/// The handler of `r` is about to begin.
pub(super) fn answer_begins(r: Request<'_>) {
    // What is included in a page has headers of its own, which go nowhere.
    if r.is_subrequest() {
        return;
    }
    // What hooks wrote may be from a place where the request does not stand any more, as with `DirectoryIndex`; what a
    // cache kept was meant for somebody else.
    take_out(r);
    let heeds = conf::dir(r).heeds_backend();
    if let Some(visit) = if heeds { Visit::of(r) } else { Visit::begun(r) } {
        visit.notes().heed(heeds.then(|| r.place()));
    }
    put_gates(r);
}

/// httpd is about to say in its own words that `r` failed: its handler, or what came before that.
pub(super) fn answer_fails(r: Request<'_>) {
    if !r.is_subrequest() {
        put_gates(r);
    }
}

fn put_gates(r: Request<'_>) {
    let has_to_say =
        |visit: Visit<'_>| visit.notes().heeded() == Some(r.place()) || visit.notes().is_refused();
    if Visit::begun(r).is_some_and(has_to_say) {
        watch::<Orders>(r);
    }
    watch::<Unheeded>(r);
}

/// httpd goes on from the request `from` to `r`: an error page, or a local address that the application names. That is
/// the end of the answer of `from`, and all that it says in any case is there. What is thrown away with the answer is
/// not looked at.
pub(crate) fn redirected(r: Request<'_>, from: Request<'_>) -> Outcome {
    let visit = Visit::begun(from).filter(|visit| visit.notes().heeded() == Some(from.place()));
    let Some(visit) = visit else {
        take_out(r);
        return Outcome::Declined;
    };
    // What comes from now on is of another's making, even if httpd returns to this request to say that all failed.
    visit.notes().heed(None);
    match carry_out(visit, &[from.err_headers_out()]) {
        Ok(()) => Outcome::Declined,
        Err(error) => {
            visit.notes().refuse();
            let outcome = answer::failed(r, &error);
            if let Outcome::Answer(status) = outcome {
                from.fail_with(status);
            }
            outcome
        }
    }
}

type Done = Result<(), Arc<SessionError>>;

/// Does what is ordered in `headers`.
fn carry_out(visit: Visit<'_>, headers: &[Table<'_>]) -> Done {
    let order = match take(headers) {
        Ok(Some((text, all))) => Order::parse(&text).map(|order| (order, all)).map_err(|e| e.to_string()),
        Ok(None) => return Ok(()),
        Err(complaint) => Err(complaint),
    };
    match order {
        Ok((order, true)) => replace(visit, &order),
        Ok((order, false)) => update(visit, &order),
        Err(complaint) => {
            drop_order(visit.request(), &complaint);
            Ok(())
        }
    }
}

fn take_out(r: Request<'_>) {
    for headers in [r.headers_out(), r.err_headers_out()] {
        [REPLACE, UPDATE].into_iter().for_each(|name| headers.unset(name));
    }
}

/// Takes the orders out. Returns the text of the one that is there, and whether it is the whole of what the session
/// says.
fn take(all_headers: &[Table<'_>]) -> Result<Option<(Vec<u8>, bool)>, String> {
    let mut found = Vec::new();
    for headers in all_headers {
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
    // What it leaves of the session's rights keeps its age.
    match by_login(visit) {
        Known::Found(session) if order.user.is_none() => {
            change(visit, &session, order.applied(&session.payload().rights, true))
        }
        Known::Found(session) => sign_in(visit, order, Some(&session)),
        Known::Absent(_) => sign_in(visit, order, None),
        Known::Unavailable(error) => Err(error),
    }
}

fn update(visit: Visit<'_>, order: &Order) -> Done {
    let r = visit.request();
    match by_login(visit) {
        Known::Found(session) if !order.changes_user(session.payload()) => {
            change(visit, &session, order.applied(&session.payload().rights, false))
        }
        Known::Found(_) | Known::Absent(_) => {
            drop_order(r, "an update needs a session that counts here, and names no other user");
            Ok(())
        }
        Known::Unavailable(error) => Err(error),
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
    let rights = order.applied(&Rights::ordered(), true);
    visit.sign_in(Voucher::Application, Payload { principal, rights, ..Payload::default() }, from)?;
    if let Some(user) = &order.user {
        log::APPLICATION_LOGIN.say(r, || format!("the application logged {} in", log::quoted(user)));
    }
    Ok(())
}
