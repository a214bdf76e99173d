//! What nobody may learn from Redis, from a message or from a dump, and whom the module speaks to at all.

use super::redis::{backend, config};
use super::store::{key, load, node, pulse, record, soon, tombstone};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use harness::redis::{Redis, Tls};
use mod_session_cluster::clock::{Timestamp, uptime};
use mod_session_cluster::session::payload::{Entry, Means, Payload, Principal};
use mod_session_cluster::session::policy::Policy;
use mod_session_cluster::session::realm::Realm;
use mod_session_cluster::session::rights::{Rights, Source};
use mod_session_cluster::session::scope::{Effect, Scope};
use mod_session_cluster::session::sessions::Sessions;
use mod_session_cluster::store::cluster::{Cluster, Outage};
use mod_session_cluster::store::l1::{Geometry, ProcessLock, Table};
use mod_session_cluster::store::l2::redis::{RedisBackend, RedisConfig, SecretSource};
use mod_session_cluster::store::l2::{Backend, NodeReport, Stored};
use mod_session_cluster::store::tiers::{Budget, Store};
use mod_session_cluster::store::tombstone::Reason;
use mod_session_cluster::store::watch::Watcher;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64};
use std::time::Duration;
use zeroize::Zeroizing;

const PASSWORD: &str = "correct-horse-7";

/// Why that store cannot be used.
#[track_caller]
fn refusal(words: &[&str]) -> String {
    let unavailable = backend(words).load(&key(), &mut Vec::new(), soon()).expect_err("it answers");
    let pulse = backend(words).log(soon()).and_then(|mut log| log.pulse(&node(), soon()));
    assert!(pulse.is_err(), "the log can be read");
    format!("{unavailable} {unavailable:?}")
}

#[track_caller]
fn assert_usable(words: &[&str]) {
    assert_eq!(load(&backend(words), &key()).0, Stored::Nothing);
}

fn file(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

#[test]
fn passwords_are_fetched_from_where_the_words_say() {
    let redis = Redis::builder().acl("sc", PASSWORD).start();
    for (word, wanted) in [
        ("password=file:/etc/p", SecretSource::File(Path::new("/etc/p"))),
        ("password=exec:/bin/p --of redis", SecretSource::Program("/bin/p --of redis")),
    ] {
        let mut asked = 0;
        let config = RedisConfig::parse(&[&redis.url(), "user=sc", word], &mut |source| {
            assert_eq!(source, wanted);
            asked += 1;
            Ok(Zeroizing::new(PASSWORD.to_owned()))
        });
        assert_eq!(load(&RedisBackend::new(&config.unwrap()).unwrap(), &key()).0, Stored::Nothing);
        assert_eq!(asked, 1);
    }
}

#[test]
fn a_password_that_cannot_be_fetched_is_an_error_that_says_why() {
    let parse = |answer: Result<&str, &str>| {
        let answer = answer.map(|secret| Zeroizing::new(secret.to_owned())).map_err(str::to_owned);
        RedisConfig::parse(&["redis://h", "password=file:/etc/p"], &mut |_| answer.clone()).unwrap_err()
    };
    assert_eq!(parse(Err("no such file")), "password=file:/etc/p: no such file");
    assert_eq!(parse(Ok("")), "password=file:/etc/p gave an empty password");
}

#[test]
fn a_wrong_password_is_unavailable_and_not_repeated() {
    let redis = Redis::builder().acl("sc", PASSWORD).start();
    let url = redis.url();
    assert_usable(&[&url, "user=sc", &format!("password={PASSWORD}")]);
    let wrong = "wrong-battery-9";
    let word = format!("password={wrong}");
    for words in [&[&url, "user=sc", &*word][..], &[&url, "user=nobody", &word], &[&url, &word], &[&url]] {
        let said = refusal(words);
        assert!(said.contains("WRONGPASS") || said.contains("NOAUTH"), "{said}");
        assert!(!said.contains(wrong) && !said.contains(PASSWORD), "{said}");
    }
}

#[test]
fn a_server_that_repeats_the_password_in_its_error_is_not_quoted() {
    let echo = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("redis://{}", echo.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut client, _) = echo.accept().unwrap();
        let length = client.read(&mut [0; 1024]).unwrap();
        assert!(length > PASSWORD.len());
        client.write_all(format!("-ERR what is '{PASSWORD}'?\r\n").as_bytes()).unwrap();
    });
    let word = format!("password={PASSWORD}");
    let said = backend(&[&url, &word]).load(&key(), &mut Vec::new(), soon()).expect_err("it answers");
    server.join().unwrap();
    assert!(said.0.contains("did not accept") && !said.0.contains(PASSWORD), "{said}");
}

#[test]
fn a_description_shows_no_password() {
    for words in [
        &["redis://:secret-word@h"][..],
        &["rediss://sc:secret-word@h/1"],
        &["redis://h", "user=sc", "password=secret-word"],
        &["redis://h:26379", "sentinel=m", "password=secret-word", "sentinel-password=secret-word"],
        &["redis://h:1,h:2", "cluster=on", "password=secret-word"],
        &["unix:/run/redis.sock", "password=secret-word"],
    ] {
        let config = config(words);
        let shown = format!("{config:?} {config:#?}");
        assert!(!shown.contains("secret-word") && shown.contains("***"), "{shown}");
    }
}

#[test]
fn no_complaint_about_the_words_repeats_a_password() {
    for words in [
        &["redis:/sc:secret-word@h"][..],
        &["redis://sc:secret-word@h:0"],
        &["redis://sc:secret-word@h:6379/x"],
        &["redis://sc:secret-word@h", "password=secret-word"],
        &["redis://h", "secret-word"],
        &["redis://h", "password=secret-word", "user="],
        &["redis://h", "sentinel-password=secret-word"],
        &["redis://sc:secret-word@h", "cluster=maybe"],
        &["redis://sc:secret-word@h/3", "cluster=on"],
    ] {
        let said = RedisConfig::parse(words, &mut |_| Err(String::new())).expect_err("it makes sense");
        assert!(!said.contains("secret-word"), "{said}");
    }
}

/// Everything that is in that Redis, as it would lie on a stolen disk. The server must not compress.
fn dump(redis: &Redis) -> Vec<u8> {
    assert_eq!(redis.cli(&["SAVE"]), "OK");
    std::fs::read(redis.socket().with_file_name("dump.rdb")).unwrap()
}

fn holds(dump: &[u8], bytes: &[u8]) -> bool {
    dump.windows(bytes.len()).any(|window| window == bytes)
}

#[test]
fn a_dump_of_redis_tells_nothing_of_a_visitor() {
    let redis = Redis::builder().conf("rdbcompression no").start();
    let geometry = Geometry::new(2 << 20, 4096).unwrap();
    let words: Vec<AtomicU64> = (0..geometry.words()).map(|_| AtomicU64::new(0)).collect();
    let table = Table::format(Vec::leak(words), ProcessLock::new(), geometry, Timestamp::default());
    table.link().open(1, Timestamp::default(), uptime());
    let store = Store::clustered(
        table,
        Cluster {
            confirmed: None,
            backend: Arc::new(backend(&[&redis.url()])),
            id: 1,
            bound: Duration::from_secs(1),
            outage: Outage::Refuse,
            node: 7,
            report: NodeReport { name: "one".into(), fingerprint: "f".into(), version: "1".into() },
            revived: AtomicU16::new(0),
            flush_every: Duration::from_millis(1),
        },
    );
    let mut watcher = Watcher::new(&store, 1).unwrap();
    watcher.step(&|report| panic!("{report:?}"));
    let (realm, budget) = (Realm::new("the-realm"), Budget::new(Duration::from_secs(5)));
    let sessions = Sessions::new(&store, &realm, Policy::default(), &budget);
    let now = store.now(Timestamp::default);
    let means = Means { auth_type: "Session".into(), auth_name: None };
    let mut rights = Rights::ordered();
    rights.grant(Source::Orders, "group-of-hatters");
    let payload = Payload {
        principal: Some(Principal { user: "alice-of-wonderland".into(), means, typed: None }),
        entries: vec![Entry { name: "entry-name".into(), value: b"entry-value".into() }],
        rights,
        born_under: store.watermark().as_millis(),
        ..Payload::default()
    };
    let begin = || sessions.begin(&payload, false, now).unwrap().session;
    let (live, ended) = (begin(), begin());
    assert!(sessions.end(&ended, Reason::Logout, now).unwrap());
    for scope in [Scope::User("alice-of-wonderland"), Scope::Group("group-of-hatters")] {
        sessions.mark(scope, Effect::Refresh, now).unwrap();
    }
    watcher.step(&|report| panic!("{report:?}"));

    let dump_of_it = dump(&redis);
    let mut secrets: Vec<(String, Vec<u8>)> =
        ["alice-of-wonderland", "entry-name", "entry-value", "group-of-hatters"]
            .map(|word| (word.to_owned(), word.into()))
            .into();
    for session in [&live, &ended] {
        let text = session.id().to_text();
        let id = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        secrets.push(("an id in hex".into(), HEXLOWER.encode(&id).into()));
        secrets.push(("an id".into(), id));
        secrets.push(("a cookie".into(), text.into()));
    }
    for (what, secret) in &secrets {
        assert!(!holds(&dump_of_it, secret), "{what} is in Redis");
    }
    // There is something to be found in it, and it would be found.
    assert_eq!(redis.cli(&["DBSIZE"]), "6", "two sessions, log, meta, marks, nodes");
    assert!(holds(&dump_of_it, b"{sc}:log") && holds(&dump_of_it, b"\x01R") && holds(&dump_of_it, b"\x01T"));
    redis.cli(&["SET", "found", "alice-of-wonderland"]);
    assert!(holds(&dump(&redis), b"alice-of-wonderland"));
}

#[test]
fn what_is_ended_leaves_no_payload_behind() {
    let redis = Redis::builder().conf("rdbcompression no").start();
    let client = backend(&[&redis.url()]);
    let (key, now) = (key(), pulse(&client).now);
    client.create(&record(key, now, b"the-sealed-payload"), soon()).unwrap();
    assert!(holds(&dump(&redis), b"the-sealed-payload"));
    client.end(&key, &tombstone(Reason::Logout, now), soon()).unwrap();
    assert!(!holds(&dump(&redis), b"the-sealed-payload"));
}

#[test]
fn a_server_whose_certificate_another_authority_signed_is_refused() {
    let redis = Redis::builder().tls().start();
    assert_usable(&[&redis.url(), &file("ca", &redis.ca())]);
    let directory = tempfile::tempdir().unwrap();
    let stranger = Tls::make(directory.path());
    let said = refusal(&[&redis.url(), &file("ca", &stranger.ca())]);
    assert!(said.contains("certificate"), "{said}");
    // Nor does this system trust it.
    let said = refusal(&[&redis.url()]);
    assert!(said.contains("certificate"), "{said}");
}

#[test]
fn a_server_whose_certificate_is_for_another_host_is_refused() {
    // The certificate is for 127.0.0.1 and localhost.
    let redis = Redis::builder().tls().conf("bind 127.0.0.1 127.0.0.2").start();
    let ca = file("ca", &redis.ca());
    assert_usable(&[&redis.url(), &ca]);
    assert_usable(&[&redis.url().replace("127.0.0.1", "localhost"), &ca]);
    let said = refusal(&[&redis.url().replace("127.0.0.1", "127.0.0.2"), &ca]);
    assert!(said.contains("certificate"), "{said}");
}

#[test]
fn a_server_that_wants_a_certificate_refuses_a_client_without_one() {
    let redis = Redis::builder().tls_with_client_cert().start();
    let (url, ca) = (redis.url(), file("ca", &redis.ca()));
    assert_usable(&[&url, &ca, &file("cert", &redis.client_cert()), &file("key", &redis.client_key())]);
    let said = refusal(&[&url, &ca]);
    assert!(said.contains("ertificate"), "{said}");
}
