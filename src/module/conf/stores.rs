//! The words of `SessionClusterStore`: which stores they can name, and what they say of one. How a store is made of
//! them is in [`crate::module::start::stores`].

use crate::store::l2::dbd::DbdConfig;
use crate::store::l2::files::FilesConfig;
use crate::store::l2::redis::{RedisConfig, SecretSource};
use crate::store::l2::socache::SocacheConfig;
use zeroize::Zeroizing;

const FORMS: &str = "redis://HOST:PORT, rediss://HOST:PORT (with TLS), unix:/PATH, file:/DIRECTORY, dbd or \
                     socache:PROVIDER:ARGUMENTS";

/// The word between the words of a store and those of the store before it.
const FALLBACK: &str = "fallback";

/// Beginnings of words that a path follows.
const PATHS: [&str; 5] = ["ca=", "cert=", "key=", "password=file:", "sentinel-password=file:"];

/// A store, as it was described.
pub(crate) enum Spec {
    /// Redis or Valkey.
    Redis(Box<RedisConfig>),
    /// A shared directory.
    Files(FilesConfig),
    /// A database, by mod_dbd.
    Dbd(DbdConfig),
    /// An object cache of httpd's.
    Socache(SocacheConfig),
}

/// What fetches a password from where the words say it is.
pub(crate) type ReadSecret<'a> = &'a mut dyn FnMut(SecretSource<'_>) -> Result<Zeroizing<String>, String>;

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

/// The store that the words describe, and the one that it falls back to.
///
/// # Errors
/// As [`check`], and what `read_secret` says.
pub(crate) fn read(words: &[&str], read_secret: ReadSecret<'_>) -> Result<(Spec, Option<Spec>), String> {
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
