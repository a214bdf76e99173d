//! The store in a cache as the contract wants it: each operation is given to a thread that may hang with the cache.

use super::config::SocacheConfig;
use super::engine::{Cache, Engine};
use super::log::NoLog;
use crate::clock::{Instant, Timestamp};
use crate::store::key::Key;
use crate::store::l2::contract::{Backend, Log, Stored, Unavailable};
use crate::store::l2::wire;
use crate::store::l2::workers::{Fault, Spawn, Workers};
use crate::store::record::Record;
use crate::store::succession::{Succession, Successor};
use crate::store::tombstone::{Reason, Tombstone};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Visits that are told in one go.
const VISITS: usize = 20;

/// The store.
pub struct SocacheBackend {
    pub(super) engine: Arc<Engine>,
    workers: Arc<Workers>,
    /// Visits of a batch for which there was no time to tell all.
    told: Mutex<HashSet<(Key, Timestamp)>>,
}

impl SocacheBackend {
    /// A store in `cache`, as `config` says.
    pub fn new(config: &SocacheConfig, cache: Arc<dyn Cache>, spawn: Arc<dyn Spawn>) -> Self {
        let engine = Engine::new(cache, config.prefix.clone());
        let workers = Arc::new(Workers::new("socache", spawn));
        SocacheBackend { engine: Arc::new(engine), workers, told: Mutex::default() }
    }

    fn run<R: Send + 'static>(
        &self,
        within: Instant,
        work: impl FnOnce(&Engine) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Unavailable> {
        let engine = Arc::clone(&self.engine);
        self.workers.run(within, move || work(&engine))
    }
}

impl Backend for SocacheBackend {
    fn create(&self, record: &Record<'_>, within: Instant) -> Result<bool, Unavailable> {
        let (key, deadline, bytes) = (record.key, record.deadline, wire::record(record));
        self.run(within, move |engine| engine.create(&key, deadline, &bytes))
    }

    fn load(&self, key: &Key, sealed: &mut Vec<u8>, within: Instant) -> Result<Stored, Unavailable> {
        let key = *key;
        let (stored, payload) = self.run(within, move |engine| engine.look(&key))?;
        *sealed = payload;
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
        self.run(within, move |engine| engine.retire(&key, deadline, reason))
    }

    fn supersede(
        &self,
        key: &Key,
        by: Successor,
        deadline: Timestamp,
        within: Instant,
    ) -> Result<Succession, Unavailable> {
        let key = *key;
        self.run(within, move |engine| engine.supersede(&key, by, deadline))
    }

    fn end(&self, key: &Key, tombstone: &Tombstone, within: Instant) -> Result<Stored, Unavailable> {
        let (key, tombstone) = (*key, *tombstone);
        self.run(within, move |engine| engine.end(&key, &tombstone))
    }

    fn touch(&self, seen: &[(Key, Timestamp)], within: Instant) -> Result<(), Unavailable> {
        if seen.is_empty() {
            return Ok(());
        }
        let mut told = self.told.lock();
        let rest: Vec<_> = seen.iter().copied().filter(|visit| !told.contains(visit)).collect();
        let mut longest = Duration::ZERO;
        for some in rest.chunks(VISITS) {
            let start = Instant::now();
            // A cache that is only slow is not one that is away: nobody else is put off, and the next try begins here.
            if longest > Duration::ZERO && start + longest * 2 > within {
                return Err(Unavailable("socache: there was no time for all visits".into()));
            }
            let visits = some.to_vec();
            self.run(within, move |engine| visits.iter().try_for_each(|(key, at)| engine.touch(key, *at)))?;
            told.extend(some);
            longest = longest.max(start.elapsed());
        }
        told.clear();
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
        self.run(within, move |engine| engine.mark(&scope, cutoff, keep))
    }

    fn cutoffs(&self, scopes: &[Key], within: Instant) -> Result<Vec<Option<Timestamp>>, Unavailable> {
        if scopes.is_empty() {
            return Ok(Vec::new());
        }
        let scopes = scopes.to_vec();
        self.run(within, move |engine| engine.cutoffs(&scopes))
    }

    fn has_log(&self) -> bool {
        false
    }

    fn stop(&self) {
        self.workers.stop();
    }

    fn revive(&self) {
        self.workers.revive();
    }

    fn log(&self, _within: Instant) -> Result<Box<dyn Log>, Unavailable> {
        Ok(Box::new(NoLog::new(Arc::clone(&self.engine), Arc::clone(&self.workers))))
    }
}
