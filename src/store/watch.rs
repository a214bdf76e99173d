//! The watcher: what one process of each host does so that its table may be trusted. It reads the cluster's log into
//! the table and renews the lease; notices when the log was lost, and then has every record confirmed anew and tells
//! the store of the ends that this host knows; and tells it of visits.
//!
//! Everything that must not be lost with the process is in the table (see [`Link`]), so that the next one goes on where
//! it died. The order is always: apply, then move the position, then renew the lease.

use super::cluster::Cluster;
use super::l1::{Link, Table, WriteLock};
use super::l2::{BATCH, Event, Log, Mark, Position, Pulse, Unavailable};
use super::marks::MARK_KEPT;
use super::tiers::{Store, StoreError};
use super::tombstone::Reason;
use super::visits::{is_due, log_wait};
use crate::clock::{Instant, Timestamp, uptime};
use std::time::Duration;

/// The watcher of one process. At most one of a host is at work; the others stand by.
pub struct Watcher<'s, 'm, L: WriteLock> {
    table: &'s Table<'m, L>,
    cluster: &'s Cluster,
    me: u64,
    log: Option<Box<dyn Log>>,
    flush: Option<Flush>,
    purged: Option<Instant>,
    /// There was more to do than the last step had time for.
    more: bool,
}

/// The log was read to its end.
#[derive(Clone, Copy)]
struct Heard {
    /// The uptime when the store was asked for its state.
    start: u64,
    /// What its clock showed then.
    now: Timestamp,
}

/// A round of telling the store of visits.
#[derive(Clone, Copy)]
struct Flush {
    from: Timestamp,
    until: Timestamp,
    part: usize,
}

/// What an administrator has to know, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The store has not been heard for longer than the logout bound.
    Lost(String),
    /// It is heard again.
    Regained,
    /// Its log is not the one that was read before: writes may have been lost.
    OtherLog,
}

/// How long a watcher that says nothing any more is waited for: uptime, ms.
const TERM: u64 = 600;

impl<'s, 'm, L: WriteLock> Watcher<'s, 'm, L> {
    /// How long a stand-by sleeps.
    const STAND_BY: Duration = Duration::from_millis(100);
    /// Buckets of the index that are looked at together.
    const PART: usize = 64;
    /// For how long a step goes on with what can wait.
    const SPELL: Duration = Duration::from_millis(20);
    const PURGE_EVERY: Duration = Duration::from_secs(10);
    /// Log entries are kept for so long. A host that was away for longer has everything confirmed.
    const LOG_KEPT: Duration = Duration::from_secs(86_400);

    /// The watcher of this process for `store`; `None` where there is no cluster. `me` is a number that no other
    /// process has, and not 0.
    pub fn new(store: &'s Store<'m, L>, me: u64) -> Option<Self> {
        let cluster = store.cluster()?;
        let (log, flush, purged) = Default::default();
        Some(Watcher { table: store.table(), cluster, me, log, flush, purged, more: false })
    }

    /// Reads what there is to read, waiting a little for it, and does a little of the rest. Returns how long to sleep
    /// before the next step.
    pub fn step(&mut self, report: &dyn Fn(Report)) -> Duration {
        let link = self.table.link();
        let now = uptime();
        if !self.is_followed() || !link.lead(self.me, now, now + TERM) {
            (self.log, self.flush) = (None, None);
            return Self::STAND_BY;
        }
        let heard = self.follow(report);
        if !self.is_followed() {
            (self.log, self.flush) = (None, None);
            return Self::STAND_BY;
        }
        match heard {
            Ok(heard) => {
                if link.announce(true) {
                    report(Report::Regained);
                }
                let trusted = self.trust(heard);
                // What fails here is tried again in the next step.
                self.more = self.keep_house().unwrap_or(false);
                if !trusted && self.is_followed() {
                    self.trust(heard);
                }
                Duration::ZERO
            }
            Err(error) => {
                self.log = None;
                if now >= link.lease() && link.announce(false) {
                    report(Report::Lost(error.to_string()));
                }
                self.cluster.bound / 10
            }
        }
    }

    /// Reads the log to its end.
    fn follow(&mut self, report: &dyn Fn(Report)) -> Result<Heard, StoreError> {
        let link = self.table.link();
        let start = uptime();
        let within = self.within();
        let log = match &mut self.log {
            Some(log) => log,
            none => none.insert(self.cluster.backend.log(within)?),
        };
        let pulse = log.pulse(&self.cluster.report, within)?;
        check_followed(&link, self.cluster)?;
        link.set_clock(pulse.now, u64::midpoint(start, uptime()));
        if let Some(known) = lost(&link, &pulse, Self::LOG_KEPT) {
            // First what may fail, so that nothing is put in doubt again and again.
            let marks = log.marks(Instant::now() + patience_of(self.cluster))?;
            self.table.invalidate()?;
            for mark in marks {
                self.table.mark(&mark.scope, mark.cutoff, mark.until, pulse.now)?;
            }
            // Before the log's identity is noted: a watcher that takes over after a death between the two must know.
            link.set_reassert(Some(0));
            link.set_position(words(pulse.last), pulse.identity);
            link.heard(pulse.now);
            if known {
                report(Report::OtherLog);
            }
        }
        // There is time to wait for news while the lease holds and nothing else is to be done.
        let idle = start < link.lease() && link.reassert().is_none() && !self.more;
        let mut wait = if idle { log_wait(self.cluster.bound) } else { Duration::from_millis(1) };
        loop {
            let ([major, minor], identity) = link.position();
            let entries = log.read(Position { major, minor }, wait)?;
            check_followed(&link, self.cluster)?;
            let now = link.now(uptime());
            for (_, event) in &entries {
                apply(self.table, event, now)?;
            }
            if let Some((last, _)) = entries.last() {
                link.set_position(words(*last), identity);
            }
            if entries.len() < BATCH {
                break;
            }
            wait = Duration::from_millis(1);
            // A long log takes its time, in which nobody else need begin to read it.
            if !link.lead(self.me, uptime(), uptime() + TERM) {
                return Err(Unavailable("another process of this host reads the log by now".into()).into());
            }
        }
        Ok(Heard { start, now: pulse.now })
    }

    /// Whether this host still follows the store of this watcher: a restart may give it another while this one, of a
    /// child that drains, waits for its own. What it hears then must leave no trace.
    fn is_followed(&self) -> bool {
        self.table.link().store() == self.cluster.id
    }

    /// Renews the lease, for a bound from when the store was asked. False when it has not been told yet of all that it
    /// may have lost: until then its word is asked for.
    fn trust(&self, heard: Heard) -> bool {
        let link = self.table.link();
        let told = link.reassert().is_none();
        if told {
            link.renew(heard.start + u64::try_from(self.cluster.bound.as_millis()).unwrap_or(u64::MAX));
            link.heard(heard.now);
        }
        told
    }

    /// When an operation has to have ended, so that the lease can be renewed in time after it.
    fn within(&self) -> Instant {
        Instant::now() + patience_of(self.cluster)
    }

    /// A step of everything that can wait. Returns whether there is more to do.
    fn keep_house(&mut self) -> Result<bool, Unavailable> {
        let start = Instant::now();
        let mut kept = Ok(true);
        while start.elapsed() < Self::SPELL && matches!(kept, Ok(true)) {
            kept = self.reassert().and_then(|more| if more { Ok(true) } else { self.flush() });
        }
        // A store that takes no visits may still have something to be rid of.
        if self.purged.is_none_or(|at| at.elapsed() >= Self::PURGE_EVERY) {
            let before = self.table.link().now(uptime()).before(Self::LOG_KEPT);
            let within = self.within();
            if let Some(log) = &mut self.log {
                log.purge(before, within)?;
            }
            self.purged = Some(Instant::now());
        }
        kept
    }

    /// Tells the store of ends, retirements and marks that it may have lost. Returns whether there is more to do.
    fn reassert(&mut self) -> Result<bool, Unavailable> {
        let link = self.table.link();
        let Some(part) = link.reassert() else { return Ok(false) };
        let now = link.now(uptime());
        let backend = &self.cluster.backend;
        for (key, tombstone) in self.table.tombstones(part..part + Self::PART) {
            if tombstone.until <= now {
                continue;
            }
            if tombstone.reason == Reason::Marked {
                backend.mark(&key, Some(tombstone.at), MARK_KEPT, self.within())?;
            } else {
                backend.end(&key, &tombstone, self.within())?;
            }
        }
        for (key, deadline, reason) in self.table.retired(part..part + Self::PART) {
            backend.retire(&key, deadline, reason, self.within())?;
        }
        let next = Some(part + Self::PART).filter(|&next| next < self.table.parts());
        link.set_reassert(next);
        Ok(next.is_some())
    }

    /// Tells the store of visits: for each session at most once in a tenth of its idle timeout. Returns whether there
    /// is more to do.
    fn flush(&mut self) -> Result<bool, Unavailable> {
        let link = self.table.link();
        let now = link.now(uptime());
        let Flush { from, until, part } = match self.flush {
            Some(flush) => flush,
            None if now.since(link.flushed()) < self.cluster.flush_every => return Ok(false),
            None => Flush { from: link.flushed(), until: now, part: 0 },
        };
        let visits =
            self.table.visited(part..part + Self::PART, |idle, seen| is_due(idle, seen, from, until));
        for batch in visits.chunks(BATCH) {
            self.cluster.backend.touch(batch, self.within())?;
        }
        let part = part + Self::PART;
        self.flush = Some(Flush { from, until, part }).filter(|_| part < self.table.parts());
        if self.flush.is_none() {
            link.set_flushed(until);
        }
        Ok(self.flush.is_some())
    }
}

impl<L: WriteLock> Drop for Watcher<'_, '_, L> {
    fn drop(&mut self) {
        self.table.link().resign(self.me);
    }
}

/// Must be asked after each wait for the store, and before anything is written down.
fn check_followed(link: &Link<'_>, cluster: &Cluster) -> Result<(), Unavailable> {
    let follows = link.store() == cluster.id;
    follows.then_some(()).ok_or_else(|| Unavailable("another store is followed by now".into()))
}

/// What one operation may take.
fn patience_of(cluster: &Cluster) -> Duration {
    (cluster.bound / 2).min(Duration::from_millis(250))
}

/// Whether the log is another than the one that was read, or has lost entries that were not read yet, or had been read,
/// or has not been read for so long that it may have. `Some(true)` when there was one before.
fn lost(link: &Link<'_>, pulse: &Pulse, kept: Duration) -> Option<bool> {
    let ([major, minor], log) = link.position();
    let position = Position { major, minor };
    let same = log == pulse.identity
        && pulse.trimmed <= position
        && position <= pulse.last
        && pulse.now.since(link.contact()) < kept;
    (!same).then_some(log != 0)
}

fn words(position: Position) -> [u64; 2] {
    [position.major, position.minor]
}

/// Brings the table up to what an entry of the log says.
fn apply<L: WriteLock>(table: &Table<'_, L>, event: &Event, now: Timestamp) -> Result<(), StoreError> {
    match *event {
        Event::Ended { ref key, tombstone } => drop(table.end(key, tombstone, now)?),
        Event::Retired { ref key, deadline, reason } => drop(table.retire(key, deadline, reason, now)?),
        Event::Marked(Mark { ref scope, cutoff, until }) => table.mark(scope, cutoff, until, now)?,
        Event::Unknown => table.invalidate()?,
    }
    Ok(())
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watcher_that_waits_for_news_says_so_before_another_takes_its_place() {
        for bound in [100, 500, 1500, 3000, 60_000] {
            let wait = log_wait(Duration::from_millis(bound));
            assert!(!wait.is_zero() && wait * 2 <= Duration::from_millis(TERM), "{bound}: {wait:?}");
        }
    }
}
