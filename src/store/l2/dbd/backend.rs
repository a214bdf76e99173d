//! A store in a database (SQLite, MariaDB or MySQL, PostgreSQL) that something else connects to: in httpd, mod_dbd. The tables
//! are those of `httpd-conf/sql`.
//!
//! Every transaction that writes to the log first raises the one row of the table of state. The lock of that row lets writers
//! commit one after the other, in the order of their positions, so that no position is ever left out and a reader who has seen one
//! has seen all before it. What is written and what is told of it are one transaction.
//!
//! All statements are whole texts: a driver that reconnects forgets prepared ones, and a pool between here and the database too.

mod config;
mod desk;
mod log;
mod sql;

pub use config::DbdConfig;
pub use desk::{Connection, Database, Rows};

use super::workers::{Spawn, Workers};
use super::{Backend, Event, Log, Mark, Stored, Unavailable, wire};
use crate::clock::Timestamp;
use crate::store::key::Key;
use crate::store::record::Record;
use crate::store::tombstone::{Reason, Tombstone};
use data_encoding::BASE64;
use desk::{Desk, Kind};
use log::DbdLog;
use sql::{ODD, Row, hex};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Keys of one statement.
const CHUNK: usize = 100;

/// A store in a database. Connects when it is first used, and not before, so that it can be made before a fork.
pub struct DbdBackend {
    shared: Arc<Shared>,
}

/// What a backend and its logs share.
struct Shared {
    database: Arc<dyn Database>,
    prefix: Arc<str>,
    workers: Workers,
}

impl DbdBackend {
    /// A store in those tables of that database.
    pub fn new(config: &DbdConfig, database: Arc<dyn Database>, spawn: Arc<dyn Spawn>) -> Self {
        let workers = Workers::new("database", spawn);
        let prefix = config.prefix.as_str().into();
        DbdBackend { shared: Arc::new(Shared { database, prefix, workers }) }
    }
}

impl Shared {
    /// Has an operation done by a thread that can wait.
    fn run<R: Send + 'static>(
        &self,
        kind: Kind,
        within: Instant,
        work: impl Fn(&mut Desk<'_>) -> Result<R, String> + Send + 'static,
    ) -> Result<R, Unavailable> {
        let (database, prefix) = (Arc::clone(&self.database), Arc::clone(&self.prefix));
        self.workers.run(within, move || desk::work(&*database, &prefix, kind, within, work))
    }
}

impl Desk<'_> {
    /// How a key stands, its payload, and whether the tables are of this version.
    fn load(&mut self, key: &Key) -> Result<(Stored, Vec<u8>), String> {
        let statement = self.sql.load(key);
        self.row(&statement, |row| {
            if row.number(13)? != log::VERSION {
                return Err(ODD.into());
            }
            let stored = row.stored()?;
            let sealed = match stored {
                Stored::Record(_) => BASE64.decode(row.text(12)?.as_bytes()).map_err(|_| ODD.to_owned())?,
                _ => Vec::new(),
            };
            Ok((stored, sealed))
        })
    }

    /// How a key stands that is going to be changed, and whether there is a row of it.
    fn find(&mut self, key: &Key) -> Result<(Stored, bool), String> {
        match &self.select(&self.sql.find(key))?[..] {
            [] => Ok((Stored::Nothing, false)),
            [row, ..] => Ok((Row(row).stored()?, true)),
        }
    }

    fn tell(&mut self, event: &Event) -> Result<(), String> {
        match self.execute(&self.sql.tell(&wire::event(event)))? {
            1 => Ok(()),
            _ => Err("the log took no entry".into()),
        }
    }

    /// Stores a record unless there is something. One that is just the same is this one, stored by a try before.
    fn create(&mut self, record: &Record<'_>) -> Result<bool, String> {
        let Err(said) = self.execute(&self.sql.create(record)) else { return Ok(true) };
        // Whether that was because of the key, the key tells.
        match self.load(&record.key)? {
            (Stored::Record(facts), sealed) => Ok(sealed == record.sealed
                && (facts.created, facts.born_deadline) == (record.created, record.deadline)),
            (Stored::Tombstone(_), _) => Ok(false),
            (Stored::Nothing, _) => match self.execute(&self.sql.bury(&record.key))? {
                0 => Err(said),
                _ => self.execute(&self.sql.create(record)).map(|_| true),
            },
        }
    }
}

impl Backend for DbdBackend {
    fn create(&self, record: &Record<'_>, within: Instant) -> Result<bool, Unavailable> {
        let (record, sealed) = (Record { sealed: &[], ..*record }, record.sealed.to_vec());
        self.shared.run(Kind::Writes, within, move |desk| desk.create(&Record { sealed: &sealed, ..record }))
    }

    fn load(&self, key: &Key, sealed: &mut Vec<u8>, within: Instant) -> Result<Stored, Unavailable> {
        let key = *key;
        sealed.clear();
        let (stored, payload) = self.shared.run(Kind::Reads, within, move |desk| desk.load(&key))?;
        sealed.extend_from_slice(&payload);
        Ok(stored)
    }

    fn retire(
        &self,
        key: &Key,
        deadline: Timestamp,
        reason: Reason,
        within: Instant,
    ) -> Result<Stored, Unavailable> {
        let key = *key;
        self.shared.run(Kind::Writes, within, move |desk| {
            desk.write(&desk.sql.next_position(), |desk| match desk.find(&key)?.0 {
                Stored::Record(mut facts) if deadline < facts.deadline => {
                    desk.execute(&desk.sql.retire(&key, deadline, reason))?;
                    desk.tell(&Event::Retired { key, deadline, reason })?;
                    (facts.deadline, facts.ends_as) = (deadline, reason);
                    Ok((true, Stored::Record(facts)))
                }
                stored => Ok((false, stored)),
            })
        })
    }

    fn end(&self, key: &Key, tombstone: &Tombstone, within: Instant) -> Result<Stored, Unavailable> {
        let (key, tombstone) = (*key, *tombstone);
        self.shared.run(Kind::Writes, within, move |desk| {
            desk.write(&desk.sql.next_position(), |desk| {
                let (before, there) = desk.find(&key)?;
                if let Stored::Tombstone(_) = before {
                    return Ok((false, before));
                }
                desk.execute(&desk.sql.end(&key, &tombstone, there))?;
                desk.tell(&Event::Ended { key, tombstone })?;
                Ok((true, before))
            })
        })
    }

    fn touch(&self, seen: &[(Key, Timestamp)], within: Instant) -> Result<(), Unavailable> {
        let mut seen = seen.to_vec();
        if seen.is_empty() {
            return Ok(());
        }
        // In one order, so that two batches do not wait for each other; of a key that is there twice, the later.
        seen.sort_unstable_by_key(|(key, at)| (*key.as_bytes(), std::cmp::Reverse(*at)));
        seen.dedup_by_key(|(key, _)| *key);
        self.shared.run(Kind::Writes, within, move |desk| {
            seen.chunks(CHUNK).try_for_each(|some| desk.execute(&desk.sql.touch(some)).map(drop))
        })
    }

    fn mark(
        &self,
        scope: &Key,
        stamp: Option<Timestamp>,
        keep: Duration,
        within: Instant,
    ) -> Result<Timestamp, Unavailable> {
        let scope = *scope;
        self.shared.run(Kind::Writes, within, move |desk| {
            desk.write(&desk.sql.next_stamp(stamp), |desk| {
                let statement = desk.sql.mark(&scope);
                let (mark, there) = desk.row(&statement, |row| {
                    // Two marks of one scope merge by maximum.
                    let stamp = stamp.map_or_else(|| row.time(1), Ok)?.max(row.time(2)?);
                    let until = row.time(0)?.after(keep).max(row.time(3)?);
                    Ok((Mark { scope, stamp, until }, !row.text(4)?.is_empty()))
                })?;
                let (stamp, until) = (mark.stamp.as_millis(), mark.until.as_millis());
                desk.execute(&desk.sql.set_mark(&scope, stamp, until, there))?;
                desk.tell(&Event::Marked(mark))?;
                Ok((true, mark.stamp))
            })
        })
    }

    fn stamps(&self, scopes: &[Key], within: Instant) -> Result<Vec<Option<Timestamp>>, Unavailable> {
        if scopes.is_empty() {
            return Ok(Vec::new());
        }
        let scopes = scopes.to_vec();
        self.shared.run(Kind::Reads, within, move |desk| {
            let rows = desk.select(&desk.sql.stamps(&scopes))?;
            let stamp = |scope: &Key| {
                let scope = hex(scope);
                let row = rows.iter().map(|row| Row(row)).find(|row| row.text(0) == Ok(&scope));
                row.map(|row| row.time(1)).transpose()
            };
            scopes.iter().map(stamp).collect()
        })
    }

    fn stop(&self) {
        self.shared.workers.stop();
        self.shared.database.stop();
    }

    fn revive(&self) {
        self.shared.workers.revive();
    }

    fn log(&self, within: Instant) -> Result<Box<dyn Log>, Unavailable> {
        self.shared.run(Kind::Reads, within, |desk| desk.check())?;
        Ok(Box::new(DbdLog::new(Arc::clone(&self.shared))))
    }
}
