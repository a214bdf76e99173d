//! Two stores as one, while sessions move from an old one to a new one: new sessions are kept in the new store, those
//! of the old one go on there until they end. No record is ever copied, so that each session has one store that is the
//! truth about it.
//!
//! Nodes read the logs of both, so that two kinds of nodes can work side by side: those that were told `new fallback
//! old`, and those that were told `old fallback new`. That is how a cluster changes its store node by node, and logs
//! nobody out.

use crate::clock::{Instant, Timestamp};
use crate::store::key::Key;
use crate::store::l2::contract::{
    BATCH, Backend, Event, Log, Mark, NodeReport, NodeWord, Position, Pulse, Stored, Unavailable,
};
use crate::store::record::Record;
use crate::store::succession::{Succession, Successor};
use crate::store::tombstone::{Reason, Tombstone};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A store, and the one before it.
pub struct Draining {
    new: Arc<dyn Backend>,
    old: Arc<dyn Backend>,
}

impl Draining {
    /// `new` sessions go to the one, and the `old` ones are found in the other.
    pub fn new(new: Arc<dyn Backend>, old: Arc<dyn Backend>) -> Self {
        Draining { new, old }
    }

    /// The store that knows the key; the new one, where none does. It stays that one, for no record moves.
    fn home(&self, key: &Key, within: Instant) -> Result<&dyn Backend, Unavailable> {
        let mut sealed = Vec::new();
        if self.new.load(key, &mut sealed, within)? == Stored::Nothing
            && self.old.load(key, &mut sealed, within)? != Stored::Nothing
        {
            return Ok(&*self.old);
        }
        Ok(&*self.new)
    }
}

impl Backend for Draining {
    fn create(&self, record: &Record<'_>, within: Instant) -> Result<bool, Unavailable> {
        self.new.create(record, within)
    }

    fn load(&self, key: &Key, sealed: &mut Vec<u8>, within: Instant) -> Result<Stored, Unavailable> {
        match self.new.load(key, sealed, within)? {
            Stored::Nothing => self.old.load(key, sealed, within),
            stored => Ok(stored),
        }
    }

    fn retire(
        &self,
        key: &Key,
        deadline: Timestamp,
        reason: Reason,
        within: Instant,
    ) -> Result<Stored, Unavailable> {
        match self.new.retire(key, deadline, reason, within)? {
            Stored::Nothing => self.old.retire(key, deadline, reason, within),
            stored => Ok(stored),
        }
    }

    /// In the store where the session began, whatever the order of the two: there is one that decides. Its successor
    /// begins in the new one.
    fn supersede(
        &self,
        key: &Key,
        by: Successor,
        deadline: Timestamp,
        within: Instant,
    ) -> Result<Succession, Unavailable> {
        match self.new.supersede(key, by, deadline, within)? {
            Succession::Gone(None) => self.old.supersede(key, by, deadline, within),
            succession => Ok(succession),
        }
    }

    fn end(&self, key: &Key, tombstone: &Tombstone, within: Instant) -> Result<Stored, Unavailable> {
        self.home(key, within)?.end(key, tombstone, within)
    }

    fn touch(&self, seen: &[(Key, Timestamp)], within: Instant) -> Result<(), Unavailable> {
        self.new.touch(seen, within)?;
        self.old.touch(seen, within)
    }

    /// Above every cutoff that either store gave out, in both: sessions of each are born under the highest of all.
    fn mark(
        &self,
        scope: &Key,
        cutoff: Option<Timestamp>,
        keep: Duration,
        within: Instant,
    ) -> Result<Timestamp, Unavailable> {
        let floor = self.old.mark(scope, cutoff, keep, within)?;
        let mut risen = self.new.mark(scope, cutoff.map(|cutoff| cutoff.max(floor)), keep, within)?;
        if risen <= floor && cutoff.is_none() {
            self.new.mark(scope, Some(floor), keep, within)?;
            risen = self.new.mark(scope, None, keep, within)?;
        }
        if risen > floor {
            self.old.mark(scope, Some(risen), keep, within)?;
        }
        Ok(risen)
    }

    fn cutoffs(&self, scopes: &[Key], within: Instant) -> Result<Vec<Option<Timestamp>>, Unavailable> {
        let (new, old) = (self.new.cutoffs(scopes, within)?, self.old.cutoffs(scopes, within)?);
        Ok(new.into_iter().zip(old).map(|(new, old)| new.max(old)).collect())
    }

    fn has_log(&self) -> bool {
        self.new.has_log() && self.old.has_log()
    }

    fn stop(&self) {
        self.new.stop();
        self.old.stop();
    }

    fn revive(&self) {
        self.new.revive();
        self.old.revive();
    }

    fn log(&self, within: Instant) -> Result<Box<dyn Log>, Unavailable> {
        let (new, old) = (self.new.log(within)?, self.old.log(within)?);
        Ok(Box::new(BothLogs { new, old, read: None }))
    }
}

/// Both logs as one. Positions are those of the new one. Where the old one has been read to is known to this reader
/// alone: the next one begins at its beginning, which is no harm, as what an entry says can be said twice.
struct BothLogs {
    new: Box<dyn Log>,
    old: Box<dyn Log>,
    /// The last entry of the old log that was read.
    read: Option<Position>,
}

impl Log for BothLogs {
    fn pulse(&mut self, node: &NodeReport, within: Instant) -> Result<Pulse, Unavailable> {
        let old = self.old.pulse(node, within)?;
        let new = self.new.pulse(node, within)?;
        self.read.get_or_insert(old.trimmed);
        // Either of them may have lost writes when it is not the one from before.
        Ok(Pulse { identity: new.identity ^ old.identity.rotate_left(1) | 1, ..new })
    }

    fn read(
        &mut self,
        position: Position,
        patience: Duration,
    ) -> Result<Vec<(Position, Event)>, Unavailable> {
        let read = self.read.get_or_insert_default();
        let told = self.old.read(*read, Duration::ZERO)?;
        if let Some((last, _)) = told.last() {
            *read = *last;
        }
        // They move the reader nowhere in the new log.
        let mut told: Vec<_> = told.into_iter().map(|(_, event)| (position, event)).collect();
        if told.len() < BATCH {
            let patience = if told.is_empty() { patience } else { Duration::ZERO };
            let room = BATCH - told.len();
            told.extend(self.new.read(position, patience)?.into_iter().take(room));
        }
        Ok(told)
    }

    fn marks(&mut self, within: Instant) -> Result<Vec<Mark>, Unavailable> {
        let mut marks: Vec<Mark> = self.old.marks(within)?;
        for mark in self.new.marks(within)? {
            match marks.iter_mut().find(|known| known.scope == mark.scope) {
                Some(known) => {
                    known.cutoff = known.cutoff.max(mark.cutoff);
                    known.until = known.until.max(mark.until);
                }
                None => marks.push(mark),
            }
        }
        Ok(marks)
    }

    fn nodes(&mut self, within: Instant) -> Result<Vec<NodeWord>, Unavailable> {
        let both = self.old.nodes(within)?.into_iter().chain(self.new.nodes(within)?);
        let by_name: BTreeMap<String, NodeWord> = both.map(|word| (word.report.name.clone(), word)).collect();
        Ok(by_name.into_values().collect())
    }

    fn purge(&mut self, before: Timestamp, within: Instant) -> Result<(), Unavailable> {
        self.old.purge(before, within)?;
        self.new.purge(before, within)
    }
}
