//! Redis fails in each way that it can: nobody waits for longer than they said, nothing that is not known is taken for
//! an absent session or a write that was done, and all is well again soon after the fault is over.

mod takeover;

use super::redis::backend;
use super::store::{key, load, metadata, node, pulse, record, soon, tombstone};
use harness::eventually;
use harness::faults::Faults;
use harness::redis::Redis;
use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::store::l2::redis::RedisBackend;
use mod_session_cluster::store::l2::{Backend, Log, Position, Stored, Unavailable};
use mod_session_cluster::store::succession::Successor;
use mod_session_cluster::store::tombstone::Reason;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The default of `SessionClusterStoreTimeout`.
const TIME: Duration = Duration::from_millis(50);
/// What an operation may take longer on a busy machine.
const SLACK: Duration = Duration::from_millis(50);
/// By when all is well again after a short fault.
const RECOVERY: Duration = Duration::from_secs(2);
/// Any instant, where no server is there to tell it.
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn in_time() -> Instant {
    Instant::now() + TIME
}

type Outcome = Result<String, Unavailable>;
type Operation = (&'static str, fn(&dyn Backend, Instant) -> Outcome);
type LogOperation = (&'static str, fn(&mut dyn Log, Instant) -> Outcome);

fn told<T: Debug>(result: Result<T, Unavailable>) -> Outcome {
    result.map(|answer| format!("{answer:?}"))
}

/// Those that change something.
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

const LOG: [LogOperation; 5] = [
    ("pulse", |log, within| told(log.pulse(&node(), within))),
    ("read", |log, within| {
        let patience = within.saturating_duration_since(Instant::now());
        told(log.read(Position::default(), patience))
    }),
    ("marks", |log, within| told(log.marks(within))),
    ("nodes", |log, within| told(log.nodes(within))),
    ("purge", |log, within| told(log.purge(NOW, within))),
];

fn operations() -> impl Iterator<Item = Operation> {
    WRITES.into_iter().chain(READS)
}

/// Uses a connection, which the pool keeps.
fn warmed(url: &str) -> RedisBackend {
    let client = backend(&[url]);
    load(&client, &key());
    client
}

/// Asserts that it took no longer than it might, and could not tell.
#[track_caller]
fn assert_unavailable(what: &str, run: impl FnOnce(Instant) -> Outcome, allowed: Duration) {
    let start = Instant::now();
    let outcome = run(start + TIME);
    let took = start.elapsed();
    assert!(outcome.is_err(), "{what}: {outcome:?}");
    assert!(took < allowed, "{what} took {took:?}");
}

/// How long until that succeeds, asked again and again with the usual deadline.
#[track_caller]
fn until_ok<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut(Instant) -> Result<T, Unavailable>,
) -> (T, Duration) {
    let start = Instant::now();
    let answer = eventually(what, limit, || ask(in_time()).ok());
    (answer, start.elapsed())
}

/// Every operation with that server, with connections that were made `before` it failed and with new ones.
#[track_caller]
fn assert_nothing_is_told_while(url: &str, fail: impl FnOnce()) {
    let warm: Vec<_> = operations().map(|operation| (operation, warmed(url))).collect();
    let cold: Vec<_> = operations().map(|operation| (operation, backend(&[url]))).collect();
    let mut logs: Vec<_> = LOG.map(|operation| (operation, backend(&[url]).log(soon()).unwrap())).into();
    fail();
    for ((name, operation), client) in warm.iter().chain(&cold) {
        assert_unavailable(name, |within| operation(client, within), TIME + SLACK);
    }
    for ((name, operation), log) in &mut logs {
        // What reads with patience waits a little longer than the server was told to.
        assert_unavailable(
            name,
            |within| operation(&mut **log, within),
            TIME + Duration::from_millis(150) + SLACK,
        );
    }
    let client = backend(&[url]);
    let opened = |within| client.log(within).and_then(|mut log| told(log.pulse(&node(), within)));
    assert_unavailable("log", opened, TIME + SLACK);
}

#[test]
fn every_operation_ends_in_time_while_the_server_is_stopped() {
    let redis = Redis::start();
    assert_nothing_is_told_while(&redis.url(), || redis.freeze());
    redis.thaw();
}

#[test]
fn every_operation_ends_in_time_on_a_unix_socket_of_a_stopped_server() {
    let redis = Redis::start();
    let url = format!("unix:{}", redis.socket().display());
    assert_nothing_is_told_while(&url, || redis.freeze());
    redis.thaw();
}

#[test]
fn every_operation_ends_in_time_when_the_cable_is_pulled() {
    let redis = Redis::start();
    let fault = Faults::before(redis.port());
    assert_nothing_is_told_while(&format!("redis://127.0.0.1:{}", fault.port()), || fault.hold());
}

#[test]
fn a_lost_answer_is_no_answer() {
    let redis = Redis::start();
    let fault = Faults::before(redis.port());
    assert_nothing_is_told_while(&format!("redis://127.0.0.1:{}", fault.port()), || fault.lose_answers());
}

#[test]
fn a_server_that_closes_every_connection_is_unavailable() {
    let redis = Redis::start();
    let fault = Faults::before(redis.port());
    assert_nothing_is_told_while(&format!("redis://127.0.0.1:{}", fault.port()), || fault.cut());
}

#[test]
fn a_server_that_is_too_slow_is_unavailable_and_one_that_is_slow_is_waited_for() {
    let redis = Redis::start();
    let fault = Faults::before(redis.port());
    let url = format!("redis://127.0.0.1:{}", fault.port());
    assert_nothing_is_told_while(&url, || fault.delay(Duration::from_millis(400)));
    fault.pass();
    let client = warmed(&url);
    fault.delay(Duration::from_millis(5));
    assert_eq!(client.load(&key(), &mut Vec::new(), Instant::now() + TIME + SLACK), Ok(Stored::Nothing));
}

#[test]
fn calls_succeed_soon_after_each_fault_is_over() {
    let redis = Redis::start();
    let fault = Faults::before(redis.port());
    let client = warmed(&format!("redis://127.0.0.1:{}", fault.port()));
    let (key, now) = (key(), pulse(&client).now);
    let new = record(key, now, b"payload");
    client.create(&new, soon()).unwrap();
    type Fault = (&'static str, fn(&Faults));
    let faults: [Fault; 4] = [
        ("hold", Faults::hold),
        ("cut", Faults::cut),
        ("lost answers", Faults::lose_answers),
        ("delay", |fault| fault.delay(Duration::from_millis(300))),
    ];
    for (name, begin) in faults {
        begin(&fault);
        assert_unavailable(name, |within| told(client.load(&key, &mut Vec::new(), within)), TIME + SLACK);
        fault.pass();
        let (stored, took) = until_ok(name, RECOVERY, |within| client.load(&key, &mut Vec::new(), within));
        assert_eq!(stored, Stored::Record(metadata(&new)), "{name}");
        println!("after {name}: {took:?}");
    }
}

#[test]
fn a_late_answer_is_never_taken_for_that_to_another_question() {
    let redis = Redis::start();
    let fault = Faults::before(redis.port());
    let client = warmed(&format!("redis://127.0.0.1:{}", fault.port()));
    let now = pulse(&client).now;
    let (one, other, nobody) = (key(), key(), key());
    client.create(&record(one, now, b"one"), soon()).unwrap();
    client.create(&record(other, now, b"other"), soon()).unwrap();
    let mut sealed = Vec::new();
    for round in 0..6 {
        let is_slow = round % 2 == 0;
        if is_slow {
            fault.delay(Duration::from_millis(60));
        } else {
            redis.freeze();
        }
        assert!(client.load(&one, &mut sealed, in_time()).is_err());
        assert_eq!(sealed, b"", "nothing of it");
        if is_slow {
            // The answer comes meanwhile.
            std::thread::sleep(Duration::from_millis(100));
            fault.pass();
        } else {
            redis.thaw();
        }
        let (stored, _) = until_ok("the other", RECOVERY, |within| client.load(&other, &mut sealed, within));
        assert!(matches!(stored, Stored::Record(_)));
        assert_eq!(sealed, b"other");
        assert_eq!(load(&client, &nobody).0, Stored::Nothing);
        assert_eq!(load(&client, &one).1, b"one");
    }
}

#[test]
fn while_the_server_is_down_only_a_few_calls_wait_for_it() {
    let redis = Redis::start();
    let client = warmed(&redis.url());
    redis.freeze();
    assert_unavailable("load", |within| told(client.load(&key(), &mut Vec::new(), within)), TIME + SLACK);
    let start = Instant::now();
    let times = AtomicUsize::new(0);
    let slow = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while start.elapsed() < RECOVERY {
                    let asked = Instant::now();
                    assert!(client.load(&key(), &mut Vec::new(), in_time()).is_err());
                    times.fetch_add(1, Ordering::Relaxed);
                    if asked.elapsed() >= Duration::from_millis(5) {
                        slow.fetch_add(1, Ordering::Relaxed);
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        }
    });
    let (times, slow) = (times.into_inner(), slow.into_inner());
    println!("down: {slow} of {times} calls took 5 ms or more");
    // Pauses of 50, 100, 200, 400, 500, ... ms at the least are seven tries; a busy machine may add some.
    assert!(slow <= 12 && times > 20 * slow, "{slow} of {times}");
    redis.thaw();
    let (_, took) = until_ok("recovery", RECOVERY, |within| client.load(&key(), &mut Vec::new(), within));
    println!("recovery took {took:?}");
}

#[test]
fn a_server_that_refuses_connections_is_found_again_within_two_seconds() {
    let redis = Redis::start();
    let client = warmed(&redis.url());
    redis.stop_hard();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        assert_unavailable("load", |within| told(client.load(&key(), &mut Vec::new(), within)), TIME + SLACK);
    }
    redis.restart();
    let (_, took) = until_ok("recovery", RECOVERY, |within| client.load(&key(), &mut Vec::new(), within));
    println!("recovery took {took:?}");
}

/// Makes the pool keep eight connections.
fn fill_pool(client: &RedisBackend) {
    let barrier = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                barrier.wait();
                (0..20).for_each(|_| drop(load(client, &key())));
            });
        }
    });
}

#[track_caller]
fn assert_a_restart_costs_nobody_an_error(redis: &Redis, words: &[&str]) {
    let client = backend(words);
    for round in 0..3 {
        fill_pool(&client);
        assert!(redis.info("clients", "connected_clients").unwrap().parse::<usize>().unwrap() > 3);
        redis.restart();
        if round == 0 {
            for (name, operation) in operations() {
                let outcome = operation(&client, soon());
                assert!(outcome.is_ok(), "{name}: {outcome:?}");
            }
        } else {
            std::thread::scope(|scope| {
                for (name, operation) in operations() {
                    let client = &client;
                    scope.spawn(move || {
                        let outcome = operation(client, soon());
                        assert!(outcome.is_ok(), "{name}: {outcome:?}");
                    });
                }
            });
        }
    }
}

#[test]
fn connections_that_died_with_their_server_cost_nobody_an_error() {
    let redis = Redis::start();
    assert_a_restart_costs_nobody_an_error(&redis, &[&redis.url()]);
}

#[test]
fn connections_with_tls_that_died_with_their_server_cost_nobody_an_error() {
    let redis = Redis::builder().tls().start();
    assert_a_restart_costs_nobody_an_error(&redis, &[&redis.url(), &format!("ca={}", redis.ca().display())]);
}

#[test]
fn connections_that_the_server_closed_as_idle_cost_nobody_an_error() {
    let redis = Redis::start();
    let client = backend(&[&redis.url()]);
    for (name, operation) in operations() {
        fill_pool(&client);
        redis.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        let outcome = operation(&client, soon());
        assert!(outcome.is_ok(), "{name}: {outcome:?}");
    }
}

/// A server of which the first connections are answered by a function, and the others by a real one.
struct Odd {
    port: u16,
    stop: Arc<AtomicBool>,
}

impl Odd {
    /// `answer` is given each request's connection, of the first `count` ones, and the real server's.
    fn before(port: u16, count: usize, answer: fn(&mut TcpStream, &mut TcpStream) -> io::Result<()>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let odd = Odd { port: listener.local_addr().unwrap().port(), stop: Arc::default() };
        let stop = odd.stop.clone();
        std::thread::spawn(move || {
            for (number, client) in listener.incoming().enumerate() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(mut client), Ok(mut server)) =
                    (client, TcpStream::connect((Ipv4Addr::LOCALHOST, port)))
                else {
                    continue;
                };
                std::thread::spawn(move || {
                    if number < count {
                        // The client may close at any time: that is what it is tested for.
                        let _ = answer(&mut client, &mut server);
                        return;
                    }
                    let (mut requests, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                    std::thread::spawn(move || {
                        let _ = io::copy(&mut requests, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Both);
                    });
                    let _ = io::copy(&mut server, &mut client);
                    let _ = client.shutdown(std::net::Shutdown::Both);
                });
            }
        });
        odd
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// Answers each request with these bytes.
fn repeat(client: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    let mut request = [0; 16 * 1024];
    while client.read(&mut request)? > 0 {
        client.write_all(answer)?;
    }
    Ok(())
}

/// Passes a request on, and gives the answer to it.
fn answer_of(client: &mut TcpStream, server: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 16 * 1024];
    let length = client.read(&mut bytes)?;
    server.write_all(&bytes[..length])?;
    let length = server.read(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

type Failure = (&'static str, fn(&mut TcpStream, &mut TcpStream) -> io::Result<()>);

/// What goes wrong with the first connection.
const FAILURES: [Failure; 14] = [
    ("reset in mid-answer", |client, server| {
        let answer = answer_of(client, server)?;
        client.write_all(&answer[..answer.len() / 2])?;
        socket2::SockRef::from(&*client).set_linger(Some(Duration::ZERO))
    }),
    ("closed in mid-answer", |client, server| {
        let answer = answer_of(client, server)?;
        client.write_all(&answer[..answer.len() - 1])
    }),
    ("silent in mid-answer", |client, server| {
        let answer = answer_of(client, server)?;
        client.write_all(&answer[..answer.len() / 2])?;
        client.read(&mut [0]).map(drop)
    }),
    ("closed before the answer", |client, _| client.read(&mut [0; 1024]).map(drop)),
    ("byte by byte", |client, server| {
        for byte in answer_of(client, server)? {
            client.write_all(&[byte])?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }),
    ("loading", |client, _| repeat(client, b"-LOADING Redis is loading the dataset in memory\r\n")),
    ("master down", |client, _| repeat(client, b"-MASTERDOWN Link with MASTER is down\r\n")),
    ("cluster down", |client, _| repeat(client, b"-CLUSTERDOWN The cluster is down\r\n")),
    ("an error", |client, _| repeat(client, b"-ERR no\r\n")),
    ("a script that runs", |client, _| repeat(client, b"-BUSY Redis is busy running a script\r\n")),
    ("no memory", |client, _| repeat(client, b"-OOM command not allowed when used memory > 'maxmemory'\r\n")),
    ("no Redis", |client, _| repeat(client, b"HTTP/1.1 400 Bad Request\r\n\r\n")),
    ("an answer to something else", |client, _| repeat(client, b"+PONG\r\n")),
    ("of another version", |client, _| repeat(client, b"$3\r\n\x02R?\r\n")),
];

#[test]
fn a_connection_that_fails_in_mid_answer_tells_nothing_and_the_next_is_good() {
    let redis = Redis::start();
    let direct = backend(&[&redis.url()]);
    let (key, now) = (key(), pulse(&direct).now);
    let payload = [7; 200];
    let new = record(key, now, &payload);
    direct.create(&new, soon()).unwrap();
    for (name, fail) in FAILURES {
        let odd = Odd::before(redis.port(), 1, fail);
        let client = backend(&[&odd.url()]);
        let mut sealed = Vec::new();
        assert_unavailable(name, |within| told(client.load(&key, &mut sealed, within)), TIME + SLACK);
        drop(client);
        // Whatever the first was: a new client has a second connection.
        let client = backend(&[&odd.url()]);
        assert_eq!(load(&client, &key), (Stored::Record(metadata(&new)), payload.to_vec()), "{name}");
    }
}

#[test]
fn a_client_gets_over_each_failure_of_a_connection_by_itself() {
    let redis = Redis::start();
    for (name, fail) in FAILURES {
        // An error that the server chose to answer leaves the connection as it is: there it stays odd.
        if ["an error", "a script that runs", "no memory", "of another version"].contains(&name) {
            continue;
        }
        let odd = Odd::before(redis.port(), 1, fail);
        let client = backend(&[&odd.url()]);
        assert_unavailable(name, |within| told(client.cutoffs(&[key()], within)), TIME + SLACK);
        let ask = |within| client.load(&key(), &mut Vec::new(), within);
        let (stored, took) = until_ok(name, RECOVERY, ask);
        assert_eq!(stored, Stored::Nothing, "{name}");
        println!("after {name}: {took:?}");
    }
}

#[test]
fn whatever_a_server_answers_nothing_is_taken_for_done() {
    let redis = Redis::start();
    let mut taken = Vec::new();
    for (name, fail) in FAILURES {
        if name == "byte by byte" {
            continue; // In time, for short answers.
        }
        let odd = Odd::before(redis.port(), usize::MAX, fail);
        for (operation, run) in operations() {
            let client = backend(&[&odd.url()]);
            let start = Instant::now();
            let outcome = run(&client, in_time());
            assert!(start.elapsed() < TIME + SLACK, "{operation}: {name} took {:?}", start.elapsed());
            taken.extend(outcome.ok().map(|outcome| format!("{operation}: {name}: {outcome}")));
        }
        for (operation, run) in LOG {
            let outcome = backend(&[&odd.url()]).log(soon()).and_then(|mut log| run(&mut *log, in_time()));
            taken.extend(outcome.ok().map(|outcome| format!("{operation}: {name}: {outcome}")));
        }
    }
    assert!(taken.is_empty(), "{taken:#?}");
}

#[test]
fn what_a_replica_refuses_is_not_done() {
    let master = Redis::start();
    let replica = Redis::builder().replica_of(&master).start();
    let (writer, client) = (backend(&[&master.url(), "wait=1"]), backend(&[&replica.url()]));
    let (key, now) = (key(), pulse(&writer).now);
    let new = record(key, now, b"payload");
    assert_eq!(writer.create(&new, soon()), Ok(true));
    let seen = [(key, now.after(Duration::from_secs(9)))];
    let refused = [
        told(client.create(&record(super::store::key(), now, b""), soon())),
        told(client.retire(&key, now, Reason::Superseded, soon())),
        told(client.supersede(&key, Successor::of(&key), now, soon())),
        told(client.end(&key, &tombstone(Reason::Logout, now), soon())),
        told(client.end(&super::store::key(), &tombstone(Reason::Logout, now), soon())),
        told(client.touch(&seen, soon())),
        told(client.mark(&key, None, Duration::from_secs(60), soon())),
        // To hear a replica's log would be to hear it late.
        client.log(soon()).and_then(|mut log| told(log.pulse(&node(), soon()))),
    ];
    for outcome in refused {
        let why = outcome.expect_err("it is done").0;
        assert!(why.contains("READONLY") || why.contains("a moment ago"), "{why}");
    }
    assert_eq!(load(&writer, &key).0, Stored::Record(metadata(&new)));
}

#[test]
fn without_enough_replicas_a_write_is_not_confirmed() {
    let master = Redis::start();
    let replica = Redis::builder().replica_of(&master).start();
    let client = backend(&[&master.url(), "wait=1"]);
    let now = pulse(&client).now;
    assert_eq!(client.create(&record(key(), now, b""), soon()), Ok(true));
    replica.freeze();
    // A touch may be lost.
    for (name, operation) in WRITES.into_iter().filter(|(name, _)| *name != "touch") {
        let client = backend(&[&master.url(), "wait=1"]);
        load(&client, &key());
        assert_unavailable(name, |within| operation(&client, within), TIME + SLACK);
    }
    replica.thaw();
    let create = |within| client.create(&record(key(), now, b""), within);
    let (created, took) = until_ok("the replica", RECOVERY, create);
    assert!(created);
    println!("confirmed again after {took:?}");
}
