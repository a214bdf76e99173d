//! A store in the files of a directory, on this host or on a file server that all nodes share. There is no lock and no lock file:
//! everything is a file that is added or removed as a whole (`disk`), and who reads merges what is there (`sessions`, `marks`, and `log`, which all
//! nodes read). Made for file systems where making a file, a directory or a hard link is one step for all hosts, as it is on NFS.
//!
//! Every call is made by a thread that may hang with the file server; see `workers`.

mod config;
mod disk;
mod log;
mod marks;
mod mounts;
mod purge;
mod sessions;

pub use config::FilesConfig;

use super::workers::{Fault, Spawn, Workers};
use super::{
    BATCH, Backend, Event, Log, Mark, NodeReport, NodeWord, Position, Pulse, Stored, Unavailable, WORD_AFTER,
    wire,
};
use crate::clock::Timestamp;
use crate::store::key::Key;
use crate::store::record::Record;
use crate::store::tombstone::{Reason, Tombstone};
use data_encoding::HEXLOWER;
use disk::{Disk, fault};
use parking_lot::Mutex;
use purge::Round;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// The version of what is in the directory.
const FORMAT: &str = "mod_session_cluster 1";
/// How often what changes under the reader is looked at again.
const TRIES: usize = 4;
/// Between two looks at the log.
const LOOK: Duration = Duration::from_millis(5);
/// Between two looks at the server's clock.
const CLOCK: Duration = Duration::from_secs(1);
/// How long one operation of who reads the log may take.
const ANSWER: Duration = Duration::from_millis(250);
/// Entries of the log that are read in one operation.
const PIECE: usize = 50;
/// Visits that are told in one go.
const VISITS: usize = 20;

/// A store in files. Looks at nothing before it is first used, so that it can be made before a fork.
pub struct FilesBackend {
    shared: Arc<Shared>,
}

/// What a backend and its logs share.
struct Shared {
    disk: Disk,
    workers: Workers,
    /// Tells this store from another one in the same place; known once it was looked at.
    identity: Mutex<Option<u64>>,
    clock: Mutex<Option<(Instant, Timestamp)>>,
    /// An entry of the log that is, or was, there.
    last: AtomicU64,
    /// Where the next purge goes on.
    purge: Mutex<Round>,
}

impl FilesBackend {
    /// A store by that description.
    pub fn new(config: &FilesConfig, spawn: Arc<dyn Spawn>) -> Self {
        let shared = Shared {
            disk: Disk::new(&config.root, config.fsync),
            workers: Workers::new("files", spawn),
            identity: Mutex::default(),
            clock: Mutex::default(),
            last: AtomicU64::new(0),
            purge: Mutex::default(),
        };
        FilesBackend { shared: Arc::new(shared) }
    }

    /// What an administrator should change about the file system, if it is known to tell of logouts late.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        let table = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let root = &self.shared.disk.root;
        mounts::advice(&fs::canonicalize(root).unwrap_or_else(|_| root.clone()), &table)
    }
}

impl Shared {
    /// Has a worker do something with the store, which is there, or is made.
    fn run<R: Send + 'static>(
        self: &Arc<Self>,
        within: Instant,
        work: impl FnOnce(&Shared) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Unavailable> {
        let shared = Arc::clone(self);
        self.workers.run(within, move || {
            shared.identity()?;
            work(&shared)
        })
    }

    /// The same of what changes something: in the store that was found here first, and in no other that is there now.
    fn change<R: Send + 'static>(
        self: &Arc<Self>,
        within: Instant,
        work: impl FnOnce(&Shared) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Unavailable> {
        self.run(within, move |store| {
            store.is_there()?;
            work(store)
        })
    }

    /// The identity of the store that was found here first.
    fn identity(&self) -> Result<u64, Fault> {
        let mut known = self.identity.lock();
        if let Some(known) = *known {
            return Ok(known);
        }
        let identity = self.open()?;
        *known = Some(identity);
        Ok(identity)
    }

    /// Looks at the directory, and makes a store of it if it is empty.
    fn open(&self) -> Result<u64, Fault> {
        let root = &self.disk.root;
        let failed = |e: io::Error| Fault::Down(format!("{}: {e}", root.display()));
        let mode = fs::metadata(root).map_err(failed)?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(Fault::Down(format!(
                "{} is open to everybody on its host: chmod o-rwx {0}",
                root.display()
            )));
        }
        if let Some(identity) = self.format()? {
            return Ok(identity);
        }
        for part in ["tmp", "sessions", "log", "trimmed", "stamps", "marks", "nodes"] {
            self.disk.directory(&root.join(part)).map_err(failed)?;
        }
        let random = getrandom::u64().map_err(|e| Fault::Odd(format!("no random number: {e}")))?;
        let text = format!("{FORMAT} {random:016x}\n");
        // Whoever is first makes it.
        self.disk.place(&root.join("format"), text.as_bytes()).map_err(failed)?;
        self.format()?.ok_or_else(|| Fault::Down(format!("{} does not stay as it is", root.display())))
    }

    /// What the directory says that it is; `None` when it says nothing.
    fn format(&self) -> Result<Option<u64>, Fault> {
        let path = self.disk.root.join("format");
        let contents = disk::read(&path).map_err(|e| Fault::Down(format!("{}: {e}", path.display())))?;
        let Some((bytes, _)) = contents else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let identity = text.strip_prefix(FORMAT).and_then(|rest| u64::from_str_radix(rest.trim(), 16).ok());
        let other = || Fault::Odd(format!("{} is not of a store that this version knows", path.display()));
        identity.map(|identity| Some(identity | 1)).ok_or_else(other)
    }

    /// That nothing was found counts only where the store is: always true, or a failure.
    fn is_there(&self) -> Result<bool, Fault> {
        if self.format()? == Some(self.identity()?) {
            let sessions = fs::metadata(self.disk.root.join("sessions"));
            return sessions.map(|_| true).map_err(fault("the directory of the sessions is gone"));
        }
        Err(Fault::Down(format!(
            "{} is not the store that was there: is it mounted? If it was emptied on purpose, restart httpd on all nodes",
            self.disk.root.display()
        )))
    }

    /// The server's clock.
    fn now(&self) -> Result<Timestamp, Fault> {
        let mut clock = self.clock.lock();
        if let Some((at, then)) = *clock
            && at.elapsed() < CLOCK
        {
            return Ok(then.after(at.elapsed()));
        }
        let before = Instant::now();
        let now = self.disk.clock().map_err(fault("the store's clock cannot be read"))?;
        *clock = Some((before, now));
        Ok(now)
    }
}

impl Backend for FilesBackend {
    fn create(&self, record: &Record<'_>, within: Instant) -> Result<bool, Unavailable> {
        let (key, bytes) = (record.key, wire::record(record));
        self.shared.change(within, move |store| store.create(&key, &bytes))
    }

    fn load(&self, key: &Key, sealed: &mut Vec<u8>, within: Instant) -> Result<Stored, Unavailable> {
        let key = *key;
        let (stored, payload) = self.shared.run(within, move |store| {
            let mut payload = Vec::new();
            Ok((store.load(&key, &mut payload)?, payload))
        })?;
        *sealed = if matches!(stored, Stored::Record(_)) { payload } else { Vec::new() };
        Ok(stored)
    }

    fn retire(
        &self,
        key: &Key,
        deadline: Timestamp,
        reason: Reason,
        within: Instant,
    ) -> Result<Stored, Unavailable> {
        let key = *key;
        self.shared.change(within, move |store| store.retire(&key, deadline, reason))
    }

    fn end(&self, key: &Key, tombstone: &Tombstone, within: Instant) -> Result<Stored, Unavailable> {
        let (key, tombstone) = (*key, *tombstone);
        self.shared.change(within, move |store| store.end(&key, &tombstone))
    }

    fn touch(&self, seen: &[(Key, Timestamp)], within: Instant) -> Result<(), Unavailable> {
        let mut longest = Duration::ZERO;
        // Those that were told before cost little when a batch is told again.
        for some in seen.chunks(VISITS) {
            let (some, start) = (some.to_vec(), Instant::now());
            // A store that is only slow is not one that is away: nobody else is put off.
            if longest > Duration::ZERO && start + longest * 2 > within {
                return Err(Unavailable("files: there was no time for all visits".into()));
            }
            self.shared
                .change(within, move |store| some.iter().try_for_each(|(key, at)| store.touch(key, *at)))?;
            longest = longest.max(start.elapsed());
        }
        Ok(())
    }

    fn mark(
        &self,
        scope: &Key,
        stamp: Option<Timestamp>,
        keep: Duration,
        within: Instant,
    ) -> Result<Timestamp, Unavailable> {
        let scope = *scope;
        self.shared.change(within, move |store| store.mark(&scope, stamp, keep))
    }

    fn stamps(&self, scopes: &[Key], within: Instant) -> Result<Vec<Option<Timestamp>>, Unavailable> {
        let scopes = scopes.to_vec();
        self.shared.run(within, move |store| store.stamps(&scopes))
    }

    fn stop(&self) {
        self.shared.workers.stop();
    }

    fn revive(&self) {
        self.shared.workers.revive();
    }

    fn log(&self, within: Instant) -> Result<Box<dyn Log>, Unavailable> {
        self.shared.run(within, |_| Ok(()))?;
        Ok(Box::new(FilesLog { shared: Arc::clone(&self.shared), word: None }))
    }
}

struct FilesLog {
    shared: Arc<Shared>,
    /// What was last left as word of this node, and when.
    word: Option<(NodeReport, Instant)>,
}

impl FilesLog {
    /// The entries after `position` that are there, a piece at a time: each file takes a few round trips to its server.
    fn entries(&self, position: Position) -> Result<Vec<(Position, Event)>, Unavailable> {
        let (mut entries, mut last) = (Vec::new(), position);
        while entries.len() < BATCH {
            let most = PIECE.min(BATCH - entries.len());
            let some = self.shared.run(Instant::now() + ANSWER, move |store| store.entries(last, most))?;
            let is_all = some.len() < most;
            last = some.last().map_or(last, |(position, _)| *position);
            entries.extend(some);
            if is_all {
                break;
            }
        }
        Ok(entries)
    }
}

impl Log for FilesLog {
    fn pulse(&mut self, node: &NodeReport, within: Instant) -> Result<Pulse, Unavailable> {
        let is_old = |(word, at): &(NodeReport, Instant)| word != node || at.elapsed() >= WORD_AFTER;
        let word = node.clone();
        let leave_word = self.word.as_ref().is_none_or(is_old);
        let (pulse, has_left_word) = self.shared.change(within, move |store| {
            let has_left_word = match leave_word.then(|| store.leave_word(&word)) {
                None => false,
                Some(Ok(())) => true,
                // On a full disk the others can still be heard.
                Some(Err(Fault::Odd(_))) => false,
                Some(Err(down)) => return Err(down),
            };
            *store.clock.lock() = None;
            let now = store.now()?;
            let at = |major| Position { major, minor: 0 };
            let trimmed = store.trimmed().map_err(fault("the log cannot be read"))?;
            let (identity, last) = (store.identity()?, at(store.last()?));
            Ok((Pulse { now, identity, trimmed: at(trimmed), last }, has_left_word))
        })?;
        if has_left_word {
            self.word = Some((node.clone(), Instant::now()));
        }
        Ok(pulse)
    }

    fn read(
        &mut self,
        position: Position,
        patience: Duration,
    ) -> Result<Vec<(Position, Event)>, Unavailable> {
        let until = Instant::now() + patience;
        loop {
            let entries = self.entries(position)?;
            let within = Instant::now() + ANSWER;
            let rest = until.saturating_duration_since(Instant::now());
            if !entries.is_empty() || rest.is_zero() {
                // That there was no more counts only where the store is.
                if entries.len() < BATCH {
                    self.shared.run(within, |store| store.is_there())?;
                }
                return Ok(entries);
            }
            let looks = move |store: &Shared| store.await_news(position, until);
            self.shared.run(until + ANSWER, looks)?;
        }
    }

    fn marks(&mut self, within: Instant) -> Result<Vec<Mark>, Unavailable> {
        self.shared.run(within, Shared::marks)
    }

    fn nodes(&mut self, within: Instant) -> Result<Vec<NodeWord>, Unavailable> {
        self.shared.run(within, Shared::nodes)
    }

    fn purge(&mut self, before: Timestamp, within: Instant) -> Result<(), Unavailable> {
        self.shared.change(within, move |store| store.purge(before, within))
    }
}

impl Shared {
    /// Looks for an entry after `position` until then.
    fn await_news(&self, position: Position, until: Instant) -> Result<(), Fault> {
        while !self.has_news(position)? {
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                break;
            }
            std::thread::sleep(rest.min(LOOK));
        }
        Ok(())
    }
}

fn key_of(hex: &str) -> Option<Key> {
    Some(Key::new(HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()?))
}
