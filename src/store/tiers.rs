//! The store as sessions see it: the table of this host, and behind it, in a cluster, the store of all nodes.
//!
//! The store behind is the truth. It is written first: a begin or an end that it did not confirm has not happened.
//! Reads are answered by the table alone while the lease holds, that is, while the log of the cluster has been read to
//! its end a moment ago; else by the store; and while that cannot be reached, as [`Outage`] says. Where the store has
//! no log, each key by itself must have been asked about within the logout bound. Marks of scopes are in `marks`, what
//! a node is to others in `cluster`, how late visits are told in `visits`.

use super::cluster::{Cluster, Outage};
use super::key::Key;
use super::l1::{Arrival, Created, Found, Lookup, Slot, Table, TableError, Torn, WriteLock};
use super::l2::{Backend, Metadata, Stored, Unavailable};
use super::moment::Moment;
use super::record::Record;
use super::succession::{Succession, Successor};
use super::tombstone::{Reason, Tombstone};
use super::visits;
use crate::clock::{Instant, Timestamp, uptime};
use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The tiers of one host.
pub struct Store<'m, L> {
    pub(super) table: Table<'m, L>,
    pub(super) cluster: Option<Cluster>,
}

/// What one request may spend waiting for the store, in all.
pub struct Budget(Cell<Duration>);

impl Budget {
    /// So much.
    #[must_use]
    pub const fn new(all: Duration) -> Self {
        Budget(Cell::new(all))
    }

    /// Runs an operation that has to end within what is left.
    pub(super) fn spend<R>(&self, op: impl FnOnce(Instant) -> R) -> R {
        let start = Instant::now();
        let result = op(start + self.0.get());
        self.0.set(self.0.get().saturating_sub(start.elapsed()));
        result
    }
}

/// The outcome of a load, when the table or the store could tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// The record is there and its deadline has not passed.
    Found(Fetched),
    /// There is no such session, or no longer; with the reason if one is known.
    Absent(Option<Reason>),
}

/// A record that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// What is known of it.
    pub metadata: Metadata,
    /// Where it lies in the table; `None` when the store was asked for it just now.
    pub slot: Option<Slot>,
    /// How much longer than its idle timeout it lives after the last visit that is known: visits to other nodes are
    /// told with a delay (see [`visits`]). Nothing where the table alone was asked.
    pub idle_slack: Duration,
}

/// The store could not tell, or did not do what was asked. Never the same as absent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The table refused, and there is nothing behind it.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A record kept changing under the reader.
    #[error(transparent)]
    Torn(#[from] Torn),
    /// The store of the cluster did not answer, or did not confirm.
    #[error("the cluster's store: {0}")]
    Unavailable(#[from] Unavailable),
}

impl<'m, L: WriteLock> Store<'m, L> {
    /// A host of its own.
    pub fn alone(table: Table<'m, L>) -> Self {
        Store { table, cluster: None }
    }

    /// A node of a cluster.
    pub fn clustered(table: Table<'m, L>, cluster: Cluster) -> Self {
        Store { table: table.backed(), cluster: Some(cluster) }
    }

    /// The table.
    pub fn table(&self) -> &Table<'m, L> {
        &self.table
    }

    /// The store behind it.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// The present instant: by the clock of the cluster's store, or `local` where there is none.
    pub fn now(&self, local: impl FnOnce() -> Timestamp) -> Timestamp {
        if self.cluster.is_some() { self.table.link().now(uptime()) } else { local() }
    }

    /// [`Store::now`], and whether the table may be trusted, for what is decided next: not for what follows a wait.
    pub fn moment(&self, local: impl FnOnce() -> Timestamp) -> Moment {
        if self.cluster.is_none() {
            return Moment::new(local(), true);
        }
        let (link, uptime) = (self.table.link(), uptime());
        Moment::new(link.now(uptime), uptime < link.lease())
    }

    /// Looks up a record and copies its payload into `sealed`, whose contents are replaced. In a cluster: from the
    /// table if it may be trusted, by a look at two more words; else with one round trip to the store.
    ///
    /// # Errors
    /// When neither table nor store could tell.
    pub fn load(
        &self,
        key: &Key,
        now: Timestamp,
        sealed: &mut Vec<u8>,
        budget: &Budget,
    ) -> Result<Loaded, StoreError> {
        let Some(cluster) = &self.cluster else {
            return match self.table.load(key, now, sealed) {
                Lookup::Found(found) => Ok(Loaded::Found(Fetched::here(&found))),
                Lookup::Absent(gone) => Ok(Loaded::Absent(gone.map(|gone| gone.reason))),
                Lookup::Torn => Err(Torn.into()),
            };
        };
        for _ in 0..ATTEMPTS {
            // The lease before the table: a reader that sees a lease reads a table that knows all that was told before
            // it.
            let leased = self.is_leased();
            let here = match self.table.load(key, now, sealed) {
                Lookup::Absent(Some(gone)) => return Ok(Loaded::Absent(Some(gone.reason))),
                // What looks idle from here may have been used elsewhere.
                Lookup::Found(found)
                    if leased
                        && cluster.is_confirmed(key)
                        && self.is_current(found.slot)
                        && !is_idle(&found, now) =>
                {
                    return Ok(Loaded::Found(Fetched::here(&found)));
                }
                Lookup::Found(found) => Some(found),
                Lookup::Absent(None) | Lookup::Torn => None,
            };
            if let Some(loaded) = self.ask(cluster, key, here, now, sealed, budget)? {
                return Ok(loaded);
            }
        }
        Err(unsettled())
    }

    /// Whether a record of the current generation is trusted without asking the cluster's store. Always, where there is
    /// none. The table must be looked at after that `moment`.
    pub fn is_trusted(&self, key: &Key, moment: Moment) -> bool {
        self.cluster.as_ref().is_none_or(|cluster| moment.is_leased() && cluster.is_confirmed(key))
    }

    /// Whether the record in that slot is of the current generation.
    pub fn is_current(&self, slot: Slot) -> bool {
        self.cluster.is_none() || self.table.link().generation() == slot.generation()
    }

    /// Whether the log of the cluster was read to its end within the logout bound. Always, where there is none.
    pub fn is_leased(&self) -> bool {
        self.cluster.is_none() || uptime() < self.table.link().lease()
    }

    /// The store. A new generation tells that the watcher of this host has reached another one, or the same one started
    /// again: connections from before, and the pause after a failure, are then no use.
    pub(super) fn backend<'c>(&self, cluster: &'c Cluster) -> &'c dyn Backend {
        let generation = self.table.link().generation();
        if cluster.revived.swap(generation, Ordering::Relaxed) != generation {
            cluster.backend.revive();
        }
        &*cluster.backend
    }

    /// Asks the cluster's store for a record, of which the table has `here`, with its payload in `sealed`. `None` when
    /// something happened meanwhile that the answer may be ignorant of.
    fn ask(
        &self,
        cluster: &Cluster,
        key: &Key,
        here: Option<Found>,
        now: Timestamp,
        sealed: &mut Vec<u8>,
        budget: &Budget,
    ) -> Result<Option<Loaded>, StoreError> {
        let link = self.table.link();
        let (generation, sequence) = (link.generation(), link.sequence());
        let (mut fetched, asked) = (Vec::new(), uptime());
        let stored = match budget.spend(|within| self.backend(cluster).load(key, &mut fetched, within)) {
            Ok(stored) => stored,
            Err(unavailable) => {
                let serves = |found: &Found| {
                    self.may_serve(cluster, now)
                        && self.is_current(found.slot)
                        && !is_idle(found, now)
                        // A logout may have been heard of while the store was waited for.
                        && self.table.unchanged(&found.slot).is_some()
                };
                let found = here.filter(serves).ok_or(unavailable)?;
                return Ok(Some(Loaded::Found(Fetched::here(&found))));
            }
        };
        if (link.generation(), link.sequence()) != (generation, sequence) {
            return Ok(None);
        }
        Ok(match stored {
            Stored::Record(metadata) if metadata.deadline <= now => {
                Some(Loaded::Absent(Some(metadata.ends_as)))
            }
            Stored::Record(metadata) => {
                *sealed = fetched;
                let last_seen =
                    here.map_or(metadata.last_seen, |here| here.last_seen.max(metadata.last_seen));
                let metadata = Metadata { last_seen, ..metadata };
                let arrival = metadata.arrival(*key, sealed, generation, sequence);
                let admitted = self.admit(here, &arrival, now);
                if admitted {
                    cluster.confirm(key, asked);
                }
                admitted.then_some(Loaded::Found(Fetched {
                    metadata,
                    slot: None,
                    idle_slack: visits::idle_slack(metadata.idle),
                }))
            }
            Stored::Tombstone(tombstone) => match self.table.end_under(generation, key, tombstone, now) {
                Ok(false) => None,
                // A table that cannot take it takes nothing away.
                Ok(true) | Err(_) => Some(Loaded::Absent(Some(tombstone.reason))),
            },
            Stored::Nothing => {
                if here.is_some() {
                    let _ = self.table.forget(key);
                }
                Some(Loaded::Absent(None))
            }
        })
    }

    /// Notes a visit to a session that was just loaded, and lay in the table where `slot` says. One that the store was
    /// asked for may be in the table since: without its visit, the store would never be told of it.
    pub fn note_visit(&self, key: &Key, slot: Option<Slot>, now: Timestamp) {
        match (slot, &self.cluster) {
            (Some(slot), _) => self.table.touch(slot, now),
            (None, Some(_)) => {
                if let Lookup::Found(found) = self.table.peek(key, now) {
                    self.table.touch(found.slot, now);
                }
            }
            (None, None) => {}
        }
    }

    /// Brings the table up to what the store said of a record, of which it had `here`. False when it knows better by
    /// now.
    fn admit(&self, here: Option<Found>, arrival: &Arrival<'_>, now: Timestamp) -> bool {
        if let Some(here) =
            here.filter(|here| self.is_current(here.slot) && here.deadline == arrival.deadline)
        {
            self.table.raise_last_seen(here.slot, arrival.record.last_seen);
            return self.table.unchanged(&here.slot).is_some();
        }
        // The table is there to save time. That it has no room takes nothing away.
        self.table.admit(arrival, now).unwrap_or_else(|_| {
            let link = self.table.link();
            (link.generation(), link.sequence()) == (arrival.generation, arrival.sequence)
        })
    }

    /// Whether the table is served from although the store cannot be reached.
    pub(super) fn may_serve(&self, cluster: &Cluster, now: Timestamp) -> bool {
        match cluster.outage {
            Outage::Serve(allowance) => now.since(self.table.link().contact()) <= allowance,
            Outage::Refuse => false,
        }
    }

    /// Stores a record whose key is new. In a cluster: in its store first, with one round trip.
    ///
    /// # Errors
    /// When it was not stored, or the store did not confirm it: then nobody may be given its session id.
    pub fn create(
        &self,
        record: &Record<'_>,
        now: Timestamp,
        budget: &Budget,
    ) -> Result<Created, StoreError> {
        let Some(cluster) = &self.cluster else { return Ok(self.table.create(record, now)?) };
        self.table.check_size(record)?;
        let (generation, asked) = (self.table.link().generation(), uptime());
        if !budget.spend(|within| self.backend(cluster).create(record, within))? {
            return Err(TableError::Exists.into());
        }
        if self.table.create_under(generation, record, now).is_ok() {
            cluster.confirm(&record.key, asked);
        }
        Ok(Created { evicted_live: 0 })
    }

    /// Has the session of key `by` take the place of another, which answers until `deadline`, unless it was to end
    /// earlier, and then ends as [`Reason::Superseded`]. Of all that ask for a place, on all nodes, one is the first.
    ///
    /// # Errors
    /// When the store did not confirm it: `by` may have the place or not, and must not be given to anybody.
    pub fn supersede(
        &self,
        key: &Key,
        by: &Key,
        deadline: Timestamp,
        now: Timestamp,
        budget: &Budget,
    ) -> Result<Succession, StoreError> {
        let Some(cluster) = &self.cluster else { return Ok(self.table.supersede(key, deadline, now)?) };
        let (by, mut was_first) = (Successor::of(by), false);
        for _ in 0..ATTEMPTS {
            let generation = self.table.link().generation();
            let succession =
                budget.spend(|within| self.backend(cluster).supersede(key, by, deadline, within))?;
            if let Succession::First(until) | Succession::Second(until) = succession {
                // The log will bring it here in a moment, should the table not take it now.
                let _ = self.table.retire(key, until, Reason::Superseded, now);
            }
            let is_first = matches!(succession, Succession::First(_));
            // Else a store is followed now that may have lost it, and may have been told of what is known here before
            // this.
            if self.table.link().generation() == generation {
                // It may have been told by this node that the place is taken, and not by whom. Nobody knows then.
                return if was_first && !is_first { Err(unsettled()) } else { Ok(succession) };
            }
            was_first |= is_first;
        }
        Err(unsettled())
    }

    /// Ends a session, everywhere. From the return on this host refuses it, and others do as soon as they have read the
    /// log, within their logout bound. True when it was alive.
    ///
    /// # Errors
    /// When the store did not confirm it: the session may go on, and the answer must say so.
    pub fn end(
        &self,
        key: &Key,
        tombstone: Tombstone,
        now: Timestamp,
        budget: &Budget,
    ) -> Result<bool, StoreError> {
        let Some(cluster) = &self.cluster else { return Ok(self.table.end(key, tombstone, now)?) };
        let tombstone = Tombstone { node: cluster.node, ..tombstone };
        let mut alive = false;
        for _ in 0..ATTEMPTS {
            let generation = self.table.link().generation();
            let before = budget.spend(|within| self.backend(cluster).end(key, &tombstone, within))?;
            alive |= matches!(before, Stored::Record(metadata) if metadata.deadline > now);
            match self.table.end_under(generation, key, tombstone, now) {
                // A store is followed now that may have lost it.
                Ok(false) => {}
                // The log will bring it here in a moment, should the table not take it now.
                Ok(true) | Err(_) => return Ok(alive),
            }
        }
        Err(unsettled())
    }

    /// Why a session ended, if it did; asks nobody but the table, unless `fresh`, or that cannot have heard of it.
    ///
    /// # Errors
    /// When neither table nor store could tell.
    pub fn reason_of(
        &self,
        key: &Key,
        fresh: bool,
        now: Timestamp,
        budget: &Budget,
    ) -> Result<Option<Reason>, StoreError> {
        match (self.table.peek(key, now), &self.cluster) {
            (Lookup::Absent(Some(gone)), _) => Ok(Some(gone.reason)),
            (Lookup::Torn, None) => Err(Torn.into()),
            (_, Some(cluster)) if fresh || !cluster.is_confirmed(key) => {
                let (generation, asked) = (self.table.link().generation(), uptime());
                match budget.spend(|within| self.backend(cluster).load(key, &mut Vec::new(), within)) {
                    Ok(Stored::Tombstone(tombstone)) => {
                        let _ = self.table.end_under(generation, key, tombstone, now);
                        Ok(Some(tombstone.reason))
                    }
                    Ok(Stored::Record(metadata))
                        if metadata.deadline <= now && metadata.ends_as != Reason::Superseded =>
                    {
                        Ok(Some(metadata.ends_as))
                    }
                    Ok(stored) => {
                        cluster.confirm(key, asked);
                        let over = matches!(stored, Stored::Record(metadata) if metadata.deadline <= now);
                        Ok(over.then_some(Reason::Superseded))
                    }
                    Err(_) if !fresh && self.may_serve(cluster, now) => Ok(None),
                    Err(unavailable) => Err(unavailable.into()),
                }
            }
            (Lookup::Torn, Some(_)) => Err(Torn.into()),
            (Lookup::Found(_) | Lookup::Absent(None), _) => Ok(None),
        }
    }
}

/// How often a question is put again when a record changes, or another store is followed, while it is looked up.
const ATTEMPTS: usize = 3;

fn unsettled() -> StoreError {
    Unavailable("what is known of the session changed again and again while it was looked up".into()).into()
}

fn is_idle(found: &Found, now: Timestamp) -> bool {
    now.since(found.last_seen) > found.idle
}

impl Fetched {
    /// What the table has of it. That is served only while it is not idle by the table's own last-seen time, or on a
    /// host without a cluster.
    fn here(found: &Found) -> Self {
        let &Found { created, born_deadline, deadline, ends_as, idle, last_seen, slot } = found;
        let metadata = Metadata { created, born_deadline, deadline, ends_as, idle, last_seen };
        Fetched { metadata, slot: Some(slot), idle_slack: Duration::ZERO }
    }
}

impl Metadata {
    fn arrival<'a>(self, key: Key, sealed: &'a [u8], generation: u16, sequence: u64) -> Arrival<'a> {
        let Metadata { created, born_deadline, deadline, ends_as, idle, last_seen } = self;
        let record = Record { key, created, deadline: born_deadline, last_seen, idle, sealed };
        Arrival { record, deadline, ends_as, generation, sequence }
    }
}
