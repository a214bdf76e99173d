//! Questions about a user's rights: put to httpd's own authz providers and expressions, at a login, and again without a
//! password where `here.rs` finds what a session knows of them too old.

use crate::ffi::http_request::Lookup;
use crate::ffi::httpd::Request;
use crate::ffi::mod_auth::Ruling;
use crate::module::conf;
use crate::module::conf::questions::Value;
use crate::module::htaccess;
use crate::module::log;
use crate::module::visit::Visit;
use crate::session::payload::{Means, Payload, Principal};
use crate::session::rights::{Evaluated, LOGIN, Place, Rights, Source, split};
use serde_bytes::ByteBuf;
use std::borrow::Cow;

/// Puts the questions that stand where the visit goes, for `user`, who is the user of its request. `had`: the rights so
/// far, of which those that nothing here asks for stay as they are. `login`: whether somebody just vouched for the
/// user. Says so in the log if the user may not come in, or nobody can tell.
pub(crate) fn evaluate(visit: Visit<'_>, user: &str, had: &Rights, login: bool) -> Evaluated {
    let r = visit.request();
    let evaluated = ask(visit, r, had, login);
    match &evaluated {
        Evaluated::Rights(_) => {}
        Evaluated::NotAllowed => {
            log::NOT_GRANTED
                .say(r, || format!("{} may not come in: 'login' is not granted", log::quoted(user)));
        }
        Evaluated::Failed(why) => cannot_tell(r, why),
    }
    evaluated
}

pub(super) fn cannot_tell(r: Request<'_>, why: &str) {
    log::RIGHTS_UNKNOWN.say(r, || format!("rights cannot be evaluated: {why}: look at what answers for it"));
}

/// Puts the questions that stand where the request goes, as [`evaluate`] does, for the user of a session that was not
/// let in here by anybody. `None` where a `.htaccess` file has a say in the answers.
pub(super) fn ask_here(visit: Visit<'_>, principal: &Principal, had: &Rights) -> Option<Evaluated> {
    let r = visit.request();
    if visit.notes().has_moved(r.place(), r.place_of_settings()) || htaccess::vouches(r) {
        return None;
    }
    let before = r.user();
    r.claim_user(Some(&principal.user));
    let evaluated = ask(visit, r, had, false);
    r.claim_user(before);
    Some(evaluated)
}

/// Puts the questions of the login at `place` anew. `None` if that is no login of this virtual host, or one with other
/// questions than those of the virtual host where the user logged in: its answers are no answers to those.
pub(super) fn ask_at_login(
    visit: Visit<'_>,
    place: &Place,
    principal: &Principal,
    had: &Rights,
) -> Option<Evaluated> {
    // What is required there may look at the session as well.
    visit.notes().inquiring(Source::Login, || {
        let lookup = Lookup::of(visit.request(), &place.path)?;
        let there = lookup.request();
        let same = || there_asks(there) == place.questions || host(there) == place.host;
        if there.handler() != c"session-cluster-login" || !same() || htaccess::vouches(there) {
            return None;
        }
        there.authenticate(&principal.user, &principal.means.auth_type);
        Some(ask(visit, there, had, false))
    })
}

fn ask(visit: Visit<'_>, r: Request<'_>, had: &Rights, login: bool) -> Evaluated {
    let mut rights = had.clone();
    let source = match &mut rights.place {
        Some(place) => {
            place.questions = there_asks(r);
            Source::Login
        }
        None if conf::dir(r).questions.get().is_some() => Source::Page(there_asks(r)),
        None => return Evaluated::Rights(rights),
    };
    visit.notes().inquiring(source, || put_questions(visit, r, source, rights, login))
}

fn put_questions(
    visit: Visit<'_>,
    r: Request<'_>,
    source: Source,
    mut rights: Rights,
    login: bool,
) -> Evaluated {
    let questions = conf::dir(r).questions.get();
    let attributes = || questions.iter().flat_map(|questions| &questions.attributes);
    let keeps = |name: &str| attributes().any(|value| value.name == name && value.only_at_login && !login);
    rights.ask(source, visit.now(), visit.watermark(), keeps);
    let Some(questions) = questions else { return Evaluated::Rights(rights) };
    questions.grants.iter().for_each(|grant| rights.revoke(&grant.name));
    for grant in &questions.grants {
        if rights.grants(&grant.name) {
            continue;
        }
        match grant.requirement.ruling(r) {
            Ruling::Granted => rights.grant(source, &grant.name),
            Ruling::Denied | Ruling::NeedsUser | Ruling::Neutral => {}
            Ruling::Failed => return Evaluated::Failed(format!("grant '{}' could not be told", grant.name)),
        }
    }
    if questions.grants.iter().any(|grant| grant.name == LOGIN) && !rights.grants(LOGIN) {
        return Evaluated::NotAllowed;
    }
    let asked = || attributes().filter(|value| login || !value.only_at_login);
    for value in asked() {
        rights.set(source, &value.name, Vec::new());
    }
    for value in asked() {
        match value.expr.value(r) {
            Ok(text) => add(r, value, text, source, &mut rights),
            Err(complaint) => return Evaluated::Failed(format!("attribute '{}': {complaint}", value.name)),
        }
    }
    Evaluated::Rights(rights)
}

/// Adds what the expression of an attribute gave.
fn add(
    r: Request<'_>,
    Value { name, separators, .. }: &Value,
    text: &[u8],
    source: Source,
    rights: &mut Rights,
) {
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
    rights.set(source, name, values);
}

/// The questions that stand where `r` goes and can be put here for a session of `payload`: not one that came from a
/// login of its own, whose place has the questions, nor one of nobody. They are meant for those who log in here: where
/// no `AuthType` stands, for those whom they were put for behind a login.
pub(super) fn standing(r: Request<'_>, payload: &Payload) -> Option<Source> {
    let questions = conf::dir(r).questions.get()?;
    let source = Source::Page(questions.digest);
    let asks = payload.rights.place.is_none()
        && payload.principal.is_some()
        && (needs_login(r) || payload.rights.answers_of(source).is_some());
    asks.then_some(source)
}

/// Those, if they were not put yet, and their administrator has answered for them.
pub(super) fn unasked(r: Request<'_>, payload: &Payload) -> Option<Source> {
    let unasked = standing(r, payload).filter(|&source| payload.rights.answers_of(source).is_none());
    unasked.filter(|_| !htaccess::vouches(r))
}

/// Whether an `AuthType` stands where `r` goes.
pub(super) fn needs_login(r: Request<'_>) -> bool {
    r.auth_type().is_some_and(|auth_type| !auth_type.eq_ignore_ascii_case("None"))
}

/// The digest of the questions that stand where `r` goes.
fn there_asks(r: Request<'_>) -> u64 {
    conf::dir(r).questions.get().map_or(0, |questions| questions.digest)
}

/// The virtual host that `r` came to, as it is named on every node.
fn host(r: Request<'_>) -> String {
    format!("{}:{}", r.server().name(), r.server().port())
}

/// How the own login handler's rights are kept: with the place where they came from.
pub(crate) fn of_login(r: Request<'_>) -> Rights {
    Rights::of_login(Place { host: host(r), path: r.encoded_path(), questions: there_asks(r) })
}

/// The means of the own login handler, where `r` goes.
pub(crate) fn own_means(r: Request<'_>) -> Means {
    Means { auth_type: Means::OWN.into(), auth_name: r.auth_name().map(Cow::into_owned) }
}
