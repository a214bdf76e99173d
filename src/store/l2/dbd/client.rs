//! One operation with one connection: statements, transactions, and what to do when either fails. What failed is tried again
//! while there is time, with another connection if that one is gone; so each operation is such that doing it twice is no harm.

use super::sql::{Dialect, ODD, Row, Sql};
use crate::store::l2::workers::Fault;
use parking_lot::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// What gives connections to a database.
pub trait Database: Send + Sync {
    /// A connection, given back when it is dropped. May block.
    ///
    /// # Errors
    /// Why there is none.
    fn open(&self) -> Result<Box<dyn Connection + '_>, String>;

    /// This process ends. Threads that still have a connection hang. May run in the handler of a signal.
    fn stop(&self) {}
}

/// The rows of an answer, and their columns as text; NULL may be `None` or an empty text.
pub type Rows = Vec<Vec<Option<String>>>;

/// A connection that one thread has for itself.
pub trait Connection {
    /// apr_dbd's name of the driver.
    fn driver(&self) -> String;

    /// Does what a statement says that gives no rows. Returns how many it changed.
    ///
    /// # Errors
    /// What the database said.
    fn execute(&mut self, statement: &str) -> Result<u64, String>;

    /// The rows that a statement gives.
    ///
    /// # Errors
    /// What the database said; also when not all rows came.
    fn select(&mut self, statement: &str) -> Result<Rows, String>;
}

/// Whether an operation writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Reads,
    Writes,
}

/// SQLite's driver takes it for an error once that somebody has made a table, of whomever, since the last time.
const OTHER_TABLES: &str = "schema has changed";

/// How often an operation is tried.
const TRIES: u32 = 6;
/// How long SQLite itself waits for a lock. Its driver then sleeps for 100 ms and tries again, 15 times.
const BUSY: &str = "PRAGMA busy_timeout = 50";

/// One thread of a process writes to SQLite at a time: its driver lets no other thread do anything while one waits for the lock
/// of the file, also the one that has it.
static WRITING: Mutex<()> = Mutex::new(());

/// Where an operation is done.
pub(super) struct Desk<'d> {
    connection: Box<dyn Connection + 'd>,
    pub(super) sql: Sql<'d>,
    pub(super) within: Instant,
    _writing: Option<MutexGuard<'static, ()>>,
}

/// Why an operation was not done.
enum Trouble {
    /// It may go better the next time.
    Again(Fault),
    /// Not soon.
    Not(Fault),
}

/// Does the work, with one connection after the other if need be.
pub(super) fn work<R>(
    database: &dyn Database,
    prefix: &str,
    kind: Kind,
    within: Instant,
    work: impl Fn(&mut Desk<'_>) -> Result<R, String>,
) -> Result<R, Fault> {
    let mut pause = Duration::from_millis(2);
    for _ in 1..TRIES {
        match once(database, prefix, kind, within, &work) {
            Err(Trouble::Again(fault)) if Instant::now() + pause >= within => return Err(fault),
            Err(Trouble::Again(_)) => thread::sleep(pause),
            Err(Trouble::Not(fault)) => return Err(fault),
            Ok(done) => return Ok(done),
        }
        pause *= 2;
    }
    once(database, prefix, kind, within, &work).map_err(|(Trouble::Again(fault) | Trouble::Not(fault))| fault)
}

fn once<R>(
    database: &dyn Database,
    prefix: &str,
    kind: Kind,
    within: Instant,
    work: impl Fn(&mut Desk<'_>) -> Result<R, String>,
) -> Result<R, Trouble> {
    let mut desk = Desk::open(database, prefix, kind, within)?;
    work(&mut desk).map_err(|said| desk.trouble(said))
}

impl<'d> Desk<'d> {
    fn open(
        database: &'d dyn Database,
        prefix: &'d str,
        kind: Kind,
        within: Instant,
    ) -> Result<Self, Trouble> {
        let down = |why: String| Trouble::Not(Fault::Down(why));
        let mut connection = database.open().map_err(down)?;
        let driver = connection.driver();
        let dialect = Dialect::of(&driver).ok_or_else(|| {
            down(format!("DBDriver {driver} is none that can be used: there are sqlite3, mysql and pgsql"))
        })?;
        let mut writing = None;
        if dialect == Dialect::Sqlite {
            connection.select(BUSY).map_err(|said| Trouble::Again(Fault::Down(said)))?;
            if kind == Kind::Writes {
                let guard = WRITING.try_lock_until(within);
                writing =
                    Some(guard.ok_or_else(|| down("another writer of this process is waiting".into()))?);
            }
        }
        Ok(Desk { connection, sql: Sql { dialect, prefix }, within, _writing: writing })
    }

    /// What a failure means.
    fn trouble(&mut self, said: String) -> Trouble {
        if said == ODD {
            return Trouble::Not(Fault::Odd(said));
        }
        match self.connection.select(&self.sql.version()) {
            _ if said.contains(OTHER_TABLES) => Trouble::Again(Fault::Odd(said)),
            Err(said_then) if said_then.contains(OTHER_TABLES) => Trouble::Again(Fault::Odd(said)),
            // Its file is locked, or cannot be written.
            Ok(rows) if !rows.is_empty() && self.sql.dialect == Dialect::Sqlite => {
                Trouble::Again(Fault::Down(said))
            }
            // A deadlock, a key that somebody else was quicker to insert, ...
            Ok(rows) if !rows.is_empty() => Trouble::Again(Fault::Odd(said)),
            Ok(_) => {
                Trouble::Not(Fault::Down(self.no_tables(&format!("{}_state is empty", self.sql.prefix))))
            }
            Err(said_then) => match self.connection.select("SELECT 1") {
                Ok(_) => Trouble::Not(Fault::Down(self.no_tables(&said_then))),
                Err(_) => Trouble::Again(Fault::Down(said)),
            },
        }
    }

    fn no_tables(&self, said: &str) -> String {
        let file = match self.sql.dialect {
            Dialect::Sqlite => "sqlite3.sql",
            Dialect::Mysql => "mysql.sql",
            Dialect::Postgres => "pgsql.sql",
        };
        format!("{said}: apply httpd-conf/sql/{file} to the database, with the prefix {}_", self.sql.prefix)
    }

    /// Does what a statement says. Returns how many rows it changed, where the driver counts them; MySQL's leaves out those that
    /// were so before.
    pub(super) fn execute(&mut self, statement: &str) -> Result<u64, String> {
        self.connection.execute(statement)
    }

    pub(super) fn select(&mut self, statement: &str) -> Result<Rows, String> {
        self.connection.select(statement)
    }

    /// The one row that a statement gives.
    pub(super) fn row<R>(
        &mut self,
        statement: &str,
        read: impl FnOnce(Row<'_>) -> Result<R, String>,
    ) -> Result<R, String> {
        match &self.select(statement)?[..] {
            [row] => read(Row(row)),
            // Its absence tells nothing.
            _ => Err("there is not the one row that there should be".into()),
        }
    }

    /// A transaction that writes to the log: its first statement takes the next position. The body says whether it is to be kept.
    pub(super) fn write<R>(
        &mut self,
        first: &str,
        body: impl FnOnce(&mut Self) -> Result<(bool, R), String>,
    ) -> Result<R, String> {
        self.transaction(first, |desk, changed| match changed {
            1 => body(desk),
            _ => Err("there is no row of state".into()),
        })
    }

    /// A transaction. Its first statement changes the row of state, or none.
    pub(super) fn transaction<R>(
        &mut self,
        first: &str,
        body: impl FnOnce(&mut Self, u64) -> Result<(bool, R), String>,
    ) -> Result<R, String> {
        let done = self.begin(first).and_then(|changed| body(self, changed)).and_then(|(keep, result)| {
            self.execute(if keep { "COMMIT" } else { "ROLLBACK" })?;
            Ok(result)
        });
        if done.is_err() {
            // So that the connection is fit for the next one. Fails where there is no transaction, or no connection, any more.
            let _ = self.execute("ROLLBACK");
        }
        done
    }

    fn begin(&mut self, first: &str) -> Result<u64, String> {
        for statement in self.sql.dialect.begin() {
            self.execute(statement)?;
        }
        self.execute(first)
    }
}
