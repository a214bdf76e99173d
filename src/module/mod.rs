//! Floor 4: what httpd calls. Thin: translate, delegate, answer. The hook table is [`SessionCluster::register`].
#![forbid(unsafe_code)]

pub mod caches;
pub mod config;
pub mod directives;
pub mod stores;

mod admin;
mod adopt;
mod answer;
mod attempt;
mod authz;
mod backend;
mod cluster;
mod databases;
mod door;
mod export;
mod expr;
mod fixups;
mod lifecycle;
mod login;
mod logout;
mod mine;
mod names;
mod page;
mod provider;
mod refusal;
mod rights;
mod runtime;
mod status;
mod sticky;
mod template;
mod visit;
mod vouched;
mod watcher;
mod whoami;

use crate::ffi::hooks::{Hooks, Order, RequestHook};
use crate::ffi::http_config::Module;
use crate::ffi::httpd::{Outcome, Request};
use crate::ffi::sys;

/// The module.
pub struct SessionCluster;

impl Module for SessionCluster {
    type Server = config::ServerConfig;
    type Dir = config::DirConfig;
    type State = visit::Visit;
    type Connection = visit::Remembered;

    fn record() -> *mut sys::module {
        &raw mut crate::session_cluster_module
    }

    fn register(hooks: &Hooks<'_, Self>) {
        hooks.lifecycle::<lifecycle::Lifecycle>();
        // Before every module that looks at cookies: ours is for nobody else's eyes.
        hooks.post_read_request::<visit::TakeCookie>(Order::ReallyFirst);
        // Before the modules that ask for passwords: a session answers first.
        // But after mod_ssl, which makes a Basic login of a client's certificate.
        hooks.check_authn::<door::Door>(Order::First, &[c"mod_ssl.c"]);
        hooks.check_authz::<adopt::Adoption>(Order::First);
        hooks.fixups::<fixups::Fixups>(Order::First);
        hooks.handler::<Handlers>(Order::Middle);
        hooks.authz::<authz::AnySession>();
        hooks.authz::<authz::Granted>();
        hooks.authz::<authz::Having>();
        hooks.authz::<authz::Recent>();
        hooks.expr::<expr::SessionFunction>();
        hooks.gate::<backend::Backend>();
        hooks.gate::<sticky::Sticky>();
        hooks.status::<status::Section>();
    }
}

/// The handlers that `SetHandler` can name.
struct Handlers;

impl RequestHook for Handlers {
    fn run(r: Request<'_>) -> Outcome {
        match r.handler().to_bytes() {
            b"session-cluster-login" => login::handle(r),
            b"session-cluster-logout" => logout::handle(r),
            b"session-cluster-admin" => admin::handle(r),
            b"session-cluster-mine" => mine::handle(r),
            b"session-cluster-whoami" => whoami::handle(r),
            _ => Outcome::Declined,
        }
    }
}
