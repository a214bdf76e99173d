//! The few things that are done to files, each of which is one step for all who look at the directory, on this host or another:
//! a file with its contents is placed under a name that nobody has yet, an empty one is made, a directory is made or listed. Nothing is ever
//! written in place, and nothing waits for a lock.

use crate::clock::Timestamp;
use crate::store::l2::workers::Fault;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a file says at most.
const LARGEST: u64 = 4 << 20;

/// The directory as a place for files.
pub(super) struct Disk {
    pub(super) root: PathBuf,
    fsync: bool,
    /// Names of temporary files, different in each process of each host: drawn when it is first used, which is after a fork.
    tag: OnceLock<String>,
    serial: AtomicU64,
}

impl Disk {
    pub(super) fn new(root: &Path, fsync: bool) -> Self {
        Disk { root: root.to_owned(), fsync, tag: OnceLock::new(), serial: AtomicU64::new(0) }
    }

    /// Places a file with these contents; false when there is one of that name.
    pub(super) fn place(&self, path: &Path, contents: &[u8]) -> io::Result<bool> {
        let temporary = self.temporary();
        let placed = self.write(&temporary, contents).and_then(|()| self.link(&temporary, path));
        // What is left of it when this fails goes with a purge.
        let _ = fs::remove_file(&temporary);
        if placed.as_ref().is_ok_and(|&placed| placed) {
            self.settle(path)?;
        }
        placed
    }

    /// Places a file with these contents, over the one that is there.
    pub(super) fn replace(&self, path: &Path, contents: &[u8]) -> io::Result<()> {
        let temporary = self.temporary();
        self.write(&temporary, contents).and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
    }

    /// Makes an empty file; false when there is one of that name.
    pub(super) fn mark(&self, path: &Path) -> io::Result<bool> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(_) => self.settle(path).map(|()| true),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Makes a directory, and those that it lies in down from the root; no error when it is there.
    pub(super) fn directory(&self, path: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => self.settle(path),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let parent =
                    path.parent().filter(|parent| parent.starts_with(&self.root) && *parent != self.root);
                self.directory(parent.ok_or(e)?)?;
                self.directory(path)
            }
            Err(e) => Err(e),
        }
    }

    /// The server's clock: what it notes as the time at which a file of ours was touched.
    pub(super) fn clock(&self) -> io::Result<Timestamp> {
        let path = self.root.join("tmp").join(format!("clock-{}", self.tag()));
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        rustix::fs::futimens(&file, &Timestamps { last_access: now, last_modification: now })?;
        Ok(modified(&file.metadata()?))
    }

    fn temporary(&self) -> PathBuf {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        self.root.join("tmp").join(format!("{}-{serial}", self.tag()))
    }

    fn tag(&self) -> &str {
        self.tag.get_or_init(|| {
            let mut tag = [0; 8];
            // Without a random source, two processes might have the same; a file is then refused, as it is there.
            let _ = getrandom::fill(&mut tag);
            data_encoding::HEXLOWER.encode(&tag)
        })
    }

    fn write(&self, path: &Path, contents: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(contents)?;
        if self.fsync { file.sync_all() } else { Ok(()) }
    }

    fn link(&self, temporary: &Path, path: &Path) -> io::Result<bool> {
        match fs::hard_link(temporary, path) {
            Ok(()) => Ok(true),
            // Over NFS the answer to a link that was made can be lost, and the second try then finds it.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(fs::metadata(temporary)?.nlink() > 1),
            Err(e) => Err(e),
        }
    }

    /// Waits until the name outlives a power loss.
    fn settle(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if self.fsync => File::open(parent)?.sync_all(),
            _ => Ok(()),
        }
    }
}

/// The contents of a file, and what the directory says of it; `None` when there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<(Vec<u8>, fs::Metadata)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let metadata = file.metadata()?;
    let mut contents = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(&file, LARGEST), &mut contents)?;
    Ok(Some((contents, metadata)))
}

/// The names in a directory; `None` when there is none. Those that begin with a dot are the system's.
pub(super) fn names(path: &Path) -> io::Result<Option<Vec<String>>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    Ok(Some(names))
}

/// Removes a file; no error when there is none.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// When a file was written, by the clock of its server.
pub(super) fn modified(metadata: &fs::Metadata) -> Timestamp {
    let (seconds, nanos) = (metadata.mtime(), metadata.mtime_nsec());
    let (seconds, nanos) = (u64::try_from(seconds).unwrap_or(0), u64::try_from(nanos).unwrap_or(0));
    Timestamp::from_millis(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000))
}

/// A failure with the `what` of it. Paths of sessions are not told: a log is no place for keys.
pub(super) fn fault(what: &'static str) -> impl Fn(io::Error) -> Fault {
    move |e| Fault::Down(format!("{what}: {e}"))
}
