//! Databases fail: nothing that was confirmed is lost, nobody waits for longer than they said, nothing that is not
//! known is taken for an absent session, and all is well again when the fault is over.

use super::dbd::probe;
use super::probe::{Probe, ViaHttpd};
use super::store::{events, key, load, log, metadata, node, pulse, record, soon, tombstone};
use harness::databases::{Database, MariaDb, Postgres, Server, Sqlite};
use harness::eventually;
use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::store::l2::{Backend, Event, Log, Position, Stored, Unavailable};
use mod_session_cluster::store::succession::Successor;
use mod_session_cluster::store::tombstone::Reason;
use std::collections::HashSet;
use std::fmt::Debug;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What an operation is given, and what it may take longer, through the probe and on a busy machine.
const TIME: Duration = Duration::from_millis(300);
const SLACK: Duration = Duration::from_millis(400);
/// By when all is well: mod_dbd and the circuit breaker let one after the other try.
const RECOVERY: Duration = Duration::from_secs(15);
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// What mod_dbd says when a database is away: no connection, no pool of them (at the start of a child), one that broke;
/// or that there is no database.
const SIGNS: [&str; 7] = ["AH00629", "AH00632", "AH00633", "AH00636", "AH00639", "AH02654", "AH02655"];

fn allow_outages(probe: &Probe) {
    SIGNS.iter().for_each(|sign| probe.httpd().log.allow(sign));
}

type Operation = (&'static str, fn(&dyn Backend, Instant) -> Result<String, Unavailable>);

fn told<T: Debug>(result: Result<T, Unavailable>) -> Result<String, Unavailable> {
    result.map(|answer| format!("{answer:?}"))
}

const WRITES: [Operation; 6] = [
    ("create", |client, within| told(client.create(&record(key(), NOW, b"payload"), within))),
    ("retire", |client, within| told(client.retire(&key(), NOW, Reason::Superseded, within))),
    ("supersede", |client, within| told(client.supersede(&key(), Successor::of(&key()), NOW, within))),
    ("end", |client, within| told(client.end(&key(), &tombstone(Reason::Logout, NOW), within))),
    ("touch", |client, within| told(client.touch(&[(key(), NOW), (key(), NOW)], within))),
    ("mark", |client, within| told(client.mark(&key(), None, Duration::from_secs(60), within))),
];

const READS: [Operation; 2] = [
    ("load", |client, within| told(client.load(&key(), &mut Vec::new(), within))),
    ("cutoffs", |client, within| told(client.cutoffs(&[key()], within))),
];

/// Asserts that they take no longer than they may, and cannot tell.
#[track_caller]
fn assert_unavailable(client: &ViaHttpd, operations: &[Operation]) -> Vec<String> {
    let mut said = Vec::new();
    for (name, operation) in operations {
        let start = Instant::now();
        let outcome = operation(client, start + TIME);
        let took = start.elapsed();
        match outcome {
            Err(Unavailable(why)) => said.push(why),
            Ok(answer) => panic!("{name}: {answer}"),
        }
        assert!(took < TIME + SLACK, "{name} took {took:?}");
    }
    said
}

#[track_caller]
fn assert_silent(log: &mut dyn Log) {
    let start = Instant::now();
    assert!(log.read(Position::default(), TIME).is_err());
    assert!(log.pulse(&node(), Instant::now() + TIME).is_err());
    let took = start.elapsed();
    assert!(took < 2 * (TIME + SLACK), "{took:?}");
}

#[track_caller]
fn until_ok<T>(what: &str, mut ask: impl FnMut() -> Result<T, Unavailable>) -> T {
    let start = Instant::now();
    loop {
        let why = match ask() {
            Ok(answer) => return answer,
            Err(Unavailable(why)) => why,
        };
        assert!(start.elapsed() < RECOVERY, "{what}: {why}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn works(client: &ViaHttpd) {
    let key = key();
    let now = until_ok("a pulse", || client.log(soon())?.pulse(&node(), soon())).now;
    let new = record(key, now, b"payload");
    assert!(until_ok("a create", || client.create(&new, soon())));
    assert_eq!(load(client, &key), (Stored::Record(metadata(&new)), b"payload".into()));
    let mark = tombstone(Reason::Logout, now);
    until_ok("an end", || client.end(&key, &mark, soon()));
    assert_eq!(load(client, &key).0, Stored::Tombstone(mark));
}

/// Killed again and again while four threads write, and started with its data.
fn keeps_what_it_confirmed(server: &impl Server) {
    server.furnish("sc");
    let probe = probe(server);
    allow_outages(&probe);
    let client = Arc::new(probe.client(""));
    let before = pulse(&*client);
    let over = AtomicBool::new(false);
    let (mut created, mut ended) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let (client, over) = (&client, &over);
                scope.spawn(move || {
                    let (mut created, mut ended) = (Vec::new(), Vec::new());
                    while !over.load(Ordering::Relaxed) {
                        let key = key();
                        let within = || Instant::now() + TIME;
                        if client.create(&record(key, before.now, b"payload"), within()) == Ok(true) {
                            created.push(key);
                            let mark = tombstone(Reason::Logout, before.now);
                            if created.len() % 2 == 0 && client.end(&key, &mark, within()).is_ok() {
                                ended.push(key);
                            }
                        }
                    }
                    (created, ended)
                })
            })
            .collect();
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(700));
            server.restart();
            // The breaker and mod_dbd's pool come round.
            until_ok("a load", || client.load(&key(), &mut Vec::new(), Instant::now() + TIME));
        }
        over.store(true, Ordering::Relaxed);
        for writer in writers {
            let (its_created, its_ended) = writer.join().unwrap();
            created.extend(its_created);
            ended.extend(its_ended);
        }
    });
    assert!(created.len() > 50 && ended.len() > 20, "{} {}", created.len(), ended.len());
    let after = until_ok("a pulse", || client.log(soon())?.pulse(&node(), soon()));
    assert_ne!(after.identity, before.identity, "it may have lost something");
    let ended: HashSet<_> = ended.into_iter().collect();
    for key in &created {
        match load(&*client, key).0 {
            Stored::Tombstone(_) => {}
            Stored::Record(_) => assert!(!ended.contains(key), "an end was lost"),
            Stored::Nothing => panic!("a record was lost"),
        }
    }
    // The log has each end once, and no position is left out.
    let mut log = log(&*client);
    let all = super::store::read_all(&mut *log, Position::default());
    assert!(all.iter().zip(1..).all(|((position, _), expected)| position.major == expected));
    let told: Vec<_> = all
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Ended { key, .. } => Some(*key),
            _ => None,
        })
        .collect();
    let once: HashSet<_> = told.iter().copied().collect();
    assert_eq!(once.len(), told.len());
    assert!(ended.is_subset(&once));
    works(&client);
}

/// Stopped from running on: connections stay open, and nothing answers.
fn is_waited_for_no_longer_than_said(server: &impl Server) {
    server.furnish("sc");
    let probe = probe(server);
    allow_outages(&probe);
    let client = probe.client("");
    works(&client);
    let mut log = log(&client);
    server.freeze();
    assert_unavailable(&client, &WRITES);
    assert_unavailable(&client, &READS);
    assert_silent(&mut *log);
    server.thaw();
    works(&client);
    let identity = pulse(&client).identity;
    // It was not restarted, so that nothing can be lost.
    assert_eq!(pulse(&probe.client("")).identity, identity);
}

/// Somebody else has begun to write and does not go on.
fn waits_for_no_other_writer(server: &impl Server) {
    server.furnish("sc");
    let probe = probe(server);
    let client = probe.client("");
    works(&client);
    let locked = server.lock();
    for write in ["retire", "end", "mark"] {
        let operation = WRITES.iter().find(|(name, _)| *name == write).unwrap();
        until_ok("a load", || client.load(&key(), &mut Vec::new(), soon()));
        assert_unavailable(&client, std::slice::from_ref(operation));
    }
    drop(locked);
    works(&client);
}

/// A server of a cluster froze in the middle of what it wrote: the others go on after a while.
fn throws_out_who_stands_still(server: &impl Server) {
    server.furnish("sc");
    let (frozen, other) = (probe(server), probe(server));
    // One that was frozen while it connected finds that it took too long.
    frozen.httpd().log.allow("AH00639");
    let client = other.client("");
    works(&client);
    let now = pulse(&client).now;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let client = frozen.client("");
                while !over.load(Ordering::Relaxed) {
                    // What is asked of a server that is frozen is not answered.
                    let _ = client.end(&key(), &tombstone(Reason::Logout, now), soon());
                }
            });
        }
        // Some of the times it has the lock. Whatever comes of it, nobody stays frozen.
        let mut went_on = true;
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(137));
            let children = frozen.httpd().children();
            children.iter().for_each(|pid| signal("-STOP", *pid));
            let end = || client.end(&key(), &tombstone(Reason::Logout, now), Instant::now() + TIME);
            let start = Instant::now();
            let mut ended = end();
            while ended.is_err() && start.elapsed() < RECOVERY {
                std::thread::sleep(Duration::from_millis(20));
                ended = end();
            }
            went_on &= ended.is_ok();
            children.iter().for_each(|pid| signal("-CONT", *pid));
        }
        over.store(true, Ordering::Relaxed);
        assert!(went_on, "one that froze kept the others out");
    });
    works(&frozen.client(""));
}

fn signal(option: &str, pid: i64) {
    assert!(Command::new("kill").args([option, &pid.to_string()]).status().unwrap().success());
}

/// Away, also when httpd starts. mod_dbd says so in a line for each try, and the breaker lets few of them through.
fn is_away_and_comes_back(server: &impl Server) {
    server.furnish("sc");
    server.stop_hard();
    let probe = probe(server);
    allow_outages(&probe);
    let client = probe.client("");
    let before = lines(&probe);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        let why = assert_unavailable(&client, &READS[..1]);
        assert!(why[0].starts_with("database: "), "{why:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    let said = lines(&probe) - before;
    println!("{}: mod_dbd said {said} lines in 3 s of outage", server.driver());
    assert!(said < 60, "{said} lines in 3 s");
    server.restart();
    works(&client);
}

fn lines(probe: &Probe) -> usize {
    SIGNS.iter().map(|sign| probe.httpd().log.count(sign)).sum()
}

/// Nobody made the tables: that is said, with what to do, and is not taken for an absent session.
fn asks_for_its_tables(database: &impl Database) {
    let probe = probe(database);
    let client = probe.client("shop");
    for why in [assert_unavailable(&client, &READS), assert_unavailable(&client, &WRITES)].concat() {
        let file = format!("httpd-conf/sql/{}.sql", database.driver());
        let hint = why.contains(&file) && why.contains("prefix shop_");
        assert!(hint || why.contains("unavailable a moment ago"), "{why}");
    }
    assert!(client.log(soon()).is_err());
    database.furnish("shop");
    works(&client);
    // Nor is a table that was emptied by somebody.
    database.run("DELETE FROM shop_state").unwrap();
    let why = assert_unavailable(&client, &READS[..1]);
    assert!(why[0].contains("shop_state is empty"), "{why:?}");
    database.run("INSERT INTO shop_state VALUES (1, 2, 'x', 0, 0, 0)").unwrap();
    let why = until_odd(&client);
    assert!(why.contains("this version of the module"), "{why}");
}

/// The first complaint that is not the breaker's.
fn until_odd(client: &ViaHttpd) -> String {
    eventually("another complaint", RECOVERY, || {
        let why = client.load(&key(), &mut Vec::new(), Instant::now() + TIME).unwrap_err().0;
        (!why.contains("a moment ago")).then_some(why)
    })
}

/// Larger records than a table of httpd holds by default, and whatever bytes.
fn takes_large_records(database: &impl Database) {
    database.furnish("sc");
    let probe = probe(database);
    let client = probe.client("");
    let now = pulse(&client).now;
    for size in [48 << 10, 200 << 10, 768 << 10, 1 << 20] {
        let (key, sealed) = (key(), (0..size).map(|n| (n * 7 % 251) as u8).collect::<Vec<u8>>());
        let new = record(key, now, &sealed);
        assert_eq!(client.create(&new, soon()), Ok(true), "{size}");
        let (stored, back) = load(&client, &key);
        assert_eq!(stored, Stored::Record(metadata(&new)));
        assert!(back == sealed, "{size}: {} came back", back.len());
    }
}

/// Sessions whose time is over are removed, and no others.
fn removes_what_is_over(database: &impl Database) {
    database.furnish("sc");
    let probe = probe(database);
    let client = probe.client("");
    let now = pulse(&client).now;
    let (gone, told, here, marked) = (key(), key(), key(), key());
    for (key, ago) in [(gone, 61), (told, 59), (here, 0)] {
        let mut new = record(key, now, b"payload");
        new.deadline = now.before(Duration::from_secs(ago));
        client.create(&new, soon()).unwrap();
    }
    let mut mark = tombstone(Reason::Logout, now);
    mark.until = now.before(Duration::from_secs(1));
    client.end(&marked, &mark, soon()).unwrap();
    // More of them than one statement or step takes.
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) ";
    let columns = "CONCAT('x', i), 'T', 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, ''";
    let columns = if database.driver() == "sqlite3" {
        columns.replace("CONCAT('x', i)", "'x' || i")
    } else {
        columns.into()
    };
    let insert = match database.driver() {
        "mysql" => format!("INSERT INTO sc_session {rows} SELECT {columns} FROM n"),
        _ => format!("{rows} INSERT INTO sc_session SELECT {columns} FROM n"),
    };
    database.run(&insert).unwrap();
    log(&client).purge(Timestamp::default(), soon()).unwrap();
    assert_eq!(database.run("SELECT COUNT(*) FROM sc_session").unwrap(), "2");
    for (key, there) in [(gone, false), (told, true), (here, true), (marked, false)] {
        assert_eq!(load(&client, &key).0 != Stored::Nothing, there);
    }
}

/// What operations cost, the way through the probe included, and what a reader costs that waits.
fn print_costs(database: &impl Database, pids: &dyn Fn() -> Vec<u32>) {
    database.furnish("sc");
    let probe = probe(database);
    let client = probe.client("");
    let now = pulse(&client).now;
    let keys: Vec<_> = (0..400).map(|_| key()).collect();
    let mark = tombstone(Reason::Logout, now);
    let timed = |what: &str, run: &dyn Fn(usize)| {
        let one = |n| {
            let start = Instant::now();
            run(n);
            start.elapsed().as_micros()
        };
        let mut times: Vec<u128> = (0..keys.len()).map(one).collect();
        times.sort_unstable();
        println!("{} {what}: p50 {} us, p95 {} us", database.driver(), times[200], times[380]);
    };
    timed("nothing but the probe", &|_| assert!(client.has_log()));
    timed("create", &|n| {
        assert_eq!(client.create(&record(keys[n], now, &[7; 700]), soon()), Ok(true));
    });
    timed("load", &|n| assert_ne!(client.load(&keys[n], &mut Vec::new(), soon()), Ok(Stored::Nothing)));
    timed("touch of 100", &|n| {
        let n = n / 100 * 100;
        let seen: Vec<_> = keys[n..n + 100].iter().map(|key| (*key, now)).collect();
        client.touch(&seen, soon()).unwrap();
    });
    timed("end", &|n| assert_ne!(client.end(&keys[n], &mark, soon()), Ok(Stored::Nothing)));
    let mut log = log(&client);
    let last = log.pulse(&node(), soon()).unwrap().last;
    let children = || -> Vec<u32> {
        probe.httpd().children().into_iter().map(|pid| u32::try_from(pid).unwrap()).collect()
    };
    let (server, httpd) = (cpu(&pids()), cpu(&children()));
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        assert_eq!(log.read(last, Duration::from_millis(500)), Ok(Vec::new()));
    }
    let [server, httpd] =
        [(server, cpu(&pids())), (httpd, cpu(&children()))].map(|(from, to)| (to - from) * 10 / 5);
    println!(
        "{} a waiting reader: {server} ms/s of the server's, {httpd} ms/s of httpd's",
        database.driver()
    );
}

/// Ticks of 10 ms that these processes and their children have used.
fn cpu(pids: &[u32]) -> u64 {
    let of = |pid: u32| -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(") ").next().unwrap_or_default();
        after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    };
    pids.iter().copied().map(of).sum()
}

#[test]
#[ignore = "prints figures"]
fn costs() {
    print_costs(&Sqlite::start(), &Vec::new);
    let mariadb = MariaDb::start();
    print_costs(&mariadb, &|| mariadb.process().pids());
    let postgres = Postgres::start();
    print_costs(&postgres, &|| postgres.process().pids());
}

macro_rules! of_each {
    ($($name:ident: $($database:ident),+;)+) => {$(
        mod $name {
            use super::*;
            $(of_each!(@ $name $database);)+
        }
    )+};
    (@ $name:ident Sqlite) => { #[test] fn sqlite() { super::$name(&Sqlite::start()); } };
    (@ $name:ident MariaDb) => { #[test] fn mariadb() { super::$name(&MariaDb::start()); } };
    (@ $name:ident Postgres) => { #[test] fn postgres() { super::$name(&Postgres::start()); } };
}

of_each! {
    keeps_what_it_confirmed: MariaDb, Postgres;
    is_waited_for_no_longer_than_said: MariaDb, Postgres;
    is_away_and_comes_back: MariaDb, Postgres;
    waits_for_no_other_writer: MariaDb, Postgres;
    throws_out_who_stands_still: MariaDb, Postgres;
    asks_for_its_tables: Sqlite, MariaDb, Postgres;
    takes_large_records: Sqlite, MariaDb, Postgres;
    removes_what_is_over: Sqlite, MariaDb, Postgres;
}

/// Another process has SQLite's file for itself. Readers of the log and of records may go on.
#[test]
fn a_locked_sqlite_is_unavailable_to_writers() {
    let sqlite = Sqlite::start();
    sqlite.furnish("sc");
    let probe = probe(&sqlite);
    let client = probe.client("");
    works(&client);
    let locked = sqlite.lock();
    assert_unavailable(&client, &WRITES);
    drop(locked);
    works(&client);
}

/// Without the journal that lets readers go on, who reads is kept out as well, and is not told that there is nothing.
#[test]
fn a_locked_sqlite_without_wal_is_unavailable_to_readers() {
    let sqlite = Sqlite::start();
    sqlite.furnish("sc");
    sqlite.run("PRAGMA journal_mode = DELETE").unwrap();
    let probe = probe(&sqlite);
    let client = probe.client("");
    works(&client);
    let mut log = log(&client);
    let locked = sqlite.lock();
    assert_unavailable(&client, &READS);
    assert_unavailable(&client, &WRITES);
    assert_silent(&mut *log);
    drop(locked);
    works(&client);
}

/// No two processes are kept waiting for long by each other.
#[test]
fn two_processes_write_to_sqlite_at_once() {
    let sqlite = Sqlite::start();
    sqlite.furnish("sc");
    let probes = [probe(&sqlite), probe(&sqlite)];
    let now = pulse(&probes[0].client("")).now;
    std::thread::scope(|scope| {
        for probe in &probes {
            for _ in 0..4 {
                scope.spawn(move || {
                    let client = probe.client("");
                    for _ in 0..25 {
                        let key = key();
                        assert_eq!(client.create(&record(key, now, b"payload"), soon()), Ok(true));
                        client.end(&key, &tombstone(Reason::Logout, now), soon()).unwrap();
                    }
                });
            }
        }
    });
    let client = probes[0].client("");
    assert_eq!(events(&mut *log(&client), Position::default()).len(), 200);
}

/// Where root can mount one: a file system of 2 MiB that fills up.
#[test]
fn a_full_disk_is_unavailable_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount() else { return };
    let sqlite = Sqlite::within(disk.0.path());
    sqlite.furnish("sc");
    let probe = probe(&sqlite);
    let client = probe.client("");
    works(&client);
    let now = pulse(&client).now;
    let payload = vec![7; 60_000];
    let mut kept = Vec::new();
    let why = loop {
        let key = key();
        match client.create(&record(key, now, &payload), soon()) {
            Ok(created) => assert!(created),
            Err(Unavailable(why)) => break why,
        }
        kept.push(key);
        assert!(kept.len() < 100);
    };
    assert!(why.contains("full") || why.contains("disk"), "{why}");
    for key in &kept {
        let stored = until_ok("a load", || client.load(key, &mut Vec::new(), soon()));
        assert!(matches!(stored, Stored::Record(_)), "{stored:?}");
    }
    let options = format!("remount,size={}", 16 << 20);
    assert!(Command::new("mount").args(["-o", &options]).arg(disk.0.path()).status().unwrap().success());
    works(&client);
}

struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let root = tempfile::tempdir().unwrap();
        let mount = |path: &Path| {
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", "size=2097152,mode=755", "none"]).arg(path);
            mount.output().is_ok_and(|output| output.status.success())
        };
        mount(root.path()).then(|| SmallDisk(root))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // By then nothing in it is open any more, or it is detached all the same.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_server_without_mod_dbd_says_what_is_missing() {
    let said = Probe::refused(&["dbd"]);
    assert!(said.contains("needs mod_dbd"), "{said}");
}

#[test]
fn a_server_without_a_database_says_what_is_missing() {
    let probe = Probe::start(&["dbd"], |site| site.load(&["dbd"]));
    allow_outages(&probe);
    let why = assert_unavailable(&probe.client(""), &READS[..1]);
    assert!(why[0].contains("DBDriver"), "{why:?}");
}
