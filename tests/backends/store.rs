//! What a law is held against, and things to put in it.

use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::store::key::Key;
pub(crate) use mod_session_cluster::store::l2::BATCH;
use mod_session_cluster::store::l2::{Backend, Event, Log, Metadata, NodeReport, Position, Pulse, Stored};
use mod_session_cluster::store::record::Record;
use mod_session_cluster::store::tombstone::{Reason, Tombstone};
use std::time::{Duration, Instant};

/// A store of its own for one test.
pub(crate) trait Store: Sync {
    /// One more process that uses it.
    fn client(&self) -> Box<dyn Backend>;

    /// Lets that much of its time pass.
    fn pass(&self, span: Duration);
}

/// Long enough for any answer on a busy machine.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

/// A key that nobody else has.
pub(crate) fn key() -> Key {
    let mut bytes = [0; Key::LEN];
    getrandom::fill(&mut bytes).unwrap();
    Key::new(bytes)
}

/// What the node of these tests says of itself.
pub(crate) fn node() -> NodeReport {
    NodeReport { name: "one".into(), fingerprint: "a\tb".into(), version: "1".into() }
}

pub(crate) fn log(client: &dyn Backend) -> Box<dyn Log> {
    client.log(soon()).unwrap()
}

pub(crate) fn pulse(client: &dyn Backend) -> Pulse {
    log(client).pulse(&node(), soon()).unwrap()
}

/// A record that begins now and lasts an hour.
pub(crate) fn record(key: Key, now: Timestamp, sealed: &[u8]) -> Record<'_> {
    let deadline = now.after(Duration::from_secs(3600));
    Record { key, created: now, deadline, last_seen: now, idle: Duration::from_secs(600), sealed }
}

/// What is to be told of a record that was just stored.
pub(crate) fn metadata(record: &Record<'_>) -> Metadata {
    Metadata {
        created: record.created,
        born_deadline: record.deadline,
        deadline: record.deadline,
        ends_as: Reason::Lifetime,
        idle: record.idle,
        last_seen: record.last_seen,
    }
}

pub(crate) fn tombstone(reason: Reason, now: Timestamp) -> Tombstone {
    Tombstone { reason, node: 3, at: now, until: now.after(Duration::from_secs(3600)), ends_line: true }
}

/// How a key stands, and the payload of its record.
pub(crate) fn load(client: &dyn Backend, key: &Key) -> (Stored, Vec<u8>) {
    let mut sealed = b"left over".to_vec();
    (client.load(key, &mut sealed, soon()).unwrap(), sealed)
}

/// All that was written after `position`.
pub(crate) fn read_all(log: &mut dyn Log, mut position: Position) -> Vec<(Position, Event)> {
    let mut all = Vec::new();
    loop {
        let some = log.read(position, Duration::from_millis(20)).unwrap();
        let Some((last, _)) = some.last() else { return all };
        position = *last;
        all.extend(some);
    }
}

/// Only what happened.
pub(crate) fn events(log: &mut dyn Log, position: Position) -> Vec<Event> {
    read_all(log, position).into_iter().map(|(_, event)| event).collect()
}
