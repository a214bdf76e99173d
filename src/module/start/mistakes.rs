//! Mistakes that only show when several directives are seen together. They stop a start, and `httpd -t` finds them; a
//! server that runs says them and goes on, for each has a meaning that lets nobody in.

use super::places;
use crate::ffi::http_config::Setting;
use crate::ffi::httpd::Server;
use crate::ffi::util_cfgtree;
use crate::module::conf;
use crate::module::conf::names::{self, Right};
use crate::module::conf::settings::ServerConfig;
use crate::session::policy::Policy;

/// The first mistake that is found.
///
/// # Errors
/// What it is and what to write instead.
pub(super) fn find(main: Server<'_>) -> Result<(), String> {
    main.all().try_for_each(|server| check(server, conf::server(server)))?;
    check_names(main)?;
    places::find(&util_cfgtree::all())
}

/// Names that nothing gives a value. Where an application may give one, or another node whose store this one shares,
/// this cannot be checked.
fn check_names(main: Server<'_>) -> Result<(), String> {
    let missing = names::missing();
    let config = conf::server(main);
    let from_elsewhere =
        config.cluster.store.get().is_some() || main.all().any(|server| conf::server(server).heeds_backend);
    let (kind, name) = match missing {
        Some(missing) if !from_elsewhere => missing,
        _ => return Ok(()),
    };
    let (what, directive) = match kind {
        Right::Grant => ("grant", "SessionClusterGrant"),
        Right::Attribute => ("attribute", "SessionClusterAttribute"),
    };
    Err(format!(
        "SC0124: the {what} '{name}' is asked for and nothing gives it: add '{directive} {name} ...' to the login, or \
         correct the name"
    ))
}

fn check(server: Server<'_>, config: &ServerConfig) -> Result<(), String> {
    let Policy { lifetime, .. } = config.policy();
    if let Some(&idle) = config.idle.get()
        && idle > lifetime
    {
        return Err(format!(
            "SC0120: in {}: SessionClusterIdle ({}s) is longer than SessionClusterLifetime ({}s) and would never \
             end a session: make it shorter, or leave it out",
            server.name(),
            idle.as_secs(),
            lifetime.as_secs()
        ));
    }
    if let (Setting::Unset, Some(directive)) = (&config.cluster.store, config.cluster.needs_store()) {
        return Err(format!(
            "SC0122: {directive} says how to deal with a store, and there is none: add SessionClusterStore, or \
             leave it out"
        ));
    }
    let (timeout, bound) = (config.cluster.timeout(), config.cluster.bound());
    if timeout >= bound {
        return Err(format!(
            "SC0123: SessionClusterStoreTimeout ({} ms) must be shorter than SessionClusterLogoutBound ({} ms): \
             an answer of the store that took longer could not be used",
            timeout.as_millis(),
            bound.as_millis()
        ));
    }
    Ok(())
}
