//! A table in a file: created, recovered as far as it is sound, or carried over into one of another size. The file is
//! locked as long as any process of the server lives.

use super::access;
use crate::clock::{Clock, Instant, SystemClock, sleep};
use crate::ffi::httpd::Server;
use crate::ffi::mpm_common::is_running_parent;
use crate::ffi::shared_memory;
use crate::module::log;
use crate::store::l1::{AttachError, Geometry, ProcessLock, Recovery, Table, TableError};
use crate::sync::{AtomicU64, Ordering};
use rustix::fs::{Access, FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
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
    let whole_words = usize::try_from(length).unwrap_or(usize::MAX) & !7;
    if whole_words == 0 {
        return Err(not_a_table(path));
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
        Err(AttachError::NotATable) => Err(not_a_table(path)),
        Err(e) => {
            log::TABLE_LOST
                .say_of_server(server, || format!("{path}: {e}; its sessions are lost and it begins anew"));
            replace_file(path, geometry, |_| Ok(())).map(|(words, _)| words)
        }
    }
}

/// Looks at whether [`open`] would find all that it needs. Makes and changes nothing.
///
/// # Errors
/// As [`open`], as far as looking tells.
pub(super) fn inspect(path: &str, geometry: Geometry) -> Result<(), String> {
    let failed = |e: io::Error| cannot_open(path, &e);
    let directory = Path::new(path).parent().unwrap_or(Path::new("/"));
    access::may_make_files_in(directory).map_err(failed)?;
    let next = next_to(path);
    if fs::symlink_metadata(&next).is_ok_and(|there| there.is_dir()) {
        return Err(cannot_open(&next, &io::ErrorKind::IsADirectory.into()));
    }
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return room(path, directory, geometry.bytes() as u64);
        }
        Err(e) => return Err(failed(e)),
    };
    if !metadata.is_file() {
        return Err(not_regular(path));
    }
    rustix::fs::access(path, Access::READ_OK | Access::WRITE_OK).map_err(|e| failed(e.into()))?;
    if holders(metadata.ino()).into_iter().any(|pid| !is_ours(pid)) && is_locked(path) {
        return Err(in_use(path));
    }
    let head = head(path).map_err(failed)?;
    let length = metadata.len();
    match Geometry::stated(&head) {
        Ok(found) if found == geometry && length & !7 == found.bytes() as u64 => {
            room(path, directory, length.saturating_sub(metadata.blocks().saturating_mul(512)))
        }
        Err(AttachError::NotATable) if length > 0 && (head.is_empty() || !is_blank(&head)) => {
            Err(not_a_table(path))
        }
        _ => room(path, directory, geometry.bytes() as u64),
    }
}

/// The first words of a file.
fn head(path: &str) -> io::Result<Vec<AtomicU64>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(512).read_to_end(&mut bytes)?;
    let words = bytes.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_ne_bytes));
    Ok(words.map(AtomicU64::new).collect())
}

/// The processes that have locked the file of that number, as the kernel lists them (see `proc_locks(5)`).
fn holders(inode: u64) -> Vec<u32> {
    let list = fs::read_to_string("/proc/locks").unwrap_or_default();
    let holder = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, place, ..] = words[..] else { return None };
        // One in another container has no number here.
        (place.rsplit(':').next() == Some(&inode.to_string())).then(|| pid.parse().unwrap_or(0))
    };
    list.lines().filter_map(holder).collect()
}

/// Whether somebody has locked that very file: files of other disks have the same numbers. A lock of our own is gone
/// again at once, and whoever wants the file asks for longer.
fn is_locked(path: &str) -> bool {
    let lock = |file: &File| flock(file, FlockOperation::NonBlockingLockShared);
    File::open(path).is_ok_and(|file| lock(&file) == Err(Errno::WOULDBLOCK))
}

/// Whether a process is of the server that this configuration is for.
fn is_ours(pid: u32) -> bool {
    pid == std::process::id() || is_running_parent(pid)
}

/// Whether the disk has that much room left.
fn room(path: &str, directory: &Path, missing: u64) -> Result<(), String> {
    let disk = rustix::fs::statvfs(directory).map_err(|e| cannot_open(path, &e.into()))?;
    if missing > disk.f_bavail.saturating_mul(disk.f_frsize) {
        return Err(no_room(path, missing, &Errno::NOSPC.into()));
    }
    Ok(())
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
    let next = next_to(path);
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
        return Err(not_regular(path));
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
        Err(Errno::WOULDBLOCK) => Err(in_use(path)),
        Err(e) => Err(cannot_open(path, &e.into())),
    }
}

fn map(path: &str, file: File, bytes: usize) -> Result<&'static [AtomicU64], String> {
    shared_memory::file(file, bytes).map_err(|e| no_room(path, bytes as u64, &e))
}

/// Where a new table is made, to take the place of the one at `path`.
fn next_to(path: &str) -> String {
    format!("{path}.new")
}

fn not_a_table(path: &str) -> String {
    format!("SC0110: {path} is not a session table: name another file, or remove this one if nobody needs it")
}

fn not_regular(path: &str) -> String {
    format!("SC0107: {path} is not a regular file: name another")
}

fn in_use(path: &str) -> String {
    format!(
        "SC0114: {path} is in use by another httpd, or by children of this one that are still draining: give each \
         server a table file of its own, or wait for them"
    )
}

fn no_room(path: &str, bytes: u64, e: &io::Error) -> String {
    format!("SC0115: no room for {bytes} bytes in {path}: {e}")
}

fn cannot_open(path: &str, e: &io::Error) -> String {
    format!(
        "SC0107: the table file {path} cannot be used: {e}; its directory must exist and be writable by root"
    )
}
