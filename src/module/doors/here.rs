//! Which session counts where a request goes, and which of its rights do. The one place that judges how old rights may
//! be, for whatever uses a session: the door, `Require` lines, expressions, exports.
//!
//! What is too old is asked anew, and the session superseded by one that has the answers, if that can be done here and
//! the browser can still be told. If not, it does not count here; it stays in the session, for where it can be asked.

use super::rights;
use super::vouched;
use crate::clock::Timestamp;
use crate::ffi::httpd::Request;
use crate::module::conf;
use crate::module::log;
use crate::module::visit::{Inquiry, Known, Visit};
use crate::session::payload::{Means, Payload};
use crate::session::rights::{Evaluated, LOGIN, Rights, Source};
use crate::session::sessions::{Session, SessionError};
use crate::session::sign_in::{Beginning, Change};
use crate::store::tombstone::Reason;
use std::sync::Arc;

/// The session whose rights count where a request goes.
pub(crate) enum Here {
    /// This one.
    Session(Counted),
    /// There is none.
    Nobody,
    /// Nobody can tell.
    Unavailable(Arc<SessionError>),
}

/// A session that counts, and those of its rights that do.
pub(crate) struct Counted {
    session: Arc<Session>,
    /// `None` if all do, as on nearly each page.
    rights: Option<Box<Rights>>,
}

/// What came of judging a session's rights.
pub(crate) enum Judged {
    /// It counts.
    Counts(Counted),
    /// It has ended, or needs a login.
    LoginNeeded,
    /// Nobody can tell.
    Untold(Arc<SessionError>),
}

impl Counted {
    /// The session.
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Those of its rights that count.
    pub(crate) fn rights(&self) -> &Rights {
        self.rights.as_deref().unwrap_or(&self.session.payload().rights)
    }
}

/// The session that counts where `r` goes, with rights as young as they have to be there.
pub(crate) fn here(r: Request<'_>) -> Here {
    let Some(visit) = Visit::of(r) else { return Here::Nobody };
    match by_login(visit) {
        Known::Found(session) => match judge(visit, session, false) {
            Judged::Counts(counted) => Here::Session(counted),
            Judged::LoginNeeded => Here::Nobody,
            Judged::Untold(error) => Here::Unavailable(error),
        },
        Known::Absent(_) => Here::Nobody,
        Known::Unavailable(error) => Here::Unavailable(error),
    }
}

/// The session that counts where the visit goes, its rights aside: where an `AuthType` stands, one whose login was by
/// the same means, and of the very user that the request has; elsewhere, any.
pub(crate) fn by_login(visit: Visit<'_>) -> Known {
    let r = visit.request();
    let known = visit.session();
    let Known::Found(session) = &known else { return known };
    let Some(auth_type) = r.auth_type().filter(|auth_type| !auth_type.eq_ignore_ascii_case("None")) else {
        return known;
    };
    let fits = session.payload().principal.as_ref().is_some_and(|principal| {
        principal.means.open(auth_type, r.auth_name().as_deref())
            && r.user().map_or(!r.has_user(), |user| user == principal.user)
    });
    if fits { known } else { Known::Absent(None) }
}

/// Judges the rights of a session that counts where the visit goes. `at_door`: the request has the headers that the
/// module which vouched for the user had set, and no others by their names.
pub(crate) fn judge(visit: Visit<'_>, session: Arc<Session>, at_door: bool) -> Judged {
    let is_late = session.is_superseded() && session.permits(first_or_later(&session)).is_err();
    let (notes, dir) = (visit.notes(), conf::dir(visit.request()));
    // Where another has taken its place, nothing is asked for the first time.
    let (age, asks) = (dir.rights_age.get().copied(), dir.questions.get().is_some() && !is_late);
    let under_way = match notes.inquiry() {
        Inquiry::UnderWay(source) => Some(source),
        _ => None,
    };
    // A page looks at its session several times.
    if !asks && under_way.is_none() && notes.all_count(&session, age) {
        return all(session);
    }
    let mut outdated = match visit.outdated(&session, age) {
        Ok(outdated) => outdated,
        Err(error) => return Judged::Untold(Arc::new(error)),
    };
    if let Some(source) = under_way {
        outdated.push(source);
        return without(session, &outdated);
    }
    if outdated.is_empty() && !(asks && is_unasked(visit, &session)) {
        if !asks {
            notes.count_all(&session, age);
        }
        return all(session);
    }
    if is_late {
        return for_this_page(visit, session, &outdated, at_door);
    }
    renewed(visit, session, &outdated, at_door)
}

/// Asks anew what is too old in a session whose place another has taken. That one may have been made of the same old
/// rights, for the sake of something else. What is answered counts for this page and is kept nowhere.
fn for_this_page(visit: Visit<'_>, session: Arc<Session>, outdated: &[Source], at_door: bool) -> Judged {
    let r = visit.request();
    match visit.notes().inquiry() {
        Inquiry::Open if !r.is_subrequest() => {}
        Inquiry::Untold => return Judged::Untold(Arc::new(SessionError::Rights)),
        _ => return unless_barred(session, outdated),
    }
    let had = session.payload();
    match ask(visit, had, outdated, at_door) {
        Asked::Here(Evaluated::Rights(rights)) => {
            let unasked = |source: &&Source| rights.answers_of(**source) == had.rights.answers_of(**source);
            let unasked: Vec<Source> = outdated.iter().filter(unasked).copied().collect();
            let rights = Some(Box::new(rights.without(&unasked)));
            Judged::Counts(Counted { session, rights })
        }
        Asked::Here(Evaluated::NotAllowed) => Judged::LoginNeeded,
        Asked::Here(Evaluated::Failed(why)) => {
            rights::cannot_tell(r, &why);
            visit.notes().conclude(Inquiry::Untold);
            Judged::Untold(Arc::new(SessionError::Rights))
        }
        Asked::Moved if at_door => Judged::LoginNeeded,
        Asked::Moved | Asked::Nobody => unless_barred(session, outdated),
    }
}

/// Whether questions that stand here have to be put for the first time. What an application said at its login counts as
/// their answers, until an administrator or the place wants younger ones.
fn is_unasked(visit: Visit<'_>, session: &Session) -> bool {
    let (r, payload) = (visit.request(), session.payload());
    let by_application = || payload.principal.as_ref().is_some_and(|p| p.means.auth_type == Means::OWN);
    let age = || conf::dir(r).rights_age.get();
    let since_login = || visit.now().since(Timestamp::from_millis(payload.auth_time));
    rights::unasked(r, payload).is_some()
        && (!by_application() || visit.is_stale(session) || age().is_some_and(|&age| since_login() > age))
}

fn all(session: Arc<Session>) -> Judged {
    Judged::Counts(Counted { session, rights: None })
}

/// What is new where rights are evaluated for a session.
fn first_or_later(session: &Session) -> Change {
    if session.payload().rights == Rights::default() { Change::FirstRights } else { Change::Rights }
}

/// A session without some of its rights.
fn without(session: Arc<Session>, outdated: &[Source]) -> Judged {
    let rights = (!outdated.is_empty()).then(|| Box::new(session.payload().rights.without(outdated)));
    Judged::Counts(Counted { session, rights })
}

/// The same, unless whether its user may still come in is among what would have to be asked of its login.
fn unless_barred(session: Arc<Session>, outdated: &[Source]) -> Judged {
    let login = session.payload().rights.answers_of(Source::Login);
    if outdated.contains(&Source::Login) && login.is_some_and(|answers| answers.grants(LOGIN)) {
        return Judged::LoginNeeded;
    }
    without(session, outdated)
}

/// Asks anew what is too old, or was not asked yet, and can be asked here.
fn renewed(visit: Visit<'_>, session: Arc<Session>, outdated: &[Source], at_door: bool) -> Judged {
    let (r, notes) = (visit.request(), visit.notes());
    match notes.inquiry() {
        Inquiry::Open => {}
        Inquiry::Nobody if at_door && outdated.contains(&Source::Login) => return Judged::LoginNeeded,
        Inquiry::UnderWay(_) | Inquiry::Nobody => return unless_barred(session, outdated),
        Inquiry::Untold => return Judged::Untold(Arc::new(SessionError::Rights)),
        Inquiry::Overtaken => return all(session),
    }
    // A subrequest shares its main request's session, and has no headers of its own.
    if r.is_subrequest() || r.is_answered() {
        return unless_barred(session, outdated);
    }
    match ask(visit, session.payload(), outdated, at_door) {
        Asked::Here(evaluated) => settle(visit, &session, evaluated),
        Asked::Moved if at_door => Judged::LoginNeeded,
        Asked::Moved | Asked::Nobody => unless_barred(session, outdated),
    }
}

/// What came of asking.
enum Asked {
    /// This.
    Here(Evaluated),
    /// The login that would have to be asked is no login here.
    Moved,
    /// Here is nobody to be asked.
    Nobody,
}

fn ask(visit: Visit<'_>, payload: &Payload, outdated: &[Source], at_door: bool) -> Asked {
    let r = visit.request();
    let Some(principal) = &payload.principal else { return Asked::Nobody };
    let rights = &payload.rights;
    if let Some(place) = &rights.place
        && outdated.contains(&Source::Login)
    {
        return rights::ask_at_login(visit, place, principal, rights).map_or_else(
            || {
                visit.notes().conclude(Inquiry::Nobody);
                log::LOGIN_MOVED.say(r, || {
                    let path = &place.path;
                    format!("rights cannot be refreshed: {path}, where they came from, is no login here")
                });
                Asked::Moved
            },
            Asked::Here,
        );
    }
    let is_due = |source| outdated.contains(&source) || rights.answers_of(source).is_none();
    let stands = rights::standing(r, payload);
    // What is asked may ask for headers, and must not ask the client.
    if stands.is_some_and(is_due)
        && (at_door || !vouched::has_headers(payload))
        && let Some(evaluated) = rights::ask_here(visit, principal, rights)
    {
        return Asked::Here(evaluated);
    }
    if stands.is_none_or(|source| is_due(source) && !rights::needs_login(r)) {
        log::RIGHTS_TOO_OLD.say(r, || {
            let user = log::quoted(&principal.user);
            format!(
                "rights of {user} do not count here: they are too old, or to be refreshed, and the questions \
                 that they answer do not stand here"
            )
        });
    }
    Asked::Nobody
}

/// Has a session that says what was evaluated take the place of `old`.
fn settle(visit: Visit<'_>, old: &Arc<Session>, evaluated: Evaluated) -> Judged {
    let r = visit.request();
    let rights = match evaluated {
        Evaluated::Rights(rights) => rights,
        Evaluated::NotAllowed => {
            log::GRANT_LOST.say(r, || {
                let user = old.payload().principal.as_ref().map_or("", |principal| &principal.user);
                let user = log::quoted(user);
                format!("the session of {user} was ended: 'login' is not granted any more")
            });
            return visit.end(Reason::Admin).map_or_else(Judged::Untold, |()| Judged::LoginNeeded);
        }
        Evaluated::Failed(why) => {
            rights::cannot_tell(r, &why);
            visit.notes().conclude(Inquiry::Untold);
            return Judged::Untold(Arc::new(SessionError::Rights));
        }
    };
    let payload = Payload { rights, ..old.payload().clone() };
    match visit.begin(Beginning::InPlaceOf { old, payload: &payload, change: first_or_later(old) }) {
        Ok(true) => {}
        Ok(false) => visit.notes().conclude(Inquiry::Overtaken),
        Err(error) => return Judged::Untold(Arc::new(error)),
    }
    let session = match visit.session() {
        Known::Found(session) => session,
        Known::Absent(_) => return Judged::LoginNeeded,
        Known::Unavailable(error) => return Judged::Untold(error),
    };
    if visit.notes().inquiry() == Inquiry::Overtaken {
        return all(session);
    }
    match visit.outdated(&session, conf::dir(r).rights_age.get().copied()) {
        Ok(outdated) => unless_barred(session, &outdated),
        Err(error) => Judged::Untold(Arc::new(error)),
    }
}
