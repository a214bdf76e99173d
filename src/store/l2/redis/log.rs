//! The log: a stream, read with a connection of its own, and beside it what nodes say of themselves and the marks that
//! are kept. An entry's position is the stream's own id.

use super::connect::{items, text};
use super::link::{Fault, Link, command};
use super::route::{bytes, pairs};
use super::scripts;
use super::shared::Shared;
use crate::chance;
use crate::clock::{Instant, Timestamp};
use crate::store::key::Key;
use crate::store::l2::contract::{
    BATCH, Event, Log, Mark, NodeReport, NodeWord, Position, Pulse, Unavailable,
};
use crate::store::l2::wire;
use ::redis::Value;
use data_encoding::HEXLOWER;
use std::sync::Arc;
use std::time::Duration;

/// What an answer may come later than the server should have given up waiting.
const SLACK: Duration = Duration::from_millis(150);
/// Entries that one step of a purge removes, so that the server is not held up.
const STEP: u16 = 200;
/// Steps of one purge.
const STEPS: usize = 50;
/// A node of which nothing was heard for so long is forgotten.
const SILENT: Duration = Duration::from_secs(7 * 24 * 3600);
/// In a cluster, how often all its servers are asked who they are.
const IDENTIFY: Duration = Duration::from_secs(1);

/// A reader of the log.
pub(super) struct RedisLog {
    shared: Arc<Shared>,
    link: Link,
    identity: Option<(String, Instant)>,
    /// Where to go on looking for marks that are over.
    cursor: Vec<u8>,
}

impl RedisLog {
    pub(super) fn open(shared: Arc<Shared>, within: Instant) -> Result<Self, Fault> {
        let link = shared.route.open(&shared.names.log, within)?;
        Ok(RedisLog { shared, link, identity: None, cursor: b"0".into() })
    }

    fn identity(&mut self, within: Instant) -> Result<String, Fault> {
        if let Some((identity, asked)) = &self.identity
            && (!self.shared.route.is_cluster() || asked.elapsed() < IDENTIFY)
        {
            return Ok(identity.clone());
        }
        let identity = self.shared.route.identity(&mut self.link, within)?;
        self.identity = Some((identity.clone(), Instant::now()));
        Ok(identity)
    }

    fn ask_pulse(&mut self, node: &NodeReport, within: Instant) -> Result<Pulse, Fault> {
        let mut id = [0; 16];
        chance::fill(&mut id).map_err(|e| Fault::Odd(format!("no random bytes: {e}")))?;
        let names = &self.shared.names;
        let word = format!("{}\t{}", node.version, node.fingerprint);
        let keys: [&[u8]; 3] = [&names.meta, &names.log, &names.nodes];
        let id = HEXLOWER.encode(&id);
        let arguments = [id.as_bytes(), node.name.as_bytes(), word.as_bytes()];
        let reply = scripts::PULSE.run(&mut self.link, &keys, &arguments, within)?;
        // A master that another one has replaced must not keep a lease alive.
        self.shared.confirm(&mut self.link, within)?;
        let servers = self.identity(within)?;
        let [now, id, trimmed, last] = items(&reply) else { return Err(self.link.odd("PULSE")) };
        let parsed = timestamp(now).zip(text(id)).zip(position(trimmed).zip(position(last)));
        let ((now, id), (trimmed, last)) = parsed.ok_or_else(|| self.link.odd("PULSE"))?;
        Ok(Pulse { now, identity: number(&format!("{id}\n{servers}")), trimmed, last })
    }

    fn ask_entries(
        &mut self,
        position: Position,
        patience: Duration,
    ) -> Result<Vec<(Position, Event)>, Fault> {
        let count = BATCH.to_string();
        let wait = patience.as_millis().to_string();
        let from = format!("{}-{}", position.major, position.minor);
        let mut arguments: Vec<&[u8]> = vec![b"COUNT", count.as_bytes()];
        // To block for 0 ms means for ever.
        if wait != "0" {
            arguments.extend([&b"BLOCK"[..], wait.as_bytes()]);
        }
        arguments.extend([&b"STREAMS"[..], &self.shared.names.log, from.as_bytes()]);
        let within = Instant::now() + patience + SLACK;
        let names = &self.shared.names;
        let questions = [command("XREAD", &arguments), command("HGET", &[&names.meta, b"trimmed"])];
        let replies = self.link.ask_all(&questions, within)?;
        let replies =
            replies.into_iter().map(|reply| self.link.accept(reply)).collect::<Result<Vec<_>, _>>()?;
        let [reply, trimmed] = replies.as_slice() else { return Err(self.link.odd("XREAD")) };
        if self::position(trimmed).is_some_and(|trimmed| position < trimmed) {
            return Err(Fault::Odd("the log has lost entries that were not read yet".into()));
        }
        if *reply == Value::Nil {
            return Ok(Vec::new());
        }
        let [stream] = items(reply) else { return Err(self.link.odd("XREAD")) };
        let [_, entries] = items(stream) else { return Err(self.link.odd("XREAD")) };
        let entries: Option<Vec<_>> = items(entries).iter().map(entry).collect();
        entries.ok_or_else(|| self.link.odd("XREAD"))
    }

    fn ask_marks(&mut self, within: Instant) -> Result<Vec<Mark>, Fault> {
        let questions = [command("TIME", &[]), command("HGETALL", &[&self.shared.names.marks])];
        let replies = self.link.ask_all(&questions, within)?;
        let replies =
            replies.into_iter().map(|reply| self.link.accept(reply)).collect::<Result<Vec<_>, _>>()?;
        let [time, marks] = replies.as_slice() else { return Err(self.link.odd("TIME")) };
        let now = server_time(time).ok_or_else(|| self.link.odd("TIME"))?;
        if !matches!(marks, Value::Array(_)) {
            return Err(self.link.odd("HGETALL"));
        }
        let marks: Option<Vec<Mark>> = pairs(marks).map(|(scope, mark)| self::mark(scope, mark)).collect();
        let mut marks = marks.ok_or_else(|| self.link.odd("HGETALL"))?;
        marks.retain(|mark| mark.until > now);
        Ok(marks)
    }

    fn ask_nodes(&mut self, within: Instant) -> Result<Vec<NodeWord>, Fault> {
        let reply = self.link.ask(&command("HGETALL", &[&self.shared.names.nodes]), within)?;
        if !matches!(reply, Value::Array(_)) {
            return Err(self.link.odd("HGETALL"));
        }
        // What is not understood was left by another version: it is no reason not to hear the others.
        let mut nodes: Vec<NodeWord> =
            pairs(&reply).filter_map(|(name, word)| self::word(name, word)).collect();
        nodes.sort_by(|one, other| one.report.name.cmp(&other.report.name));
        Ok(nodes)
    }

    fn ask_purge(&mut self, before: Timestamp, within: Instant) -> Result<(), Fault> {
        let names = &self.shared.names;
        let keys: [&[u8]; 4] = [&names.meta, &names.log, &names.marks, &names.nodes];
        let Some(last) = before.as_millis().checked_sub(1) else { return Ok(()) };
        let (last, step) = (last.to_string(), STEP.to_string());
        let silent = SILENT.as_millis().to_string();
        for _ in 0..STEPS {
            let arguments = [last.as_bytes(), step.as_bytes(), &self.cursor, silent.as_bytes()];
            let reply = scripts::PURGE.run(&mut self.link, &keys, &arguments, within)?;
            let [Value::Int(gone), cursor] = items(&reply) else { return Err(self.link.odd("PURGE")) };
            self.cursor = bytes(cursor).unwrap_or(b"0").to_vec();
            if *gone < i64::from(STEP) && self.cursor == b"0" {
                break;
            }
        }
        Ok(())
    }
}

impl Log for RedisLog {
    fn pulse(&mut self, node: &NodeReport, within: Instant) -> Result<Pulse, Unavailable> {
        self.ask_pulse(node, within).map_err(|fault| self.shared.unavailable(&fault))
    }

    fn read(
        &mut self,
        position: Position,
        patience: Duration,
    ) -> Result<Vec<(Position, Event)>, Unavailable> {
        self.ask_entries(position, patience).map_err(|fault| self.shared.unavailable(&fault))
    }

    fn marks(&mut self, within: Instant) -> Result<Vec<Mark>, Unavailable> {
        self.ask_marks(within).map_err(|fault| self.shared.unavailable(&fault))
    }

    fn nodes(&mut self, within: Instant) -> Result<Vec<NodeWord>, Unavailable> {
        self.ask_nodes(within).map_err(|fault| self.shared.unavailable(&fault))
    }

    fn purge(&mut self, before: Timestamp, within: Instant) -> Result<(), Unavailable> {
        self.ask_purge(before, within).map_err(|fault| self.shared.unavailable(&fault))
    }
}

fn number(text: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(text.as_bytes()).as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn timestamp(value: &Value) -> Option<Timestamp> {
    text(value)?.parse().ok().map(Timestamp::from_millis)
}

/// Seconds and microseconds.
fn server_time(value: &Value) -> Option<Timestamp> {
    let [seconds, micros] = items(value) else { return None };
    let (seconds, micros): (u64, u64) = (text(seconds)?.parse().ok()?, text(micros)?.parse().ok()?);
    Some(Timestamp::from_millis(seconds * 1000 + micros / 1000))
}

/// `MAJOR-MINOR`.
fn position(value: &Value) -> Option<Position> {
    let (major, minor) = text(value)?.split_once('-')?;
    Some(Position { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

/// An entry that was not written by this module, or by a newer version of it, is unknown.
fn entry(value: &Value) -> Option<(Position, Event)> {
    let [id, fields] = items(value) else { return None };
    let written =
        pairs(fields).find(|(name, _)| bytes(name) == Some(b"e")).and_then(|(_, value)| bytes(value));
    Some((position(id)?, written.map_or(Event::Unknown, wire::read_event)))
}

fn mark(scope: &Value, mark: &Value) -> Option<Mark> {
    let scope = HEXLOWER.decode(bytes(scope)?).ok()?;
    let (cutoff, until) = cutoff(mark)?;
    Some(Mark { scope: Key::new(scope.try_into().ok()?), cutoff, until })
}

/// `STAMP:UNTIL`.
fn cutoff(mark: &Value) -> Option<(Timestamp, Timestamp)> {
    let (cutoff, until) = text(mark)?.split_once(':')?;
    let (cutoff, until) = (cutoff.parse().ok()?, until.parse().ok()?);
    Some((Timestamp::from_millis(cutoff), Timestamp::from_millis(until)))
}

/// The cutoffs that are kept, of so many scopes, from the server's time and their marks.
pub(super) fn cutoffs(replies: &[Value], scopes: usize) -> Option<Vec<Option<Timestamp>>> {
    let [time, marks] = replies else { return None };
    let now = server_time(time)?;
    let kept = |mark: &Value| match mark {
        Value::Nil => Some(None),
        mark => cutoff(mark).map(|(cutoff, until)| Some(cutoff).filter(|_| until > now)),
    };
    let cutoffs: Vec<_> = items(marks).iter().map(kept).collect::<Option<_>>()?;
    Some(cutoffs).filter(|cutoffs| cutoffs.len() == scopes)
}

fn word(name: &Value, word: &Value) -> Option<NodeWord> {
    let mut parts = text(word)?.splitn(3, '\t');
    let at = Timestamp::from_millis(parts.next()?.parse().ok()?);
    let (version, fingerprint) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    Some(NodeWord { report: NodeReport { name: text(name)?.to_owned(), fingerprint, version }, at })
}
