//! A server's life: the mutex is announced, the configuration checked, the table opened, the children made ready.

use super::good::{self, Good};
use super::table::{self, Before, MUTEX};
use super::{caches, cluster, inspect, mistakes, secret, stores, trailers, watcher};
use crate::ffi::apr_pools::Pool;
use crate::ffi::hooks::{self, Phase};
use crate::ffi::httpd::Server;
use crate::ffi::util_mutex::GlobalMutex;
use crate::ffi::{mod_cache, mod_session};
use crate::module::conf;
use crate::module::conf::names;
use crate::module::doors::provider::Provider;
use crate::module::host::{Shared, VirtualHost};
use crate::module::log;
use crate::session::cookie::CookieSpec;
use crate::session::ledger::LedgerSecret;
use std::sync::Arc;

pub(crate) struct Lifecycle;

impl hooks::Lifecycle for Lifecycle {
    fn pre_config(pconf: Pool<'_>) -> Result<(), String> {
        names::forget();
        mod_session::register::<Provider>();
        mod_cache::look();
        caches::announce(pconf)?;
        GlobalMutex::register(pconf, MUTEX)
    }

    fn check_config(main: Server<'_>, phase: Phase) -> Result<(), String> {
        let mistakes = mistakes::find(main);
        if phase != Phase::Restart {
            mistakes?;
            trailers::check(main)?;
            check_store(main)?;
            return if phase == Phase::Test { inspect::all(main) } else { Ok(()) };
        }
        // What a running server has goes on: see `good`, and the table that stays.
        let table = if inspect::is_in_use(main) { inspect::table(main) } else { Ok(()) };
        let trailers = trailers::keep_off(main);
        for complaint in [mistakes, trailers, table].into_iter().filter_map(Result::err) {
            log::LAST_GOOD.say_of_server(main, || {
                format!("{complaint}; the running server goes on, but would not start again with this")
            });
        }
        Ok(())
    }

    fn post_config(main: Server<'_>, phase: Phase) -> Result<(), String> {
        if !inspect::is_in_use(main) {
            good::forget();
            return Ok(());
        }
        let config = conf::server(main);
        let (spec, clustered) = (config.table.get(), config.cluster.store.get().is_some());
        let before = good::before();
        let opened = table::open_table(main, &spec.cloned().unwrap_or_default());
        let (table, kept) = match opened {
            Err(e) if phase == Phase::Restart => (table::stand_in(main, &e)?, Before::Stopped),
            opened => opened?,
        };
        let hosts: Vec<_> = main
            .all()
            .map(|server| (server, conf::server(server)))
            .filter(|(_, config)| config.in_use || spec.is_some() || clustered)
            .collect();
        let (cluster, its_store) = cluster::open(main, &config.cluster, &hosts, phase, before.as_ref())?;
        let store = Arc::new(table::behind(table, kept, cluster));
        let throttle = Arc::new(table::open_throttle(main)?);
        let pace = table::open_pace(main)?;
        let said = Arc::new(table::open_said(main)?);
        let ledger = match secret::ledger(config) {
            Err(e) if phase == Phase::Restart => last_ledger(main, &e, before),
            ledger => ledger?,
        };
        let patience = config.cluster.timeout();
        let shared = Shared { store, throttle, pace, said, ledger, patience };
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
        good::keep(main, Good { ledger: shared.ledger, store: its_store });
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

/// In the place of a secret that a running server cannot read, as `why` says: the one that it had, if it had one.
fn last_ledger(main: Server<'_>, why: &str, before: Option<Good>) -> Option<LedgerSecret> {
    let ledger = before.and_then(|good| good.ledger);
    log::LAST_GOOD.say_of_server(main, || match &ledger {
        Some(_) => format!("{why}; until a restart that can, the secret goes on that was read before"),
        None => format!("{why}; until a restart that can, no list of logins is kept, as before"),
    });
    ledger
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

/// Whether httpd has the modules that the store needs.
fn check_store(main: Server<'_>) -> Result<(), String> {
    let Some(words) = conf::server(main).cluster.store.get() else { return Ok(()) };
    stores::check_modules(main, words).map_err(|e| format!("SC0121: SessionClusterStore: {e}"))
}
