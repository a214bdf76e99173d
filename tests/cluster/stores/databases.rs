//! Databases that the nodes share, by mod_dbd.

use super::super::chaos::Torment;
use super::super::nodes::Nodes;
use super::{Kind, hold_to_the_laws_of_a_cluster};
use harness::databases::{Database, Locked, MariaDb, Postgres, Server, Sqlite};
use harness::{Mpm, Signal, eventually, on_each_mpm};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const CONF: &str = "LoadModule dbd_module modules/mod_dbd.so";

/// A server, its tables, and whether it is frozen.
pub(in super::super) struct Served<S>(S);

impl<S: Server> Served<S> {
    pub(in super::super) fn new(server: S) -> Self {
        server.furnish("sc");
        Served(server)
    }
}

impl<S: Server> Torment for Served<S> {
    fn ways(&self) -> usize {
        2
    }

    /// It does not answer, or dies and is started again.
    fn begin(&self, way: usize) {
        if way == 0 {
            return self.0.freeze();
        }
        self.0.stop_hard();
        std::thread::sleep(Duration::from_millis(300));
        self.0.restart();
    }

    fn end(&self) {
        self.0.thaw();
    }
}

impl<S: Server> Kind for Served<S> {
    /// That mod_dbd has no connection, and why.
    fn noise(&self) -> &'static [&'static str] {
        &["AH00629", "AH00632", "AH00633", "AH00636", "AH00639", "AH02655"]
    }

    fn words(&self) -> String {
        "dbd".into()
    }

    fn conf(&self) -> String {
        format!("{CONF}\n{}", self.0.conf())
    }
}

/// A file, and who keeps it locked.
pub(in super::super) struct File {
    sqlite: Sqlite,
    locked: Mutex<Option<Locked>>,
}

impl File {
    pub(in super::super) fn new() -> Self {
        let sqlite = Sqlite::start();
        sqlite.furnish("sc");
        File { sqlite, locked: Mutex::default() }
    }
}

impl Torment for File {
    fn ways(&self) -> usize {
        1
    }

    fn begin(&self, _: usize) {
        *self.locked.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.sqlite.lock());
    }

    fn end(&self) {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Kind for File {
    /// Who reads waits for nobody who writes.
    fn is_readable(&self) -> bool {
        true
    }

    fn words(&self) -> String {
        "dbd".into()
    }

    fn conf(&self) -> String {
        format!("{CONF}\n{}", self.sqlite.conf())
    }
}

/// Processes end while it hangs: in time, and without a crash (which the harness would see in the log).
fn httpd_ends_while_the_database_hangs(mpm: Mpm, kind: &impl Kind) {
    let mut nodes = Nodes::with(mpm, 1, &[&kind.words()], &kind.conf());
    let httpd = &mut nodes.httpds[0];
    for sign in kind.noise().iter().chain(&["SC040", "SC0206"]) {
        httpd.log.allow(sign);
    }
    let browser = httpd.browser_of("alice");
    for signal in [Signal::Graceful, Signal::Restart, Signal::Graceful] {
        kind.begin(0);
        for _ in 0..10 {
            let mut visitor = httpd.browser();
            visitor
                .post("/login", &[("httpd_username", "bob"), ("httpd_password", "wonderland")])
                .expect(503);
        }
        let start = Instant::now();
        let before = httpd.children();
        httpd.restart(signal);
        eventually("the processes from before to end", Duration::from_secs(15), || {
            let there = |pid: &i64| Path::new(&format!("/proc/{pid}")).exists();
            (!before.iter().any(there)).then_some(())
        });
        println!("{mpm:?}: {signal:?} took {:?}", start.elapsed());
        kind.end();
        eventually("a page", Duration::from_secs(15), || {
            (httpd.visit(&browser).get("/app/page.html").status == 200).then_some(())
        });
    }
    kind.begin(0);
    httpd
        .browser()
        .post("/login", &[("httpd_username", "bob"), ("httpd_password", "wonderland")])
        .expect(503);
    httpd.stop();
    kind.end();
}

mod mariadb {
    use super::*;
    hold_to_the_laws_of_a_cluster!(Served::new(MariaDb::start()));
    on_each_mpm!(httpd_ends_while_it_hangs);

    fn httpd_ends_while_it_hangs(mpm: Mpm) {
        httpd_ends_while_the_database_hangs(mpm, &Served::new(MariaDb::start()));
    }
}

mod postgres {
    use super::*;
    hold_to_the_laws_of_a_cluster!(Served::new(Postgres::start()));
    on_each_mpm!(httpd_ends_while_it_hangs);

    fn httpd_ends_while_it_hangs(mpm: Mpm) {
        httpd_ends_while_the_database_hangs(mpm, &Served::new(Postgres::start()));
    }
}

mod sqlite {
    use super::*;
    hold_to_the_laws_of_a_cluster!(File::new());
}
