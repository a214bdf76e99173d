//! The laws about the log.

use super::store::{Store, events, key, log, node, pulse, read_all, record, soon, tombstone};
use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::store::l2::{BATCH, Event, Mark, NodeReport, Position};
use mod_session_cluster::store::succession::Successor;
use mod_session_cluster::store::tombstone::Reason;
use std::time::{Duration, Instant};

const KEEP: Duration = Duration::from_secs(60);

pub(crate) fn the_log_tells_what_happened_in_its_order(store: &impl Store) {
    let client = store.client();
    let (one, other, scope, now) = (key(), key(), key(), pulse(&*client).now);
    let before = pulse(&*client).last;
    client.create(&record(one, now, b"payload"), soon()).unwrap();
    let deadline = now.after(KEEP);
    client.retire(&one, deadline, Reason::Superseded, soon()).unwrap();
    let mark = tombstone(Reason::Logout, now);
    client.end(&one, &mark, soon()).unwrap();
    let cutoff = client.mark(&scope, None, KEEP, soon()).unwrap();
    client.end(&other, &mark, soon()).unwrap();
    let happened = events(&mut *log(&*client), before);
    let [retired, ended, marked, other_ended] = happened[..] else { panic!("{happened:?}") };
    assert_eq!(retired, Event::Retired { key: one, deadline, reason: Reason::Superseded });
    assert_eq!(ended, Event::Ended { key: one, tombstone: mark });
    let Event::Marked(Mark { scope: marked, cutoff: told, until }) = marked else { panic!("{marked:?}") };
    assert_eq!((marked, told), (scope, cutoff));
    assert!(until >= now.after(KEEP) && until <= now.after(KEEP + Duration::from_secs(10)));
    assert_eq!(other_ended, Event::Ended { key: other, tombstone: mark });
}

pub(crate) fn the_log_tells_who_was_superseded(store: &impl Store) {
    let client = store.client();
    let (one, nobody, now) = (key(), key(), pulse(&*client).now);
    let new = record(one, now, b"payload");
    client.create(&new, soon()).unwrap();
    let later = new.deadline.after(KEEP);
    for (of, until) in [(one, later), (one, now), (nobody, now)] {
        client.supersede(&of, Successor::of(&key()), until, soon()).unwrap();
    }
    let happened = events(&mut *log(&*client), Position::default());
    let retired = Event::Retired { key: one, deadline: new.deadline, reason: Reason::Superseded };
    // Whoever comes second may tell it again.
    assert!(!happened.is_empty() && happened.iter().all(|event| *event == retired), "{happened:?}");
}

pub(crate) fn what_changes_nothing_is_not_told(store: &impl Store) {
    let client = store.client();
    let (one, nobody, now) = (key(), key(), pulse(&*client).now);
    client.create(&record(one, now, b"payload"), soon()).unwrap();
    client.touch(&[(one, now.after(KEEP))], soon()).unwrap();
    client.retire(&one, now.after(Duration::from_secs(7200)), Reason::Admin, soon()).unwrap();
    client.retire(&nobody, now, Reason::Admin, soon()).unwrap();
    assert_eq!(events(&mut *log(&*client), Position::default()), []);
}

pub(crate) fn two_readers_see_the_same_order(store: &impl Store) {
    let (client, other) = (store.client(), store.client());
    let now = pulse(&*client).now;
    for i in 0..40 {
        let writer = if i % 2 == 0 { &client } else { &other };
        writer.end(&key(), &tombstone(Reason::Logout, now), soon()).unwrap();
    }
    let one = read_all(&mut *log(&*client), Position::default());
    assert_eq!(one.len(), 40);
    assert!(one.is_sorted_by(|(one, _), (next, _)| one < next));
    assert_eq!(one, read_all(&mut *log(&*other), Position::default()));
    assert_eq!(pulse(&*client).last, one[39].0);
}

pub(crate) fn replay_gives_exactly_what_was_missed(store: &impl Store) {
    let client = store.client();
    let mark = tombstone(Reason::Logout, pulse(&*client).now);
    for _ in 0..20 {
        client.end(&key(), &mark, soon()).unwrap();
    }
    let all = read_all(&mut *log(&*client), Position::default());
    for (at, (position, _)) in all.iter().enumerate() {
        assert_eq!(read_all(&mut *log(&*client), *position), all[at + 1..]);
    }
}

pub(crate) fn a_reader_hears_at_once(store: &impl Store) {
    let (reader, writer) = (store.client(), store.client());
    let mut log = log(&*reader);
    let mark = tombstone(Reason::Logout, log.pulse(&node(), soon()).unwrap().now);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            writer.end(&key(), &mark, soon()).unwrap();
        });
        let start = Instant::now();
        assert_eq!(log.read(Position::default(), Duration::from_secs(5)).unwrap().len(), 1);
        let waited = start.elapsed();
        assert!(waited >= Duration::from_millis(100) && waited < Duration::from_secs(2), "{waited:?}");
    });
}

pub(crate) fn a_reader_waits_no_longer_than_it_wants_to(store: &impl Store) {
    let client = store.client();
    let mut log = log(&*client);
    for patience in [0, 1, 100, 300].map(Duration::from_millis) {
        let start = Instant::now();
        assert_eq!(log.read(Position::default(), patience), Ok(Vec::new()));
        let waited = start.elapsed();
        assert!(waited >= patience && waited < patience + Duration::from_millis(400), "{waited:?}");
    }
}

pub(crate) fn more_than_a_batch_comes_in_batches(store: &impl Store) {
    let client = store.client();
    let mark = tombstone(Reason::Logout, pulse(&*client).now);
    for _ in 0..BATCH + 10 {
        client.end(&key(), &mark, soon()).unwrap();
    }
    let mut log = log(&*client);
    let first = log.read(Position::default(), Duration::ZERO).unwrap();
    assert_eq!(first.len(), BATCH);
    assert_eq!(log.read(first[BATCH - 1].0, Duration::ZERO).unwrap().len(), 10);
}

pub(crate) fn a_purge_removes_what_is_old_and_says_so(store: &impl Store) {
    let client = store.client();
    let mark = tombstone(Reason::Logout, pulse(&*client).now);
    for _ in 0..5 {
        client.end(&key(), &mark, soon()).unwrap();
    }
    store.pass(Duration::from_millis(20));
    let between = pulse(&*client).now;
    store.pass(Duration::from_millis(20));
    for _ in 0..5 {
        client.end(&key(), &mark, soon()).unwrap();
    }
    let all = read_all(&mut *log(&*client), Position::default());
    let mut log = log(&*client);
    assert_eq!(log.pulse(&node(), soon()).unwrap().trimmed, Position::default());
    log.purge(between, soon()).unwrap();
    let gap = log.read(Position::default(), Duration::ZERO);
    assert!(gap.is_err(), "who has not read what is gone must know: {gap:?}");
    let mut log = self::log(&*client);
    assert_eq!(read_all(&mut *log, all[4].0), all[5..]);
    let after = log.pulse(&node(), soon()).unwrap();
    assert_eq!((after.trimmed, after.last), (all[4].0, all[9].0));
    // Also when nothing is left, the last entry is known.
    log.purge(Timestamp::MAX, soon()).unwrap();
    let after = log.pulse(&node(), soon()).unwrap();
    assert_eq!((after.trimmed, after.last), (all[9].0, all[9].0));
    client.end(&key(), &mark, soon()).unwrap();
    assert_eq!(read_all(&mut *log, all[9].0).len(), 1);
}

pub(crate) fn marks_are_listed_while_they_are_kept(store: &impl Store) {
    let client = store.client();
    let (kept, over) = (key(), key());
    client.mark(&over, None, Duration::from_millis(300), soon()).unwrap();
    let cutoff = client.mark(&kept, None, KEEP, soon()).unwrap();
    let mut log = log(&*client);
    assert_eq!(log.marks(soon()).unwrap().len(), 2);
    store.pass(Duration::from_millis(400));
    for _ in 0..2 {
        let marks = log.marks(soon()).unwrap();
        assert_eq!(marks.iter().map(|mark| (mark.scope, mark.cutoff)).collect::<Vec<_>>(), [(kept, cutoff)]);
        log.purge(Timestamp::default(), soon()).unwrap();
    }
}

pub(crate) fn nodes_leave_word(store: &impl Store) {
    let client = store.client();
    let mut log = log(&*client);
    let other = NodeReport { name: "two \u{e9}".into(), fingerprint: String::new(), version: "2".into() };
    let first = log.pulse(&node(), soon()).unwrap();
    log.pulse(&other, soon()).unwrap();
    store.pass(Duration::from_millis(20));
    let last = log.pulse(&node(), soon()).unwrap();
    let nodes = log.nodes(soon()).unwrap();
    let [one, two] = &nodes[..] else { panic!("{nodes:?}") };
    assert_eq!((&one.report, &two.report), (&node(), &other));
    assert!(one.at >= first.now && one.at <= last.now);
    assert!(two.at >= first.now && two.at < last.now);
    // What is new is told at once.
    let changed = NodeReport { fingerprint: "new".into(), ..other };
    log.pulse(&changed, soon()).unwrap();
    assert_eq!(log.nodes(soon()).unwrap()[1].report, changed);
}

pub(crate) fn all_clients_see_one_identity(store: &impl Store) {
    let (one, other) = (store.client(), store.client());
    let identity = pulse(&*one).identity;
    assert_eq!(pulse(&*other).identity, identity);
    let mut log = log(&*other);
    for _ in 0..3 {
        assert_eq!(log.pulse(&node(), soon()).unwrap().identity, identity);
    }
}
