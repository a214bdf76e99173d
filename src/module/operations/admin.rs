//! The admin handler: ends or refreshes all sessions of a user, a group, the realm, or all, by raising one mark. Works for
//! authenticated users only; who of them may use it is for `Require` to say.

use crate::ffi::http_log::{self, Level};
use crate::ffi::http_protocol::{Form, discard_body};
use crate::ffi::httpd::{Outcome, Request, Status};
use crate::module::SessionCluster;
use crate::module::answer;
use crate::module::handlers::login::is_cross_site;
use crate::module::pages::{self, Administered};
use crate::module::visit::Visit;
use crate::session::scope::{Effect, Scope};

pub(crate) fn handle(r: Request<'_>) -> Outcome {
    let Some((visit, host)) = Visit::of(r) else { return Outcome::Declined };
    // A location that was left open by mistake must not let anybody end everybody's session.
    let Some(admin) = r.user().filter(|_| r.authenticated_by().is_some()) else {
        discard_body(r);
        http_log::request::<SessionCluster>(r, Level::Info, || {
            "SC0303: the admin handler serves authenticated users only: add AuthType and Require".into()
        });
        return Outcome::Answer(Status::FORBIDDEN);
    };
    match r.method() {
        "GET" | "HEAD" => return pages::admin(r, &Administered::Nothing),
        "POST" if is_cross_site(r) => {
            discard_body(r);
            return Outcome::Answer(Status::FORBIDDEN);
        }
        "POST" => {}
        _ => return pages::method_not_allowed(r),
    }
    let form = match Form::read(r, 8, 4096) {
        Ok(form) => form,
        Err(status) => return Outcome::Answer(status),
    };
    let Some((scope, effect)) = asked(&form) else { return pages::admin(r, &Administered::Wrong) };
    if let Err(error) = visit.mark(host, scope, effect) {
        return answer::not_done(r, &error);
    }
    let done = format!("{} of {}: done.", words_for(effect), scope);
    http_log::request::<SessionCluster>(r, Level::Notice, || format!("SC0304: {admin}: {done}"));
    pages::admin(r, &Administered::Done(&done))
}

fn asked(form: &Form) -> Option<(Scope<'_>, Effect)> {
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
