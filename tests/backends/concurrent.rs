//! The laws about many at once: threads of one process and of several.

use super::store::{Store, events, key, load, log, pulse, record, soon, tombstone};
use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::store::key::Key;
use mod_session_cluster::store::l2::{Backend, Event, Position, Stored, Unavailable};
use mod_session_cluster::store::succession::{Succession, Successor};
use mod_session_cluster::store::tombstone::{Reason, Tombstone};
use std::collections::HashSet;
use std::sync::Barrier;
use std::time::Duration;

const THREADS: u8 = 8;

/// Runs `work` in all threads at once, those with even numbers in one process and the others in another.
fn all_at_once<R: Send>(store: &impl Store, work: impl Fn(u8, &dyn Backend) -> R + Sync) -> Vec<R> {
    let clients = [store.client(), store.client()];
    let barrier = Barrier::new(THREADS.into());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let (client, barrier, work) = (&clients[usize::from(number % 2)], &barrier, &work);
                scope.spawn(move || {
                    barrier.wait();
                    work(number, &**client)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

pub(crate) fn of_threads_that_create_a_key_one_wins(store: &impl Store) {
    let now = pulse(&*store.client()).now;
    for _ in 0..20 {
        let key = key();
        let won =
            all_at_once(store, |number, client| client.create(&record(key, now, &[number]), soon()).unwrap());
        let winner = won.iter().position(|won| *won).unwrap();
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        assert_eq!(load(&*store.client(), &key).1, [winner as u8]);
    }
}

/// Who asked for a place, and what it was told.
type Told = (Key, Result<Succession, Unavailable>);

/// All threads want the place of one session, half of them until the same instant. What each is told, and by whom.
fn race_for_a_place(store: &impl Store) -> (Key, Vec<Told>) {
    let (old, now) = (key(), pulse(&*store.client()).now);
    store.client().create(&record(old, now, b"payload"), soon()).unwrap();
    let told = all_at_once(store, |number, client| {
        let (by, later) = (key(), u64::from(number % 4));
        let until = now.after(Duration::from_millis(10_000 + later));
        (by, client.supersede(&old, Successor::of(&by), until, soon()))
    });
    (old, told)
}

/// Of those that were told, one is the first; none, if all others could not be told. Until when the old one answers.
fn one_is_first(told: &[Told]) -> Option<(Key, Timestamp)> {
    let mut first = None;
    for (by, succession) in told {
        if let Ok(Succession::First(until)) = succession {
            assert_eq!(first.replace((*by, *until)), None, "two are the first: {told:?}");
        }
    }
    assert!(!told.iter().any(|(_, succession)| matches!(succession, Ok(Succession::Gone(_)))), "{told:?}");
    first
}

pub(crate) fn of_threads_that_want_a_place_one_has_it(store: &impl Store) {
    for _ in 0..20 {
        let (old, told) = race_for_a_place(store);
        let (first, until) = one_is_first(&told).expect("somebody has it");
        let Stored::Record(metadata) = load(&*store.client(), &old).0 else { panic!("it is gone") };
        assert_eq!((metadata.deadline, metadata.ends_as), (until, Reason::Superseded));
        for (by, succession) in told {
            let succession = succession.unwrap();
            assert!([Succession::First(until), Succession::Second(until)].contains(&succession));
            let again = store.client().supersede(&old, Successor::of(&by), until, soon());
            assert_eq!(again, Ok(succession), "{by:?} of {first:?}");
        }
    }
}

pub(crate) fn of_threads_that_want_a_place_in_a_table_one_has_it(store: &impl Store) {
    for _ in 0..20 {
        one_is_first(&race_for_a_place(store).1).expect("somebody has it");
    }
}

/// Where threads were held up for longer than a cache can tell, nobody may have it.
pub(crate) fn of_threads_that_want_a_place_in_a_cache_one_has_it(store: &impl Store) {
    let mut taken = 0;
    for _ in 0..10 {
        let (_, told) = race_for_a_place(store);
        let first = one_is_first(&told);
        let is_certain = told.iter().all(|(_, succession)| succession.is_ok());
        assert!(first.is_some() || !is_certain, "{told:?}");
        taken += u32::from(first.is_some());
    }
    assert!(taken > 0, "somebody has it, once at least");
}

pub(crate) fn an_end_wins_every_race(store: &impl Store) {
    for _ in 0..20 {
        let (key, mark) = race_an_end(store);
        let told = events(&mut *log(&*store.client()), Position::default());
        let of_key: Vec<_> = told.into_iter().filter(|event| key_of(event) == Some(key)).collect();
        assert!(of_key.contains(&Event::Ended { key, tombstone: mark }), "{of_key:?}");
    }
}

pub(crate) fn an_end_wins_every_race_without_a_log(store: &impl Store) {
    for _ in 0..20 {
        race_an_end(store);
    }
}

/// One thread ends a session at which all others work. It ends.
fn race_an_end(store: &impl Store) -> (Key, Tombstone) {
    let (key, now) = (key(), pulse(&*store.client()).now);
    let mark = tombstone(Reason::Logout, now);
    all_at_once(store, |number, client| {
        let earlier = now.after(Duration::from_secs(1000 - u64::from(number)));
        match number {
            0 => drop(client.end(&key, &mark, soon()).unwrap()),
            1..4 => drop(client.create(&record(key, now, &[number]), soon()).unwrap()),
            4..6 => client.touch(&[(key, earlier)], soon()).unwrap(),
            6 => drop(client.retire(&key, earlier, Reason::Superseded, soon()).unwrap()),
            // Of a cache that was too slow, nobody can tell.
            _ => drop(client.supersede(&key, Successor::of(&key), earlier, soon())),
        }
    });
    assert_eq!(load(&*store.client(), &key), (Stored::Tombstone(mark), Vec::new()));
    (key, mark)
}

fn key_of(event: &Event) -> Option<Key> {
    match event {
        Event::Ended { key, .. } | Event::Retired { key, .. } => Some(*key),
        Event::Marked(_) | Event::Unknown => None,
    }
}

pub(crate) fn the_latest_touch_of_all_threads_stays(store: &impl Store) {
    let client = store.client();
    let (key, now) = (key(), pulse(&*client).now);
    client.create(&record(key, now, b"payload"), soon()).unwrap();
    let at = |round: u64, number: u8| now.after(Duration::from_millis(round * 100 + u64::from(number)));
    all_at_once(store, |number, client| {
        for round in (0..40).rev() {
            client.touch(&[(key, at(round, number))], soon()).unwrap();
        }
    });
    let Stored::Record(metadata) = load(&*client, &key).0 else { panic!("it is gone") };
    assert_eq!(metadata.last_seen, at(39, THREADS - 1));
}

pub(crate) fn marks_of_all_threads_differ(store: &impl Store) {
    let scope = key();
    let cutoffs: Vec<Vec<Timestamp>> = all_at_once(store, |_, client| {
        (0..30).map(|_| client.mark(&scope, None, Duration::from_secs(60), soon()).unwrap()).collect()
    });
    assert!(cutoffs.iter().all(|cutoffs| cutoffs.is_sorted_by(|one, next| one < next)));
    let all: HashSet<Timestamp> = cutoffs.iter().flatten().copied().collect();
    assert_eq!(all.len(), 30 * usize::from(THREADS));
    assert_eq!(store.client().cutoffs(&[scope], soon()), Ok(vec![all.into_iter().max()]));
}

pub(crate) fn what_all_threads_write_stands_in_the_log(store: &impl Store) {
    let now = pulse(&*store.client()).now;
    let keys = all_at_once(store, |_, client| {
        let keys: Vec<_> = (0..50).map(|_| key()).collect();
        for key in &keys {
            client.end(key, &tombstone(Reason::Logout, now), soon()).unwrap();
        }
        keys
    });
    let told: Vec<_> =
        events(&mut *log(&*store.client()), Position::default()).iter().filter_map(key_of).collect();
    assert_eq!(told.len(), 50 * usize::from(THREADS));
    for of_thread in &keys {
        let in_log: Vec<_> = told.iter().filter(|key| of_thread.contains(key)).copied().collect();
        assert_eq!(&in_log, of_thread);
    }
}
