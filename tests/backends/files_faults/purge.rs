//! Purges: what is over goes, and nothing else, a bounded piece at a time, whoever else is at it.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// What one purge may take, on a busy machine: 50 ms are its own.
const PIECE: Duration = Duration::from_millis(250);

/// Purges until every directory was looked at.
pub(crate) fn everything_that_is_over(client: &FilesBackend) {
    let mut log = log(client);
    // A full round of what is mostly empty is some tens of milliseconds.
    let until = Instant::now() + Duration::from_millis(400);
    while Instant::now() < until {
        log.purge(Timestamp::default(), soon()).unwrap();
    }
}

fn ended_by(client: &FilesBackend, deadline: Timestamp) -> Key {
    let key = key();
    let mut new = record(key, deadline, b"payload");
    new.deadline = deadline;
    assert_eq!(client.create(&new, soon()), Ok(true));
    key
}

#[test]
fn what_is_over_goes_and_nothing_else() {
    let store = InFiles::new("off");
    let (client, root) = (store.backend(), store.root.path());
    let now = pulse(&client).now;
    let over = ended_by(&client, now.before(Duration::from_secs(61)));
    let lately = ended_by(&client, now.before(Duration::from_secs(30)));
    let retired = ended_by(&client, now.after(HOUR));
    client.retire(&retired, now.before(Duration::from_secs(90)), Reason::Superseded, soon()).unwrap();
    client.touch(&[(retired, now), (lately, now.after(HOUR))], soon()).unwrap();
    let (ended, long_ended) = (key(), key());
    let mut mark = tombstone(Reason::Logout, now);
    client.end(&ended, &mark, soon()).unwrap();
    mark.until = now.before(Duration::from_millis(1));
    client.create(&record(long_ended, now, b"payload"), soon()).unwrap();
    put(&session(root, &long_ended).join("ended"), &wire::tombstone(&mark));
    let (begun, abandoned) = (key(), key());
    for key in [&begun, &abandoned] {
        fs::create_dir_all(session(root, key)).unwrap();
    }
    age(&session(root, &abandoned), 2 * HOUR);
    let (fresh, stale) = (root.join("tmp/0-1"), root.join("tmp/0-2"));
    put(&fresh, b"");
    put(&stale, b"");
    age(&stale, 2 * HOUR);
    // Somebody else's, here and there.
    put(&root.join("sessions/README"), b"");
    put(&session(root, &over).parent().unwrap().join("0-foreign"), b"");
    put(&session(root, &ended).parent().unwrap().join("notes.txt"), b"");
    fs::create_dir_all(root.join("sessions/fff/not-a-key")).unwrap();
    age(&root.join("sessions/fff/not-a-key"), 2 * HOUR);

    everything_that_is_over(&client);

    for (key, is_there) in [
        (over, false),
        (lately, true),
        (retired, false),
        (ended, true),
        (long_ended, false),
        (begun, true),
        (abandoned, false),
    ] {
        assert_eq!(session(root, &key).exists(), is_there, "{}", session(root, &key).display());
    }
    assert_eq!((fresh.exists(), stale.exists()), (true, false));
    assert!(root.join("sessions/README").exists() && root.join("sessions/fff/not-a-key").exists());
    assert!(session(root, &over).parent().unwrap().join("0-foreign").exists());
    assert_eq!(load(&client, &ended).0, Stored::Tombstone(tombstone(Reason::Logout, now)));
    let Stored::Record(metadata) = load(&client, &lately).0 else { panic!("it is gone") };
    assert_eq!(metadata.last_seen, now.after(HOUR));
}

#[test]
fn five_thousand_sessions_that_are_over_go_in_bounded_pieces() {
    let store = InFiles::new("off");
    let client = store.backend();
    let now = pulse(&client).now;
    let long_ago = now.before(Duration::from_secs(120));
    // Half of them in one directory.
    let mut keys: Vec<Key> = (0..5000).map(|_| key()).collect();
    for key in keys.iter_mut().step_by(2) {
        let mut bytes = *key.as_bytes();
        (bytes[0], bytes[1]) = (0xab, 0xc0 | bytes[1] >> 4);
        *key = Key::new(bytes);
    }
    for key in &keys {
        let mut new = record(*key, now, b"payload");
        new.deadline = long_ago;
        client.create(&new, soon()).unwrap();
    }
    let kept = ended_by(&client, now.after(HOUR));
    let gone = || keys.iter().filter(|key| !session(store.root.path(), key).exists()).count();
    let mut log = log(&client);
    let (mut longest, mut pieces, start) = (Duration::ZERO, 0, Instant::now());
    while gone() < keys.len() {
        let piece = Instant::now();
        log.purge(Timestamp::default(), piece + PIECE).unwrap();
        longest = longest.max(piece.elapsed());
        pieces += 1;
        assert!(start.elapsed() < Duration::from_secs(60), "{} of them went", gone());
    }
    eprintln!("5,000 sessions went in {pieces} pieces, the longest of {longest:?}");
    assert!(longest < PIECE && pieces > 1, "{pieces} pieces, the longest of {longest:?}");
    assert!(matches!(load(&client, &kept).0, Stored::Record(_)));
}

#[test]
fn a_purge_that_died_between_its_word_and_its_deeds_is_finished_by_the_next() {
    let store = InFiles::new("off");
    let (client, root) = (store.backend(), store.root.path());
    let mark = tombstone(Reason::Logout, pulse(&client).now);
    for _ in 0..20 {
        client.end(&key(), &mark, soon()).unwrap();
    }
    put(&root.join("trimmed/12"), b"");
    assert_eq!((pulse(&client).trimmed.major, pulse(&client).last.major), (12, 20));
    log(&client).purge(Timestamp::default(), soon()).unwrap();
    let mut left: Vec<u64> = fs::read_dir(root.join("log/0"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    left.sort_unstable();
    assert_eq!(left, (13..=20).collect::<Vec<_>>());
}

#[test]
fn what_is_told_to_be_removed_never_goes_back_when_two_hosts_purge() {
    let store = InFiles::new("off");
    let hosts = [store.backend(), store.backend(), store.backend()];
    let now = pulse(&hosts[0]).now;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for host in &hosts[1..] {
            let done = &done;
            scope.spawn(move || {
                let mut log = log(host);
                while !done.load(Ordering::Relaxed) {
                    log.purge(Timestamp::MAX, soon()).unwrap();
                }
            });
        }
        let (mut log, mut before) = (log(&hosts[0]), pulse(&hosts[0]));
        for round in 0..600 {
            hosts[0].end(&key(), &tombstone(Reason::Logout, now), soon()).unwrap();
            let pulse = log.pulse(&node(), soon()).unwrap();
            assert!(
                pulse.trimmed >= before.trimmed && pulse.last > before.last,
                "{round}: {before:?} {pulse:?}"
            );
            before = pulse;
        }
        done.store(true, Ordering::Relaxed);
        assert!(before.trimmed.major > 500 && before.last.major >= 600, "{before:?}");
    });
}

#[test]
fn an_end_wins_over_a_purge_of_the_same_session() {
    let store = InFiles::new("off");
    let (client, purger) = (store.backend(), store.backend());
    let now = pulse(&client).now;
    let done = AtomicBool::new(false);
    let mark = tombstone(Reason::Logout, now);
    let keys: Vec<Key> = (0..150u8)
        .map(|_| {
            // All in one directory, which is looked at all the time.
            let mut bytes = *key().as_bytes();
            (bytes[0], bytes[1]) = (0, bytes[1] >> 4);
            Key::new(bytes)
        })
        .collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                log(&purger).purge(Timestamp::default(), soon()).unwrap();
            }
        });
        for key in &keys {
            let mut new = record(*key, now, b"payload");
            new.deadline = now.before(Duration::from_secs(120));
            client.create(&new, soon()).unwrap();
            client.touch(&[(*key, now)], soon()).unwrap();
            let before = client.end(key, &mark, soon()).unwrap();
            assert!(!matches!(before, Stored::Tombstone(_)));
        }
        done.store(true, Ordering::Relaxed);
    });
    for key in &keys {
        assert_eq!(load(&client, key).0, Stored::Tombstone(mark));
    }
}
