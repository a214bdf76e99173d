//! Another server takes over: where sentinels or a cluster name one, it is found, and what was acknowledged is there.

use super::super::redis::{backend, hosts};
use super::super::store::{key, load, metadata, node, pulse, record, soon, tombstone};
use super::{RECOVERY, SLACK, TIME, assert_unavailable, fill_pool, in_time, told, until_ok};
use data_encoding::HEXLOWER;
use harness::eventually;
use harness::redis::{Cluster, MASTER_NAME, Redis, Sentinels};
use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::store::key::Key;
use mod_session_cluster::store::l2::redis::RedisBackend;
use mod_session_cluster::store::l2::{Backend, Log, Position, Stored};
use mod_session_cluster::store::tombstone::Reason;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// By when another server must have taken over.
const TAKEOVER: Duration = Duration::from_secs(30);

fn by_sentinels(servers: &Sentinels, wait: &str) -> RedisBackend {
    let master = format!("sentinel={MASTER_NAME}");
    backend(&[&hosts(&servers.sentinel_ports()), &master, wait])
}

/// Creates and ends sessions until the fault is over. Gives back what was acknowledged, and how often it was not.
fn write_through(client: &RedisBackend, now: Timestamp, is_over: &AtomicBool) -> (Vec<Key>, Vec<Key>, usize) {
    let (mut created, mut ended, mut refused) = (Vec::new(), Vec::new(), 0);
    for turn in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let key = key();
        match client.create(&record(key, now, b"payload"), in_time()) {
            Ok(true) if turn % 2 == 0 => created.push(key),
            Ok(true) => match client.end(&key, &tombstone(Reason::Logout, now), in_time()) {
                Ok(_) => ended.push(key),
                // Whether it took effect is not known.
                Err(_) => refused += 1,
            },
            Ok(false) => panic!("a new key was there"),
            Err(_) => refused += 1,
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    (created, ended, refused)
}

#[track_caller]
fn assert_kept(client: &RedisBackend, created: &[Key], ended: &[Key]) {
    assert!(created.len() > 5 && ended.len() > 5, "{} and {}", created.len(), ended.len());
    let lost = created.iter().filter(|key| !matches!(load(client, key).0, Stored::Record(_))).count();
    let back = ended.iter().filter(|key| !matches!(load(client, key).0, Stored::Tombstone(_))).count();
    assert_eq!((lost, back), (0, 0), "of {} and {}", created.len(), ended.len());
}

#[test]
fn calls_go_to_the_new_master_soon_after_the_old_one_was_killed() {
    let servers = Sentinels::start();
    let client = by_sentinels(&servers, "wait=2");
    let now = pulse(&client).now;
    let new = record(key(), now, b"payload");
    assert_eq!(client.create(&new, soon()), Ok(true));
    let old = servers.master();
    let reader = by_sentinels(&servers, "wait=0");
    load(&reader, &new.key);
    servers.node(old).stop_hard();
    let load = |within| reader.load(&new.key, &mut Vec::new(), within);
    let (stored, read) = until_ok("the new master", TAKEOVER, load);
    assert_eq!(stored, Stored::Record(metadata(&new)));
    let mark = tombstone(Reason::Logout, now);
    let (_, written) = until_ok("writing", TAKEOVER, |within| reader.end(&new.key, &mark, within));
    let (_, heard) = until_ok("the log", TAKEOVER, |within| {
        reader.log(within).and_then(|mut log| log.pulse(&node(), within))
    });
    println!("sentinels, killed: read after {read:?}, then written after {written:?}, log after {heard:?}");
    // The sentinel that is asked here may hear of it later than the one that the client asked.
    eventually("another master", TAKEOVER, || (servers.master() != old).then_some(()));
    assert_eq!(
        super::super::store::load(&by_sentinels(&servers, "wait=0"), &new.key).0,
        Stored::Tombstone(mark)
    );
}

#[test]
fn a_fail_over_on_purpose_loses_nothing_that_all_replicas_confirmed() {
    let servers = Sentinels::start();
    let client = by_sentinels(&servers, "wait=2");
    let now = pulse(&client).now;
    let old = servers.master();
    let is_over = AtomicBool::new(false);
    let (created, ended, refused) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_through(&client, now, &is_over));
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(servers.sentinels()[0].cli(&["SENTINEL", "FAILOVER", MASTER_NAME]), "OK");
        eventually("another master", TAKEOVER, || (servers.master() != old).then_some(()));
        eventually("the old one to be a replica", TAKEOVER, || {
            (servers.node(old).info("replication", "role")? == "slave").then_some(())
        });
        std::thread::sleep(Duration::from_millis(300));
        is_over.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    println!(
        "sentinels, on purpose: {} created, {} ended, {refused} not confirmed",
        created.len(),
        ended.len()
    );
    let reader = by_sentinels(&servers, "wait=0");
    until_ok("the new master", TAKEOVER, |within| reader.load(&key(), &mut Vec::new(), within));
    assert_kept(&reader, &created, &ended);
}

/// A master that is stopped while another one takes its place, and then runs on: until a sentinel tells it otherwise,
/// which takes seconds, it takes itself for the master.
struct Revenant {
    servers: Sentinels,
    key: Key,
    now: Timestamp,
    /// Opened while it was the master.
    log: Box<dyn Log>,
}

impl Revenant {
    /// `client` has connections to it, and calls `meanwhile` while it is stopped.
    fn rise(words: &str, meanwhile: fn(&RedisBackend)) -> (Self, RedisBackend) {
        let servers = Sentinels::start();
        let client = by_sentinels(&servers, words);
        let (key, now) = (key(), pulse(&client).now);
        assert_eq!(by_sentinels(&servers, "wait=2").create(&record(key, now, b"payload"), soon()), Ok(true));
        fill_pool(&client);
        let log = client.log(soon()).unwrap();
        let old = servers.master();
        servers.node(old).freeze();
        meanwhile(&client);
        eventually("another master", TAKEOVER, || {
            let new = servers.master();
            let knows_it = || servers.node(new).info("replication", "role").as_deref() == Some("master");
            (new != old && knows_it()).then_some(())
        });
        servers.node(old).thaw();
        (Revenant { servers, key, now, log }, client)
    }

    /// Ends the session once that is acknowledged, and asserts that the new master knows.
    #[track_caller]
    fn assert_what_is_acknowledged_holds(&self, client: &RedisBackend) {
        let mark = tombstone(Reason::Logout, self.now);
        let end = |within| client.end(&self.key, &mark, within);
        let (_, took) = until_ok("the new master", TAKEOVER, end);
        println!("acknowledged after {took:?}");
        let stranger = by_sentinels(&self.servers, "wait=0");
        assert_eq!(load(&stranger, &self.key).0, Stored::Tombstone(mark));
        assert_eq!(load(client, &self.key).0, Stored::Tombstone(mark));
    }
}

#[test]
fn a_master_that_did_not_answer_is_not_believed_after_it_was_replaced() {
    let (revenant, client) = Revenant::rise("wait=0", |client| {
        let load = |within| told(client.load(&key(), &mut Vec::new(), within));
        assert_unavailable("load", load, TIME + SLACK);
    });
    revenant.assert_what_is_acknowledged_holds(&client);
}

#[test]
fn with_confirmation_by_all_a_master_that_was_replaced_acknowledges_nothing_to_who_did_not_notice() {
    // One would not do: the other replica may still follow the old master, and confirm what it then forgets.
    let (revenant, client) = Revenant::rise("wait=2", |_| {});
    revenant.assert_what_is_acknowledged_holds(&client);
}

#[test]
fn with_confirmation_by_all_a_master_that_was_replaced_gives_no_pulse() {
    let (mut revenant, _client) = Revenant::rise("wait=2", |_| {});
    // Else a node would go on trusting its table while the others write to another log.
    let pulse = revenant.log.pulse(&node(), in_time());
    assert!(pulse.is_err(), "{pulse:?}");
}

#[test]
fn a_master_that_stops_answering_is_replaced_as_soon_as_a_killed_one() {
    let servers = Sentinels::start();
    let client = by_sentinels(&servers, "wait=0");
    fill_pool(&client);
    let old = servers.master();
    servers.node(old).freeze();
    let start = Instant::now();
    std::thread::scope(|scope| {
        let elected = scope.spawn(|| {
            eventually("another master", TAKEOVER, || (servers.master() != old).then_some(()));
            start.elapsed()
        });
        let load = |within| client.load(&key(), &mut Vec::new(), within);
        let (_, took) = until_ok("the new master", TAKEOVER, load);
        let elected = elected.join().unwrap();
        println!("stopped: another was elected after {elected:?} and used after {took:?}");
        assert!(took < elected + RECOVERY, "{took:?}, {elected:?}");
    });
}

fn in_cluster(servers: &Cluster) -> RedisBackend {
    backend(&[&hosts(&servers.ports()), "cluster=on"])
}

fn name_of(key: &Key) -> String {
    format!("sc:s:{}", HEXLOWER.encode(key.as_bytes()))
}

#[test]
fn in_a_cluster_the_replica_of_a_killed_master_is_found() {
    let servers = Cluster::start();
    let client = in_cluster(&servers);
    let now = pulse(&client).now;
    let log_master = servers.master_of("{sc}:log");
    // A key of another master than the log's, so that each can be seen to fail alone.
    let new = std::iter::repeat_with(|| record(key(), now, b"payload"))
        .find(|new| servers.master_of(&name_of(&new.key)) != log_master)
        .unwrap();
    client.create(&new, soon()).unwrap();
    let killed = servers.master_of(&name_of(&new.key));
    eventually("the replicas to have it", TAKEOVER, || {
        let slaves = servers.node(killed).info("replication", "slave0")?;
        let offset = servers.node(killed).info("replication", "master_repl_offset")?;
        slaves.contains(&format!("offset={offset}")).then_some(())
    });
    servers.node(killed).stop_hard();
    let load = |within| client.load(&new.key, &mut Vec::new(), within);
    let (stored, read) = until_ok("the replica", TAKEOVER, load);
    assert_eq!(stored, Stored::Record(metadata(&new)));
    let mark = tombstone(Reason::Logout, now);
    let (_, written) = until_ok("writing", TAKEOVER, |within| client.end(&new.key, &mark, within));
    println!("cluster, killed: read after {read:?}, then written after {written:?}");

    servers.node(killed).restart();
    servers.node(log_master).stop_hard();
    let mark_all = |within| client.mark(&key(), None, Duration::from_secs(60), within);
    let (_, marked) = until_ok("marking", TAKEOVER, mark_all);
    let (_, heard) = until_ok("the log", TAKEOVER, |within| {
        client.log(within).and_then(|mut log| log.pulse(&node(), within))
    });
    println!("cluster, log's master killed: marked after {marked:?}, log after {heard:?}");
}

/// A slot on its way from one master to another.
struct Move<'c> {
    slot: String,
    from: &'c Redis,
    to: &'c Redis,
}

impl<'c> Move<'c> {
    /// Begins to move the slot of a key to any other master.
    fn begin(servers: &'c Cluster, name: &str) -> Self {
        let port = servers.master_of(name);
        let from = servers.node(port);
        let slot = from.cli(&["CLUSTER", "KEYSLOT", name]);
        let is_other = |other: &&Redis| {
            other.port() != port && other.info("replication", "role").as_deref() == Some("master")
        };
        let to = servers.nodes().iter().find(is_other).unwrap();
        let ids = [from, to].map(|server| server.cli(&["CLUSTER", "MYID"]));
        assert_eq!(to.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[0]]), "OK");
        assert_eq!(from.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[1]]), "OK");
        Move { slot, from, to }
    }

    fn take_along(&self, name: &str) {
        let port = self.to.port().to_string();
        assert_eq!(self.from.cli(&["MIGRATE", "127.0.0.1", &port, name, "0", "5000"]), "OK");
    }

    fn end(self) {
        let id = self.to.cli(&["CLUSTER", "MYID"]);
        for server in [self.to, self.from] {
            assert_eq!(server.cli(&["CLUSTER", "SETSLOT", &self.slot, "NODE", &id]), "OK");
        }
    }
}

#[test]
fn in_a_cluster_a_slot_that_moves_is_followed_while_it_does_and_afterwards() {
    let servers = Cluster::start();
    let client = in_cluster(&servers);
    let now = pulse(&client).now;
    let (moved, still) = (record(key(), now, b"moved"), record(key(), now, b"still"));
    for new in [&moved, &still] {
        client.create(new, soon()).unwrap();
    }
    let slot = Move::begin(&servers, &name_of(&moved.key));
    assert_eq!(load(&client, &moved.key).1, b"moved", "not moved yet");
    slot.take_along(&name_of(&moved.key));
    // From here on the old server says ASK.
    assert_eq!(load(&client, &moved.key), (Stored::Record(metadata(&moved)), b"moved".into()));
    let seen = now.after(Duration::from_secs(9));
    client.touch(&[(still.key, seen), (moved.key, seen)], soon()).unwrap();
    let deadline = now.after(Duration::from_secs(1000));
    client.retire(&moved.key, deadline, Reason::Superseded, soon()).unwrap();
    let mut expected = metadata(&moved);
    (expected.last_seen, expected.deadline, expected.ends_as) = (seen, deadline, Reason::Superseded);
    assert_eq!(load(&client, &moved.key), (Stored::Record(expected), b"moved".into()));
    slot.end();
    // And from here on MOVED, also to a client that comes to know of it only now.
    for client in [client, in_cluster(&servers)] {
        assert_eq!(load(&client, &moved.key).0, Stored::Record(expected));
        client.touch(&[(moved.key, seen)], soon()).unwrap();
    }
    let client = in_cluster(&servers);
    let mark = tombstone(Reason::Logout, now);
    assert_eq!(client.end(&moved.key, &mark, soon()), Ok(Stored::Record(expected)));
    assert_eq!(load(&client, &moved.key).0, Stored::Tombstone(mark));
}

#[test]
fn in_a_cluster_the_log_is_followed_to_another_master() {
    let servers = Cluster::start();
    let client = in_cluster(&servers);
    let before = pulse(&client);
    let mark = tombstone(Reason::Logout, before.now);
    client.end(&key(), &mark, soon()).unwrap();
    let slot = Move::begin(&servers, "{sc}:log");
    for name in ["{sc}:log", "{sc}:meta", "{sc}:nodes"] {
        slot.take_along(name);
    }
    slot.end();
    // Nothing but the log is asked for, as on a node where nobody is just now.
    let (mut log, took) = until_ok("the log", RECOVERY, |within| {
        let mut log = client.log(within)?;
        log.pulse(&node(), within).map(|_| log)
    });
    println!("the log was found after {took:?}");
    assert_eq!(log.read(Position::default(), TIME).unwrap().len(), 1);
}

#[test]
fn in_a_cluster_a_fail_over_on_purpose_is_followed() {
    let servers = Cluster::start();
    let client = in_cluster(&servers);
    let now = pulse(&client).now;
    let new = record(key(), now, b"payload");
    client.create(&new, soon()).unwrap();
    fill_pool(&client);
    let old = servers.master_of("{sc}:log");
    let id = servers.node(old).cli(&["CLUSTER", "MYID"]);
    let replica = servers.nodes().iter().find(|server| {
        let known = server.cli(&["CLUSTER", "NODES"]);
        known.lines().any(|line| line.contains("myself,slave") && line.contains(&id))
    });
    assert_eq!(replica.unwrap().cli(&["CLUSTER", "FAILOVER"]), "OK");
    eventually("the replica to take over", TAKEOVER, || {
        (servers.node(old).info("replication", "role")? == "slave").then_some(())
    });
    // Nothing but the log is asked for, as on a node where nobody is just now.
    let (_, heard) = until_ok("the log", RECOVERY, |within| {
        client.log(within).and_then(|mut log| log.pulse(&node(), within))
    });
    let mark = tombstone(Reason::Logout, now);
    let (_, ended) = until_ok("writing", RECOVERY, |within| client.end(&new.key, &mark, within));
    println!("cluster, on purpose: log after {heard:?}, written after {ended:?}");
    assert_eq!(load(&client, &new.key).0, Stored::Tombstone(mark));
}
