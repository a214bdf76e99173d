//! Where a key's commands go: to the one server that there is, or to the one of a cluster that has its slot.

use super::cluster::Cluster;
use super::config::{RedisConfig, Servers};
use super::connect::{Connector, Place, items, share, text};
use super::link::{Fault, Link, command};
use super::pool::{Pool, Work};
use super::stream;
use crate::clock::Instant;
use ::redis::Value;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

/// All servers of a store.
pub(super) enum Route {
    One(Pool),
    Cluster { cluster: Cluster, runs: Mutex<HashMap<String, String>> },
}

impl Route {
    /// Reads the files that TLS needs, and connects to nothing.
    pub(super) fn new(config: &RedisConfig) -> Result<Self, String> {
        let tls = config.tls.as_ref().map(stream::tls).transpose()?;
        let connector = Arc::new(Connector { tls, login: config.login.clone() });
        Ok(match &config.servers {
            Servers::One(address) => Route::One(Pool::new(Place::one(connector, address.clone()))),
            Servers::Sentinel { master, sentinels, login } => Route::One(Pool::new(Place::master(
                connector,
                master.clone(),
                sentinels.clone(),
                login.clone(),
            ))),
            Servers::Cluster(seeds) => {
                Route::Cluster { cluster: Cluster::new(connector, seeds.clone()), runs: Mutex::default() }
            }
        })
    }

    /// Whether a record and the log may be on different servers.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Route::Cluster { .. })
    }

    /// Does the work with a connection to the server that has the key; perhaps twice.
    pub(super) fn run<R>(&self, key: &[u8], within: Instant, work: Work<'_, R>) -> Result<R, Fault> {
        match self {
            Route::One(pool) => pool.run(within, work),
            Route::Cluster { cluster, .. } => cluster.run(key, within, work),
        }
    }

    /// Lets the next callers try at once, whatever failed before.
    pub(super) fn revive(&self) {
        match self {
            Route::One(pool) => pool.revive(),
            Route::Cluster { cluster, .. } => cluster.revive(),
        }
    }

    /// Makes a connection of its own to the server that has the key.
    pub(super) fn open(&self, key: &[u8], within: Instant) -> Result<Link, Fault> {
        match self {
            Route::One(pool) => pool.open(within),
            Route::Cluster { cluster, .. } => cluster.open(key, within),
        }
    }

    /// Keys of one shard can go to their server together.
    pub(super) fn shard(&self, key: &[u8], within: Instant) -> Result<usize, Fault> {
        match self {
            Route::One(_) => Ok(0),
            Route::Cluster { cluster, .. } => cluster.shard(key, within),
        }
    }

    /// Tells these processes, serving what they serve, from any others: it changes when one was started again or
    /// another took its place, and so may have lost writes. `link` leads to the server of the log.
    pub(super) fn identity(&self, link: &mut Link, within: Instant) -> Result<String, Fault> {
        let Route::Cluster { cluster, runs } = self else { return run_id(link, within) };
        cluster.suspect();
        let masters = cluster.masters(within)?;
        let mut identity = String::new();
        for (shard, pool) in &masters {
            let until = share(within, 4);
            let run = pool.run(until, &mut |link: &mut Link| run_id(link, until));
            let name = format!("{shard:?}");
            // One that cannot be asked is taken for what it was until it can.
            let run = match run {
                Ok(run) => {
                    runs.lock().insert(name.clone(), run.clone());
                    run
                }
                Err(_) => runs.lock().get(&name).cloned().unwrap_or_default(),
            };
            let _ = writeln!(identity, "{name} {run}");
        }
        Ok(identity)
    }
}

/// What a server calls this run of itself, and the history of writes that it serves.
fn run_id(link: &mut Link, within: Instant) -> Result<String, Fault> {
    let questions = [command("INFO", &[b"server"]), command("INFO", &[b"replication"])];
    let mut found = String::new();
    for reply in link.ask_all(&questions, within)? {
        let reply = link.accept(reply)?;
        let lines = text(&reply).unwrap_or_default().lines();
        for line in lines.filter(|line| line.starts_with("run_id:") || line.starts_with("master_replid:")) {
            found.push_str(line);
        }
    }
    if found.contains("run_id:") { Ok(found) } else { Err(link.odd("INFO")) }
}

/// The bytes of a string, if it is one.
pub(super) fn bytes(value: &Value) -> Option<&[u8]> {
    if let Value::BulkString(bytes) = value { Some(bytes) } else { None }
}

/// The pairs of a hash, as it is told: one after the other.
pub(super) fn pairs(value: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    items(value)
        .chunks_exact(2)
        .filter_map(|pair| if let [name, value] = pair { Some((name, value)) } else { None })
}
