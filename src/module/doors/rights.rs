//! Rights: evaluated at a login by httpd's own authz providers and expressions, kept in the session, and evaluated anew,
//! without a password, when they are too old or an administrator asks for it.

use crate::ffi::ap_expr::Expr;
use crate::ffi::http_config::dir_config;
use crate::ffi::http_log::{self, Level};
use crate::ffi::http_request::Lookup;
use crate::ffi::httpd::{Outcome, Request};
use crate::ffi::mod_auth::{Requirement, Ruling};
use crate::module::SessionCluster;
use crate::module::answer;
use crate::module::host::VirtualHost;
use crate::module::pages::encoded_path;
use crate::module::visit::{Beginning, Known, News, Visit};
use crate::session::payload::{Means, Payload};
use crate::session::rights::{LOGIN, Rights, split};
use crate::session::sessions::{Session, SessionError};
use crate::store::tombstone::Reason;
use serde_bytes::ByteBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What `SessionClusterGrant` and `SessionClusterAttribute` ask at a login.
#[derive(Clone, Default)]
pub struct Questions {
    /// `SessionClusterGrant`, line by line. Of lines for the same name, one yes is enough.
    pub grants: Vec<Arc<Grant>>,
    /// `SessionClusterAttribute`, line by line. Lines for the same name make a list.
    pub attributes: Vec<Arc<Value>>,
}

/// A question that an authz provider answers with yes or no.
pub struct Grant {
    /// What is granted.
    pub name: String,
    /// By which answer.
    pub requirement: Requirement,
}

/// A value that an expression gives.
pub struct Value {
    /// Name of the attribute.
    pub name: String,
    /// What gives its value.
    pub expr: Expr,
    /// What separates the values of a list; `None` for one value.
    pub separators: Option<String>,
    /// Whether it can only be told where a password was just checked.
    pub only_at_login: bool,
}

/// What came of the questions.
pub(crate) enum Evaluated {
    /// The user's rights.
    Rights(Rights),
    /// The user may not log in, or may not stay.
    NotAllowed,
    /// There is no telling; why.
    Failed(String),
}

/// Puts the questions that stand where `r` goes, for the user of `r`. `had`: the rights so far, of which those that nothing
/// here asks for stay as they are. `login`: whether a password was just checked.
pub(crate) fn evaluate(r: Request<'_>, had: &Rights, login: bool, host: &VirtualHost) -> Evaluated {
    let mut rights = had.clone();
    let questions = dir_config::<SessionCluster>(r).questions.get();
    if questions.is_some() || had.place.is_some() {
        rights.at = Visit::now(host).as_millis();
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
            Ok(text) => value.add(r, text, &mut rights),
            Err(complaint) => return Evaluated::Failed(format!("attribute '{}': {complaint}", value.name)),
        }
    }
    Evaluated::Rights(rights)
}

impl Value {
    fn add(&self, r: Request<'_>, text: &[u8], rights: &mut Rights) {
        let mut values = rights.values(&self.name).to_vec();
        match &self.separators {
            Some(separators) => values.extend(split(text, separators)),
            None if text.is_empty() => {}
            None => values.push(ByteBuf::from(text)),
        }
        if values.iter().map(|value| value.len()).sum::<usize>() > Rights::MAX_VALUE {
            http_log::request::<SessionCluster>(r, Level::Warning, || {
                let (name, most) = (&self.name, Rights::MAX_VALUE);
                format!(
                    "SC0305: attribute '{name}' is longer than {most} bytes and is left out: keep less of it"
                )
            });
            values.clear();
        }
        rights.set(&self.name, values);
    }
}

/// A session as it is after its rights were looked at.
pub(crate) enum Fresh {
    /// It may be used.
    Session(Arc<Session>),
    /// It has ended, or needs a login.
    LoginNeeded,
    /// There is no telling, and this is the answer.
    Answer(Outcome),
}

/// `session`, with its rights evaluated anew if they are older than what is allowed where `r` goes, or marked to be.
pub(crate) fn refreshed(
    r: Request<'_>,
    visit: &Visit,
    host: &VirtualHost,
    session: Arc<Session>,
    marked: bool,
) -> Fresh {
    let rights = &session.payload().rights;
    let age = dir_config::<SessionCluster>(r).rights_age.get();
    let old = || age.is_some_and(|&age| rights.are_older_than(age, Visit::now(host)));
    // A superseded session goes soon, and its successor is fresh; a subrequest shares its main request's session.
    // What came from elsewhere and nothing here asks for stays as it is, and is asked for where something does.
    let askable = rights.place.is_some() || asks(r);
    if session.is_superseded() || r.is_subrequest() || !askable || !(marked || old()) {
        return Fresh::Session(session);
    }
    let Some(principal) = &session.payload().principal else { return Fresh::Session(session) };
    let evaluated = match &rights.place {
        Some(place) => {
            let lookup = Lookup::of(r, place);
            let Some(there) = lookup.as_ref().map(Lookup::request).filter(is_login) else {
                static LAST: AtomicU64 = AtomicU64::new(0);
                answer::log_now_and_then(r, &LAST, Level::Warning, || {
                    format!(
                        "SC0307: rights cannot be refreshed: {place}, where they came from, is no login here"
                    )
                });
                return Fresh::LoginNeeded;
            };
            there.authenticate(&principal.user, &principal.means.auth_type);
            evaluate(there, rights, false, host)
        }
        None => {
            let before = r.user();
            r.claim_user(Some(&principal.user));
            let evaluated = evaluate(r, rights, false, host);
            r.claim_user(before);
            evaluated
        }
    };
    let result = match evaluated {
        Evaluated::Rights(rights) => {
            let payload = Payload { rights, ..session.payload().clone() };
            let news = News::Rights;
            let beginning = Beginning::Supersede { old: &session, payload: &payload, news };
            visit.begin(r, host, &beginning).map(|_| ()).map_err(Arc::new)
        }
        Evaluated::NotAllowed => {
            http_log::request::<SessionCluster>(r, Level::Notice, || {
                format!(
                    "SC0308: the session of '{}' was ended: 'login' is not granted any more",
                    principal.user
                )
            });
            visit.end(r, host, Reason::Admin)
        }
        Evaluated::Failed(why) => {
            answer::log_rights_failure(r, &why);
            return Fresh::Answer(answer::try_later(r));
        }
    };
    match (result, visit.known_session()) {
        (Ok(()), Some(session)) => Fresh::Session(session),
        (Ok(()), None) => Fresh::LoginNeeded,
        (Err(error), _) => Fresh::Answer(answer::failed(r, &error)),
    }
}

/// Whether any question stands where `r` goes.
pub(crate) fn asks(r: Request<'_>) -> bool {
    dir_config::<SessionCluster>(r).questions.get().is_some()
}

fn is_login(there: &Request<'_>) -> bool {
    there.handler() == c"session-cluster-login"
}

/// The session whose rights count where a request goes.
pub(crate) enum Here {
    /// This one.
    Session(Arc<Session>),
    /// There is none.
    Nobody,
    /// There is no telling.
    Unavailable(Arc<SessionError>),
}

/// The session whose rights count where `r` goes: where an `AuthType` stands, one whose login was by the same means, and of
/// the very user that the request has; elsewhere, any.
pub(crate) fn here(r: Request<'_>) -> Here {
    let Some((visit, host)) = Visit::of(r) else { return Here::Nobody };
    let session = match visit.session(r, host) {
        Known::Found(session) => session,
        Known::Absent(_) => return Here::Nobody,
        Known::Unavailable(error) => return Here::Unavailable(error),
    };
    let Some(auth_type) = r.auth_type().filter(|auth_type| !auth_type.eq_ignore_ascii_case("None")) else {
        return Here::Session(session);
    };
    let fits = session.payload().principal.as_ref().is_some_and(|principal| {
        principal.means.open(auth_type, r.auth_name().as_deref())
            && r.user().is_none_or(|user| user == principal.user)
    });
    if fits { Here::Session(session) } else { Here::Nobody }
}

/// Calls `see` with each value that a session has by the name of `name`: of one of its facts, or of an attribute. Instants are
/// seconds since 1970.
pub(crate) fn each_value(session: &Session, name: &str, mut see: impl FnMut(&[u8])) {
    let payload = session.payload();
    let principal = payload.principal.as_ref();
    let mut number = |seconds: u64| see(seconds.to_string().as_bytes());
    match name {
        "auth-time" => number(payload.auth_time / 1000),
        "created" => number(session.created().as_secs()),
        "expires" => number(session.deadline().as_secs()),
        "user" => principal.into_iter().for_each(|p| see(p.user.as_bytes())),
        "auth-type" => principal.into_iter().for_each(|p| see(p.means.auth_type.as_bytes())),
        "grants" => payload.rights.grants.iter().for_each(|grant| see(grant.as_bytes())),
        "log-id" => see(session.log_id().as_ref()),
        name => payload.rights.values(name).iter().for_each(|value| see(value)),
    }
}

/// How the own login handler's rights are kept: with the place where they came from.
pub(crate) fn of_login(r: Request<'_>) -> Rights {
    Rights { place: Some(encoded_path(r)), ..Rights::default() }
}

/// The means of the own login handler, where `r` goes.
pub(crate) fn own_means(r: Request<'_>) -> Means {
    let auth_name = r.auth_name().map(std::borrow::Cow::into_owned);
    Means { auth_type: Means::OWN.into(), auth_name }
}
