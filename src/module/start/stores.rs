//! The stores that `SessionClusterStore` can name: the one list of their words, and how a store is made of them.

use super::caches;
use super::databases;
use super::secret::secret;
use super::threads::HttpdThreads;
use crate::ffi::ap_socache;
use crate::ffi::http_log::{self, Level};
use crate::ffi::httpd::Server;
use crate::module::SessionCluster;
use crate::store::l2::dbd::DbdConfig;
use crate::store::l2::files::{FilesBackend, FilesConfig};
use crate::store::l2::redis::{RedisBackend, RedisConfig, SecretSource};
use crate::store::l2::socache::SocacheConfig;
use crate::store::l2::{Backend, Draining};
use std::sync::Arc;
use zeroize::Zeroizing;

const FORMS: &str = "redis://HOST:PORT, rediss://HOST:PORT (with TLS), unix:/PATH, file:/DIRECTORY, dbd or \
                     socache:PROVIDER:ARGUMENTS";

/// The word between the words of a store and those of the store before it.
const FALLBACK: &str = "fallback";

/// Beginnings of words that a path follows.
const PATHS: [&str; 5] = ["ca=", "cert=", "key=", "password=file:", "sentinel-password=file:"];

/// A store, as it was described.
enum Spec {
    Redis(Box<RedisConfig>),
    Files(FilesConfig),
    Dbd(DbdConfig),
    Socache(SocacheConfig),
}

type ReadSecret<'a> = &'a mut dyn FnMut(SecretSource<'_>) -> Result<Zeroizing<String>, String>;

/// Whether a store can be made of these words. Opens nothing, and fetches no password.
///
/// # Errors
/// What is wrong and what to write instead.
pub(crate) fn check(words: &[&str]) -> Result<(), String> {
    read(words, &mut |_| Ok(Zeroizing::new("-".into()))).map(drop)
}

/// A word of a store, with what `root_path` makes of a path in it.
///
/// # Errors
/// When `root_path` can make nothing of it.
pub(crate) fn rooted(
    word: &str,
    root_path: impl Fn(&str) -> Result<String, String>,
) -> Result<String, String> {
    match PATHS.iter().find_map(|name| Some((name, word.strip_prefix(name)?))) {
        Some((name, path)) if !path.is_empty() => Ok(format!("{name}{}", root_path(path)?)),
        _ => Ok(word.to_owned()),
    }
}

/// Whether httpd has the modules that a store of these words needs, once all are loaded.
///
/// # Errors
/// Which one is missing.
pub(crate) fn check_modules(main: Server<'_>, words: &[String]) -> Result<(), String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (new, old) = read(&words, &mut |_| Ok(Zeroizing::new("-".into())))?;
    [Some(new), old].into_iter().flatten().try_for_each(|spec| match spec {
        Spec::Dbd(_) => databases::check(main),
        Spec::Socache(config) => ap_socache::check_provider(config.provider()),
        Spec::Files(_) | Spec::Redis(_) => Ok(()),
    })
}

/// The store of these words; nothing is connected yet.
///
/// # Errors
/// As [`check`], and which file or module is missing.
pub fn open(main: Server<'_>, words: &[&str]) -> Result<Arc<dyn Backend>, String> {
    let (new, old) = read(words, &mut |source| secret(source))?;
    let new = make(main, &new)?;
    let store = match old {
        Some(old) => Arc::new(Draining::new(new, make(main, &old)?)),
        None => new,
    };
    if !store.has_log() {
        http_log::server::<SessionCluster>(main, Level::Notice, || {
            "SC0126: the cluster's store has no log: a logout holds on other servers within SessionClusterLogoutBound, and each \
             session is looked up there again after that time"
                .into()
        });
    }
    Ok(store)
}

/// The store that the words describe, and the one that it falls back to.
fn read(words: &[&str], read_secret: ReadSecret<'_>) -> Result<(Spec, Option<Spec>), String> {
    let mut stores = words.split(|word| word.eq_ignore_ascii_case(FALLBACK));
    let new = spec(stores.next().unwrap_or_default(), read_secret)?;
    let old = stores.next().map(|words| spec(words, read_secret)).transpose();
    let old = old.map_err(|e| format!("the store after '{FALLBACK}': {e}"))?;
    match stores.next() {
        None => Ok((new, old)),
        Some(_) => {
            Err(format!("there is one '{FALLBACK}' too many: sessions move from one store to one other"))
        }
    }
}

fn spec(words: &[&str], read_secret: ReadSecret<'_>) -> Result<Spec, String> {
    let first = words.first().ok_or_else(|| format!("no store is named: write {FORMS}"))?;
    let scheme = first.split(':').next().unwrap_or_default();
    match scheme {
        "dbd" => DbdConfig::parse(words).map(Spec::Dbd),
        "file" => FilesConfig::parse(words).map(Spec::Files),
        "redis" | "rediss" | "unix" => RedisConfig::parse(words, read_secret).map(Box::new).map(Spec::Redis),
        "socache" => SocacheConfig::parse(words).map(Spec::Socache),
        // It may hold a password, so it is not repeated.
        _ => Err(format!("the address is of no known form: write {FORMS}")),
    }
}

fn make(main: Server<'_>, spec: &Spec) -> Result<Arc<dyn Backend>, String> {
    Ok(match spec {
        Spec::Files(config) => {
            let files = FilesBackend::new(config, Arc::new(HttpdThreads));
            if let Some(advice) = files.advice() {
                http_log::server::<SessionCluster>(main, Level::Warning, || format!("SC0125: {advice}"));
            }
            Arc::new(files)
        }
        Spec::Redis(config) => Arc::new(RedisBackend::new(config)?),
        Spec::Dbd(config) => Arc::new(databases::open(main, config)?),
        Spec::Socache(config) => Arc::new(caches::open(main, config, Arc::new(HttpdThreads))?),
    })
}
