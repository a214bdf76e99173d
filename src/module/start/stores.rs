//! How a store is made of the words of `SessionClusterStore` (see [`stores`]): first its parts, for which files are
//! read and passwords fetched, and of those the store, without connecting to anything.

use super::access;
use super::caches;
use super::databases;
use super::secret::secret;
use super::threads::HttpdThreads;
use crate::ffi::ap_socache;
use crate::ffi::httpd::Server;
use crate::module::conf::stores::{self, Spec};
use crate::module::log;
use crate::store::l2::dbd::DbdConfig;
use crate::store::l2::files::FilesBackend;
use crate::store::l2::redis::RedisBackend;
use crate::store::l2::socache::SocacheConfig;
use crate::store::l2::{Backend, Draining};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What a store is made of. Holds over restarts, and so nothing of one configuration's.
#[derive(Clone)]
pub(crate) struct Parts {
    new: Part,
    old: Option<Part>,
}

#[derive(Clone)]
enum Part {
    /// A store that needs nothing of httpd's.
    Made(Arc<dyn Backend>),
    Dbd(DbdConfig),
    Socache(SocacheConfig),
}

/// Whether httpd has the modules that a store of these words needs, once all are loaded, and what they need.
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

/// Looks at all that a store of these words needs and that can be looked at, for `httpd -t`. Makes nothing.
///
/// # Errors
/// What is wrong and what to do.
pub(super) fn inspect(main: Server<'_>, words: &[&str]) -> Result<(), String> {
    let (new, old) = stores::read(words, &mut |source| secret(source))?;
    [Some(new), old].into_iter().flatten().try_for_each(|spec| match spec {
        Spec::Files(config) => {
            config.inspect()?;
            access::children_may_use(config.root())
        }
        Spec::Redis(config) => RedisBackend::new(&config).map(drop),
        Spec::Dbd(_) => databases::check(main),
        Spec::Socache(config) => caches::inspect(main, &config),
    })
}

/// What a store of these words is made of. Reads files, and runs programs that give a password.
///
/// # Errors
/// What is wrong with them, and which file cannot be used.
pub(crate) fn prepare(main: Server<'_>, words: &[&str]) -> Result<Parts, String> {
    let (new, old) = stores::read(words, &mut |source| secret(source))?;
    Ok(Parts { new: part(main, new)?, old: old.map(|old| part(main, old)).transpose()? })
}

fn part(main: Server<'_>, spec: Spec) -> Result<Part, String> {
    Ok(match spec {
        Spec::Files(config) => {
            let files = FilesBackend::new(&config, Arc::new(HttpdThreads));
            if let Some(advice) = files.advice() {
                log::SLOW_DIRECTORY.say_of_server(main, || advice);
            }
            Part::Made(Arc::new(files))
        }
        Spec::Redis(config) => Part::Made(Arc::new(RedisBackend::new(&config)?)),
        Spec::Dbd(config) => Part::Dbd(config),
        Spec::Socache(config) => Part::Socache(config),
    })
}

impl Parts {
    /// The store of these parts; nothing is connected yet.
    ///
    /// # Errors
    /// Which module is missing, or what it says.
    pub(crate) fn open(&self, main: Server<'_>) -> Result<Arc<dyn Backend>, String> {
        let new = make(main, &self.new)?;
        let store = match &self.old {
            Some(old) => Arc::new(Draining::new(new, make(main, old)?)),
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
}

fn make(main: Server<'_>, part: &Part) -> Result<Arc<dyn Backend>, String> {
    Ok(match part {
        Part::Made(store) => Arc::clone(store),
        Part::Dbd(config) => Arc::new(databases::open(main, config)?),
        Part::Socache(config) => Arc::new(caches::open(main, config, Arc::new(HttpdThreads))?),
    })
}

/// The store of these words; nothing is connected yet.
///
/// # Errors
/// As [`prepare`] and [`Parts::open`].
pub fn open(main: Server<'_>, words: &[&str]) -> Result<Arc<dyn Backend>, String> {
    prepare(main, words)?.open(main)
}
