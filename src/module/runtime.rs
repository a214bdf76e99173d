//! The composition root: the table that all processes share, opened or taken over from the last configuration, and
//! what each virtual host needs to answer requests.

use super::SessionCluster;
use super::config::{ServerConfig, TableSpec};
use crate::clock::{Clock, SystemClock, uptime};
use crate::ffi::http_log::{self, Level};
use crate::ffi::httpd::Server;
use crate::ffi::shared_memory;
use crate::ffi::util_mutex::{GlobalGuard, GlobalMutex};
use crate::session::cookie::CookieSpec;
use crate::session::ledger::LedgerSecret;
use crate::session::policy::Policy;
use crate::session::realm::Realm;
use crate::session::sessions::Sessions;
use crate::store::l1::{
    AttachError, Geometry, LockError, ProcessLock, Recovery, Table, TableError, WriteLock,
};
use crate::store::throttle::Throttle;
use crate::store::tiers::{Budget, Cluster, Store};
use crate::sync::{AtomicU64, Ordering};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The name of the mutex for httpd's `Mutex` directive.
pub(super) const MUTEX: &std::ffi::CStr = c"session-cluster";

/// The table of this server, with httpd's global mutex as its writers' lock.
pub(super) type HostTable = Table<'static, HostLock>;

/// httpd's global mutex as the table's lock.
pub(super) struct HostLock(GlobalMutex);

impl HostLock {
    /// How long a login or logout waits for the lock. A writer holds it for microseconds, so whoever waits longer
    /// waits for a process that is stopped, and had better tell its client so.
    const PATIENCE: Duration = Duration::from_secs(2);

    /// The mutex, for a new child.
    pub(super) fn mutex(&self) -> &GlobalMutex {
        &self.0
    }
}

impl WriteLock for HostLock {
    type Guard<'a> = GlobalGuard<'a>;

    fn lock(&self) -> Result<Self::Guard<'_>, LockError> {
        self.0.lock(Self::PATIENCE).map_err(LockError)
    }
}

/// The table, and the store of the cluster behind it if there is one.
pub(super) type HostStore = Store<'static, HostLock>;

/// What a virtual host needs to answer requests.
pub struct VirtualHost {
    store: Arc<HostStore>,
    throttle: Arc<Throttle<'static>>,
    ledger: Option<LedgerSecret>,
    patience: Duration,
    name: String,
    realm: Realm,
    policy: Policy,
    cookie: CookieSpec,
}

impl VirtualHost {
    /// Of `server`, as `config` says.
    ///
    /// # Errors
    /// When the default cookie cannot be made, which does not happen.
    pub(super) fn new(
        store: Arc<HostStore>,
        throttle: Arc<Throttle<'static>>,
        ledger: Option<LedgerSecret>,
        server: Server<'_>,
        config: &ServerConfig,
    ) -> Result<Self, String> {
        let policy = config.policy();
        let patience = config.cluster.timeout();
        let cookie = config.cookie().map_err(|e| e.to_string())?;
        let name = config.realm_name(server);
        let realm = Realm::new(&name);
        Ok(VirtualHost { store, throttle, ledger, patience, name, realm, policy, cookie })
    }

    /// Its sessions, for a request with that budget.
    pub(super) fn sessions<'t>(&'t self, budget: &'t Budget) -> Sessions<'t, 'static, HostLock> {
        Sessions::new(&self.store, &self.realm, self.policy, budget)
    }

    /// The time of [`VirtualHost::budget`].
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// What a request may spend waiting for the store of the cluster.
    pub(super) fn budget(&self) -> Budget {
        Budget::new(self.patience)
    }

    /// The store, which all virtual hosts share.
    pub(super) fn store(&self) -> &Arc<HostStore> {
        &self.store
    }

    /// Who has to wait for their next login.
    pub(super) fn throttle(&self) -> &Throttle<'static> {
        &self.throttle
    }

    /// What the list of each user's sessions is derived from, if one is kept.
    pub(super) fn ledger(&self) -> Option<&LedgerSecret> {
        self.ledger.as_ref()
    }

    /// The name of its realm.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its realm.
    pub(super) fn realm(&self) -> &Realm {
        &self.realm
    }

    /// Its session cookie.
    pub(super) fn cookie(&self) -> &CookieSpec {
        &self.cookie
    }
}

/// The counters of failed logins, kept over restarts.
///
/// # Errors
/// When the system has no memory or no randomness for them.
pub(super) fn open_throttle(server: Server<'_>) -> Result<Throttle<'static>, String> {
    let words = shared_memory::words(server, c"mod_session_cluster.counters", Throttle::WORDS)
        .map_err(|e| format!("SC0117: {e}"))?;
    let mut secret = [0; 4];
    for word in &mut secret {
        *word = getrandom::u64().map_err(|e| format!("SC0117: {e}"))?;
    }
    Ok(Throttle::new(words, secret))
}

/// Whether a table was in use by the configuration before this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// It was.
    Running,
    /// It was not: this is the server's start.
    Stopped,
}

/// The table that `spec` asks for: the one of the running server, or a new one.
///
/// # Errors
/// What is wrong and what to do, for the error log; the server then does not start.
pub(super) fn open_table(server: Server<'_>, spec: &TableSpec) -> Result<(HostTable, Before), String> {
    let origin = origin(spec);
    if let Some(kept) = shared_memory::retained().map_err(|e| format!("SC0101: {e}"))? {
        if kept.origin != origin {
            http_log::server::<SessionCluster>(server, Level::Warning, || {
                "SC0102: SessionClusterTable was changed: this takes effect when httpd is stopped and started; \
                 until then the table stays as it was, so that nobody is logged out"
                    .into()
            });
        }
        let table = Table::attach(kept.words, HostLock(kept.mutex)).map_err(|e| {
            format!("SC0103: the table of the running server cannot be used: {e}; stop httpd and start it")
        })?;
        return Ok((table, Before::Running));
    }
    let geometry = Geometry::new(spec.bytes, spec.max_record).map_err(|e| format!("SC0104: {e}"))?;
    let mutex = GlobalMutex::create(server, MUTEX).map_err(|e| format!("SC0105: Mutex {MUTEX:?}: {e}"))?;
    let words = match &spec.path {
        None => {
            let words = shared_memory::anonymous(server, geometry.words() * 8)
                .map_err(|e| format!("SC0106: no shared memory for a table of {} bytes: {e}", spec.bytes))?;
            format(words, geometry);
            words
        }
        Some(path) => open_file(server, path, geometry)?,
    };
    shared_memory::retain(words, &mutex, origin);
    let table = Table::attach(words, HostLock(mutex)).map_err(|e| format!("SC0103: {e}"))?;
    Ok((table, Before::Stopped))
}

/// The table with the store of the cluster behind it, if there is one. Nothing is trusted before that has been heard.
pub(super) fn behind(table: HostTable, before: Before, cluster: Option<Cluster>) -> HostStore {
    let Some(cluster) = cluster else { return Store::alone(table) };
    if before == Before::Stopped || table.link().store() != cluster.id {
        table.link().open(cluster.id, SystemClock.now(), uptime());
    }
    Store::clustered(table, cluster)
}

/// Tells table specifications apart over restarts.
fn origin(spec: &TableSpec) -> u64 {
    let digest = blake3::hash(format!("{spec:?}").as_bytes());
    digest.as_bytes().iter().take(8).fold(0, |acc, &byte| (acc << 8) | u64::from(byte))
}

/// Nobody else sees the memory yet, so that a lock of this process alone will do.
fn format(words: &'static [AtomicU64], geometry: Geometry) -> Table<'static, ProcessLock> {
    Table::format(words, ProcessLock::new(), geometry, SystemClock.now())
}

/// The table in the file at `path`: created, or recovered as far as it is sound, or carried over into one of the
/// wanted size.
fn open_file(server: Server<'_>, path: &str, geometry: Geometry) -> Result<&'static [AtomicU64], String> {
    let bytes = geometry.words() * 8;
    let file = lock_file(path)?;
    let length = file.metadata().map_err(|e| cannot_open(path, &e))?.len();
    if length == 0 {
        return replace_file(path, geometry, |_| Ok(())).map(|(words, _)| words);
    }
    let not_a_table = || {
        format!(
            "SC0110: {path} is not a session table: name another file, or remove this one if nobody needs it"
        )
    };
    let whole_words = usize::try_from(length).unwrap_or(usize::MAX) & !7;
    if whole_words == 0 {
        return Err(not_a_table());
    }
    let old = map(path, file, whole_words)?;
    let log = |level, text: String| http_log::server::<SessionCluster>(server, level, || text);
    match Table::recover(old, ProcessLock::new()) {
        Ok((table, recovery)) => {
            report(server, path, recovery);
            if table.geometry() == geometry {
                return Ok(old);
            }
            let (words, new) =
                replace_file(path, geometry, |new| new.import_from(&table, SystemClock.now()))?;
            let stats = new.stats();
            let level = if stats.evicted_live == 0 { Level::Notice } else { Level::Warning };
            log(
                level,
                format!(
                    "SC0109: {path} has now {bytes} bytes; {} sessions were carried over, {} found no room",
                    stats.live, stats.evicted_live
                ),
            );
            Ok(words)
        }
        Err(AttachError::Lock(e)) => Err(format!("SC0108: {path}: {e}")),
        Err(AttachError::NotATable) if is_blank(old) => {
            replace_file(path, geometry, |_| Ok(())).map(|(words, _)| words)
        }
        Err(AttachError::NotATable) => Err(not_a_table()),
        Err(e) => {
            log(Level::Warning, format!("SC0111: {path}: {e}; its sessions are lost and it begins anew"));
            replace_file(path, geometry, |_| Ok(())).map(|(words, _)| words)
        }
    }
}

/// Whether there is nothing but zeros where a table begins: somebody made room for one beforehand.
fn is_blank(words: &[AtomicU64]) -> bool {
    words.iter().take(64).all(|word| word.load(Ordering::Relaxed) == 0)
}

fn report(server: Server<'_>, path: &str, recovery: Recovery) {
    let Recovery { kept, tombstones, dropped } = recovery;
    let (level, code) = if dropped == 0 { (Level::Info, "SC0112") } else { (Level::Warning, "SC0113") };
    http_log::server::<SessionCluster>(server, level, || {
        format!("{code}: {path}: {} sessions recovered, {dropped} damaged ones dropped", kept - tombstones)
    });
}

/// Puts a new table in the place of the one at `path`: made beside it, filled by `fill`, written to the disk, and only
/// then renamed over it, so that no moment leaves half a table.
fn replace_file(
    path: &str,
    geometry: Geometry,
    fill: impl FnOnce(&Table<'static, ProcessLock>) -> Result<(), TableError>,
) -> Result<(&'static [AtomicU64], Table<'static, ProcessLock>), String> {
    let next = format!("{path}.new");
    match fs::remove_file(&next) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(cannot_open(&next, &e)),
        _ => {}
    }
    let file = lock_file(&next)?;
    let disk = file.try_clone().map_err(|e| cannot_open(&next, &e))?;
    let words = map(&next, file, geometry.words() * 8)?;
    let table = format(words, geometry);
    fill(&table).map_err(|e| format!("SC0108: {path}: {e}"))?;
    disk.sync_all().and_then(|()| fs::rename(&next, path)).map_err(|e| cannot_open(path, &e))?;
    // The name is on the disk when the directory is.
    let directory = Path::new(path).parent().map(File::open);
    if let Some(Ok(directory)) = directory {
        let _ = directory.sync_all();
    }
    Ok((words, table))
}

/// Opens the file for this server alone. The lock holds as long as any process of the server lives.
fn lock_file(path: &str) -> Result<File, String> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let file = options.open(path).map_err(|e| cannot_open(path, &e))?;
    if !file.metadata().map_err(|e| cannot_open(path, &e))?.is_file() {
        return Err(format!("SC0107: {path} is not a regular file: name another"));
    }
    let patience = Instant::now() + Duration::from_secs(3);
    let mut lock = file.try_lock();
    while matches!(lock, Err(TryLockError::WouldBlock)) && Instant::now() < patience {
        // The last children of a server that is just stopping, perhaps.
        thread::sleep(Duration::from_millis(50));
        lock = file.try_lock();
    }
    match lock {
        // Another server may have put a new file under the name meanwhile: the lock is then on nothing.
        Ok(())
            if fs::metadata(path).ok().map(|now| now.ino()) == file.metadata().ok().map(|had| had.ino()) =>
        {
            Ok(file)
        }
        Ok(()) => Err(format!("SC0107: {path} was replaced while it was opened: start again")),
        Err(TryLockError::WouldBlock) => Err(format!(
            "SC0114: {path} is in use by another httpd, or by children of this one that are still draining: give each server a table file of its own, or wait for them"
        )),
        Err(TryLockError::Error(e)) => Err(cannot_open(path, &e)),
    }
}

fn map(path: &str, file: File, bytes: usize) -> Result<&'static [AtomicU64], String> {
    shared_memory::file(file, bytes).map_err(|e| format!("SC0115: no room for {bytes} bytes in {path}: {e}"))
}

fn cannot_open(path: &str, e: &io::Error) -> String {
    format!(
        "SC0107: the table file {path} cannot be used: {e}; its directory must exist and be writable by root"
    )
}
