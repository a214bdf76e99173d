//! The store in a database as the contract wants it: each operation is given to a thread that can wait for the
//! database.

use super::client::{Access, Client, Database};
use super::config::DbdConfig;
use super::error::DbdError;
use super::log::DbdLog;
use super::shared::Shared;
use super::sql::{CHUNK, Row, VERSION, hex};
use crate::clock::{Instant, Timestamp};
use crate::store::key::Key;
use crate::store::l2::contract::{Backend, Event, Log, Mark, Stored, Unavailable};
use crate::store::l2::wire;
use crate::store::l2::workers::{Spawn, Workers};
use crate::store::record::Record;
use crate::store::succession::{Succession, Successor};
use crate::store::tombstone::{Reason, Tombstone};
use data_encoding::BASE64;
use std::sync::Arc;
use std::time::Duration;

/// A store in a database. Connects when it is first used, and not before, so that it can be made before a fork.
pub struct DbdBackend {
    shared: Arc<Shared>,
}

impl DbdBackend {
    /// A store in those tables of that database.
    pub fn new(config: &DbdConfig, database: Arc<dyn Database>, spawn: Arc<dyn Spawn>) -> Self {
        let workers = Workers::new("database", spawn);
        let prefix = config.prefix.as_str().into();
        DbdBackend { shared: Arc::new(Shared { database, prefix, workers }) }
    }
}

impl Client<'_> {
    /// How a key stands, its payload, and whether the tables are of this version.
    fn load(&mut self, key: &Key) -> Result<(Stored, Vec<u8>), DbdError> {
        let statement = self.sql.load(key);
        self.row(&statement, |row| {
            if row.number(13)? != VERSION {
                return Err(DbdError::Unreadable);
            }
            let stored = row.stored()?;
            let sealed = match stored {
                Stored::Record(_) => {
                    BASE64.decode(row.text(12)?.as_bytes()).map_err(|_| DbdError::Unreadable)?
                }
                _ => Vec::new(),
            };
            Ok((stored, sealed))
        })
    }

    /// How a key stands that is going to be changed, and whether there is a row of it.
    fn find(&mut self, key: &Key) -> Result<(Stored, bool), DbdError> {
        match &self.select(&self.sql.find(key))?[..] {
            [] => Ok((Stored::Nothing, false)),
            [row, ..] => Ok((Row(row).stored()?, true)),
        }
    }

    /// How a key stands that is going to be changed, and who has its place, if it is a record's.
    fn find_successor(&mut self, key: &Key) -> Result<(Stored, Option<Successor>), DbdError> {
        match &self.select(&self.sql.find(key))?[..] {
            [] => Ok((Stored::Nothing, None)),
            [row, ..] => {
                let row = Row(row);
                let stored = row.stored()?;
                let is_record = matches!(stored, Stored::Record(_));
                Ok((stored, if is_record { row.successor()? } else { None }))
            }
        }
    }

    fn tell(&mut self, event: &Event) -> Result<(), DbdError> {
        match self.execute(&self.sql.tell(&wire::event(event)))? {
            1 => Ok(()),
            _ => Err(DbdError::Unexpected("the log took no entry")),
        }
    }

    /// Stores a record unless there is something. One that is just the same is this one, stored by a try before.
    fn create(&mut self, record: &Record<'_>) -> Result<bool, DbdError> {
        let Err(refused) = self.execute(&self.sql.create(record)) else { return Ok(true) };
        // Whether that was because of the key, the key tells.
        match self.load(&record.key)? {
            (Stored::Record(metadata), sealed) => Ok(sealed == record.sealed
                && (metadata.created, metadata.born_deadline) == (record.created, record.deadline)),
            (Stored::Tombstone(_), _) => Ok(false),
            (Stored::Nothing, _) => match self.execute(&self.sql.bury(&record.key))? {
                0 => Err(refused),
                _ => self.execute(&self.sql.create(record)).map(|_| true),
            },
        }
    }
}

impl Backend for DbdBackend {
    fn create(&self, record: &Record<'_>, within: Instant) -> Result<bool, Unavailable> {
        let (record, sealed) = (Record { sealed: &[], ..*record }, record.sealed.to_vec());
        self.shared
            .run(Access::Writes, within, move |client| client.create(&Record { sealed: &sealed, ..record }))
    }

    fn load(&self, key: &Key, sealed: &mut Vec<u8>, within: Instant) -> Result<Stored, Unavailable> {
        let key = *key;
        sealed.clear();
        let (stored, payload) = self.shared.run(Access::Reads, within, move |client| client.load(&key))?;
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
        self.shared.run(Access::Writes, within, move |client| {
            client.write(&client.sql.next_position(), |client| match client.find(&key)?.0 {
                Stored::Record(mut metadata) if deadline < metadata.deadline => {
                    client.execute(&client.sql.retire(&key, deadline, reason))?;
                    client.tell(&Event::Retired { key, deadline, reason })?;
                    (metadata.deadline, metadata.ends_as) = (deadline, reason);
                    Ok((true, Stored::Record(metadata)))
                }
                stored => Ok((false, stored)),
            })
        })
    }

    fn supersede(
        &self,
        key: &Key,
        by: Successor,
        deadline: Timestamp,
        within: Instant,
    ) -> Result<Succession, Unavailable> {
        let (key, reason) = (*key, Reason::Superseded);
        self.shared.run(Access::Writes, within, move |client| {
            // All who would change a session do so one after the other: the row of state is changed first.
            client.write(&client.sql.next_position(), |client| {
                let (stored, successor) = client.find_successor(&key)?;
                let Stored::Record(metadata) = stored else { return Ok((false, stored.succession(false))) };
                if successor.is_some() || metadata.ends_as == reason {
                    return Ok((false, stored.succession(successor == Some(by))));
                }
                let deadline = deadline.min(metadata.deadline);
                client.execute(&client.sql.supersede(&key, deadline, reason, by))?;
                client.tell(&Event::Retired { key, deadline, reason })?;
                Ok((true, Succession::First(deadline)))
            })
        })
    }

    fn end(&self, key: &Key, tombstone: &Tombstone, within: Instant) -> Result<Stored, Unavailable> {
        let (key, tombstone) = (*key, *tombstone);
        self.shared.run(Access::Writes, within, move |client| {
            client.write(&client.sql.next_position(), |client| {
                let (before, there) = client.find(&key)?;
                if let Stored::Tombstone(_) = before {
                    return Ok((false, before));
                }
                client.execute(&client.sql.end(&key, &tombstone, there))?;
                client.tell(&Event::Ended { key, tombstone })?;
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
        self.shared.run(Access::Writes, within, move |client| {
            seen.chunks(CHUNK).try_for_each(|some| client.execute(&client.sql.touch(some)).map(drop))
        })
    }

    fn mark(
        &self,
        scope: &Key,
        cutoff: Option<Timestamp>,
        keep: Duration,
        within: Instant,
    ) -> Result<Timestamp, Unavailable> {
        let scope = *scope;
        self.shared.run(Access::Writes, within, move |client| {
            client.write(&client.sql.next_cutoff(cutoff), |client| {
                let statement = client.sql.mark(&scope);
                let (mark, there) = client.row(&statement, |row| {
                    // Two marks of one scope merge by maximum.
                    let cutoff = cutoff.map_or_else(|| row.time(1), Ok)?.max(row.time(2)?);
                    let until = row.time(0)?.after(keep).max(row.time(3)?);
                    Ok((Mark { scope, cutoff, until }, !row.text(4)?.is_empty()))
                })?;
                let (cutoff, until) = (mark.cutoff.as_millis(), mark.until.as_millis());
                client.execute(&client.sql.set_mark(&scope, cutoff, until, there))?;
                client.tell(&Event::Marked(mark))?;
                Ok((true, mark.cutoff))
            })
        })
    }

    fn cutoffs(&self, scopes: &[Key], within: Instant) -> Result<Vec<Option<Timestamp>>, Unavailable> {
        if scopes.is_empty() {
            return Ok(Vec::new());
        }
        let scopes = scopes.to_vec();
        self.shared.run(Access::Reads, within, move |client| {
            let rows = client.select(&client.sql.cutoffs(&scopes))?;
            let cutoff = |scope: &Key| {
                let scope = hex(scope);
                let row = rows.iter().map(|row| Row(row)).find(|row| row.text(0) == Ok(&scope));
                row.map(|row| row.time(1)).transpose()
            };
            scopes.iter().map(cutoff).collect()
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
        self.shared.run(Access::Reads, within, |client| client.check())?;
        Ok(Box::new(DbdLog::new(Arc::clone(&self.shared))))
    }
}
