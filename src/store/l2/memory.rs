//! The reference: a store in the memory of one process. For tests of the laws and of everything above, with faults that
//! can be switched on.

use crate::clock::{Instant, Timestamp, wait_for};
use crate::store::key::Key;
use crate::store::l2::contract::{
    BATCH, Backend, Event, Log, Mark, Metadata, NodeReport, NodeWord, Position, Pulse, Stored, Unavailable,
};
use crate::store::record::Record;
use crate::store::succession::{Succession, Successor};
use crate::store::tombstone::{Reason, Tombstone};
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A store in memory. Its clock stands still until it is moved. Clones are the same store.
#[derive(Clone)]
pub struct MemoryBackend {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    written: Condvar,
}

struct State {
    now: Timestamp,
    reachable: bool,
    identity: u64,
    commands: u64,
    records: BTreeMap<Key, (Stored, Vec<u8>)>,
    successors: BTreeMap<Key, Successor>,
    marks: BTreeMap<Key, Mark>,
    highest: Timestamp,
    log: BTreeMap<Position, Event>,
    trimmed: Position,
    last: Position,
    nodes: BTreeMap<String, NodeWord>,
}

impl MemoryBackend {
    /// An empty store whose clock stands at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let state = State {
            now,
            reachable: true,
            identity: 1,
            commands: 0,
            records: BTreeMap::new(),
            successors: BTreeMap::new(),
            marks: BTreeMap::new(),
            highest: Timestamp::default(),
            log: BTreeMap::new(),
            trimmed: Position::default(),
            last: Position::default(),
            nodes: BTreeMap::new(),
        };
        MemoryBackend { shared: Arc::new(Shared { state: Mutex::new(state), written: Condvar::new() }) }
    }

    /// Sets its clock.
    pub fn set_now(&self, now: Timestamp) {
        self.shared.state.lock().now = now;
    }

    /// Makes every operation fail from now on, or succeed again.
    pub fn set_reachable(&self, reachable: bool) {
        self.shared.state.lock().reachable = reachable;
    }

    /// Forgets everything, as a server without a disk does when it is started again.
    pub fn lose_everything(&self) {
        let mut state = self.shared.state.lock();
        state.records.clear();
        state.successors.clear();
        state.marks.clear();
        state.log.clear();
        (state.trimmed, state.last, state.highest) = Default::default();
        state.identity += 1;
    }

    /// How many operations were asked for so far, those of readers of the log not among them.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.shared.state.lock().commands
    }

    fn ask<R>(&self, op: impl FnOnce(&mut State) -> R) -> Result<R, Unavailable> {
        let mut state = self.shared.state.lock();
        if !state.reachable {
            return Err(unreachable());
        }
        state.commands += 1;
        let result = op(&mut state);
        self.shared.written.notify_all();
        Ok(result)
    }
}

fn unreachable() -> Unavailable {
    Unavailable("the store was made unreachable".into())
}

impl State {
    fn stored(&self, key: &Key) -> Stored {
        match self.records.get(key) {
            Some(&(Stored::Tombstone(tombstone), _)) if tombstone.until <= self.now => Stored::Nothing,
            Some(&(stored, _)) => stored,
            None => Stored::Nothing,
        }
    }

    fn write(&mut self, event: Event) {
        let major = self.now.as_millis().max(self.last.major);
        let minor = if major == self.last.major { self.last.minor + 1 } else { 0 };
        self.last = Position { major, minor };
        self.log.insert(self.last, event);
    }
}

impl Backend for MemoryBackend {
    fn create(&self, record: &Record<'_>, _within: Instant) -> Result<bool, Unavailable> {
        self.ask(|state| {
            if state.stored(&record.key) != Stored::Nothing {
                return false;
            }
            let metadata = Metadata {
                created: record.created,
                born_deadline: record.deadline,
                deadline: record.deadline,
                ends_as: Reason::Lifetime,
                idle: record.idle,
                last_seen: record.last_seen,
            };
            state.records.insert(record.key, (Stored::Record(metadata), record.sealed.to_vec()));
            true
        })
    }

    fn load(&self, key: &Key, sealed: &mut Vec<u8>, _within: Instant) -> Result<Stored, Unavailable> {
        self.ask(|state| {
            sealed.clear();
            let stored = state.stored(key);
            if let (Stored::Record(_), Some((_, payload))) = (stored, state.records.get(key)) {
                sealed.extend_from_slice(payload);
            }
            stored
        })
    }

    fn retire(
        &self,
        key: &Key,
        deadline: Timestamp,
        reason: Reason,
        _within: Instant,
    ) -> Result<Stored, Unavailable> {
        self.ask(|state| {
            if let Some((Stored::Record(metadata), _)) = state.records.get_mut(key)
                && deadline < metadata.deadline
            {
                (metadata.deadline, metadata.ends_as) = (deadline, reason);
                state.write(Event::Retired { key: *key, deadline, reason });
            }
            state.stored(key)
        })
    }

    fn supersede(
        &self,
        key: &Key,
        by: Successor,
        deadline: Timestamp,
        _within: Instant,
    ) -> Result<Succession, Unavailable> {
        self.ask(|state| {
            let reason = Reason::Superseded;
            if let Some((Stored::Record(metadata), _)) = state.records.get_mut(key)
                && metadata.ends_as != reason
                && !state.successors.contains_key(key)
            {
                let deadline = deadline.min(metadata.deadline);
                (metadata.deadline, metadata.ends_as) = (deadline, reason);
                state.successors.insert(*key, by);
                state.write(Event::Retired { key: *key, deadline, reason });
            }
            state.stored(key).succession(state.successors.get(key) == Some(&by))
        })
    }

    fn end(&self, key: &Key, tombstone: &Tombstone, _within: Instant) -> Result<Stored, Unavailable> {
        self.ask(|state| {
            let before = state.stored(key);
            if !matches!(before, Stored::Tombstone(_)) {
                state.records.insert(*key, (Stored::Tombstone(*tombstone), Vec::new()));
                state.write(Event::Ended { key: *key, tombstone: *tombstone });
            }
            before
        })
    }

    fn touch(&self, seen: &[(Key, Timestamp)], _within: Instant) -> Result<(), Unavailable> {
        self.ask(|state| {
            for (key, at) in seen {
                if let Some((Stored::Record(metadata), _)) = state.records.get_mut(key) {
                    metadata.last_seen = metadata.last_seen.max(*at);
                }
            }
        })
    }

    fn mark(
        &self,
        scope: &Key,
        cutoff: Option<Timestamp>,
        keep: Duration,
        _within: Instant,
    ) -> Result<Timestamp, Unavailable> {
        self.ask(|state| {
            let above = state.highest.after(Duration::from_millis(1)).max(state.now);
            let cutoff = cutoff.unwrap_or(above);
            state.highest = state.highest.max(cutoff);
            let new = Mark { scope: *scope, cutoff, until: state.now.after(keep) };
            let mark = *state.marks.entry(*scope).and_modify(|old| *old = higher(*old, new)).or_insert(new);
            state.write(Event::Marked(mark));
            mark.cutoff
        })
    }

    fn cutoffs(&self, scopes: &[Key], _within: Instant) -> Result<Vec<Option<Timestamp>>, Unavailable> {
        self.ask(|state| {
            let kept = |scope| state.marks.get(scope).filter(|mark| mark.until > state.now);
            scopes.iter().map(|scope| kept(scope).map(|mark| mark.cutoff)).collect()
        })
    }

    fn log(&self, _within: Instant) -> Result<Box<dyn Log>, Unavailable> {
        Ok(Box::new(MemoryLog(self.clone())))
    }
}

/// Two marks of one scope merge by maximum.
fn higher(one: Mark, other: Mark) -> Mark {
    Mark { cutoff: one.cutoff.max(other.cutoff), until: one.until.max(other.until), ..one }
}

struct MemoryLog(MemoryBackend);

impl MemoryLog {
    fn ask<R>(&self, op: impl FnOnce(&mut State) -> R) -> Result<R, Unavailable> {
        let mut state = self.0.shared.state.lock();
        if state.reachable { Ok(op(&mut state)) } else { Err(unreachable()) }
    }
}

impl Log for MemoryLog {
    fn pulse(&mut self, node: &NodeReport, _within: Instant) -> Result<Pulse, Unavailable> {
        self.ask(|state| {
            let at = state.now;
            state.nodes.insert(node.name.clone(), NodeWord { report: node.clone(), at });
            let State { now, identity, trimmed, last, .. } = *state;
            Pulse { now, identity, trimmed, last }
        })
    }

    fn read(
        &mut self,
        position: Position,
        patience: Duration,
    ) -> Result<Vec<(Position, Event)>, Unavailable> {
        let mut state = self.0.shared.state.lock();
        if state.last <= position && state.reachable {
            wait_for(&self.0.shared.written, &mut state, patience);
        }
        if !state.reachable {
            return Err(unreachable());
        }
        if position < state.trimmed {
            return Err(Unavailable("the log has lost entries that were not read yet".into()));
        }
        let after = (std::ops::Bound::Excluded(position), std::ops::Bound::Unbounded);
        Ok(state.log.range(after).take(BATCH).map(|(&position, &event)| (position, event)).collect())
    }

    fn marks(&mut self, _within: Instant) -> Result<Vec<Mark>, Unavailable> {
        self.ask(|state| state.marks.values().filter(|mark| mark.until > state.now).copied().collect())
    }

    fn nodes(&mut self, _within: Instant) -> Result<Vec<NodeWord>, Unavailable> {
        self.ask(|state| state.nodes.values().cloned().collect())
    }

    fn purge(&mut self, before: Timestamp, _within: Instant) -> Result<(), Unavailable> {
        self.ask(|state| {
            let first = Position { major: before.as_millis(), minor: 0 };
            let kept = state.log.split_off(&first);
            if let Some((&last, _)) = state.log.last_key_value() {
                state.trimmed = last;
            }
            state.log = kept;
            let now = state.now;
            state.marks.retain(|_, mark| mark.until > now);
            state.records.retain(|_, (stored, _)| match stored {
                Stored::Record(metadata) => metadata.deadline > now,
                Stored::Tombstone(tombstone) => tombstone.until > now,
                Stored::Nothing => false,
            });
            let State { records, successors, .. } = state;
            successors.retain(|key, _| records.contains_key(key));
        })
    }
}
