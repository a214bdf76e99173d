//! A table in a file: created, recovered as far as it is sound, or carried over into one of another size. The file is
//! locked as long as any process of the server lives.

use crate::clock::{Clock, Instant, SystemClock, sleep};
use crate::ffi::httpd::Server;
use crate::ffi::shared_memory;
use crate::module::log;
use crate::store::l1::{AttachError, Geometry, ProcessLock, Recovery, Table, TableError};
use crate::sync::{AtomicU64, Ordering};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// The table in the file at `path`: created, or recovered as far as it is sound, or carried over into one of the
/// wanted size.
pub(super) fn open(
    server: Server<'_>,
    path: &str,
    geometry: Geometry,
) -> Result<&'static [AtomicU64], String> {
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
    match Table::recover(old, ProcessLock::new()) {
        Ok((table, recovery)) => {
            report(server, path, recovery);
            if table.geometry() == geometry {
                return Ok(old);
            }
            let (words, new) =
                replace_file(path, geometry, |new| new.import_from(&table, SystemClock.now()))?;
            let stats = new.stats();
            log::TABLE_CARRIED_OVER.say_of_server(server, || {
                format!("{path} has now {bytes} bytes; {} sessions were carried over", stats.live)
            });
            if stats.evicted_live > 0 {
                log::TABLE_TOO_SMALL.say_of_server(server, || {
                    format!("{path}: {} sessions found no room", stats.evicted_live)
                });
            }
            Ok(words)
        }
        Err(AttachError::Lock(e)) => Err(format!("SC0108: {path}: {e}")),
        Err(AttachError::NotATable) if is_blank(old) => {
            replace_file(path, geometry, |_| Ok(())).map(|(words, _)| words)
        }
        Err(AttachError::NotATable) => Err(not_a_table()),
        Err(e) => {
            log::TABLE_LOST
                .say_of_server(server, || format!("{path}: {e}; its sessions are lost and it begins anew"));
            replace_file(path, geometry, |_| Ok(())).map(|(words, _)| words)
        }
    }
}

/// A new table in memory that nobody else sees yet, so that a lock of this process alone will do.
pub(super) fn format(words: &'static [AtomicU64], geometry: Geometry) -> Table<'static, ProcessLock> {
    Table::format(words, ProcessLock::new(), geometry, SystemClock.now())
}

/// Whether there is nothing but zeros where a table begins: somebody made room for one beforehand.
fn is_blank(words: &[AtomicU64]) -> bool {
    words.iter().take(64).all(|word| word.load(Ordering::Relaxed) == 0)
}

fn report(server: Server<'_>, path: &str, recovery: Recovery) {
    let Recovery { kept, tombstones, dropped } = recovery;
    let sessions = kept - tombstones;
    if dropped == 0 {
        log::TABLE_RECOVERED.say_of_server(server, || format!("{path}: {sessions} sessions recovered"));
    } else {
        log::TABLE_DAMAGED.say_of_server(server, || {
            format!("{path}: {sessions} sessions recovered, {dropped} damaged records dropped")
        });
    }
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
    let take = || flock(&file, FlockOperation::NonBlockingLockExclusive);
    let mut lock = take();
    while lock == Err(Errno::WOULDBLOCK) && Instant::now() < patience {
        // The last children of a server that is just stopping, perhaps.
        sleep(Duration::from_millis(50));
        lock = take();
    }
    match lock {
        // Another server may have put a new file under the name meanwhile: the lock is then on nothing.
        Ok(())
            if fs::metadata(path).ok().map(|now| now.ino()) == file.metadata().ok().map(|had| had.ino()) =>
        {
            Ok(file)
        }
        Ok(()) => Err(format!("SC0107: {path} was replaced while it was opened: start again")),
        Err(Errno::WOULDBLOCK) => Err(format!(
            "SC0114: {path} is in use by another httpd, or by children of this one that are still draining: \
             give each server a table file of its own, or wait for them"
        )),
        Err(e) => Err(cannot_open(path, &e.into())),
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
