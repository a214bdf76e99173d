//! A store in files of which somebody died at each step, whose files are damaged, or whose directory is away: what is
//! there is never taken for absent, nothing is done in a store that is not the one, and whoever comes next finishes
//! what was begun.

mod disk;
mod processes;
mod purge;

use super::files::{InFiles, backend};
use super::store::{Store, events, key, load, log, metadata, node, pulse, record, soon, tombstone};
use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::store::key::Key;
use mod_session_cluster::store::l2::files::FilesBackend;
use mod_session_cluster::store::l2::{Backend, Event, Position, Stored, Unavailable, wire};
use mod_session_cluster::store::tombstone::Reason;
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const HOUR: Duration = Duration::from_secs(3600);

/// Where a session is.
fn session(root: &Path, key: &Key) -> PathBuf {
    let hex = data_encoding::HEXLOWER.encode(key.as_bytes());
    root.join("sessions").join(&hex[..3]).join(&hex[3..])
}

/// A file as a writer leaves it.
fn put(path: &Path, contents: &[u8]) {
    use std::io::Write;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(contents).unwrap();
}

/// Makes a file or directory look as if it was last written so long ago.
fn age(path: &Path, span: Duration) {
    File::open(path).unwrap().set_modified(SystemTime::now() - span).unwrap();
}

fn all_events(client: &dyn Backend) -> Vec<Event> {
    events(&mut *log(client), Position::default())
}

/// Every operation on that key fails, and is not put off by the pause after the failure of another.
fn nothing_is_told_of(client: &FilesBackend, key: &Key) -> Vec<String> {
    let now = Timestamp::from_millis(1_700_000_000_000);
    let retired = now.after(Duration::from_secs(5));
    let mut said = Vec::new();
    let mut hear = |what: &str, answer: Result<String, Unavailable>| {
        client.revive();
        said.push(answer.expect_err(what).0);
    };
    client.revive();
    hear("load", client.load(key, &mut Vec::new(), soon()).map(|stored| format!("{stored:?}")));
    hear("create", client.create(&record(*key, now, b"x"), soon()).map(|new| format!("{new}")));
    hear("retire", client.retire(key, retired, Reason::Admin, soon()).map(|stored| format!("{stored:?}")));
    let mark = tombstone(Reason::Logout, now);
    hear("end", client.end(key, &mark, soon()).map(|stored| format!("{stored:?}")));
    said
}

/// The same of everything that is not about a session.
fn nothing_is_told_at_all(client: &FilesBackend) {
    let failed = |what: &str, failed: bool| {
        client.revive();
        assert!(failed, "{what}");
    };
    client.revive();
    failed("mark", client.mark(&key(), None, HOUR, soon()).is_err());
    failed("cutoffs", client.cutoffs(&[key()], soon()).is_err());
    let pulse = || client.log(soon()).and_then(|mut log| log.pulse(&node(), soon()));
    failed("pulse", pulse().is_err());
    let read = || client.log(soon()).and_then(|mut log| log.read(Position::default(), Duration::ZERO));
    failed("read", read().is_err());
}

#[test]
fn an_end_whose_writer_died_before_the_log_is_told_of_by_who_finds_it() {
    let store = InFiles::new("on");
    let (client, key) = (store.backend(), key());
    let now = pulse(&client).now;
    client.create(&record(key, now, b"payload"), soon()).unwrap();
    let mark = tombstone(Reason::Logout, now);
    let ended = session(store.root.path(), &key).join("ended");
    put(&ended, &wire::tombstone(&mark));
    assert_eq!(all_events(&client), []);
    for _ in 0..2 {
        assert_eq!(load(&client, &key), (Stored::Tombstone(mark), Vec::new()));
        assert_eq!(all_events(&client), [Event::Ended { key, tombstone: mark }], "told of once");
    }
    // The user tries again: it is the first end that counts, and the record goes.
    let again = tombstone(Reason::Admin, now.after(HOUR));
    assert_eq!(client.end(&key, &again, soon()), Ok(Stored::Tombstone(mark)));
    assert_eq!(fs::read_dir(ended.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn an_end_whose_writer_died_before_the_log_is_told_of_by_a_purge_too() {
    let store = InFiles::new("off");
    let (client, key) = (store.backend(), key());
    let now = pulse(&client).now;
    client.create(&record(key, now, b"payload"), soon()).unwrap();
    let mark = tombstone(Reason::Logout, now);
    let dir = session(store.root.path(), &key);
    put(&dir.join("ended"), &wire::tombstone(&mark));
    purge::everything_that_is_over(&client);
    assert_eq!(all_events(&client), [Event::Ended { key, tombstone: mark }]);
    assert!(!dir.join("record").exists(), "of no use any more");
    assert_eq!(load(&client, &key).0, Stored::Tombstone(mark));
}

#[test]
fn a_create_whose_writer_died_is_as_if_it_had_not_begun_or_as_if_it_had_answered() {
    let store = InFiles::new("on");
    let (client, key) = (store.backend(), key());
    let now = pulse(&client).now;
    let new = record(key, now, b"payload");
    // With the directory made, and a temporary file.
    let dir = session(store.root.path(), &key);
    fs::create_dir_all(&dir).unwrap();
    put(&store.root.path().join("tmp/0123456789abcdef-7"), &wire::record(&new)[..30]);
    assert_eq!(load(&client, &key).0, Stored::Nothing);
    assert_eq!(client.retire(&key, now, Reason::Admin, soon()), Ok(Stored::Nothing));
    client.touch(&[(key, now)], soon()).unwrap();
    assert_eq!(load(&client, &key).0, Stored::Nothing);
    assert_eq!(client.create(&new, soon()), Ok(true));
    // And with all done but the answer, which a second try gets.
    assert_eq!(client.create(&new, soon()), Ok(true));
    assert_eq!(client.create(&record(key, now, b"another"), soon()), Ok(false));
    assert_eq!(load(&client, &key), (Stored::Record(metadata(&new)), b"payload".into()));
}

#[test]
fn a_retirement_whose_writer_died_before_the_log_is_told_of_by_the_second_try() {
    let store = InFiles::new("on");
    let (client, key) = (store.backend(), key());
    let now = pulse(&client).now;
    let new = record(key, now, b"payload");
    client.create(&new, soon()).unwrap();
    let (deadline, reason) = (now.after(Duration::from_secs(30)), Reason::Superseded);
    let name = format!("ends-{}-{}", deadline.as_millis(), reason.code());
    put(&session(store.root.path(), &key).join(name), b"");
    let mut expected = metadata(&new);
    (expected.deadline, expected.ends_as) = (deadline, reason);
    assert_eq!(load(&client, &key).0, Stored::Record(expected));
    assert_eq!(all_events(&client), []);
    assert_eq!(client.retire(&key, deadline, reason, soon()), Ok(Stored::Record(expected)));
    assert_eq!(all_events(&client), [Event::Retired { key, deadline, reason }]);
}

#[test]
fn a_store_whose_maker_died_before_it_was_one_is_made_by_the_next() {
    let store = InFiles::new("on");
    for part in ["tmp", "sessions", "log"] {
        fs::create_dir(store.root.path().join(part)).unwrap();
    }
    let (one, other) = (store.backend(), store.backend());
    assert_eq!(pulse(&one).identity, pulse(&other).identity);
    let (key, now) = (key(), pulse(&one).now);
    one.create(&record(key, now, b"x"), soon()).unwrap();
    assert!(matches!(load(&other, &key).0, Stored::Record(_)));
}

#[test]
fn what_is_damaged_is_unavailable_and_never_absent() {
    let store = InFiles::new("off");
    let client = store.backend();
    let now = pulse(&client).now;
    let whole = wire::record(&record(key(), now, b"payload"));
    let mut of_another_version = whole.clone();
    of_another_version[0] = 9;
    for bytes in [&[][..], &whole[..43], b"\0\0\0\0\0\0\0\0", &of_another_version] {
        let key = key();
        client.create(&record(key, now, b"payload"), soon()).unwrap();
        let path = session(store.root.path(), &key).join("record");
        fs::write(&path, bytes).unwrap();
        assert!(client.load(&key, &mut Vec::new(), soon()).is_err(), "{bytes:?}");
        assert!(client.retire(&key, now, Reason::Admin, soon()).is_err());
        assert_eq!(client.create(&record(key, now, b"new"), soon()), Ok(false));
        purge::everything_that_is_over(&client);
        assert!(path.exists(), "a purge keeps what it does not understand");
        // Whoever logs out is not told how it was, but it is over.
        let mark = tombstone(Reason::Logout, now);
        assert!(client.end(&key, &mark, soon()).is_err());
        assert_eq!(client.end(&key, &mark, soon()), Ok(Stored::Tombstone(mark)));
        assert_eq!(load(&client, &key).0, Stored::Tombstone(mark));
    }
    for bytes in [&[][..], b"\x01T", &whole] {
        let key = key();
        client.end(&key, &tombstone(Reason::Logout, now), soon()).unwrap();
        let path = session(store.root.path(), &key).join("ended");
        fs::remove_file(&path).unwrap();
        put(&path, bytes);
        nothing_is_told_of(&client, &key);
    }
}

#[test]
fn a_name_that_is_not_known_is_unavailable_but_for_those_of_the_system() {
    let store = InFiles::new("off");
    let client = store.backend();
    let (key, now) = (key(), pulse(&client).now);
    client.create(&record(key, now, b"payload"), soon()).unwrap();
    let dir = session(store.root.path(), &key);
    put(&dir.join(".nfs000000000000a1b200000003"), b"");
    assert!(matches!(load(&client, &key).0, Stored::Record(_)));
    for name in ["paused", "ends-17-99", "ends-soon-1", "seen-", "ended~", "RECORD"] {
        put(&dir.join(name), b"");
        assert!(client.load(&key, &mut Vec::new(), soon()).is_err(), "{name}");
        assert!(client.create(&record(key, now, b"payload"), soon()).is_err(), "{name}");
        assert!(client.retire(&key, now, Reason::Admin, soon()).is_err(), "{name}");
        assert!(client.touch(&[(key, now.after(HOUR))], soon()).is_err(), "{name}");
        fs::remove_file(dir.join(name)).unwrap();
        assert!(matches!(load(&client, &key).0, Stored::Record(_)), "{name}");
    }
    // An end wins over whatever it is, though who ends it is not told how it was.
    put(&dir.join("paused"), b"");
    let mark = tombstone(Reason::Logout, now);
    assert!(client.end(&key, &mark, soon()).is_err());
    assert_eq!(load(&client, &key).0, Stored::Tombstone(mark));
    assert_eq!(all_events(&client), [Event::Ended { key, tombstone: mark }]);
}

#[test]
fn a_directory_that_is_away_or_swapped_is_no_store_and_nothing_is_put_there() {
    let store = InFiles::new("off");
    let client = store.backend();
    let (there, now) = (key(), pulse(&client).now);
    client.create(&record(there, now, b"payload"), soon()).unwrap();
    let root = store.root.path();
    let aside = root.with_extension("aside");
    fs::rename(root, &aside).unwrap();
    for key in [there, key()] {
        nothing_is_told_of(&client, &key);
    }
    nothing_is_told_at_all(&client);
    assert!(!root.exists(), "nobody makes it anew");
    // An empty one in its place, as when a mount is gone.
    fs::create_dir(root).unwrap();
    fs::set_permissions(root, Permissions::from_mode(0o700)).unwrap();
    for key in [there, key()] {
        nothing_is_told_of(&client, &key);
    }
    nothing_is_told_at_all(&client);
    assert_eq!(fs::read_dir(root).unwrap().count(), 0, "nothing is left where the store is not");
    // Another store in its place.
    let other = backend(root, "off");
    assert_ne!(pulse(&other).now, Timestamp::default());
    for key in [there, key()] {
        nothing_is_told_of(&client, &key);
        assert_eq!(load(&other, &key).0, Stored::Nothing, "nothing is put there");
    }
    nothing_is_told_at_all(&client);
    fs::remove_dir_all(root).unwrap();
    fs::rename(&aside, root).unwrap();
    client.revive();
    assert_eq!(load(&client, &there).1, b"payload");
    assert_eq!(load(&client, &key()).0, Stored::Nothing);
    assert!(client.end(&there, &tombstone(Reason::Logout, now), soon()).is_ok());
}

#[test]
fn a_part_of_the_store_that_is_away_is_missed_and_no_thread_is_lost_over_it() {
    let store = InFiles::new("off");
    let client = store.backend();
    let (there, now) = (key(), pulse(&client).now);
    client.create(&record(there, now, b"payload"), soon()).unwrap();
    let aside = store.root.path().join("aside");
    for part in ["sessions", "log", "tmp", "trimmed"] {
        let path = store.root.path().join(part);
        fs::rename(&path, &aside).unwrap();
        client.revive();
        let pulse = client.log(soon()).and_then(|mut log| log.pulse(&node(), soon()));
        assert!(pulse.is_err(), "{part}: {pulse:?}");
        // More of them than there are threads.
        for _ in 0..10 {
            client.revive();
            let within = Instant::now() + Duration::from_millis(300);
            let ended = client.end(&key(), &tombstone(Reason::Logout, now), within);
            assert!(ended.is_err(), "{part}");
            assert!(!ended.unwrap_err().0.contains("no answer in time"), "{part}");
        }
        client.revive();
        if part == "sessions" {
            assert!(client.load(&there, &mut Vec::new(), soon()).is_err(), "not absent");
        }
        assert!(!path.exists(), "{part} is not made anew");
        fs::rename(&aside, &path).unwrap();
        client.revive();
        assert_eq!(load(&client, &there).1, b"payload");
        client.end(&key(), &tombstone(Reason::Logout, now), soon()).unwrap();
    }
}

#[test]
fn a_directory_that_is_open_to_others_or_of_another_version_is_refused() {
    let store = InFiles::new("on");
    fs::set_permissions(store.root.path(), Permissions::from_mode(0o705)).unwrap();
    let said = nothing_is_told_of(&store.backend(), &key());
    assert!(said.iter().all(|said| said.contains("chmod o-rwx")), "{said:?}");
    assert_eq!(fs::read_dir(store.root.path()).unwrap().count(), 0);
    fs::set_permissions(store.root.path(), Permissions::from_mode(0o770)).unwrap();
    let client = store.backend();
    let (key, now) = (key(), pulse(&client).now);
    client.create(&record(key, now, b"payload"), soon()).unwrap();
    let format = store.root.path().join("format");
    let whole = fs::read_to_string(&format).unwrap();
    for other in [whole.replace(" 1 ", " 2 "), whole.replace(" 1 ", " 10 "), String::new(), "x".into()] {
        fs::write(&format, other).unwrap();
        for client in [&client, &store.backend()] {
            let said = nothing_is_told_of(client, &super::store::key());
            assert!(said.iter().all(|said| said.contains("format")), "{said:?}");
            nothing_is_told_at_all(client);
        }
    }
    fs::write(&format, whole).unwrap();
    client.revive();
    assert_eq!(load(&client, &key).1, b"payload");
}

#[test]
fn no_message_tells_a_key() {
    let store = InFiles::new("on");
    let (client, key) = (store.backend(), key());
    let now = pulse(&client).now;
    // A file where a directory of sessions should be.
    let dir = session(store.root.path(), &key);
    fs::write(dir.parent().unwrap(), b"").unwrap();
    for said in nothing_is_told_of(&client, &key) {
        let hex = data_encoding::HEXLOWER.encode(&key.as_bytes()[2..]);
        assert!(said.starts_with("files: ") && !said.contains(&hex[..16]), "{said}");
    }
    assert!(client.touch(&[(key, now)], soon()).is_err());
}

#[test]
fn the_end_of_a_long_log_is_found_fast_and_also_after_a_backup_was_restored() {
    let store = InFiles::new("off");
    let client = store.backend();
    let now = pulse(&client).now;
    let entry = wire::event(&Event::Ended { key: key(), tombstone: tombstone(Reason::Logout, now) });
    let path = |number: u64| store.root.path().join(format!("log/{}/{number}", number / 1000));
    const END: u64 = 12_000;
    for number in 1..=END {
        fs::create_dir_all(path(number).parent().unwrap()).unwrap();
        put(&path(number), &entry);
    }
    let last = |client: &FilesBackend| pulse(client).last.major;
    let newcomer = || {
        let (client, start) = (store.backend(), Instant::now());
        assert_eq!(last(&client), END);
        start.elapsed()
    };
    // Looking at one after the other takes 12 ms and more.
    let quickest = (0..20).map(|_| newcomer()).min().unwrap();
    assert!(quickest < Duration::from_millis(5), "{quickest:?}");
    assert_eq!(last(&client), END);
    client.end(&key(), &tombstone(Reason::Logout, now), soon()).unwrap();
    assert_eq!(last(&client), END + 1);
    // An older state of the directory is put back under a running server.
    for number in 2001..=END + 1 {
        fs::remove_file(path(number)).unwrap();
    }
    assert_eq!(last(&client), 2000, "what was known before is looked at again");
    client.end(&key(), &tombstone(Reason::Logout, now), soon()).unwrap();
    assert_eq!((last(&client), last(&store.backend())), (2001, 2001), "no gap that a reader would stop at");
}

#[test]
fn who_writes_after_another_host_removed_everything_writes_where_readers_are() {
    let store = InFiles::new("off");
    let client = store.backend();
    let now = pulse(&client).now;
    let end = || client.end(&key(), &tombstone(Reason::Logout, now), soon()).unwrap();
    end();
    // Up to there another host has removed everything.
    fs::rename(store.root.path().join("log/0"), store.root.path().join("log/aside")).unwrap();
    put(&store.root.path().join("trimmed/1500"), b"");
    end();
    let end = pulse(&client);
    assert_eq!((end.trimmed.major, end.last.major), (1500, 1501));
    let gap = log(&client).read(Position { major: 1, minor: 0 }, Duration::ZERO);
    assert!(gap.is_err(), "{gap:?}");
}

#[test]
fn a_mark_keeps_its_height_for_the_longest_time_that_was_asked_for() {
    let store = InFiles::new("off");
    let (one, other) = (store.backend(), store.backend());
    let (scope, now) = (key(), pulse(&one).now);
    let (low, high) = (now.after(Duration::from_secs(1)), now.after(Duration::from_secs(9)));
    assert_eq!(one.mark(&scope, Some(high), Duration::from_millis(300), soon()), Ok(high));
    assert_eq!(other.mark(&scope, Some(low), HOUR, soon()), Ok(high));
    store.pass(Duration::from_millis(400));
    purge::everything_that_is_over(&one);
    assert_eq!(one.cutoffs(&[scope], soon()), Ok(vec![Some(high)]), "a mark only rises");
    assert_eq!(log(&other).marks(soon()).unwrap().len(), 1);
}

#[test]
fn a_stamp_far_ahead_does_not_make_others_forgotten() {
    let store = InFiles::new("off");
    let client = store.backend();
    let now = pulse(&client).now;
    let given = client.mark(&key(), None, HOUR, soon()).unwrap();
    client.mark(&key(), Some(now.after(2 * HOUR)), HOUR, soon()).unwrap();
    // Somebody who chose a cutoff before, and is slow, would take that one again.
    assert!(store.root.path().join(format!("stamps/{}", given.as_millis())).exists());
}

#[test]
fn who_reads_where_a_purge_is_at_work_is_told_that_entries_are_gone() {
    let store = InFiles::new("off");
    let client = store.backend();
    let mark = tombstone(Reason::Logout, pulse(&client).now);
    for _ in 0..10 {
        client.end(&key(), &mark, soon()).unwrap();
    }
    // Its word is there, and some of its deeds are done.
    put(&store.root.path().join("trimmed/5"), b"");
    fs::remove_file(store.root.path().join("log/0/4")).unwrap();
    let read = |major| log(&client).read(Position { major, minor: 0 }, Duration::ZERO);
    for position in [0, 2, 3, 4] {
        let gap = read(position);
        assert!(gap.is_err() || position == 4, "the rest seems to be all from {position}: {gap:?}");
    }
    assert_eq!(read(5).map(|entries| entries.len()), Ok(5));
}

#[test]
fn visits_for_which_there_is_no_time_put_nobody_off_and_are_told_in_the_end() {
    let store = InFiles::new("off");
    let client = store.backend();
    let now = pulse(&client).now;
    let seen: Vec<_> = (0..1000).map(|_| (key(), now.after(Duration::from_secs(5)))).collect();
    for (key, _) in &seen {
        client.create(&record(*key, now, b"payload"), soon()).unwrap();
    }
    let (mut given_up, start) = (0, Instant::now());
    while let Err(said) = client.touch(&seen, Instant::now() + Duration::from_millis(20)) {
        if said.0.contains("no time for all visits") {
            given_up += 1;
            assert_eq!(load(&client, &seen[0].0).1, b"payload", "at once, without a pause");
        } else {
            client.revive();
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{said}");
    }
    assert!(given_up > 0, "it was told at once");
    for (key, at) in &seen {
        let Stored::Record(metadata) = load(&client, key).0 else { panic!("it is gone") };
        assert_eq!(metadata.last_seen, *at);
    }
}
