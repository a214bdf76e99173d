//! The admin handler: ends or refreshes all sessions of a user, a group, the realm, or all, by raising one mark. Works
//! for authenticated users only; who of them may use it is for `Require` to say, how far it reaches for
//! `SessionClusterAdmin`.

use crate::ffi::http_protocol::{Form, discard_body};
use crate::ffi::httpd::{Outcome, Request, Status};
use crate::module::answer;
use crate::module::conf;
use crate::module::conf::settings::Reach;
use crate::module::htaccess;
use crate::module::log;
use crate::module::pages::{self, Administered};
use crate::module::posted::{self, Asked, Bounds};
use crate::module::visit::Visit;
use crate::session::ledger::Listed;
use crate::session::scope::{Effect, Scope};

const FORM: Bounds = Bounds { fields: 8, bytes: 4096, optional: false };

pub(crate) fn handle(r: Request<'_>) -> Outcome {
    let Some(visit) = Visit::of(r) else { return Outcome::Declined };
    // SetHandler works in .htaccess as well. Where there is such a file, a directive is wanted that it cannot have.
    let unsaid = || (!htaccess::is_in_force(r)).then_some(Reach::Realm);
    let Some(reach) = conf::dir(r).reach().unwrap_or_else(unsaid) else {
        discard_body(r);
        log::ADMIN_OFF.say(r, || {
            format!(
                "the admin handler does nothing at {}: say 'SessionClusterAdmin realm' in httpd.conf",
                r.path()
            )
        });
        return Outcome::Answer(Status::FORBIDDEN);
    };
    // A location that was left open by mistake must not let anybody end everybody's session.
    let Some(admin) = r.user().filter(|_| r.authenticated_by().is_some()) else {
        discard_body(r);
        log::OPEN_ADMIN.say_once(r, || {
            "the admin handler serves authenticated users only: add AuthType and Require".into()
        });
        return Outcome::Answer(Status::FORBIDDEN);
    };
    let form = match posted::asked(r, FORM) {
        Ok(Asked::Form(form)) => form,
        Ok(Asked::Page) => return pages::admin(r, reach, &Administered::Nothing),
        Err(outcome) => return outcome,
    };
    let Some((scope, effect)) = wanted(&form) else { return pages::admin(r, reach, &Administered::Wrong) };
    if scope == Scope::All && reach != Reach::All {
        return pages::admin(r, reach, &Administered::TooFar);
    }
    let listed = match (scope, visit.host().ledger()) {
        (Scope::User(name), Some(list)) => visit.list_named(list, name).ok(),
        _ => None,
    };
    if let Err(error) = visit.mark(scope, effect) {
        return answer::not_done(r, &error);
    }
    let done = format!("{} of {}: done.{}", words_for(effect), scope, counted(listed));
    log::ADMINISTERED.say(r, || format!("{admin}: {done}"));
    pages::admin(r, reach, &Administered::Done(&done))
}

/// How many sessions there were, as far as the list of logins tells, so that a misspelt name is noticed.
fn counted(listed: Option<(Vec<Listed>, bool)>) -> String {
    match listed {
        None => String::new(),
        Some((listed, _)) if listed.is_empty() => {
            " No session of that name is listed: is it spelt as its login has it?".into()
        }
        Some((listed, true)) => format!(" {} or more sessions were listed.", listed.len()),
        Some((listed, false)) if listed.len() == 1 => " One session was listed.".into(),
        Some((listed, false)) => format!(" {} sessions were listed.", listed.len()),
    }
}

/// What the form asks for.
fn wanted(form: &Form) -> Option<(Scope<'_>, Effect)> {
    let name = form.get("name").unwrap_or_default();
    let clean = !name.is_empty() && !name.contains(char::is_control);
    let scope = match form.get("scope")? {
        "user" if clean => Scope::User(name),
        "group" if clean => Scope::Group(name),
        "realm" => Scope::Realm,
        "all" => Scope::All,
        _ => return None,
    };
    let effect = match form.get("action")? {
        "end" => Effect::End,
        "refresh" => Effect::Refresh,
        _ => return None,
    };
    Some((scope, effect))
}

fn words_for(effect: Effect) -> &'static str {
    match effect {
        Effect::End => "End",
        Effect::Refresh => "Refresh",
    }
}
