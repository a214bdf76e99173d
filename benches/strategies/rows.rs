//! The systems that are compared, one entry each. To compare another is to add an entry.

use crate::mod_python::{Session, python};
use crate::mod_session::{form, form_dbd};
use crate::ours::{dbd, ours, with};
use crate::scene::{Need, Scene};
use crate::stores::{self, Store};
use harness::Site;

/// Whose sessions they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Us,
    Others,
}

/// A way to keep sessions.
pub(crate) struct Row {
    /// What `BENCH_ROWS` calls it.
    pub(crate) key: &'static str,
    /// What people call it.
    pub(crate) name: &'static str,
    pub(crate) of: Of,
    /// What must be installed.
    pub(crate) needs: &'static [Need],
    /// Starts what keeps its sessions outside of httpd, if there is such a thing.
    pub(crate) store: Option<fn() -> Box<dyn Store>>,
    /// An httpd with it.
    pub(crate) site: fn(&Scene) -> Site,
    /// Whether servers can share it.
    pub(crate) shared: bool,
    /// Whether a handler makes its pages, even the bare one.
    pub(crate) handler: bool,
}

/// What most entries have in common.
const OURS: Row = Row {
    key: "",
    name: "",
    of: Of::Us,
    needs: &[],
    store: None,
    site: |_| ours("SessionClusterTable 64M"),
    shared: true,
    handler: false,
};
const OTHERS: Row = Row { of: Of::Others, ..OURS };
const PYTHON: Row = Row { needs: &[Need::Module("python")], handler: true, ..OTHERS };

use Need::{Driver, Program};

/// All of them, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    Row { key: "table", name: "table in memory", shared: false, ..OURS },
    Row {
        key: "table-file",
        name: "table in a file",
        site: |scene| ours(&format!("SessionClusterTable 64M {}", scene.path("table"))),
        shared: false,
        ..OURS
    },
    Row {
        key: "redis",
        name: "redis",
        needs: &[Program("redis-server")],
        store: Some(stores::redis),
        site: |scene| ours(&format!("SessionClusterStore {}", scene.address())),
        ..OURS
    },
    Row {
        key: "file",
        name: "file:/DIR",
        site: |scene| ours(&format!("SessionClusterStore file:{}", scene.own("sessions"))),
        ..OURS
    },
    Row {
        key: "dbd-sqlite",
        name: "dbd, SQLite",
        needs: &[Driver("sqlite3"), Program("sqlite3")],
        store: Some(stores::sqlite),
        site: |scene| dbd(scene),
        ..OURS
    },
    Row {
        key: "dbd-mariadb",
        name: "dbd, MariaDB",
        needs: &[Driver("mysql"), Program("mariadbd")],
        store: Some(stores::mariadb),
        site: |scene| dbd(scene),
        ..OURS
    },
    Row {
        key: "dbd-postgresql",
        name: "dbd, PostgreSQL",
        needs: &[Driver("pgsql"), Program("psql")],
        store: Some(stores::postgresql),
        site: |scene| dbd(scene),
        ..OURS
    },
    Row {
        key: "socache-memcache",
        name: "socache:memcache",
        needs: &[Program("memcached")],
        store: Some(stores::memcached),
        site: |scene| socache("memcache", &scene.host()),
        ..OURS
    },
    Row {
        key: "socache-redis",
        name: "socache:redis",
        needs: &[Program("redis-server")],
        store: Some(stores::redis),
        site: |scene| socache("redis", &scene.host()),
        ..OURS
    },
    Row {
        key: "socache-dbm",
        name: "socache:dbm",
        site: |scene| socache("dbm", &format!("{}/sessions", scene.own("cache"))),
        shared: false,
        ..OURS
    },
    Row {
        key: "socache-shmcb",
        name: "socache:shmcb",
        site: |scene| socache("shmcb", &format!("{}/sessions(8388608)", scene.own("cache"))),
        shared: false,
        ..OURS
    },
    Row {
        key: "cookie",
        name: "mod_session_cookie, plain",
        site: |_| form(&["session_cookie"], "SessionCookieName session path=/"),
        ..OTHERS
    },
    Row {
        key: "crypto",
        name: "mod_session_cookie + crypto",
        site: |_| {
            let lines = "SessionCookieName session path=/\nSessionCryptoPassphrase sesame-and-lilies";
            form(&["session_cookie", "session_crypto"], lines)
        },
        ..OTHERS
    },
    Row {
        key: "session-dbd-sqlite",
        name: "mod_session_dbd, SQLite",
        needs: &[Driver("sqlite3"), Program("sqlite3")],
        store: Some(stores::sqlite),
        site: |scene| form_dbd(scene),
        ..OTHERS
    },
    Row {
        key: "session-dbd-mariadb",
        name: "mod_session_dbd, MariaDB",
        needs: &[Driver("mysql"), Program("mariadbd")],
        store: Some(stores::mariadb),
        site: |scene| form_dbd(scene),
        ..OTHERS
    },
    Row {
        key: "session-dbd-postgresql",
        name: "mod_session_dbd, PostgreSQL",
        needs: &[Driver("pgsql"), Program("psql")],
        store: Some(stores::postgresql),
        site: |scene| form_dbd(scene),
        ..OTHERS
    },
    Row {
        key: "python-memory",
        name: "mod_python MemorySession",
        site: |scene| python(scene, Session::Memory),
        shared: false,
        ..PYTHON
    },
    Row {
        key: "python-dbm",
        name: "mod_python DbmSession, load",
        site: |scene| python(scene, Session::Dbm { save: false }),
        ..PYTHON
    },
    Row {
        key: "python-dbm-save",
        name: "mod_python DbmSession, load + save",
        site: |scene| python(scene, Session::Dbm { save: true }),
        ..PYTHON
    },
    Row {
        key: "python-file",
        name: "mod_python FileSession, load",
        site: |scene| python(scene, Session::File { save: false }),
        ..PYTHON
    },
    Row {
        key: "python-file-save",
        name: "mod_python FileSession, load + save",
        site: |scene| python(scene, Session::File { save: true }),
        ..PYTHON
    },
];

fn socache(provider: &str, arguments: &str) -> Site {
    let lines = format!("SessionClusterStore socache:{provider}:{arguments}");
    with(&[&format!("socache_{provider}")], &lines)
}

/// Those that `BENCH_ROWS` chooses: by their keys, or by how their keys begin (`dbd`, `python`). The error is a word
/// that chooses none.
pub(crate) fn chosen(words: Option<&str>) -> Result<Vec<&'static Row>, String> {
    let Some(words) = words else { return Ok(ROWS.iter().collect()) };
    let words: Vec<&str> = words.split([',', ' ']).filter(|word| !word.is_empty()).collect();
    let means = |word: &str, row: &Row| {
        let exact = ROWS.iter().any(|row| row.key == word);
        row.key == word || !exact && row.key.strip_prefix(word).is_some_and(|rest| rest.starts_with('-'))
    };
    if let Some(word) = words.iter().find(|word| !ROWS.iter().any(|row| means(word, row))) {
        let keys: Vec<&str> = ROWS.iter().map(|row| row.key).collect();
        return Err(format!("there is no row '{word}'; there are {}", keys.join(", ")));
    }
    Ok(ROWS.iter().filter(|row| words.iter().any(|word| means(word, row))).collect())
}
