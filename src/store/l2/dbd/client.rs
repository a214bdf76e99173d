//! One operation with one connection: statements, transactions, and what to do when either fails. What failed is tried
//! again while there is time, with another connection if that one is gone; so each operation is such that doing it
//! twice is no harm.

use super::error::DbdError;
use super::sql::{Dialect, Row, Sql};
use crate::clock::{Instant, sleep};
use crate::store::l2::workers::Fault;
use parking_lot::{Mutex, MutexGuard};
use std::time::Duration;

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
pub(super) enum Access {
    Reads,
    Writes,
}

/// How often an operation is tried.
const TRIES: u32 = 6;
/// How long SQLite itself waits for a lock. Its driver then sleeps for 100 ms and tries again, 15 times.
const BUSY: &str = "PRAGMA busy_timeout = 50";

/// One thread of a process writes to SQLite at a time: its driver lets no other thread do anything while one waits for
/// the lock of the file, also the one that has it.
static WRITING: Mutex<()> = Mutex::new(());

/// One operation's connection, and what its statements are made of.
pub(super) struct Client<'d> {
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
    access: Access,
    within: Instant,
    work: impl Fn(&mut Client<'_>) -> Result<R, DbdError>,
) -> Result<R, Fault> {
    let mut pause = Duration::from_millis(2);
    for _ in 1..TRIES {
        match once(database, prefix, access, within, &work) {
            Err(Trouble::Again(fault)) if Instant::now() + pause >= within => return Err(fault),
            Err(Trouble::Again(_)) => sleep(pause),
            Err(Trouble::Not(fault)) => return Err(fault),
            Ok(done) => return Ok(done),
        }
        pause *= 2;
    }
    once(database, prefix, access, within, &work)
        .map_err(|(Trouble::Again(fault) | Trouble::Not(fault))| fault)
}

fn once<R>(
    database: &dyn Database,
    prefix: &str,
    access: Access,
    within: Instant,
    work: impl Fn(&mut Client<'_>) -> Result<R, DbdError>,
) -> Result<R, Trouble> {
    let mut client = Client::open(database, prefix, access, within)?;
    work(&mut client).map_err(|error| client.trouble(error))
}

impl<'d> Client<'d> {
    fn open(
        database: &'d dyn Database,
        prefix: &'d str,
        access: Access,
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
            if access == Access::Writes {
                let guard = WRITING.try_lock_for(within.saturating_duration_since(Instant::now()));
                writing =
                    Some(guard.ok_or_else(|| down("another writer of this process is waiting".into()))?);
            }
        }
        Ok(Client { connection, sql: Sql { dialect, prefix }, within, _writing: writing })
    }

    /// What a failure means.
    fn trouble(&mut self, error: DbdError) -> Trouble {
        let said = error.to_string();
        match error {
            DbdError::Unreadable => return Trouble::Not(Fault::Odd(said)),
            DbdError::SchemaChanged(_) => {
                // The connection is good again once it has failed so.
                let _ = self.select(&self.sql.version());
                return Trouble::Again(Fault::Odd(said));
            }
            DbdError::Refused(_) | DbdError::Unexpected(_) | DbdError::Random(_) => {}
        }
        match self.select(&self.sql.version()) {
            Err(DbdError::SchemaChanged(_)) => Trouble::Again(Fault::Odd(said)),
            // Its file is locked, or cannot be written.
            Ok(rows) if !rows.is_empty() && self.sql.dialect == Dialect::Sqlite => {
                Trouble::Again(Fault::Down(said))
            }
            // A deadlock, a key that somebody else was quicker to insert, ...
            Ok(rows) if !rows.is_empty() => Trouble::Again(Fault::Odd(said)),
            Ok(_) => {
                Trouble::Not(Fault::Down(self.no_tables(&format!("{}_state is empty", self.sql.prefix))))
            }
            Err(then) => match self.select("SELECT 1") {
                Ok(_) => Trouble::Not(Fault::Down(self.no_tables(&then.to_string()))),
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

    /// Does what a statement says. Returns how many rows it changed, where the driver counts them; MySQL's leaves out
    /// those that were so before.
    pub(super) fn execute(&mut self, statement: &str) -> Result<u64, DbdError> {
        self.connection.execute(statement).map_err(DbdError::of_driver)
    }

    pub(super) fn select(&mut self, statement: &str) -> Result<Rows, DbdError> {
        self.connection.select(statement).map_err(DbdError::of_driver)
    }

    /// The one row that a statement gives.
    pub(super) fn row<R>(
        &mut self,
        statement: &str,
        read: impl FnOnce(Row<'_>) -> Result<R, DbdError>,
    ) -> Result<R, DbdError> {
        match &self.select(statement)?[..] {
            [row] => read(Row(row)),
            // Its absence tells nothing.
            _ => Err(DbdError::Unexpected("there is not the one row that there should be")),
        }
    }

    /// A transaction that writes to the log: its first statement takes the next position. The body says whether it is
    /// to be kept.
    pub(super) fn write<R>(
        &mut self,
        first: &str,
        body: impl FnOnce(&mut Self) -> Result<(bool, R), DbdError>,
    ) -> Result<R, DbdError> {
        self.transaction(first, |client, changed| match changed {
            1 => body(client),
            _ => Err(DbdError::Unexpected("there is no row of state")),
        })
    }

    /// A transaction. Its first statement changes the row of state, or none.
    pub(super) fn transaction<R>(
        &mut self,
        first: &str,
        body: impl FnOnce(&mut Self, u64) -> Result<(bool, R), DbdError>,
    ) -> Result<R, DbdError> {
        let done = self.begin(first).and_then(|changed| body(self, changed)).and_then(|(keep, result)| {
            self.execute(if keep { "COMMIT" } else { "ROLLBACK" })?;
            Ok(result)
        });
        if done.is_err() {
            // So that the connection is fit for the next one. Fails where there is no transaction, or no connection,
            // any more.
            let _ = self.execute("ROLLBACK");
        }
        done
    }

    fn begin(&mut self, first: &str) -> Result<u64, DbdError> {
        for statement in self.sql.dialect.begin() {
            self.execute(statement)?;
        }
        self.execute(first)
    }
}
