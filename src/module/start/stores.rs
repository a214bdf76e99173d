//! How a store is made of the words of `SessionClusterStore` (see [`stores`]).

use super::caches;
use super::databases;
use super::secret::secret;
use super::threads::HttpdThreads;
use crate::ffi::ap_socache;
use crate::ffi::httpd::Server;
use crate::module::conf::stores::{self, Spec};
use crate::module::log;
use crate::store::l2::files::FilesBackend;
use crate::store::l2::redis::RedisBackend;
use crate::store::l2::{Backend, Draining};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Whether httpd has the modules that a store of these words needs, once all are loaded.
///
/// # Errors
/// Which one is missing.
pub(crate) fn check_modules(main: Server<'_>, words: &[String]) -> Result<(), String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (new, old) = stores::read(&words, &mut |_| Ok(Zeroizing::new("-".into())))?;
    [Some(new), old].into_iter().flatten().try_for_each(|spec| match spec {
        Spec::Dbd(_) => databases::check(main),
        Spec::Socache(config) => ap_socache::check_provider(config.provider()),
        Spec::Files(_) | Spec::Redis(_) => Ok(()),
    })
}

/// The store of these words; nothing is connected yet.
///
/// # Errors
/// What is wrong with them, and which file or module is missing.
pub fn open(main: Server<'_>, words: &[&str]) -> Result<Arc<dyn Backend>, String> {
    let (new, old) = stores::read(words, &mut |source| secret(source))?;
    let new = make(main, &new)?;
    let store = match old {
        Some(old) => Arc::new(Draining::new(new, make(main, &old)?)),
        None => new,
    };
    if !store.has_log() {
        log::STORE_WITHOUT_LOG.say_of_server(main, || {
            "the cluster's store has no log: a logout holds on other servers within SessionClusterLogoutBound, \
             and each session is looked up there again after that time"
                .into()
        });
    }
    Ok(store)
}

fn make(main: Server<'_>, spec: &Spec) -> Result<Arc<dyn Backend>, String> {
    Ok(match spec {
        Spec::Files(config) => {
            let files = FilesBackend::new(config, Arc::new(HttpdThreads));
            if let Some(advice) = files.advice() {
                log::SLOW_DIRECTORY.say_of_server(main, || advice);
            }
            Arc::new(files)
        }
        Spec::Redis(config) => Arc::new(RedisBackend::new(config)?),
        Spec::Dbd(config) => Arc::new(databases::open(main, config)?),
        Spec::Socache(config) => Arc::new(caches::open(main, config, Arc::new(HttpdThreads))?),
    })
}
