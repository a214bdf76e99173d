//! What keeps the sessions outside of httpd, as the tests run it, and what else is asked of it here: to stop and go on,
//! and how much it was asked to do.

use crate::mod_session::TABLE;
use harness::databases::{Database, MariaDb, Postgres, Server, Sqlite};
use harness::memcached::Memcached;
use harness::redis::Redis;
use std::io::{Read, Write};
use std::net::TcpStream;

/// A server, or a file of a database.
pub(crate) trait Store {
    /// `redis://HOST:PORT`, `HOST:PORT`, or the lines by which mod_dbd gets at it.
    fn address(&self) -> String;

    /// The process whose tree does the work; `None` if httpd does it.
    fn pid(&self) -> Option<i64>;

    /// SIGSTOP.
    fn freeze(&self);

    /// SIGCONT.
    fn thaw(&self);

    /// SIGKILL.
    fn kill(&self);

    /// Starts it again, with what it has kept.
    fn restart(&self);

    /// How many operations it has done since it was started, if it says.
    fn operations(&self) -> Option<f64>;
}

impl Store for Redis {
    fn address(&self) -> String {
        self.url()
    }

    fn pid(&self) -> Option<i64> {
        Some(Redis::pid(self))
    }

    fn freeze(&self) {
        Redis::freeze(self);
    }

    fn thaw(&self) {
        Redis::thaw(self);
    }

    fn kill(&self) {
        self.stop_hard();
    }

    fn restart(&self) {
        Redis::restart(self);
    }

    /// Commands, without the INFO that asks for them.
    fn operations(&self) -> Option<f64> {
        let stats = self.cli(&["INFO", "commandstats"]);
        let calls = stats.lines().filter(|line| !line.starts_with("cmdstat_info"));
        let calls =
            calls.filter_map(|line| line.split_once("calls=")?.1.split(',').next()?.parse::<f64>().ok());
        Some(calls.sum())
    }
}

/// A database that a server keeps, and the statement that counts what it did.
struct Served<D: Server> {
    database: D,
    count: Option<&'static str>,
}

impl<D: Server> Store for Served<D> {
    fn address(&self) -> String {
        self.database.conf()
    }

    fn pid(&self) -> Option<i64> {
        self.database.process().pids().first().map(|&pid| pid.into())
    }

    fn freeze(&self) {
        self.database.freeze();
    }

    fn thaw(&self) {
        self.database.thaw();
    }

    fn kill(&self) {
        self.database.stop_hard();
    }

    fn restart(&self) {
        self.database.restart();
    }

    fn operations(&self) -> Option<f64> {
        self.database.run(self.count?).ok()?.split_whitespace().last()?.parse().ok()
    }
}

impl Store for Sqlite {
    fn address(&self) -> String {
        self.conf()
    }

    fn pid(&self) -> Option<i64> {
        None
    }

    fn freeze(&self) {}

    fn thaw(&self) {}

    fn kill(&self) {}

    fn restart(&self) {}

    fn operations(&self) -> Option<f64> {
        None
    }
}

impl Store for Memcached {
    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    fn pid(&self) -> Option<i64> {
        Some(Memcached::pid(self))
    }

    fn freeze(&self) {
        Memcached::freeze(self, true);
    }

    fn thaw(&self) {
        Memcached::freeze(self, false);
    }

    fn kill(&self) {
        self.stop_hard();
    }

    fn restart(&self) {
        Memcached::restart(self);
    }

    /// What was asked for, stored, touched and removed.
    fn operations(&self) -> Option<f64> {
        let mut stream = TcpStream::connect(self.address()).ok()?;
        stream.write_all(b"stats\r\nquit\r\n").ok()?;
        let mut said = String::new();
        stream.read_to_string(&mut said).ok()?;
        let counted = ["cmd_get", "cmd_set", "cmd_touch", "delete_hits", "delete_misses"];
        let counts = said.lines().filter_map(|line| line.strip_prefix("STAT ")?.split_once(' '));
        let counts = counts.filter(|(name, _)| counted.contains(name));
        Some(counts.filter_map(|(_, count)| count.trim().parse::<f64>().ok()).sum())
    }
}

/// As `httpd-conf/50-cluster.conf` says that it should be.
pub(crate) fn redis() -> Box<dyn Store> {
    Box::new(Redis::builder().conf("appendonly yes\nmaxmemory-policy noeviction").start())
}

pub(crate) fn memcached() -> Box<dyn Store> {
    Box::new(Memcached::start(64))
}

pub(crate) fn sqlite() -> Box<dyn Store> {
    Box::new(furnished(Sqlite::start()))
}

pub(crate) fn mariadb() -> Box<dyn Store> {
    let count = Some("SHOW GLOBAL STATUS LIKE 'Questions'");
    Box::new(Served { database: furnished(MariaDb::start()), count })
}

/// It counts too late to be asked here.
pub(crate) fn postgresql() -> Box<dyn Store> {
    Box::new(Served { database: furnished(Postgres::start()), count: None })
}

/// With the tables of this module, and with mod_session_dbd's.
fn furnished<D: Database>(database: D) -> D {
    database.furnish("sc");
    database.run(TABLE).unwrap();
    database
}
