//! The store in Redis as the contract wants it: each operation as a command or a script.

use super::config::RedisConfig;
use super::link::{Fault, Link, command};
use super::log::{self, RedisLog};
use super::names::Names;
use super::route::Route;
use super::shared::Shared;
use super::{cluster, connect, scripts};
use crate::clock::{Instant, Timestamp};
use crate::store::key::Key;
use crate::store::l2::contract::{BATCH, Backend, Event, Log, Stored, Unavailable};
use crate::store::l2::wire;
use crate::store::record::Record;
use crate::store::succession::{Succession, Successor};
use crate::store::tombstone::{Reason, Tombstone};
use ::redis::{Cmd, Value};
use data_encoding::HEXLOWER;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long Redis keeps a record past its deadline, so that it can still be told why it ended.
const AFTERLIFE: Duration = Duration::from_secs(60);

/// A store in Redis. Connects when it is first used, and not before, so that it can be made before a fork.
pub struct RedisBackend {
    shared: Arc<Shared>,
}

impl RedisBackend {
    /// A store by that description. Reads the files of certificates and keys, and opens nothing else.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn new(config: &RedisConfig) -> Result<Self, String> {
        let route = Route::new(config)?;
        let names = Names::new(&config.prefix);
        Ok(RedisBackend { shared: Arc::new(Shared { route, names, replicas: config.replicas }) })
    }
}

impl Backend for RedisBackend {
    fn create(&self, record: &Record<'_>, within: Instant) -> Result<bool, Unavailable> {
        let shared = &self.shared;
        let drop_at = drop_at(record.deadline);
        let arguments = [&wire::record(record)[..], drop_at.as_bytes()];
        let reply = shared.write(&scripts::CREATE, &[&shared.names.record(&record.key)], &arguments, within);
        match reply.map_err(|fault| shared.unavailable(&fault))? {
            Value::Int(created) => Ok(created == 1),
            _ => Err(Unavailable("Redis: an answer is not understood".into())),
        }
    }

    fn load(&self, key: &Key, sealed: &mut Vec<u8>, within: Instant) -> Result<Stored, Unavailable> {
        let shared = &self.shared;
        sealed.clear();
        let name = shared.names.record(key);
        let get = command("GET", &[&name]);
        let reply = shared.route.run(&name, within, &mut |link: &mut Link| link.ask(&get, within));
        let stored = shared.stored(&reply.map_err(|fault| shared.unavailable(&fault))?, sealed)?;
        if let Stored::Tombstone(tombstone) = stored {
            shared.tell(&Event::Ended { key: *key, tombstone }, within)?;
        }
        Ok(stored)
    }

    fn retire(
        &self,
        key: &Key,
        deadline: Timestamp,
        reason: Reason,
        within: Instant,
    ) -> Result<Stored, Unavailable> {
        let event = Event::Retired { key: *key, deadline, reason };
        let drop_at = drop_at(deadline);
        let arguments: [&[u8]; 4] =
            [&deadline.as_millis().to_be_bytes(), &[reason.code()], drop_at.as_bytes(), &wire::event(&event)];
        let stored = self.shared.change(&scripts::RETIRE, key, &arguments, within)?;
        // Also when it stood so before: the writer of that may have died before it told the log.
        if let Stored::Record(metadata) = stored
            && (metadata.deadline, metadata.ends_as) == (deadline, reason)
        {
            self.shared.tell(&event, within)?;
        }
        Ok(stored)
    }

    fn supersede(
        &self,
        key: &Key,
        by: Successor,
        deadline: Timestamp,
        within: Instant,
    ) -> Result<Succession, Unavailable> {
        let reason = Reason::Superseded;
        let told = |deadline| Event::Retired { key: *key, deadline, reason };
        let (drop_at, entry) = (drop_at(deadline), wire::event(&told(deadline)));
        let (entry, deadline) = entry.split_at(entry.len().saturating_sub(8));
        let by = by.number().to_be_bytes();
        let arguments: [&[u8]; 5] = [deadline, &[reason.code()], &by, drop_at.as_bytes(), entry];
        let reply = self.shared.run_on(&scripts::SUPERSEDE, key, &arguments, within)?;
        let [Value::Int(first), stored] = connect::items(&reply) else {
            return Err(Unavailable("Redis: an answer is not understood".into()));
        };
        let succession = self.shared.stored(stored, &mut Vec::new())?.succession(*first == 1);
        // By the second one, too: the first may have died before it told the log.
        if let Succession::First(deadline) | Succession::Second(deadline) = succession {
            self.shared.tell(&told(deadline), within)?;
        }
        Ok(succession)
    }

    fn end(&self, key: &Key, tombstone: &Tombstone, within: Instant) -> Result<Stored, Unavailable> {
        let event = Event::Ended { key: *key, tombstone: *tombstone };
        let until = tombstone.until.as_millis().to_string();
        let arguments: [&[u8]; 3] = [&wire::tombstone(tombstone), until.as_bytes(), &wire::event(&event)];
        let before = self.shared.change(&scripts::END, key, &arguments, within)?;
        let event = match before {
            Stored::Tombstone(tombstone) => Event::Ended { key: *key, tombstone },
            _ => event,
        };
        self.shared.tell(&event, within)?;
        Ok(before)
    }

    fn touch(&self, seen: &[(Key, Timestamp)], within: Instant) -> Result<(), Unavailable> {
        let shared = &self.shared;
        let mut by_shard: HashMap<usize, Vec<(Vec<u8>, Cmd)>> = HashMap::new();
        for (key, at) in seen {
            let name = shared.names.record(key);
            let call = scripts::TOUCH.call(&[&name], &[&at.as_millis().to_be_bytes()]);
            let shard = shared.route.shard(&name, within).map_err(|fault| shared.unavailable(&fault))?;
            by_shard.entry(shard).or_default().push((name, call));
        }
        for batch in by_shard.values().flat_map(|calls| calls.chunks(BATCH)) {
            touch_batch(shared, batch, within).map_err(|fault| shared.unavailable(&fault))?;
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
        let names = &self.shared.names;
        let keys: [&[u8]; 3] = [&names.meta, &names.log, &names.marks];
        let hex = HEXLOWER.encode(scope.as_bytes());
        let cutoff = cutoff.map_or_else(String::new, |cutoff| cutoff.as_millis().to_string());
        let keep = Timestamp::default().after(keep).as_millis().to_string();
        let arguments = [&scope.as_bytes()[..], hex.as_bytes(), cutoff.as_bytes(), keep.as_bytes()];
        let reply = self.shared.write(&scripts::MARK, &keys, &arguments, within);
        let reply = reply.map_err(|fault| self.shared.unavailable(&fault))?;
        let cutoff = connect::text(&reply).and_then(|cutoff| cutoff.parse().ok());
        cutoff
            .map(Timestamp::from_millis)
            .ok_or_else(|| Unavailable("Redis: an answer is not understood".into()))
    }

    fn cutoffs(&self, scopes: &[Key], within: Instant) -> Result<Vec<Option<Timestamp>>, Unavailable> {
        if scopes.is_empty() {
            return Ok(Vec::new());
        }
        let marks = &self.shared.names.marks;
        let fields: Vec<String> = scopes.iter().map(|scope| HEXLOWER.encode(scope.as_bytes())).collect();
        let arguments: Vec<&[u8]> =
            std::iter::once(&marks[..]).chain(fields.iter().map(|field| field.as_bytes())).collect();
        let questions = [command("TIME", &[]), command("HMGET", &arguments)];
        let cutoffs = self.shared.route.run(marks, within, &mut |link: &mut Link| {
            let replies = link.ask_all(&questions, within)?;
            let replies =
                replies.into_iter().map(|reply| link.accept(reply)).collect::<Result<Vec<_>, _>>()?;
            log::cutoffs(&replies, scopes.len()).ok_or_else(|| link.odd("HMGET"))
        });
        cutoffs.map_err(|fault| self.shared.unavailable(&fault))
    }

    fn revive(&self) {
        self.shared.route.revive();
    }

    fn log(&self, within: Instant) -> Result<Box<dyn Log>, Unavailable> {
        let log = RedisLog::open(self.shared.clone(), within);
        Ok(Box::new(log.map_err(|fault| self.shared.unavailable(&fault))?))
    }
}

/// Sends a batch of one shard at once. What the server sends on to another goes there one by one.
fn touch_batch(shared: &Shared, batch: &[(Vec<u8>, Cmd)], within: Instant) -> Result<(), Fault> {
    let Some((first, _)) = batch.first() else { return Ok(()) };
    let calls: Vec<Cmd> = batch.iter().map(|(_, call)| call.clone()).collect();
    let moved = shared.route.run(first, within, &mut |link: &mut Link| {
        let mut replies = link.ask_all(&calls, within)?;
        if replies.iter().any(|reply| matches!(reply, Value::ServerError(e) if e.code() == "NOSCRIPT")) {
            scripts::TOUCH.load(link, within)?;
            replies = link.ask_all(&calls, within)?;
        }
        let mut moved = Vec::new();
        for (reply, at) in replies.into_iter().zip(batch) {
            match link.accept(reply) {
                Err(Fault::Refused(refusal)) if cluster::is_redirect(&refusal.code) => moved.push(at),
                other => drop(other?),
            }
        }
        Ok(moved)
    })?;
    for (name, call) in moved {
        shared.route.run(name, within, &mut |link: &mut Link| {
            let again = link.ask(call, within);
            match again {
                Err(Fault::Refused(refusal)) if refusal.code == "NOSCRIPT" => {
                    scripts::TOUCH.load(link, within)?;
                    link.ask(call, within)
                }
                other => other,
            }
        })?;
    }
    Ok(())
}

fn drop_at(deadline: Timestamp) -> String {
    deadline.after(AFTERLIFE).as_millis().to_string()
}
