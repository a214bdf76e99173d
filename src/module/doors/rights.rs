//! Rights: evaluated at a login by httpd's own authz providers and expressions, kept in the session, and evaluated
//! anew, without a password, when they are too old or an administrator asks for it.

use crate::clock::Timestamp;
use crate::ffi::http_request::Lookup;
use crate::ffi::httpd::{Outcome, Request};
use crate::ffi::mod_auth::Ruling;
use crate::module::answer;
use crate::module::conf;
use crate::module::conf::questions::Value;
use crate::module::htaccess;
use crate::module::log;
use crate::module::visit::{Known, Visit};
use crate::session::payload::{Means, Payload};
use crate::session::rights::{Evaluated, LOGIN, Rights, split};
use crate::session::sessions::Session;
use crate::session::sign_in::{Beginning, Change};
use crate::store::tombstone::Reason;
use serde_bytes::ByteBuf;
use std::borrow::Cow;
use std::sync::Arc;

/// Puts the questions that stand where `r` goes, for `user`, who is the user of `r`. `had`: the rights so far, of which
/// those that nothing here asks for stay as they are. `login`: whether somebody just vouched for the user. Says so in
/// the log if the user may not come in, or nobody can tell.
pub(crate) fn evaluate(r: Request<'_>, user: &str, had: &Rights, login: bool, now: Timestamp) -> Evaluated {
    let evaluated = ask(r, had, login, now);
    match &evaluated {
        Evaluated::Rights(_) => {}
        Evaluated::NotAllowed => {
            log::NOT_GRANTED.say(r, || format!("'{user}' may not come in: 'login' is not granted"));
        }
        Evaluated::Failed(why) => cannot_tell(r, why),
    }
    evaluated
}

fn cannot_tell(r: Request<'_>, why: &str) {
    log::RIGHTS_UNKNOWN.say(r, || format!("rights cannot be evaluated: {why}: look at what answers for it"));
}

fn ask(r: Request<'_>, had: &Rights, login: bool, now: Timestamp) -> Evaluated {
    let mut rights = had.clone();
    let questions = conf::dir(r).questions.get();
    if questions.is_some() || had.place.is_some() {
        rights.at = now.as_millis();
    }
    let Some(questions) = questions else { return Evaluated::Rights(rights) };
    rights.grants.retain(|name| !questions.grants.iter().any(|grant| grant.name == *name));
    for grant in &questions.grants {
        if rights.grants(&grant.name) {
            continue;
        }
        match grant.requirement.ruling(r) {
            Ruling::Granted => rights.grants.push(grant.name.clone()),
            Ruling::Denied | Ruling::NeedsUser | Ruling::Neutral => {}
            Ruling::Failed => return Evaluated::Failed(format!("grant '{}' could not be told", grant.name)),
        }
    }
    if questions.grants.iter().any(|grant| grant.name == LOGIN) && !rights.grants(LOGIN) {
        return Evaluated::NotAllowed;
    }
    let asked = || questions.attributes.iter().filter(|value| login || !value.only_at_login);
    for value in asked() {
        rights.set(&value.name, Vec::new());
    }
    for value in asked() {
        match value.expr.value(r) {
            Ok(text) => add(r, value, text, &mut rights),
            Err(complaint) => return Evaluated::Failed(format!("attribute '{}': {complaint}", value.name)),
        }
    }
    Evaluated::Rights(rights)
}

/// Adds what the expression of an attribute gave.
fn add(r: Request<'_>, Value { name, separators, .. }: &Value, text: &[u8], rights: &mut Rights) {
    let mut values = rights.values(name).to_vec();
    match separators {
        Some(separators) => values.extend(split(text, separators)),
        None if text.is_empty() => {}
        None => values.push(ByteBuf::from(text)),
    }
    if values.iter().map(|value| value.len()).sum::<usize>() > Rights::MAX_VALUE {
        log::ATTRIBUTE_TOO_LONG.say(r, || {
            let most = Rights::MAX_VALUE;
            format!("attribute '{name}' is longer than {most} bytes and is left out: keep less of it")
        });
        values.clear();
    }
    rights.set(name, values);
}

/// A session as it is after its rights were looked at.
pub(crate) enum Fresh {
    /// It may be used.
    Session(Arc<Session>),
    /// It has ended, or needs a login.
    LoginNeeded,
    /// Nobody can tell, and this is the answer.
    Answer(Outcome),
}

/// `session`, with its rights evaluated anew if they are older than what is allowed where the visit goes, or marked to
/// be.
pub(crate) fn refreshed(visit: Visit<'_>, session: Arc<Session>, marked: bool) -> Fresh {
    let r = visit.request();
    let rights = &session.payload().rights;
    let age = conf::dir(r).rights_age.get();
    let old = || age.is_some_and(|&age| rights.are_older_than(age, visit.now()));
    // The successor of a superseded session is fresh; a subrequest shares its main request's session.
    // What came from elsewhere and nothing here asks for stays as it is, and is asked for where something does.
    let askable = rights.place.is_some() || asks(r);
    if session.permits(Change::Rights).is_err() || r.is_subrequest() || !askable || !(marked || old()) {
        return Fresh::Session(session);
    }
    let Some(principal) = &session.payload().principal else { return Fresh::Session(session) };
    let evaluated = match &rights.place {
        Some(place) => {
            let lookup = Lookup::of(r, place);
            let Some(there) = lookup.as_ref().map(Lookup::request).filter(is_login) else {
                log::LOGIN_MOVED.say(r, || {
                    format!("rights cannot be refreshed: {place}, where they came from, is no login here")
                });
                return Fresh::LoginNeeded;
            };
            there.authenticate(&principal.user, &principal.means.auth_type);
            ask(there, rights, false, visit.now())
        }
        None => {
            let before = r.user();
            r.claim_user(Some(&principal.user));
            let evaluated = ask(r, rights, false, visit.now());
            r.claim_user(before);
            evaluated
        }
    };
    let result = match evaluated {
        Evaluated::Rights(rights) => {
            let payload = Payload { rights, ..session.payload().clone() };
            let change = Change::Rights;
            let beginning = Beginning::InPlaceOf { old: &session, payload: &payload, change };
            visit.begin(beginning).map(drop).map_err(Arc::new)
        }
        Evaluated::NotAllowed => {
            log::GRANT_LOST.say(r, || {
                format!("the session of '{}' was ended: 'login' is not granted any more", principal.user)
            });
            visit.end(Reason::Admin)
        }
        Evaluated::Failed(why) => {
            cannot_tell(r, &why);
            return Fresh::Answer(answer::try_later(r));
        }
    };
    match (result, visit.session()) {
        (Ok(()), Known::Found(session)) => Fresh::Session(session),
        (Ok(()), Known::Absent(_)) => Fresh::LoginNeeded,
        (Ok(()), Known::Unavailable(error)) | (Err(error), _) => Fresh::Answer(answer::failed(r, &error)),
    }
}

/// Whether any question stands where `r` goes that its administrator has answered for.
pub(crate) fn asks(r: Request<'_>) -> bool {
    conf::dir(r).questions.get().is_some() && !htaccess::vouches(r)
}

fn is_login(there: &Request<'_>) -> bool {
    there.handler() == c"session-cluster-login"
}

/// How the own login handler's rights are kept: with the place where they came from.
pub(crate) fn of_login(r: Request<'_>) -> Rights {
    Rights { place: Some(r.encoded_path()), ..Rights::default() }
}

/// The means of the own login handler, where `r` goes.
pub(crate) fn own_means(r: Request<'_>) -> Means {
    Means { auth_type: Means::OWN.into(), auth_name: r.auth_name().map(Cow::into_owned) }
}
