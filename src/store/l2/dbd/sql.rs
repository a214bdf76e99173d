//! The statements, and how databases differ in them. Whole texts, with nothing in them but numbers, hexadecimal digits,
//! base64 and the names of tables, so that nothing need be escaped.

use super::error::DbdError;
use crate::clock::Timestamp;
use crate::store::key::Key;
use crate::store::l2::contract::{Metadata, Stored};
use crate::store::record::Record;
use crate::store::succession::Successor;
use crate::store::tombstone::{Reason, Tombstone};
use data_encoding::{BASE64, HEXLOWER};
use std::fmt::Write as _;
use std::time::Duration;

/// How long a record stays past its deadline, so that it can still be told why it ended.
const AFTERLIFE: Duration = Duration::from_secs(60);

/// Version of the tables.
pub(super) const VERSION: u64 = 1;
/// Keys of one statement.
pub(super) const CHUNK: usize = 100;

/// What a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Mysql,
    Postgres,
}

impl Dialect {
    /// By apr_dbd's name of the driver.
    pub(super) fn of(driver: &str) -> Option<Self> {
        match driver {
            "sqlite3" => Some(Dialect::Sqlite),
            "mysql" => Some(Dialect::Mysql),
            "pgsql" => Some(Dialect::Postgres),
            _ => None,
        }
    }

    /// Its clock, in milliseconds since 1970, whatever its time zone.
    pub(super) fn clock(self) -> &'static str {
        match self {
            // As a number of days it is exact to 0.05 ms.
            Dialect::Sqlite => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
            Dialect::Mysql => "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)",
            Dialect::Postgres => "CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT)",
        }
    }

    /// Begins a transaction that writes. One that stands still in the middle (a server that froze) is ended by the
    /// database after a few seconds where it can do that, because all others wait for it.
    pub(super) fn begin(self) -> &'static [&'static str] {
        match self {
            Dialect::Sqlite => &["BEGIN IMMEDIATE"],
            Dialect::Mysql => &[
                "SET SESSION innodb_lock_wait_timeout = 2 /*M!100300 , idle_write_transaction_timeout = 5 */",
                "START TRANSACTION",
            ],
            Dialect::Postgres => &["BEGIN ISOLATION LEVEL READ COMMITTED; \
                 SET LOCAL idle_in_transaction_session_timeout = 5000; SET LOCAL lock_timeout = 2000"],
        }
    }

    /// Behind a `SELECT` of a row that is going to be changed.
    fn for_update(self) -> &'static str {
        if self == Dialect::Sqlite { "" } else { " FOR UPDATE" }
    }
}

/// The statements over the tables of one prefix, in one dialect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sql<'p> {
    pub(super) dialect: Dialect,
    pub(super) prefix: &'p str,
}

/// The columns that [`read_row`] reads.
const COLUMNS: &str = "s.kind, s.reason, s.created, s.born_deadline, s.deadline, s.idle, s.last_seen, \
                       s.ends_line, s.node, s.ended_at, s.kept_until";

impl Sql<'_> {
    pub(super) fn create(self, record: &Record<'_>) -> String {
        let Record { key, created, deadline, last_seen, idle, sealed } = record;
        let (deadline, kept) = (deadline.as_millis(), deadline.after(AFTERLIFE).as_millis());
        let mut statement = format!(
            "{} VALUES ('{}', 'R', {}, {}, {deadline}, {deadline}, {}, {}, 0, 0, 0, {kept}, '",
            self.insert_session(),
            hex(key),
            Reason::Lifetime.code(),
            created.as_millis(),
            // As the table above, whole milliseconds; more than 2^48 of them mean the same.
            Timestamp::default().after(*idle).as_millis(),
            last_seen.as_millis(),
        );
        BASE64.encode_append(sealed, &mut statement);
        statement.push_str("')");
        statement
    }

    fn insert_session(self) -> String {
        format!(
            "INSERT INTO {}_session (id, kind, reason, created, born_deadline, deadline, idle, last_seen, ends_line, \
             node, ended_at, kept_until, sealed)",
            self.prefix
        )
    }

    /// One row, whether or not the key is there: no row says nothing about the key.
    pub(super) fn load(self, key: &Key) -> String {
        let Sql { dialect, prefix } = self;
        format!(
            "SELECT {}, {COLUMNS}, s.sealed, st.version FROM {prefix}_state st LEFT JOIN {prefix}_session s \
             ON s.id = '{}' WHERE st.one = 1",
            dialect.clock(),
            hex(key)
        )
    }

    /// The row of a key that is going to be changed, if there is one.
    pub(super) fn find(self, key: &Key) -> String {
        let Sql { dialect, prefix } = self;
        format!(
            "SELECT {}, {COLUMNS} FROM {prefix}_session s WHERE s.id = '{}'{}",
            dialect.clock(),
            hex(key),
            dialect.for_update()
        )
    }

    pub(super) fn retire(self, key: &Key, deadline: Timestamp, reason: Reason) -> String {
        format!(
            "UPDATE {}_session SET deadline = {}, reason = {}, kept_until = {} WHERE id = '{}' AND kind = 'R'",
            self.prefix,
            deadline.as_millis(),
            reason.code(),
            deadline.after(AFTERLIFE).as_millis(),
            hex(key)
        )
    }

    /// Who has a session's place stands where its tombstone would say when it ended.
    pub(super) fn supersede(self, key: &Key, deadline: Timestamp, reason: Reason, by: Successor) -> String {
        format!(
            "UPDATE {}_session SET deadline = {}, reason = {}, kept_until = {}, ended_at = {} \
             WHERE id = '{}' AND kind = 'R'",
            self.prefix,
            deadline.as_millis(),
            reason.code(),
            deadline.after(AFTERLIFE).as_millis(),
            by.number(),
            hex(key)
        )
    }

    /// Puts a tombstone where a row is, or where there is none.
    pub(super) fn end(self, key: &Key, tombstone: &Tombstone, there: bool) -> String {
        let Tombstone { reason, node, at, until, ends_line } = *tombstone;
        let (reason, ends_line) = (reason.code(), u8::from(ends_line));
        let (at, until, key) = (at.as_millis(), until.as_millis(), hex(key));
        if there {
            return format!(
                "UPDATE {}_session SET kind = 'T', reason = {reason}, ends_line = {ends_line}, node = {node}, \
                 ended_at = {at}, kept_until = {until}, sealed = '' WHERE id = '{key}'",
                self.prefix
            );
        }
        format!(
            "{} VALUES ('{key}', 'T', {reason}, 0, 0, 0, 0, 0, {ends_line}, {node}, {at}, {until}, '')",
            self.insert_session()
        )
    }

    /// Makes room where a tombstone's time is over.
    pub(super) fn bury(self, key: &Key) -> String {
        format!(
            "DELETE FROM {}_session WHERE id = '{}' AND kind = 'T' AND kept_until <= {}",
            self.prefix,
            hex(key),
            self.dialect.clock()
        )
    }

    /// Moves the marks of a few keys later, in one statement.
    pub(super) fn touch(self, seen: &[(Key, Timestamp)]) -> String {
        let (mut case, mut keys) = (String::from("CASE id"), String::new());
        for (number, (key, at)) in seen.iter().enumerate() {
            let (key, comma) = (hex(key), if number == 0 { "" } else { ", " });
            let _ = write!(case, " WHEN '{key}' THEN {}", at.as_millis());
            let _ = write!(keys, "{comma}'{key}'");
        }
        case.push_str(" END");
        format!(
            "UPDATE {}_session SET last_seen = {case} WHERE id IN ({keys}) AND kind = 'R' AND last_seen < {case}",
            self.prefix
        )
    }

    /// The first thing in every transaction that writes to the log. Others then wait until this one is over.
    pub(super) fn next_position(self) -> String {
        format!("UPDATE {}_state SET last = last + 1 WHERE one = 1", self.prefix)
    }

    /// As [`Sql::next_position`], and raises the highest cutoff: to that one, or by itself.
    pub(super) fn next_cutoff(self, cutoff: Option<Timestamp>) -> String {
        let clock = self.dialect.clock();
        let highest = match cutoff.map(Timestamp::as_millis) {
            Some(cutoff) => format!("CASE WHEN highest < {cutoff} THEN {cutoff} ELSE highest END"),
            None => format!("CASE WHEN highest < {clock} THEN {clock} ELSE highest + 1 END"),
        };
        format!("UPDATE {}_state SET last = last + 1, highest = {highest} WHERE one = 1", self.prefix)
    }

    /// The present, the highest cutoff, and the mark of a scope: 0 if there is none.
    pub(super) fn mark(self, scope: &Key) -> String {
        let Sql { dialect, prefix } = self;
        format!(
            "SELECT {}, st.highest, COALESCE(m.stamp, 0), COALESCE(m.kept_until, 0), COALESCE(m.scope, '') \
             FROM {prefix}_state st LEFT JOIN {prefix}_mark m ON m.scope = '{}' WHERE st.one = 1",
            dialect.clock(),
            hex(scope)
        )
    }

    pub(super) fn set_mark(self, scope: &Key, cutoff: u64, until: u64, there: bool) -> String {
        let (table, scope) = (format!("{}_mark", self.prefix), hex(scope));
        if there {
            format!("UPDATE {table} SET stamp = {cutoff}, kept_until = {until} WHERE scope = '{scope}'")
        } else {
            format!("INSERT INTO {table} (scope, stamp, kept_until) VALUES ('{scope}', {cutoff}, {until})")
        }
    }

    pub(super) fn cutoffs(self, scopes: &[Key]) -> String {
        let scopes: Vec<String> = scopes.iter().map(|scope| format!("'{}'", hex(scope))).collect();
        format!(
            "SELECT scope, stamp FROM {}_mark WHERE kept_until > {} AND scope IN ({})",
            self.prefix,
            self.dialect.clock(),
            scopes.join(", ")
        )
    }

    /// Writes an entry at the position that was just taken.
    pub(super) fn tell(self, entry: &[u8]) -> String {
        let Sql { dialect, prefix } = self;
        format!(
            "INSERT INTO {prefix}_log (position, written_at, entry) SELECT last, {}, '{}' \
             FROM {prefix}_state WHERE one = 1",
            dialect.clock(),
            HEXLOWER.encode(entry)
        )
    }

    /// The version of the tables: what can be read if anything can.
    pub(super) fn version(self) -> String {
        format!("SELECT version FROM {}_state WHERE one = 1", self.prefix)
    }
}

pub(super) fn hex(key: &Key) -> String {
    HEXLOWER.encode(key.as_bytes())
}

/// A row of an answer.
pub(super) struct Row<'r>(pub(super) &'r [Option<String>]);

impl Row<'_> {
    pub(super) fn text(&self, column: usize) -> Result<&str, DbdError> {
        self.0.get(column).and_then(Option::as_deref).ok_or(DbdError::Unreadable)
    }

    pub(super) fn number(&self, column: usize) -> Result<u64, DbdError> {
        self.text(column)?.parse().map_err(|_| DbdError::Unreadable)
    }

    pub(super) fn time(&self, column: usize) -> Result<Timestamp, DbdError> {
        self.number(column).map(Timestamp::from_millis)
    }

    /// How the key stands: from a row whose first columns are the clock and [`COLUMNS`].
    pub(super) fn stored(&self) -> Result<Stored, DbdError> {
        let kind = self.0.get(1).and_then(Option::as_deref).unwrap_or_default();
        if kind.is_empty() {
            return Ok(Stored::Nothing);
        }
        let code = u8::try_from(self.number(2)?).map_err(|_| DbdError::Unreadable)?;
        let reason = Reason::from_code(code).ok_or(DbdError::Unreadable)?;
        match kind {
            "R" => Ok(Stored::Record(Metadata {
                ends_as: reason,
                created: self.time(3)?,
                born_deadline: self.time(4)?,
                deadline: self.time(5)?,
                idle: Duration::from_millis(self.number(6)?),
                last_seen: self.time(7)?,
            })),
            "T" => {
                let until = self.time(11)?;
                if until <= self.time(0)? {
                    return Ok(Stored::Nothing);
                }
                let node = u16::try_from(self.number(9)?).map_err(|_| DbdError::Unreadable)?;
                let ends_line = self.number(8)? != 0;
                Ok(Stored::Tombstone(Tombstone { reason, node, at: self.time(10)?, until, ends_line }))
            }
            _ => Err(DbdError::Unreadable),
        }
    }

    /// Who has the place of the session, from the row of a record.
    pub(super) fn successor(&self) -> Result<Option<Successor>, DbdError> {
        Ok(Successor::from_number(self.number(10)?))
    }
}
