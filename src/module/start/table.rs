//! The table that all processes share: opened, or taken over from the last configuration, and the counters beside it.

use super::{access, table_file};
use crate::chance;
use crate::clock::{Clock, SystemClock, uptime};
use crate::ffi::httpd::Server;
use crate::ffi::shared_memory;
use crate::ffi::util_mutex::{Configured, GlobalMutex};
use crate::module::conf::settings::TableSpec;
use crate::module::host::{HostLock, HostStore, HostTable};
use crate::module::log;
use crate::store::cluster::Cluster;
use crate::store::l1::{Geometry, Table};
use crate::store::pace::Pace;
use crate::store::said::Said;
use crate::store::throttle::Throttle;
use crate::store::tiers::Store;
use std::ffi::CStr;
use std::path::Path;

/// The name of the mutex for httpd's `Mutex` directive.
pub(crate) const MUTEX: &CStr = c"session-cluster";

/// The counters of failed logins, kept over restarts.
///
/// # Errors
/// When the system has no memory or no randomness for them.
pub(crate) fn open_throttle(server: Server<'_>) -> Result<Throttle<'static>, String> {
    let words = shared_memory::words(server, c"mod_session_cluster.counters", Throttle::WORDS)
        .map_err(|e| format!("SC0117: {e}"))?;
    Ok(Throttle::new(words, secret()?))
}

/// What was said in the log already; all of it may be said again after a restart.
///
/// # Errors
/// As [`open_throttle`].
pub(crate) fn open_said(server: Server<'_>) -> Result<Said<'static>, String> {
    let words = shared_memory::words(server, c"mod_session_cluster.said", Said::WORDS)
        .map_err(|e| format!("SC0117: {e}"))?;
    Ok(Said::new(words, secret()?))
}

fn secret() -> Result<[u64; 4], String> {
    let mut secret = [0; 4];
    for word in &mut secret {
        *word = chance::u64().map_err(|e| format!("SC0117: {e}"))?;
    }
    Ok(secret)
}

/// How long logins take, kept over restarts.
///
/// # Errors
/// When the system has no memory for it.
pub(crate) fn open_pace(server: Server<'_>) -> Result<Pace<'static>, String> {
    let words = shared_memory::words(server, c"mod_session_cluster.pace", Pace::WORDS);
    Ok(Pace::new(words.map_err(|e| format!("SC0117: {e}"))?))
}

/// Whether a table was in use by the configuration before this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// It was.
    Running,
    /// It was not: this is the server's start.
    Stopped,
}

/// The table that `spec` asks for: the one of the running server, or a new one.
///
/// # Errors
/// What is wrong and what to do, for the error log.
pub(crate) fn open_table(server: Server<'_>, spec: &TableSpec) -> Result<(HostTable, Before), String> {
    let origin = origin(spec);
    if let Some(kept) = shared_memory::retained().map_err(|e| format!("SC0101: {e}"))? {
        if kept.origin != origin {
            log::TABLE_STAYS.say_of_server(server, || {
                "SessionClusterTable was changed: this takes effect when httpd is stopped and started; \
                 until then the table stays as it was, so that nobody is logged out"
                    .into()
            });
        }
        let table = Table::attach(kept.words, HostLock(kept.mutex)).map_err(|e| {
            format!("SC0103: the table of the running server cannot be used: {e}; stop httpd and start it")
        })?;
        return Ok((table, Before::Running));
    }
    Ok((make(server, spec, GlobalMutex::create(server, MUTEX))?, Before::Stopped))
}

fn make(
    server: Server<'_>,
    spec: &TableSpec,
    mutex: Result<GlobalMutex, String>,
) -> Result<HostTable, String> {
    let geometry = Geometry::new(spec.bytes, spec.max_record).map_err(|e| format!("SC0104: {e}"))?;
    let mutex = mutex.map_err(|e| format!("SC0105: Mutex {MUTEX:?}: {e}"))?;
    let words = match &spec.path {
        None => {
            let words =
                shared_memory::anonymous(server, geometry.bytes()).map_err(|e| no_memory(spec, &e))?;
            table_file::format(words, geometry);
            words
        }
        Some(path) => table_file::open(server, path, geometry)?,
    };
    shared_memory::retain(words, &mutex, origin(spec));
    Table::attach(words, HostLock(mutex)).map_err(|e| format!("SC0103: {e}"))
}

/// Looks at what a table would need that is made anew, without making any: also while one is in use.
///
/// # Errors
/// As [`open_table`].
pub(super) fn inspect(server: Server<'_>, spec: &TableSpec) -> Result<(), String> {
    let geometry = Geometry::new(spec.bytes, spec.max_record).map_err(|e| format!("SC0104: {e}"))?;
    inspect_mutex(server, MUTEX).map_err(|e| format!("SC0105: Mutex {MUTEX:?}: {e}"))?;
    match &spec.path {
        None => shared_memory::has_room(geometry.bytes()).map_err(|e| no_memory(spec, &e)),
        Some(path) => table_file::inspect(path, geometry),
    }
}

/// Looks at what the `Mutex` directive says of `name`.
///
/// # Errors
/// What is wrong and what to do.
pub(super) fn inspect_mutex(server: Server<'_>, name: &'static CStr) -> Result<(), String> {
    let Configured::LockFile { directory, again } = GlobalMutex::configured(server, name)? else {
        return Ok(());
    };
    let directory = Path::new(&directory);
    access::may_make_files_in(directory)
        .map_err(|e| format!("{} cannot hold its lock file: {e}", directory.display()))?;
    if again { access::children_may_enter(directory) } else { Ok(()) }
}

fn no_memory(spec: &TableSpec, e: &str) -> String {
    format!("SC0106: no shared memory for a table of {} bytes: {e}", spec.bytes)
}

/// A table in memory, in the place of one that a running server cannot open: with the module new in it, or with another
/// build of it. Needs neither a file nor what the `Mutex` directive says.
///
/// # Errors
/// When there is no memory at all.
pub(super) fn stand_in(server: Server<'_>, why: &str) -> Result<HostTable, String> {
    let spec = TableSpec::default();
    log::LAST_GOOD.say_of_server(server, || {
        format!(
            "{why}; until httpd is stopped and started, sessions are kept in memory ({} MiB), and those of before are \
             not known",
            spec.bytes >> 20
        )
    });
    make(server, &spec, GlobalMutex::create_default(server))
}

/// The table with the store of the cluster behind it, if there is one. Nothing is trusted before that has been heard.
pub(crate) fn behind(table: HostTable, before: Before, cluster: Option<Cluster>) -> HostStore {
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
