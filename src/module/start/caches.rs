//! httpd's object caches as stores: the caches that this configuration has opened, and the lock for those that need
//! one.

use super::{access, table};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::ffi::ap_socache::{self, CacheError, Hints, ObjectCache};
use crate::ffi::apr_pools::Pool;
use crate::ffi::http_config::runtime_path;
use crate::ffi::httpd::Server;
use crate::ffi::util_mutex::GlobalMutex;
use crate::store::l2::socache::{Cache, SocacheBackend, SocacheConfig};
use crate::store::l2::workers::{Fault, Spawn};
use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use std::ffi::CStr;
use std::path::Path;
use std::sync::Arc;

/// The name of the mutex for httpd's `Mutex` directive.
const MUTEX: &CStr = c"session-cluster-socache";
/// What providers call our part of them. They take 16 bytes at most.
const NAME: &CStr = c"session-cluster";
/// An id is a prefix and a digest in 43 letters; a session is about so large.
const HINTS: Hints = Hints { id: 48, object: 700 };

/// Made once in the life of the server: processes of two configurations may use one cache.
static LOCK: OnceCell<Arc<GlobalMutex>> = OnceCell::new();
/// The caches of this configuration: one for each provider and its arguments.
static OPEN: Mutex<Vec<(SocacheConfig, Arc<Opened>)>> = Mutex::new(Vec::new());

/// Announces the mutex, and forgets the caches of the configuration before this one. For pre_config.
///
/// # Errors
/// When httpd refuses.
pub fn announce(pconf: Pool<'_>) -> Result<(), String> {
    OPEN.lock().clear();
    GlobalMutex::register(pconf, MUTEX)
}

/// Makes the mutex usable in a child. For child_init.
///
/// # Errors
/// When its lock file cannot be opened by the child.
pub fn child_init(pchild: Pool<'_>) -> Result<(), String> {
    LOCK.get().map_or(Ok(()), |lock| lock.child_init(pchild))
}

/// The store that `config` describes. Its cache is opened in post_config; after that, only those that are there can be
/// had.
///
/// # Errors
/// When there is no such provider, or what it says.
pub(crate) fn open(
    main: Server<'_>,
    config: &SocacheConfig,
    spawn: Arc<dyn Spawn>,
) -> Result<SocacheBackend, String> {
    let mut open = OPEN.lock();
    let same = |(other, _): &&(SocacheConfig, Arc<Opened>)| {
        (other.provider(), other.arguments()) == (config.provider(), config.arguments())
    };
    if let Some((_, cache)) = open.iter().find(same) {
        return Ok(SocacheBackend::new(config, Arc::clone(cache) as Arc<dyn Cache>, spawn));
    }
    let lock = || {
        LOCK.get_or_try_init(|| GlobalMutex::create(main, MUTEX).map(Arc::new))
            .map(Arc::clone)
            .map_err(|e| format!("Mutex {MUTEX:?}: {e}"))
    };
    let cache = ObjectCache::open(main, config.provider(), config.arguments(), NAME, HINTS, lock)
        .map_err(|e| format!("socache:{}: {e}", config.provider()))?;
    let cache = Arc::new(Opened(cache));
    open.push((config.clone(), Arc::clone(&cache)));
    Ok(SocacheBackend::new(config, cache, spawn))
}

/// Looks at what a cache needs, for `httpd -t`: provider, words, and where its file is to be. Makes none.
///
/// # Errors
/// What is wrong and what to do.
pub(super) fn inspect(main: Server<'_>, config: &SocacheConfig) -> Result<(), String> {
    let named = |e: String| format!("socache:{}: {e}", config.provider());
    let traits = ap_socache::inspect(config.provider(), config.arguments()).map_err(named)?;
    if traits.needs_lock {
        table::inspect_mutex(main, MUTEX).map_err(|e| format!("Mutex {MUTEX:?}: {e}"))?;
    }
    let place = config.arguments().unwrap_or_default();
    match config.provider() {
        // `PATH`, of shmcb with `(SIZE)` behind it; relative to the run-time directory, where it is also without one.
        "dbm" | "shmcb" => {
            let path = runtime_path(if place.is_empty() { "cache" } else { place });
            let path = path.ok_or_else(|| named(format!("{place} is no path")))?;
            let directory = Path::new(&path).parent().unwrap_or(Path::new("/"));
            access::may_make_files_in(directory)
                .map_err(|e| named(format!("{} cannot hold its file: {e}", directory.display())))
        }
        "memcache" | "redis" => {
            let port = place.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
            match port.map(|(_, port)| port.parse::<u16>()) {
                None | Some(Ok(1..)) => Ok(()),
                Some(_) => Err(named(format!("{place} has no port that there is: write HOST:PORT"))),
            }
        }
        _ => Ok(()),
    }
}

struct Opened(ObjectCache);

impl Cache for Opened {
    fn store(&self, id: &[u8], expiry: Timestamp, data: &[u8]) -> Result<(), Fault> {
        let keep = expiry.since(SystemClock.now());
        self.0.store(id, keep, data).map_err(|e| fault(e, data.len()))
    }

    fn retrieve(&self, id: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        self.0.retrieve(id).map_err(|e| fault(e, 0))
    }

    fn client(&self) -> Option<u64> {
        self.0.instance()
    }
}

fn fault(error: CacheError, size: usize) -> Fault {
    match error {
        CacheError::TooLarge => Fault::Odd(format!(
            "the cache has no room for an entry of {size} bytes: give it more, or choose one that takes larger \
             entries (dbm takes less than 1 KB, memcached 1 MB)"
        )),
        CacheError::Failed(why) => Fault::Down(why),
    }
}
