//! The log as a table, which readers look into again and again, and beside it what nodes say of themselves and the
//! marks that are kept.

use super::client::{Access, Client};
use super::error::DbdError;
use super::shared::Shared;
use super::sql::{CHUNK, Dialect, Row, VERSION};
use crate::chance;
use crate::clock::{Instant, Timestamp, sleep};
use crate::store::key::Key;
use crate::store::l2::contract::{
    BATCH, Event, Log, Mark, NodeReport, NodeWord, Position, Pulse, Unavailable, WORD_AFTER,
};
use crate::store::l2::wire;
use data_encoding::{BASE64, HEXLOWER};
use std::sync::Arc;
use std::time::Duration;

/// How long a reader sleeps between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// How long a look may take beyond the reader's patience.
const SLACK: Duration = Duration::from_millis(150);
/// Steps of one purge, each of which takes away up to [`BATCH`] entries or rows.
const STEPS: usize = 20;
/// A node of which nothing was heard for so long is forgotten, in milliseconds.
const SILENT: u64 = 7 * 24 * 3_600_000;

/// A reader of the log.
pub(super) struct DbdLog {
    shared: Arc<Shared>,
    /// What was last said of this node, and when.
    said: Option<(NodeReport, Instant)>,
}

impl DbdLog {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        DbdLog { shared, said: None }
    }
}

impl Client<'_> {
    /// Whether the tables are there and of this version.
    pub(super) fn check(&mut self) -> Result<(), DbdError> {
        let statement = self.sql.version();
        self.row(&statement, |row| if row.number(0)? == VERSION { Ok(()) } else { Err(DbdError::Unreadable) })
    }

    fn say(&mut self, node: &NodeReport) -> Result<(), DbdError> {
        let (table, clock) = (format!("{}_node", self.sql.prefix), self.sql.dialect.clock());
        let id = blake3::hash(node.name.as_bytes()).to_hex();
        let word = [&node.name, &node.version, &node.fingerprint]
            .map(|text| BASE64.encode(text.as_bytes()))
            .join(" ");
        let changed = self
            .execute(&format!("UPDATE {table} SET word = '{word}', said_at = {clock} WHERE id = '{id}'"))?;
        if changed == 0 && self.select(&format!("SELECT 1 FROM {table} WHERE id = '{id}'"))?.is_empty() {
            self.execute(&format!(
                "INSERT INTO {table} (id, word, said_at) VALUES ('{id}', '{word}', {clock})"
            ))?;
        }
        Ok(())
    }

    fn pulse(&mut self) -> Result<Pulse, DbdError> {
        let prefix = self.sql.prefix;
        let token = format!("COALESCE((SELECT MAX(token) FROM {prefix}_instance), '')");
        // What differs once the server was started again, or another took its place. In each, what is missing then is
        // the token.
        let instance = match self.sql.dialect {
            // It loses nothing.
            Dialect::Sqlite => "'-', '-'".to_owned(),
            Dialect::Mysql => format!("{token}, CONCAT(@@hostname, ' ', @@server_id, ' ', @@port)"),
            Dialect::Postgres => format!("{token}, CAST(pg_postmaster_start_time() AS TEXT)"),
        };
        let statement = format!(
            "SELECT {}, version, id, last, trimmed, {instance} FROM {prefix}_state WHERE one = 1",
            self.sql.dialect.clock()
        );
        for _ in 0..3 {
            let (pulse, no_id, no_token) = self.row(&statement, |row| {
                if row.number(1)? != VERSION {
                    return Err(DbdError::Unreadable);
                }
                let (id, token, instance) = (row.text(2)?, row.text(5)?, row.text(6)?);
                let identity = blake3::hash(format!("{id}\n{token}\n{instance}").as_bytes());
                let [a, b, c, d, e, f, g, h, ..] = *identity.as_bytes();
                let place = |major| Position { major, minor: 0 };
                let pulse = Pulse {
                    now: row.time(0)?,
                    identity: u64::from_be_bytes([a, b, c, d, e, f, g, h]).max(1),
                    trimmed: place(row.number(4)?),
                    last: place(row.number(3)?),
                };
                Ok((pulse, id.is_empty(), token.is_empty()))
            })?;
            if !no_id && !no_token {
                return Ok(pulse);
            }
            if no_id {
                let id = random()?;
                self.execute(&format!("UPDATE {prefix}_state SET id = '{id}' WHERE one = 1 AND id = ''"))?;
            }
            if no_token {
                let token = random()?;
                // Fails where somebody else was quicker.
                let _ = self
                    .execute(&format!("INSERT INTO {prefix}_instance (one, token) VALUES (1, '{token}')"));
            }
        }
        Err(DbdError::Unexpected("the database does not keep who it is"))
    }

    /// The entries after a position, if the log has them all.
    fn after(&mut self, position: u64) -> Result<Look, DbdError> {
        let prefix = self.sql.prefix;
        let (last, trimmed) = self
            .row(&format!("SELECT last, trimmed FROM {prefix}_state WHERE one = 1"), |row| {
                Ok((row.number(0)?, row.number(1)?))
            })?;
        if position < trimmed || position > last {
            return Ok(Look::Gap);
        }
        if position == last {
            return Ok(Look::Entries(Vec::new()));
        }
        let rows = self.select(&format!(
            "SELECT position, entry FROM {prefix}_log WHERE position > {position} ORDER BY position LIMIT {BATCH}"
        ))?;
        let entry = |row: &Vec<Option<String>>| {
            let row = Row(row);
            // What is not even hexadecimal is of no version that is known here.
            let bytes = HEXLOWER.decode(row.text(1)?.as_bytes()).unwrap_or_default();
            Ok((Position { major: row.number(0)?, minor: 0 }, wire::read_event(&bytes)))
        };
        let entries = rows.iter().map(entry).collect::<Result<Vec<_>, DbdError>>()?;
        // Also those that were purged since the look at the state.
        let whole = entries.iter().zip(position + 1..).all(|((at, _), expected)| at.major == expected);
        if whole && !entries.is_empty() { Ok(Look::Entries(entries)) } else { Ok(Look::Gap) }
    }

    fn purge(&mut self, before: Timestamp) -> Result<(), DbdError> {
        let (prefix, clock) = (self.sql.prefix, self.sql.dialect.clock());
        for _ in 0..STEPS {
            let rows = self.select(&format!(
                "SELECT position, written_at FROM {prefix}_log ORDER BY position LIMIT {BATCH}"
            ))?;
            let mut old = 0;
            let mut upto = None;
            for row in rows.iter().map(|row| Row(row)) {
                if row.time(1)? >= before {
                    break;
                }
                (old, upto) = (old + 1, Some(row.number(0)?));
            }
            let Some(upto) = upto else { break };
            self.trim(upto)?;
            if old < BATCH || self.is_late() {
                break;
            }
        }
        self.execute(&format!("DELETE FROM {prefix}_mark WHERE kept_until <= {clock}"))?;
        self.execute(&format!("DELETE FROM {prefix}_node WHERE said_at < {clock} - {SILENT}"))?;
        for _ in 0..STEPS {
            let over = self.select(&format!(
                "SELECT id FROM {prefix}_session WHERE kept_until <= {clock} ORDER BY kept_until LIMIT {BATCH}"
            ))?;
            for some in over.chunks(CHUNK) {
                let ids: Result<Vec<String>, DbdError> =
                    some.iter().map(|row| Row(row).text(0).map(|id| format!("'{}'", plain(id)))).collect();
                self.execute(&format!(
                    "DELETE FROM {prefix}_session WHERE id IN ({}) AND kept_until <= {clock}",
                    ids?.join(", ")
                ))?;
            }
            if over.len() < BATCH || self.is_late() {
                break;
            }
        }
        Ok(())
    }

    /// Removes the entries up to that one.
    fn trim(&mut self, upto: u64) -> Result<(), DbdError> {
        let prefix = self.sql.prefix;
        let first = format!("UPDATE {prefix}_state SET trimmed = {upto} WHERE one = 1 AND trimmed < {upto}");
        self.transaction(&first, |client, raised| {
            // Else somebody else was quicker, and has removed them.
            if raised == 1 {
                client.execute(&format!("DELETE FROM {prefix}_log WHERE position <= {upto}"))?;
            }
            Ok((raised == 1, ()))
        })
    }

    /// Whether the rest had better be left for the next time.
    fn is_late(&self) -> bool {
        Instant::now() + SLACK >= self.within
    }
}

/// What a look into the log gave.
enum Look {
    Entries(Vec<(Position, Event)>),
    /// Entries that should be there are not.
    Gap,
}

impl Log for DbdLog {
    fn pulse(&mut self, node: &NodeReport, within: Instant) -> Result<Pulse, Unavailable> {
        let fresh = |(said, at): &(NodeReport, Instant)| said == node && at.elapsed() < WORD_AFTER;
        if self.said.as_ref().is_some_and(fresh) {
            return self.shared.run(Access::Reads, within, |client| client.pulse());
        }
        let word = node.clone();
        let pulse = self.shared.run(Access::Writes, within, move |client| {
            client.say(&word)?;
            client.pulse()
        })?;
        self.said = Some((node.clone(), Instant::now()));
        Ok(pulse)
    }

    fn read(
        &mut self,
        position: Position,
        patience: Duration,
    ) -> Result<Vec<(Position, Event)>, Unavailable> {
        let until = Instant::now() + patience;
        loop {
            let within = until.max(Instant::now()) + SLACK;
            match self.shared.run(Access::Reads, within, move |client| client.after(position.major))? {
                Look::Gap => {
                    return Err(Unavailable(
                        "database: the log has lost entries that were not read yet".into(),
                    ));
                }
                Look::Entries(entries) if entries.is_empty() => {
                    let rest = until.saturating_duration_since(Instant::now());
                    if rest.is_zero() {
                        return Ok(entries);
                    }
                    sleep(rest.min(LOOK));
                }
                Look::Entries(entries) => return Ok(entries),
            }
        }
    }

    fn marks(&mut self, within: Instant) -> Result<Vec<Mark>, Unavailable> {
        self.shared.run(Access::Reads, within, |client| {
            let (prefix, clock) = (client.sql.prefix, client.sql.dialect.clock());
            let rows = client.select(&format!(
                "SELECT scope, stamp, kept_until FROM {prefix}_mark WHERE kept_until > {clock}"
            ))?;
            let mark = |row: &Vec<Option<String>>| {
                let row = Row(row);
                let scope = HEXLOWER.decode(row.text(0)?.as_bytes()).ok();
                let scope = scope.and_then(|bytes| <[u8; Key::LEN]>::try_from(bytes).ok());
                let scope = Key::new(scope.ok_or(DbdError::Unreadable)?);
                Ok(Mark { scope, cutoff: row.time(1)?, until: row.time(2)? })
            };
            rows.iter().map(mark).collect()
        })
    }

    fn nodes(&mut self, within: Instant) -> Result<Vec<NodeWord>, Unavailable> {
        self.shared.run(Access::Reads, within, |client| {
            let rows = client.select(&format!("SELECT word, said_at FROM {}_node", client.sql.prefix))?;
            // What another version said in another way is left out: it is only for people to look at.
            let mut words: Vec<NodeWord> = rows.iter().filter_map(|row| node_word(&Row(row))).collect();
            words.sort_unstable_by(|one, other| one.report.name.cmp(&other.report.name));
            Ok(words)
        })
    }

    fn purge(&mut self, before: Timestamp, within: Instant) -> Result<(), Unavailable> {
        self.shared.run(Access::Writes, within, move |client| client.purge(before))
    }
}

fn node_word(row: &Row<'_>) -> Option<NodeWord> {
    let text = |word: &str| String::from_utf8(BASE64.decode(word.as_bytes()).ok()?).ok();
    let mut words = row.text(0).ok()?.split(' ');
    let (name, version, fingerprint) = (text(words.next()?)?, text(words.next()?)?, text(words.next()?)?);
    Some(NodeWord { report: NodeReport { name, fingerprint, version }, at: row.time(1).ok()? })
}

/// What came from a table and goes into a statement.
fn plain(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn random() -> Result<String, DbdError> {
    let mut bytes = [0; 16];
    chance::fill(&mut bytes)?;
    Ok(HEXLOWER.encode(&bytes))
}
