//! `Require session`, `session-grant`, `session-attribute` and `session-age`: rights that the session holds, asked of
//! nobody else. Where the answer is no for want of a login or of a recent one, the login page is what a browser gets.

use super::here::{Counted, Here, here};
use super::refusal;
use crate::clock::Timestamp;
use crate::ffi::http_config::duration;
use crate::ffi::httpd::Request;
use crate::ffi::mod_auth::{AuthzRule, Ruling};
use crate::module::conf::names::{self, Right};
use crate::module::visit::Visit;
use crate::session::facts::{FACTS, each_value};
use crate::session::payload::Means;
use regex::bytes::Regex;
use std::ffi::CStr;
use std::time::Duration;

/// `Require session`: any session whose login is of the kind that is asked for here.
pub(crate) struct AnySession;

impl AuthzRule for AnySession {
    const NAME: &CStr = c"session";
    type Line = ();

    fn parse(words: &[&str]) -> Result<(), String> {
        if words.is_empty() { Ok(()) } else { Err("takes no arguments".into()) }
    }

    fn rule(r: Request<'_>, (): &()) -> Ruling {
        rule(r, |_| true)
    }
}

/// `Require session-grant NAME...`: any of these was granted at the login.
pub(crate) struct Granted;

impl AuthzRule for Granted {
    const NAME: &CStr = c"session-grant";
    type Line = Vec<String>;

    fn parse(words: &[&str]) -> Result<Vec<String>, String> {
        if words.is_empty() {
            return Err("write the name of a grant, such as 'staff'".into());
        }
        let names = words.iter().map(|word| Right::Grant.check(word).map(str::to_owned));
        let names: Vec<String> = names.collect::<Result<_, _>>()?;
        names.iter().for_each(|name| names::ask(Right::Grant, name));
        Ok(names)
    }

    fn rule(r: Request<'_>, names: &Vec<String>) -> Ruling {
        rule(r, |counted| names.iter().any(|name| counted.rights().grants(name)))
    }
}

/// `Require session-attribute NAME VALUE|~REGEX...`: a value of the attribute is any of these.
pub(crate) struct Having;

/// A name, and what its value may be.
pub(crate) struct Wanted {
    name: String,
    any_of: Vec<Pattern>,
}

enum Pattern {
    Is(Vec<u8>),
    Like(Regex),
}

impl AuthzRule for Having {
    const NAME: &CStr = c"session-attribute";
    type Line = Wanted;

    fn parse(words: &[&str]) -> Result<Wanted, String> {
        let [name, values @ ..] = words else {
            return Err("write a name and a value, such as 'role tutor' or 'mail ~@example\\.com$'".into());
        };
        if !FACTS.contains(name) {
            names::ask(Right::Attribute, Right::Attribute.check(name)?);
        }
        if values.is_empty() {
            return Err(format!("write what '{name}' must be: a value, or ~ and a regular expression"));
        }
        let pattern = |value: &&str| match value.strip_prefix('~') {
            Some(regex) => Regex::new(regex).map(Pattern::Like).map_err(|e| format!("'{value}': {e}")),
            None => Ok(Pattern::Is(value.as_bytes().to_vec())),
        };
        let any_of = values.iter().map(pattern).collect::<Result<_, _>>()?;
        Ok(Wanted { name: (*name).to_owned(), any_of })
    }

    fn rule(r: Request<'_>, wanted: &Wanted) -> Ruling {
        let fits = |value: &[u8]| {
            wanted.any_of.iter().any(|pattern| match pattern {
                Pattern::Is(wanted) => wanted == value,
                Pattern::Like(regex) => regex.is_match(value),
            })
        };
        rule(r, |counted| {
            let mut any = false;
            each_value(counted.session(), counted.rights(), &wanted.name, |value| any |= fits(value));
            any
        })
    }
}

/// `Require session-age <TIME`: the user proved who they are no longer ago than that. To a browser, the login page says
/// so.
pub(crate) struct Recent;

impl AuthzRule for Recent {
    const NAME: &CStr = c"session-age";
    type Line = Duration;

    fn parse(words: &[&str]) -> Result<Duration, String> {
        match words {
            [word] => match word.strip_prefix('<') {
                Some(time) => duration(time.strip_suffix("in").filter(|t| t.ends_with('m')).unwrap_or(time)),
                None => Err("write < and a time, such as '<15min'".into()),
            },
            _ => Err("write < and a time, such as '<15min'".into()),
        }
    }

    fn rule(r: Request<'_>, limit: &Duration) -> Ruling {
        let ruling = rule(r, |counted| {
            let session = counted.session();
            session.payload().principal.is_some()
                && Visit::of(r).is_some_and(|visit| {
                    let proven = Timestamp::from_millis(session.payload().auth_time);
                    visit.now().since(proven) < *limit
                })
        });
        if ruling == Ruling::Denied {
            let own = r.auth_type().is_some_and(Means::is_own);
            if own {
                refusal::show_login(r);
            }
        }
        ruling
    }
}

/// What `says` makes of the session that counts here.
fn rule(r: Request<'_>, says: impl FnOnce(&Counted) -> bool) -> Ruling {
    // Where a login is required, nobody is let in without one, whatever the session says.
    if r.auth_type().is_some() && r.user().is_none() {
        return Ruling::NeedsUser;
    }
    match here(r) {
        Here::Session(counted) if says(&counted) => Ruling::Granted,
        Here::Session(_) | Here::Nobody => Ruling::Denied,
        Here::Unavailable(_) => Ruling::Failed,
    }
}
