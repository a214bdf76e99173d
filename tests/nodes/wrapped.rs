//! The reference store as others are: without a log, or slow.

use super::BOUND;
use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::store::key::Key;
use mod_session_cluster::store::l2::{
    Backend, Event, Log, Mark, MemoryBackend, NodeReport, NodeWord, Position, Pulse, Stored, Unavailable,
};
use mod_session_cluster::store::record::Record;
use mod_session_cluster::store::succession::{Succession, Successor};
use mod_session_cluster::store::tombstone::{Reason, Tombstone};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The reference store in a wrap.
pub(super) struct Wrapped {
    store: MemoryBackend,
    has_log: bool,
    /// How many loads from now on one of them takes longer than the logout bound; 0 for none.
    slow_in: AtomicU32,
    /// Whether answers about who takes a session's place are lost.
    loses_answers: AtomicBool,
}

impl Wrapped {
    /// Without its log.
    pub(super) fn without_log(store: &MemoryBackend) -> Self {
        Wrapped {
            store: store.clone(),
            has_log: false,
            slow_in: AtomicU32::new(0),
            loses_answers: AtomicBool::new(false),
        }
    }

    /// With its log, and with a load that can be made slow.
    pub(super) fn with_log(store: &MemoryBackend) -> Self {
        Wrapped { has_log: true, ..Wrapped::without_log(store) }
    }

    /// Lets the `n`th load from now on, counted from 1, take longer than the logout bound.
    pub(super) fn slow_down(&self, n: u32) {
        self.slow_in.store(n, Ordering::Relaxed);
    }
}

impl Wrapped {
    /// Loses the answers about who takes a session's place from now on, or loses none.
    pub(super) fn lose_answers(&self, lost: bool) {
        self.loses_answers.store(lost, Ordering::Relaxed);
    }
}

impl Backend for Wrapped {
    fn create(&self, record: &Record<'_>, within: Instant) -> Result<bool, Unavailable> {
        self.store.create(record, within)
    }

    fn load(&self, key: &Key, sealed: &mut Vec<u8>, within: Instant) -> Result<Stored, Unavailable> {
        let left = self.slow_in.load(Ordering::Relaxed);
        self.slow_in.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 1 {
            sleep(BOUND + BOUND / 5);
        }
        self.store.load(key, sealed, within)
    }

    fn retire(
        &self,
        key: &Key,
        at: Timestamp,
        reason: Reason,
        within: Instant,
    ) -> Result<Stored, Unavailable> {
        self.store.retire(key, at, reason, within)
    }

    fn supersede(
        &self,
        key: &Key,
        by: Successor,
        deadline: Timestamp,
        within: Instant,
    ) -> Result<Succession, Unavailable> {
        let succession = self.store.supersede(key, by, deadline, within);
        if self.loses_answers.load(Ordering::Relaxed) {
            return Err(Unavailable("the answer was lost".into()));
        }
        succession
    }

    fn end(&self, key: &Key, tombstone: &Tombstone, within: Instant) -> Result<Stored, Unavailable> {
        self.store.end(key, tombstone, within)
    }

    fn touch(&self, seen: &[(Key, Timestamp)], within: Instant) -> Result<(), Unavailable> {
        self.store.touch(seen, within)
    }

    fn mark(
        &self,
        scope: &Key,
        cutoff: Option<Timestamp>,
        keep: Duration,
        within: Instant,
    ) -> Result<Timestamp, Unavailable> {
        self.store.mark(scope, cutoff, keep, within)
    }

    fn cutoffs(&self, scopes: &[Key], within: Instant) -> Result<Vec<Option<Timestamp>>, Unavailable> {
        self.store.cutoffs(scopes, within)
    }

    fn has_log(&self) -> bool {
        self.has_log
    }

    fn log(&self, within: Instant) -> Result<Box<dyn Log>, Unavailable> {
        let log = self.store.log(within)?;
        Ok(if self.has_log { log } else { Box::new(NoLog(log)) })
    }
}

struct NoLog(Box<dyn Log>);

impl Log for NoLog {
    fn pulse(&mut self, node: &NodeReport, within: Instant) -> Result<Pulse, Unavailable> {
        let Pulse { now, identity, .. } = self.0.pulse(node, within)?;
        Ok(Pulse { now, identity, trimmed: Position::default(), last: Position::default() })
    }

    fn read(&mut self, _: Position, _: Duration) -> Result<Vec<(Position, Event)>, Unavailable> {
        Ok(Vec::new())
    }

    fn marks(&mut self, _: Instant) -> Result<Vec<Mark>, Unavailable> {
        Ok(Vec::new())
    }

    fn nodes(&mut self, within: Instant) -> Result<Vec<NodeWord>, Unavailable> {
        self.0.nodes(within)
    }

    fn purge(&mut self, _: Timestamp, _: Instant) -> Result<(), Unavailable> {
        Ok(())
    }
}
