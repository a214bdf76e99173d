//! The store in files as the contract wants it: each operation is given to a thread that may hang with the file server.

use super::config::FilesConfig;
use super::disk::{Disk, fault};
use super::mounts;
use super::shared::Shared;
use crate::clock::{Instant, Timestamp};
use crate::store::key::Key;
use crate::store::l2::contract::{
    BATCH, Backend, Event, Log, Mark, NodeReport, NodeWord, Position, Pulse, Stored, Unavailable, WORD_AFTER,
};
use crate::store::l2::wire;
use crate::store::l2::workers::{Fault, Spawn, Workers};
use crate::store::record::Record;
use crate::store::succession::{Succession, Successor};
use crate::store::tombstone::{Reason, Tombstone};
use parking_lot::Mutex;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// How long one operation of a reader of the log may take.
const ANSWER: Duration = Duration::from_millis(250);
/// Entries of the log that are read in one operation.
const PIECE: usize = 50;
/// Visits that are told in one go.
const VISITS: usize = 20;

/// A store in files. Looks at nothing before it is first used, so that it can be made before a fork.
pub struct FilesBackend {
    pub(super) shared: Arc<Shared>,
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
        // A directory of a file server is not looked at: one that is away would keep a restart waiting.
        let looked_up = (!mounts::is_remote(root, &table)).then(|| fs::canonicalize(root).ok()).flatten();
        mounts::advice(looked_up.as_ref().unwrap_or(root), &table)
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

    fn supersede(
        &self,
        key: &Key,
        by: Successor,
        deadline: Timestamp,
        within: Instant,
    ) -> Result<Succession, Unavailable> {
        let key = *key;
        self.shared.change(within, move |store| store.supersede(&key, by, deadline))
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
        cutoff: Option<Timestamp>,
        keep: Duration,
        within: Instant,
    ) -> Result<Timestamp, Unavailable> {
        let scope = *scope;
        self.shared.change(within, move |store| store.mark(&scope, cutoff, keep))
    }

    fn cutoffs(&self, scopes: &[Key], within: Instant) -> Result<Vec<Option<Timestamp>>, Unavailable> {
        let scopes = scopes.to_vec();
        self.shared.run(within, move |store| store.cutoffs(&scopes))
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
