//! What is particular to a store in files: writers that died between two steps, a directory that is gone or full, damage, and what
//! a purge may take.

use super::files::{InFiles, backend};
use super::store::{Store, events, key, load, log, node, pulse, read_all, record, soon, tombstone};
use data_encoding::HEXLOWER;
use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::store::key::Key;
use mod_session_cluster::store::l2::{Backend, Event, Position, Stored};
use mod_session_cluster::store::record::Record;
use mod_session_cluster::store::tombstone::Reason;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn store() -> InFiles {
    InFiles::new("off")
}

fn session(store: &InFiles, key: &Key) -> PathBuf {
    let hex = HEXLOWER.encode(key.as_bytes());
    store.root.path().join("sessions").join(&hex[..3]).join(&hex[3..])
}

/// Files below a directory of the store.
fn files(store: &InFiles, below: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![store.root.path().join(below)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found
}

#[test]
fn an_end_whose_writer_died_before_the_log_was_told_is_told_by_who_finds_it() {
    let store = store();
    let client = store.backend();
    let (one, now) = (key(), pulse(&client).now);
    client.create(&record(one, now, b"payload"), soon()).unwrap();
    let mark = tombstone(Reason::Logout, now);
    client.end(&one, &mark, soon()).unwrap();
    // As it was before the log was told.
    let ended = session(&store, &one).join("ended");
    fs::set_permissions(&ended, Permissions::from_mode(0o600)).unwrap();
    for entry in files(&store, "log") {
        fs::remove_file(entry).unwrap();
    }
    let other = store.backend();
    for _ in 0..2 {
        assert_eq!(load(&other, &one).0, Stored::Tombstone(mark));
        let told = events(&mut *log(&other), Position::default());
        assert_eq!(told, [Event::Ended { key: one, tombstone: mark }], "once");
    }
}

#[test]
fn an_end_whose_writer_died_before_the_record_was_removed_stays_an_end() {
    let store = store();
    let client = store.backend();
    let (one, now) = (key(), pulse(&client).now);
    client.create(&record(one, now, b"payload"), soon()).unwrap();
    let kept = fs::read(session(&store, &one).join("record")).unwrap();
    let mark = tombstone(Reason::Logout, now);
    client.end(&one, &mark, soon()).unwrap();
    fs::write(session(&store, &one).join("record"), kept).unwrap();
    assert_eq!(load(&client, &one), (Stored::Tombstone(mark), Vec::new()));
    client.touch(&[(one, now.after(Duration::from_secs(5)))], soon()).unwrap();
    assert_eq!(
        client.retire(&one, now.after(Duration::from_secs(5)), Reason::Superseded, soon()),
        Ok(Stored::Tombstone(mark))
    );
    assert_eq!(client.create(&record(one, now, b"payload"), soon()), Ok(false));
    assert_eq!(load(&client, &one).0, Stored::Tombstone(mark));
}

#[test]
fn a_session_whose_writer_died_before_its_record_was_placed_is_nothing_and_can_be_made() {
    let store = store();
    let client = store.backend();
    let (one, now) = (key(), pulse(&client).now);
    fs::create_dir_all(session(&store, &one)).unwrap();
    assert_eq!(load(&client, &one).0, Stored::Nothing);
    assert_eq!(client.create(&record(one, now, b"payload"), soon()), Ok(true));
}

#[test]
fn a_directory_that_is_gone_or_another_one_is_unavailable_and_nothing_is_taken_for_absent() {
    let store = store();
    let client = store.backend();
    let (one, now) = (key(), pulse(&client).now);
    client.create(&record(one, now, b"payload"), soon()).unwrap();
    let mut log = log(&client);
    let (root, away) = (store.root.path().to_owned(), store.root.path().with_extension("away"));
    fs::rename(&root, &away).unwrap();
    let is_unavailable = |log: &mut dyn mod_session_cluster::store::l2::Log| {
        for key in [one, key()] {
            client.revive();
            let loaded = client.load(&key, &mut Vec::new(), soon());
            assert!(loaded.is_err(), "{loaded:?}");
        }
        client.revive();
        assert!(client.end(&one, &tombstone(Reason::Logout, now), soon()).is_err());
        client.revive();
        assert!(client.stamps(&[key()], soon()).is_err());
        client.revive();
        assert!(log.pulse(&node(), soon()).is_err());
        client.revive();
        assert!(log.read(Position::default(), Duration::ZERO).is_err());
        client.revive();
    };
    is_unavailable(&mut *log);
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, Permissions::from_mode(0o700)).unwrap();
    is_unavailable(&mut *log);
    // A store that somebody else began in the empty one.
    pulse(&backend(&root, "off"));
    is_unavailable(&mut *log);
    fs::remove_dir_all(&root).unwrap();
    fs::rename(&away, &root).unwrap();
    assert!(matches!(load(&client, &one).0, Stored::Record(_)));
}

#[test]
fn a_directory_that_is_open_to_everybody_or_of_another_version_is_refused_in_clear_words() {
    let store = store();
    let root = store.root.path();
    fs::set_permissions(root, Permissions::from_mode(0o755)).unwrap();
    let said = store.backend().load(&key(), &mut Vec::new(), soon()).unwrap_err().0;
    assert!(said.contains("open to everybody") && said.contains("chmod o-rwx"), "{said}");
    fs::set_permissions(root, Permissions::from_mode(0o750)).unwrap();
    fs::write(root.join("format"), "mod_session_cluster 2 0000000000000000\n").unwrap();
    let said = store.backend().load(&key(), &mut Vec::new(), soon()).unwrap_err().0;
    assert!(said.contains("this version"), "{said}");
}

#[test]
fn damage_is_unavailable_and_never_absent() {
    let store = store();
    let client = store.backend();
    let now = pulse(&client).now;
    for damage in [&b""[..], b"\x01", b"\x02R and whatever comes after it, in a later version", b"nonsense"] {
        let one = key();
        client.create(&record(one, now, b"payload"), soon()).unwrap();
        fs::write(session(&store, &one).join("record"), damage).unwrap();
        let loaded = client.load(&one, &mut Vec::new(), soon());
        assert!(loaded.is_err(), "{damage:?}: {loaded:?}");
    }
    let one = key();
    client.create(&record(one, now, b"payload"), soon()).unwrap();
    fs::write(session(&store, &one).join("news"), "of a later version").unwrap();
    assert!(client.load(&one, &mut Vec::new(), soon()).is_err());
    // What NFS leaves behind is none.
    let two = key();
    client.create(&record(two, now, b"payload"), soon()).unwrap();
    fs::write(session(&store, &two).join(".nfs0001"), "").unwrap();
    assert!(matches!(load(&client, &two).0, Stored::Record(_)));
}

#[test]
fn no_message_names_a_session() {
    let store = store();
    let client = store.backend();
    let (one, now) = (key(), pulse(&client).now);
    client.create(&record(one, now, b"payload"), soon()).unwrap();
    let directory = session(&store, &one);
    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, "not a directory").unwrap();
    let said = client.load(&one, &mut Vec::new(), soon()).unwrap_err().0;
    let hex = HEXLOWER.encode(one.as_bytes());
    assert!(!said.contains(&hex[3..20]), "{said}");
}

#[test]
fn a_purge_removes_what_is_over_and_nothing_else() {
    let store = store();
    let client = store.backend();
    let now = pulse(&client).now;
    let at = |seconds: i64| Timestamp::from_millis(now.as_millis().saturating_add_signed(seconds * 1000));
    let with_deadline = |seconds| {
        let one = key();
        let payload = b"payload";
        let new = Record { deadline: at(seconds), ..record(one, now, payload) };
        client.create(&new, soon()).unwrap();
        one
    };
    // Past its deadline by more than a minute, by less, and not yet; and one whose deadline was moved.
    let (over, told, alive, retired) =
        (with_deadline(-61), with_deadline(-30), with_deadline(60), with_deadline(3600));
    client.retire(&retired, at(-100), Reason::Superseded, soon()).unwrap();
    let (ended, forgotten) = (with_deadline(60), with_deadline(60));
    client.end(&ended, &tombstone(Reason::Logout, now), soon()).unwrap();
    let mut mark = tombstone(Reason::Logout, now);
    mark.until = at(1);
    client.end(&forgotten, &mark, soon()).unwrap();
    let left_over = store.root.path().join("tmp/0123-7");
    fs::write(&left_over, "of somebody who died").unwrap();
    let old = std::time::SystemTime::now() - Duration::from_secs(2 * 3600);
    fs::File::options().write(true).open(&left_over).unwrap().set_modified(old).unwrap();
    store.pass(Duration::from_millis(1100));
    let mut log = log(&client);
    let all_gone = || [over, retired, forgotten].iter().all(|one| !session(&store, one).exists());
    let start = Instant::now();
    while !all_gone() {
        log.purge(Timestamp::default(), soon()).unwrap();
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", files(&store, "sessions"));
    }
    assert!(!left_over.exists());
    assert!(session(&store, &told).join("record").exists(), "it can still be told why it ended");
    assert!(matches!(load(&client, &alive).0, Stored::Record(_)));
    assert!(matches!(load(&client, &ended).0, Stored::Tombstone(_)));
    assert_eq!(load(&client, &over).0, Stored::Nothing);
}

#[test]
fn a_purge_takes_a_bounded_time_and_goes_on_where_it_was() {
    let store = store();
    let client = store.backend();
    let now = pulse(&client).now;
    let over = now.before(Duration::from_secs(3600));
    for _ in 0..3000 {
        client.create(&Record { deadline: over, ..record(key(), over, b"payload") }, soon()).unwrap();
    }
    let mut log = log(&client);
    let (mut rounds, mut longest) = (0, Duration::ZERO);
    while !files(&store, "sessions").is_empty() {
        let start = Instant::now();
        log.purge(Timestamp::default(), start + Duration::from_millis(250)).unwrap();
        longest = longest.max(start.elapsed());
        rounds += 1;
        assert!(rounds < 500);
    }
    assert!(rounds > 1, "it was not done at once");
    assert!(longest < Duration::from_millis(250), "{longest:?}");
}

#[test]
fn the_end_of_a_long_log_is_found_and_two_hosts_can_trim_it() {
    let store = store();
    let (one, other) = (store.backend(), store.backend());
    let now = pulse(&one).now;
    let mark = tombstone(Reason::Logout, now);
    for _ in 0..2500 {
        one.end(&key(), &mark, soon()).unwrap();
    }
    let newcomer = store.backend();
    let start = Instant::now();
    assert_eq!(pulse(&newcomer).last.major, 2500);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let trimmed = |client: &dyn Backend| pulse(client).trimmed.major;
    let mut seen = 0;
    let mut logs = [log(&one), log(&other)];
    for round in 0..20 {
        logs[round % 2].purge(Timestamp::MAX, soon()).unwrap();
        let now = trimmed(if round % 2 == 0 { &other } else { &one });
        assert!(now >= seen, "it never goes back: {now} after {seen}");
        seen = now;
    }
    assert_eq!((seen, pulse(&one).last.major), (2500, 2500));
    assert_eq!(files(&store, "log"), Vec::<PathBuf>::new());
    // Whoever knew the log as it was writes where all look.
    for client in [&one, &other, &newcomer] {
        client.end(&key(), &mark, soon()).unwrap();
    }
    let entries = read_all(&mut *logs[0], Position { major: 2500, minor: 0 });
    assert_eq!(entries.iter().map(|(at, _)| at.major).collect::<Vec<_>>(), [2501, 2502, 2503]);
}

#[test]
fn a_full_disk_is_unavailable_and_leaves_nothing_half_done() {
    let place = tempfile::tempdir().unwrap();
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=300k,mode=700", "tmpfs"])
        .arg(place.path())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        eprintln!("not tested: no small file system can be mounted here");
        return;
    }
    let client = backend(place.path(), "on");
    let now = pulse(&client).now;
    let payload = vec![7; 20_000];
    let mut made = Vec::new();
    let full = loop {
        let one = key();
        match client.create(&record(one, now, &payload), soon()) {
            Ok(created) => assert!(created),
            Err(error) => break (one, error),
        }
        made.push(one);
        assert!(made.len() < 100);
    };
    assert!(full.1.0.contains("No space left"), "{}", full.1);
    client.revive();
    assert_eq!(load(&client, &full.0).0, Stored::Nothing);
    for one in &made {
        assert_eq!(load(&client, one).1, payload);
    }
    let umount = std::process::Command::new("umount").arg(place.path()).status();
    assert!(umount.unwrap().success());
}
