//! The harness's own servers and its proxy: that they start, fail and come back as the tests which stand on them
//! take for granted.

#![cfg(feature = "httpd")] // Without httpd nothing stands on these servers, and the machine need not have them.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

use harness::eventually;
use harness::faults::Faults;
use harness::redis::{Cluster, Redis, Sentinels, Tls, valkey};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

/// Long enough for an answer on the loopback of a busy machine.
const SOON: Duration = Duration::from_secs(10);
/// What comes at all would have come by then.
const WHILE: Duration = Duration::from_millis(300);

fn connect(port: u16) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()
}

/// Sends PING, or what its connection's end makes of that.
fn ask(stream: &mut (impl Read + Write)) -> Result<(), ErrorKind> {
    stream.write_all(b"*1\r\n$4\r\nPING\r\n").map_err(|error| error.kind())?;
    stream.flush().map_err(|error| error.kind())
}

/// The answer to a PING, if it comes before `limit`.
fn answer(stream: &mut TcpStream, limit: Duration) -> Result<String, ErrorKind> {
    stream.set_read_timeout(Some(limit)).unwrap();
    let mut bytes = [0; 64];
    match stream.read(&mut bytes) {
        Ok(0) => Err(ErrorKind::UnexpectedEof),
        Ok(length) => Ok(String::from_utf8_lossy(&bytes[..length]).into_owned()),
        Err(error) => Err(error.kind()),
    }
}

fn ping(stream: &mut TcpStream, limit: Duration) -> Result<String, ErrorKind> {
    ask(stream)?;
    answer(stream, limit)
}

#[track_caller]
fn assert_pong(stream: &mut TcpStream) {
    assert_eq!(ping(stream, SOON).as_deref(), Ok("+PONG\r\n"));
}

#[track_caller]
fn assert_closed(stream: &mut TcpStream) {
    let end = ping(stream, SOON).expect_err("it answers");
    assert!(
        matches!(end, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{end}"
    );
}

#[track_caller]
fn assert_silent(stream: &mut TcpStream) {
    assert_eq!(answer(stream, WHILE), Err(ErrorKind::WouldBlock));
}

#[test]
fn a_server_answers_on_its_port_and_on_its_socket() {
    let redis = Redis::start();
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{}", redis.port()));
    assert_pong(&mut connect(redis.port()));
    let mut socket = UnixStream::connect(redis.socket()).unwrap();
    ask(&mut socket).unwrap();
    let mut pong = [0; 7];
    socket.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"+PONG\r\n");
    assert!(redis.info("commandstats", "cmdstat_ping").unwrap().starts_with("calls="));
}

#[test]
fn a_frozen_server_answers_once_it_thaws() {
    let redis = Redis::start();
    let mut before = connect(redis.port());
    assert_pong(&mut before);
    redis.freeze();
    let mut during = connect(redis.port());
    for stream in [&mut before, &mut during] {
        ask(stream).unwrap();
        assert_silent(stream);
    }
    redis.thaw();
    for stream in [&mut before, &mut during] {
        assert_eq!(answer(stream, SOON).as_deref(), Ok("+PONG\r\n"));
    }
}

#[test]
fn a_killed_server_comes_back_on_its_port_without_its_data() {
    let redis = Redis::start();
    let (port, pid) = (redis.port(), redis.pid());
    assert_eq!(redis.cli(&["SET", "name", "value"]), "OK");
    redis.stop_hard();
    assert!(!redis.is_running());
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    redis.restart();
    assert_eq!(redis.port(), port);
    assert_ne!(redis.pid(), pid);
    assert_eq!(redis.cli(&["GET", "name"]), "");
}

#[test]
fn an_append_only_server_keeps_its_data_when_it_is_killed() {
    let redis = Redis::builder().append_only().start();
    assert_eq!(redis.cli(&["SET", "name", "value"]), "OK");
    redis.restart();
    assert_eq!(redis.cli(&["GET", "name"]), "value");
}

#[test]
fn nothing_of_a_server_outlives_it() {
    let redis = Redis::start();
    let (process, socket) = (format!("/proc/{}", redis.pid()), redis.socket());
    redis.freeze();
    drop(redis);
    assert!(!std::path::Path::new(&process).exists());
    assert!(!socket.parent().unwrap().exists());
}

#[test]
fn a_replica_has_what_its_master_has() {
    let master = Redis::builder().acl("worker", "secret").start();
    assert_eq!(master.cli(&["SET", "early", "1"]), "OK");
    let replica = Redis::builder().replica_of(&master).start();
    assert_eq!(replica.cli(&["GET", "early"]), "1");
    assert_eq!(master.cli(&["SET", "late", "2"]), "OK");
    assert_eq!(master.cli(&["WAIT", "1", "10000"]), "1");
    assert_eq!(replica.cli(&["GET", "late"]), "2");
}

#[test]
fn a_server_with_a_user_refuses_everybody_else() {
    let redis = Redis::builder().acl("worker", "secret").start();
    assert_eq!(redis.cli(&["ACL", "WHOAMI"]), "worker");
    let refused = ping(&mut connect(redis.port()), SOON).unwrap();
    assert!(refused.starts_with("-NOAUTH"), "{refused}");
}

#[test]
fn a_server_with_tls_answers_its_own_client_and_no_stranger() {
    let redis = Redis::builder().tls_with_client_cert().acl("worker", "secret").start();
    assert_eq!(redis.url(), format!("rediss://127.0.0.1:{}", redis.port()));
    assert_eq!(redis.cli(&["ACL", "WHOAMI"]), "worker");
    assert_ne!(ping(&mut connect(redis.port()), SOON).as_deref(), Ok("+PONG\r\n"));

    // What openssl(1) says of the connection is stricter than redis-cli: the names and the chain must be right.
    let other = tempfile::tempdir().unwrap();
    let stranger = Tls::make(other.path());
    let verify = |ca: &std::path::Path| {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-verify_return_error", "-verify_hostname", "localhost", "-brief"]);
        client.args(["-connect", &format!("127.0.0.1:{}", redis.port()), "-CAfile"]).arg(ca);
        client.arg("-cert").arg(redis.client_cert()).arg("-key").arg(redis.client_key());
        let output = client.stdin(std::process::Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let (right, wrong) = (verify(&redis.ca()), verify(&stranger.ca()));
    assert!(right.contains("Verification: OK"), "{right}");
    assert!(!wrong.contains("Verification: OK"), "{wrong}");
}

#[test]
fn valkey_serves_where_it_is_installed() {
    let Some(binary) = valkey() else { return eprintln!("valkey-server is not installed: not tried") };
    let valkey = Redis::builder().binary(binary).start();
    assert_pong(&mut connect(valkey.port()));
}

#[test]
fn sentinels_agree_on_another_master_when_theirs_dies() {
    let sentinels = Sentinels::start();
    assert_eq!(sentinels.sentinel_ports().len(), 3);
    let first = sentinels.nodes()[0].port();
    assert_eq!(sentinels.master(), first);
    assert_eq!(sentinels.node(first).cli(&["SET", "name", "value"]), "OK");
    assert_eq!(sentinels.node(first).cli(&["WAIT", "2", "10000"]), "2");

    let start = Instant::now();
    assert_eq!(sentinels.fail_over_by_kill(), first);
    println!("fail-over by sentinels: {:?}", start.elapsed());
    let second = sentinels.node(sentinels.master());
    assert_ne!(second.port(), first);
    assert_eq!(second.cli(&["GET", "name"]), "value");
    assert_eq!(second.cli(&["SET", "name", "other"]), "OK");
}

#[test]
fn a_cluster_survives_a_killed_master() {
    let start = Instant::now();
    let cluster = Cluster::start();
    println!("cluster up: {:?}", start.elapsed());
    assert_eq!(cluster.ports().len(), 6);
    let master = cluster.node(cluster.master_of("name"));
    assert_eq!(master.cli(&["SET", "name", "value"]), "OK");
    assert_eq!(master.cli(&["WAIT", "1", "10000"]), "1");

    let start = Instant::now();
    assert_eq!(cluster.kill_master_of("name"), master.port());
    println!("fail-over in the cluster: {:?}", start.elapsed());
    let promoted = cluster.node(cluster.master_of("name"));
    assert_ne!(promoted.port(), master.port());
    assert_eq!(promoted.cli(&["GET", "name"]), "value");
    master.restart();
    assert_eq!(cluster.nodes().iter().filter(|node| node.is_running()).count(), 6);
}

#[test]
fn the_proxy_passes_everything_and_counts() {
    let redis = Redis::start();
    let proxy = Faults::before(redis.port());
    assert_eq!(proxy.connections(), 0);
    let (mut one, mut two) = (connect(proxy.port()), connect(proxy.port()));
    assert_pong(&mut one);
    assert_pong(&mut two);
    assert_eq!((proxy.connections(), proxy.open_connections()), (2, 2));
    drop(one);
    eventually("one connection to close", SOON, || (proxy.open_connections() == 1).then_some(()));
    assert_pong(&mut two);
    redis.stop_hard();
    assert_closed(&mut two);
    assert_closed(&mut connect(proxy.port()));
    assert_eq!(proxy.connections(), 3);
    drop(proxy);
}

#[test]
fn a_delay_comes_on_both_ways_and_ends_when_it_is_ended() {
    let redis = Redis::start();
    let proxy = Faults::before(redis.port());
    let mut stream = connect(proxy.port());
    assert_pong(&mut stream);
    proxy.delay(WHILE);
    let start = Instant::now();
    assert_pong(&mut stream);
    assert!(start.elapsed() >= 2 * WHILE, "{:?}", start.elapsed());
    proxy.delay(Duration::from_secs(600));
    ask(&mut stream).unwrap();
    assert_silent(&mut stream);
    proxy.pass();
    assert_eq!(answer(&mut stream, SOON).as_deref(), Ok("+PONG\r\n"));
}

#[test]
fn what_is_held_is_lost_and_its_connection_closed_afterwards() {
    let redis = Redis::start();
    let proxy = Faults::before(redis.port());
    let (mut idle, mut open) = (connect(proxy.port()), connect(proxy.port()));
    assert_pong(&mut idle);
    assert_pong(&mut open);
    let pings = || redis.info("commandstats", "cmdstat_ping");
    let before = pings();
    proxy.hold();
    let mut new = connect(proxy.port());
    for stream in [&mut open, &mut new] {
        ask(stream).unwrap();
        assert_silent(stream);
    }
    assert_eq!(pings(), before);
    proxy.pass();
    assert_closed(&mut open);
    assert_closed(&mut new);
    assert_pong(&mut idle);
    assert_pong(&mut connect(proxy.port()));
}

#[test]
fn a_server_that_dies_behind_a_hold_is_silent() {
    let redis = Redis::start();
    let proxy = Faults::before(redis.port());
    let mut stream = connect(proxy.port());
    assert_pong(&mut stream);
    proxy.hold();
    redis.stop_hard();
    assert_silent(&mut stream);
    assert_silent(&mut connect(proxy.port()));
    proxy.pass();
    assert_closed(&mut stream);
}

#[test]
fn a_cut_closes_what_is_open_and_what_comes() {
    let redis = Redis::start();
    let proxy = Faults::before(redis.port());
    let mut stream = connect(proxy.port());
    assert_pong(&mut stream);
    proxy.cut();
    assert_closed(&mut stream);
    assert_closed(&mut connect(proxy.port()));
    assert_eq!((proxy.connections(), proxy.open_connections()), (2, 0));
    proxy.pass();
    assert_pong(&mut connect(proxy.port()));
}

#[test]
fn a_request_whose_answer_is_lost_was_carried_out() {
    let redis = Redis::start();
    let proxy = Faults::before(redis.port());
    let mut stream = connect(proxy.port());
    proxy.lose_answers();
    stream.write_all(b"*2\r\n$4\r\nINCR\r\n$4\r\nname\r\n").unwrap();
    assert_silent(&mut stream);
    assert_eq!(redis.cli(&["GET", "name"]), "1");
    proxy.pass();
    assert_closed(&mut stream);
    assert_pong(&mut connect(proxy.port()));
}
