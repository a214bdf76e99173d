//! The few things that are done to files, each of which is one step for all processes that look at the directory, on
//! this host or another: a file with its contents is placed under a name that nobody has yet, an empty one is made, a
//! directory is made or listed. Nothing is ever written in place, and nothing waits for a lock.

use crate::chance;
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
    /// Names of temporary files, different in each process of each host: drawn when it is first used, which is after a
    /// fork.
    tag: OnceLock<String>,
    serial: AtomicU64,
}

impl Disk {
    pub(super) fn new(root: &Path, fsync: bool) -> Self {
        Disk { root: root.to_owned(), fsync, tag: OnceLock::new(), serial: AtomicU64::new(0) }
    }

    /// A file with these contents that has no place yet.
    pub(super) fn draft(&self, contents: &[u8]) -> io::Result<Draft<'_>> {
        let temporary = self.temporary();
        let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let mut file = open.map_err(|e| match e.kind() {
            // A caller makes a directory that it hears is missing. This one is made with the store.
            ErrorKind::NotFound => io::Error::other("its directory tmp is gone"),
            _ => e,
        })?;
        let draft = Draft { disk: self, temporary };
        file.write_all(contents)?;
        if self.fsync {
            file.sync_all()?;
        }
        Ok(draft)
    }

    /// Places a file with these contents; false when there is one of that name.
    pub(super) fn place(&self, path: &Path, contents: &[u8]) -> io::Result<bool> {
        self.draft(contents)?.place(path)
    }

    /// Places a file with these contents, over the one that is there.
    pub(super) fn replace(&self, path: &Path, contents: &[u8]) -> io::Result<()> {
        fs::rename(&self.draft(contents)?.temporary, path)
    }

    /// Makes an empty file; false when there is one of that name.
    pub(super) fn mark(&self, path: &Path) -> io::Result<bool> {
        let made = self.note(path)?;
        self.settle(path).map(|()| made)
    }

    /// The same of one that a power loss may take back.
    pub(super) fn note(&self, path: &Path) -> io::Result<bool> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Makes a directory, and those that it lies in within a part of the store; no error when it is there. The parts
    /// are made with the store, and never where it is not any more.
    pub(super) fn directory(&self, path: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => self.settle(path),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let is_within = |parent: &&Path| {
                    parent.parent().is_some_and(|part| part != self.root && part.starts_with(&self.root))
                };
                self.directory(path.parent().filter(is_within).ok_or(e)?)?;
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
            let _ = chance::fill(&mut tag);
            data_encoding::HEXLOWER.encode(&tag)
        })
    }

    /// Waits until the name outlives a power loss, also when somebody else has just made it: what is answered rests on
    /// it.
    fn settle(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if self.fsync => File::open(parent)?.sync_all(),
            _ => Ok(()),
        }
    }
}

/// A file that is written and has a temporary name only. What is left of it when its writer dies goes with a purge.
pub(super) struct Draft<'a> {
    disk: &'a Disk,
    temporary: PathBuf,
}

impl Draft<'_> {
    /// Gives it a name; false when there is a file of that name.
    pub(super) fn place(&self, path: &Path) -> io::Result<bool> {
        let placed = match fs::hard_link(&self.temporary, path) {
            Ok(()) => true,
            // Over NFS the answer to a link that was made can be lost, and the second try then finds it.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => fs::metadata(&self.temporary)?.nlink() > 1,
            Err(e) => return Err(e),
        };
        self.disk.settle(path)?;
        Ok(placed)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.temporary);
    }
}

/// The contents of a file, and what the directory says of it; `None` when there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<(Vec<u8>, fs::Metadata)>> {
    read_head(path, LARGEST)
}

/// The same of so many bytes at most.
pub(super) fn read_head(path: &Path, most: u64) -> io::Result<Option<(Vec<u8>, fs::Metadata)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let metadata = file.metadata()?;
    let mut contents = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(&file, most), &mut contents)?;
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

/// The same for tidying up: what is no directory has none.
pub(super) fn names_if_any(path: &Path) -> io::Result<Vec<String>> {
    match names(path) {
        Err(e) if e.kind() == ErrorKind::NotADirectory => Ok(Vec::new()),
        names => names.map(Option::unwrap_or_default),
    }
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

/// A failure with the `what` of it. Paths of sessions are not told: a log is no place for keys. A full disk is no
/// reason to put off those who want to read.
pub(super) fn fault(what: &'static str) -> impl Fn(io::Error) -> Fault {
    move |e| match e.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Fault::Odd(format!("{what}: {e}")),
        _ => Fault::Down(format!("{what}: {e}")),
    }
}
