//! A server's life: the mutex is announced, the configuration checked, the table opened, the children made ready.

use super::table::{self, MUTEX};
use super::{caches, cluster, secret, stores, trailers, watcher};
use crate::ffi::apr_pools::Pool;
use crate::ffi::hooks;
use crate::ffi::http_config::Setting;
use crate::ffi::httpd::Server;
use crate::ffi::mod_session;
use crate::ffi::util_mutex::GlobalMutex;
use crate::module::conf;
use crate::module::conf::names::{self, Right};
use crate::module::conf::settings::ServerConfig;
use crate::module::doors::provider::Provider;
use crate::module::host::{Shared, VirtualHost};
use crate::module::log;
use crate::session::cookie::CookieSpec;
use crate::session::policy::Policy;
use std::sync::Arc;

pub(crate) struct Lifecycle;

impl hooks::Lifecycle for Lifecycle {
    fn pre_config(pconf: Pool<'_>) -> Result<(), String> {
        names::forget();
        mod_session::register::<Provider>();
        caches::announce(pconf)?;
        GlobalMutex::register(pconf, MUTEX)
    }

    fn check_config(main: Server<'_>) -> Result<(), String> {
        main.all().try_for_each(|server| check(server, conf::server(server)))?;
        if let Some(words) = conf::server(main).cluster.store.get() {
            stores::check_modules(main, words).map_err(|e| format!("SC0121: SessionClusterStore: {e}"))?;
        }
        trailers::check(main)?;
        check_names(main)
    }

    fn post_config(main: Server<'_>) -> Result<(), String> {
        let in_use = |server: &Server<'_>| conf::server(*server).in_use;
        let spec = conf::server(main).table.get();
        let clustered = conf::server(main).cluster.store.get().is_some();
        if spec.is_none() && !clustered && !main.all().any(|server| in_use(&server)) {
            return Ok(());
        }
        let (table, before) = table::open_table(main, &spec.cloned().unwrap_or_default())?;
        let hosts: Vec<_> = main
            .all()
            .map(|server| (server, conf::server(server)))
            .filter(|(_, config)| config.in_use || spec.is_some() || clustered)
            .collect();
        let cluster = cluster::open(main, &conf::server(main).cluster, &hosts)?;
        let store = Arc::new(table::behind(table, before, cluster));
        let throttle = Arc::new(table::open_throttle(main)?);
        let pace = table::open_pace(main)?;
        let ledger = secret::ledger(conf::server(main))?;
        let patience = conf::server(main).cluster.timeout();
        let shared = Shared { store, throttle, pace, ledger, patience };
        for (server, config) in hosts {
            config
                .host
                .get_or_try_init(|| {
                    let (name, policy) = (config.realm_name(server), config.policy());
                    config.cookie().map(|cookie| VirtualHost::new(shared.clone(), name, policy, cookie))
                })
                .map_err(|e| e.to_string())?;
        }
        tell_cookies(main);
        Ok(())
    }

    fn child_init(main: Server<'_>, pchild: Pool<'_>) {
        // The main server may be without a directive of ours. All hosts share the store.
        let Some(host) = main.all().find_map(|server| conf::server(server).host.get()) else { return };
        if let Err(e) = host.store().table().write_lock().mutex().child_init(pchild) {
            log::NO_MUTEX.say_of_server(main, || {
                format!("this child cannot use the mutex, logins here will fail: {e}")
            });
        }
        if let Err(e) = caches::child_init(pchild) {
            log::NO_CACHE_MUTEX.say_of_server(main, || {
                format!("this child cannot use the mutex of the cache that is the store: {e}")
            });
        }
        watcher::start(main, pchild, host.store());
    }
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

/// Tells each virtual host the cookies of the others, also one where nothing of ours is configured.
fn tell_cookies(main: Server<'_>) {
    let mut all: Vec<&CookieSpec> = Vec::new();
    for cookie in main.all().filter_map(|server| conf::server(server).host.get()).map(VirtualHost::cookie) {
        if !all.iter().any(|known| known.name(false) == cookie.name(false)) {
            all.push(cookie);
        }
    }
    for config in main.all().map(conf::server) {
        let own = config.host.get().map(|host| host.cookie().name(false));
        let others = all.iter().filter(|cookie| Some(cookie.name(false)) != own);
        // Made anew with each configuration, so that nothing stands there yet.
        let _ = config.others.set(others.map(|&cookie| cookie.clone()).collect());
    }
}

/// Mistakes that only show when several directives are seen together.
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
