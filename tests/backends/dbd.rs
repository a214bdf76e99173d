//! Databases behind httpd's mod_dbd.

use super::probe::{InProbe, Probe};
use super::redis::shared;
use harness::databases::{Database, MariaDb, Postgres, Sqlite};
use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Weak};

/// A probe whose stores are in that database.
#[track_caller]
pub(crate) fn probe(database: &dyn Database) -> Probe {
    Probe::start(&["dbd"], |site| site.load(&["dbd"]).conf(&database.conf()))
}

/// New tables in a database that tests share.
fn tables<D: Database + Any>(
    database: &'static Mutex<Weak<D>>,
    served: &'static Mutex<Weak<Probe>>,
    start: fn() -> D,
) -> InProbe {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let database = shared(database, start);
    let served = shared(served, || probe(&*database));
    let prefix = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
    database.furnish(&prefix);
    InProbe::with_prefix(&served, &database, prefix)
}

macro_rules! in_a {
    ($name:ident, $database:ident) => {
        mod $name {
            use super::*;

            fn store() -> InProbe {
                static DATABASE: Mutex<Weak<$database>> = Mutex::new(Weak::new());
                static PROBE: Mutex<Weak<Probe>> = Mutex::new(Weak::new());
                tables(&DATABASE, &PROBE, $database::start)
            }

            hold_to_the_laws!(store());
        }
    };
}

in_a!(sqlite, Sqlite);
in_a!(mariadb, MariaDb);
in_a!(postgres, Postgres);

mod servers {
    use harness::databases::{Database, MariaDb, Postgres, Server, Sqlite};

    /// The harness itself: a server is furnished, killed, started again, and has what was committed.
    fn keeps_its_data(server: &impl Server) {
        server.furnish("sc");
        server.run("UPDATE sc_state SET last = 7").unwrap();
        server.restart();
        assert_eq!(server.run("SELECT last FROM sc_state"), Ok("7".into()));
        server.freeze();
        server.thaw();
        assert_eq!(server.run("SELECT last FROM sc_state"), Ok("7".into()));
        server.stop_hard();
        assert!(server.run("SELECT 1").is_err());
    }

    #[test]
    fn mariadb_keeps_its_data() {
        keeps_its_data(&MariaDb::start());
    }

    #[test]
    fn postgres_keeps_its_data() {
        keeps_its_data(&Postgres::start());
    }

    #[test]
    fn sqlite_can_be_locked() {
        let sqlite = Sqlite::start();
        sqlite.furnish("sc");
        let locked = sqlite.lock();
        let other = |sql: &str| {
            let file = sqlite.file();
            std::process::Command::new("sqlite3").arg(file).arg(sql).output().unwrap().status.success()
        };
        assert!(!other("UPDATE sc_state SET last = 7"));
        drop(locked);
        assert!(other("UPDATE sc_state SET last = 7"));
        assert_eq!(sqlite.run("SELECT last FROM sc_state"), Ok("7".into()));
    }
}
