//! What a Redis store and the readers of its log share: the way to the servers, the names of keys, and how a write is
//! confirmed.

use super::link::{Fault, Link, command};
use super::names::Names;
use super::route::Route;
use super::scripts;
use crate::clock::Instant;
use crate::store::key::Key;
use crate::store::l2::contract::{Event, Stored, Unavailable};
use crate::store::l2::wire;
use ::redis::Value;

/// What a backend and its logs share.
pub(super) struct Shared {
    pub(super) route: Route,
    pub(super) names: Names,
    pub(super) replicas: u32,
}

impl Shared {
    pub(super) fn unavailable(&self, fault: &Fault) -> Unavailable {
        Unavailable(format!("Redis: {fault}"))
    }

    /// Runs a script that writes, and waits for the replicas that must have it. The log is in its reach only where
    /// record and log cannot be on different servers.
    pub(super) fn write(
        &self,
        script: &scripts::Script,
        keys: &[&[u8]],
        arguments: &[&[u8]],
        within: Instant,
    ) -> Result<Value, Fault> {
        let key = keys.first().copied().unwrap_or_default();
        self.route.run(key, within, &mut |link: &mut Link| {
            let reply = script.run(link, keys, arguments, within)?;
            self.confirm(link, within)?;
            Ok(reply)
        })
    }

    /// Waits until so many replicas as there must be have all that was written with this connection.
    pub(super) fn confirm(&self, link: &mut Link, within: Instant) -> Result<(), Fault> {
        let wanted = self.replicas;
        if wanted == 0 {
            return Ok(());
        }
        // The answer must be back in time; and to wait for 0 ms means for ever.
        let rest = within.saturating_duration_since(Instant::now()).as_millis();
        let rest = rest.saturating_sub(rest / 10 + 2).max(1);
        let wait = command("WAIT", &[wanted.to_string().as_bytes(), rest.to_string().as_bytes()]);
        match link.ask(&wait, within)? {
            Value::Int(n) if n >= i64::from(wanted) => Ok(()),
            Value::Int(n) => Err(Fault::Odd(format!("only {n} of {wanted} replicas confirmed"))),
            _ => Err(link.odd("WAIT")),
        }
    }

    /// Changes a record. Returns what the script says of it.
    pub(super) fn change(
        &self,
        script: &scripts::Script,
        key: &Key,
        arguments: &[&[u8]],
        within: Instant,
    ) -> Result<Stored, Unavailable> {
        let reply = self.run_on(script, key, arguments, within)?;
        self.stored(&reply, &mut Vec::new())
    }

    /// Runs a script that changes a record.
    pub(super) fn run_on(
        &self,
        script: &scripts::Script,
        key: &Key,
        arguments: &[&[u8]],
        within: Instant,
    ) -> Result<Value, Unavailable> {
        let name = self.names.record(key);
        let both = [name.as_slice(), &self.names.log];
        let keys = if self.route.is_cluster() { both.get(..1).unwrap_or_default() } else { &both };
        self.write(script, keys, arguments, within).map_err(|fault| self.unavailable(&fault))
    }

    /// In a cluster the log's server is told by a command of its own, after the record's.
    pub(super) fn tell(&self, event: &Event, within: Instant) -> Result<(), Unavailable> {
        if !self.route.is_cluster() {
            return Ok(());
        }
        let log = self.names.log.as_slice();
        let add = command("XADD", &[log, b"*", b"e", &wire::event(event)]);
        let told = self.route.run(log, within, &mut |link: &mut Link| {
            link.ask(&add, within)?;
            self.confirm(link, within)
        });
        told.map_err(|fault| self.unavailable(&fault))
    }

    /// Reads what is stored. An empty string is what scripts give for nothing.
    pub(super) fn stored(&self, reply: &Value, sealed: &mut Vec<u8>) -> Result<Stored, Unavailable> {
        match reply {
            Value::Nil => Ok(Stored::Nothing),
            Value::BulkString(bytes) if bytes.is_empty() => Ok(Stored::Nothing),
            Value::BulkString(bytes) => {
                wire::read(bytes, sealed).map_err(|e| Unavailable(format!("Redis: {e}")))
            }
            _ => Err(Unavailable("Redis: an answer is not understood".into())),
        }
    }
}
