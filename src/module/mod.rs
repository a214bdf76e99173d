//! Floor 4: what httpd calls. Thin: translate, delegate, answer. The hook table is [`SessionCluster::register`].
#![forbid(unsafe_code)]

pub mod conf;
pub mod start;

mod answer;
mod arrival;
mod doors;
mod handlers;
mod headers;
mod host;
mod htaccess;
mod log;
mod operations;
mod pages;
mod posted;
mod session_cluster;
mod visit;

pub use session_cluster::SessionCluster;

use crate::ffi::hooks::{Hooked, Hooks, Order};
use crate::ffi::http_config::Module;
use crate::ffi::sys;
use conf::settings::{DirConfig, ServerConfig};
use doors::{adopt, answers, authz, door, expr, fixups, kept, orders, sticky};
use handlers::Handlers;
use operations::mod_status;
use start::lifecycle;
use std::ffi::CStr;

impl Module for SessionCluster {
    type Server = ServerConfig;
    type Dir = DirConfig;
    type State = visit::State;
    type Connection = visit::Remembered;

    fn record() -> *mut sys::module {
        &raw mut crate::session_cluster_module
    }
}

/// Modules that write down, or act by, what a client sent, as soon as a request is read.
const WATCHERS: &[&CStr] = &[
    c"mod_log_forensic.c",
    c"mod_security2.c",
    c"mod_remoteip.c",
    c"mod_ssl.c",
    c"mod_setenvif.c",
    c"mod_headers.c",
    c"mod_rewrite.c",
    c"mod_proxy.c",
    c"mod_lua.c",
];

/// Modules that write down a request when it is over.
const LOGGERS: &[&CStr] =
    &[c"mod_log_config.c", c"mod_log_forensic.c", c"mod_logio.c", c"mod_security2.c", c"mod_lua.c"];

impl Hooked for SessionCluster {
    fn register(hooks: &Hooks<'_, Self>) {
        hooks.lifecycle::<lifecycle::Lifecycle>();
        // Before every module that looks at cookies: ours is for nobody else's eyes.
        hooks.post_read_request::<arrival::Arrival>(Order::ReallyFirst, WATCHERS);
        hooks.log_failure::<arrival::Unread>(Order::ReallyFirst, LOGGERS);
        // Before the modules that ask for passwords: a session answers first.
        // But after mod_ssl, which makes a Basic login of a client's certificate.
        hooks.check_authn::<door::Door>(Order::First, &[c"mod_ssl.c"]);
        hooks.check_authz::<adopt::Adoption>(Order::First);
        // Before rules that may refuse a page that was allowed, or ask what is exported.
        hooks.fixups::<fixups::Fixups>(Order::First, &[c"mod_rewrite.c"]);
        hooks.handler::<Handlers>(Order::Middle);
        hooks.authz::<authz::AnySession>();
        hooks.authz::<authz::Granted>();
        hooks.authz::<authz::Having>();
        hooks.authz::<authz::Recent>();
        hooks.expr::<expr::SessionFunction>();
        hooks.gate::<orders::Orders>();
        hooks.gate::<orders::Unheeded>();
        hooks.gate::<sticky::Sticky>();
        hooks.gate::<kept::Kept>();
        // What puts a page together.
        hooks.answers::<answers::Answers>(&[c"core.c", c"mod_filter.c"]);
        hooks.status::<mod_status::Section>();
    }
}
