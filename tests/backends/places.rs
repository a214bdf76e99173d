//! The laws about the place of a session, which one other takes.

use super::store::{Store, key, load, metadata, pulse, record, soon, tombstone};
use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::store::key::Key;
use mod_session_cluster::store::l2::{Backend, Metadata, Stored, Unavailable};
use mod_session_cluster::store::succession::{Succession, Successor};
use mod_session_cluster::store::tombstone::Reason;
use std::time::Duration;

/// Asks for the place of `key` for somebody.
fn ask(client: &dyn Backend, key: &Key, by: &Key, deadline: Timestamp) -> Result<Succession, Unavailable> {
    client.supersede(key, Successor::of(by), deadline, soon())
}

/// Holds a store to a law about places. A cache cannot tell who was first where its answers took long, as on a busy
/// machine: with another session, it can.
fn unhurried(law: impl Fn() -> Result<(), Unavailable>) {
    for _ in 0..4 {
        match law() {
            Err(Unavailable(why)) if why.contains("too slow to tell") => {}
            held => return held.unwrap(),
        }
    }
    law().unwrap();
}

pub(crate) fn the_first_who_asks_for_a_place_has_it(store: &impl Store) {
    unhurried(|| {
        let (client, other) = (store.client(), store.client());
        let (old, now) = (key(), pulse(&*client).now);
        let new = record(old, now, b"payload");
        client.create(&new, soon()).unwrap();
        let deadline = now.after(Duration::from_secs(10));
        assert_eq!(ask(&*client, &old, &key(), deadline)?, Succession::First(deadline));
        let expected = Metadata { deadline, ends_as: Reason::Superseded, ..metadata(&new) };
        // The same instant is no tie, and an earlier one wins nothing.
        for ms in [10_000, 9_999, 0, 10_001, 7_200_000] {
            let until = now.after(Duration::from_millis(ms));
            assert_eq!(ask(&*other, &old, &key(), until)?, Succession::Second(deadline), "{ms}");
            assert_eq!(load(&*client, &old), (Stored::Record(expected), b"payload".into()));
        }
        Ok(())
    });
}

pub(crate) fn who_asks_again_is_told_the_same(store: &impl Store) {
    unhurried(|| {
        let (client, other) = (store.client(), store.client());
        let (old, now) = (key(), pulse(&*client).now);
        client.create(&record(old, now, b"payload"), soon()).unwrap();
        let (first, second) = (key(), key());
        let deadline = now.after(Duration::from_secs(10));
        for again in 0..3 {
            let later = deadline.after(Duration::from_millis(again));
            assert_eq!(ask(&*client, &old, &first, later)?, Succession::First(deadline));
            assert_eq!(ask(&*other, &old, &second, later)?, Succession::Second(deadline));
            assert_eq!(
                ask(&*other, &old, &first, later)?,
                Succession::First(deadline),
                "whoever carries its answer"
            );
        }
        Ok(())
    });
}

pub(crate) fn a_place_is_taken_though_no_deadline_moves(store: &impl Store) {
    unhurried(|| {
        let client = store.client();
        let now = pulse(&*client).now;
        for seconds in [3600, 7200] {
            let old = key();
            let new = record(old, now, b"payload");
            client.create(&new, soon()).unwrap();
            let until = now.after(Duration::from_secs(seconds));
            assert_eq!(ask(&*client, &old, &key(), until)?, Succession::First(new.deadline));
            assert_eq!(ask(&*client, &old, &key(), until)?, Succession::Second(new.deadline));
            let expected = Metadata { ends_as: Reason::Superseded, ..metadata(&new) };
            assert_eq!(load(&*client, &old), (Stored::Record(expected), b"payload".into()));
        }
        Ok(())
    });
}

pub(crate) fn there_is_no_place_of_what_has_ended(store: &impl Store) {
    unhurried(|| {
        let client = store.client();
        let (old, now) = (key(), pulse(&*client).now);
        assert_eq!(ask(&*client, &old, &key(), now)?, Succession::Gone(None));
        assert_eq!(load(&*client, &old).0, Stored::Nothing);
        client.create(&record(old, now, b"payload"), soon()).unwrap();
        let mark = tombstone(Reason::Admin, now);
        client.end(&old, &mark, soon()).unwrap();
        assert_eq!(ask(&*client, &old, &key(), now)?, Succession::Gone(Some(Reason::Admin)));
        assert_eq!(load(&*client, &old), (Stored::Tombstone(mark), Vec::new()));
        Ok(())
    });
}

pub(crate) fn what_was_superseded_is_seen_and_ends_like_others(store: &impl Store) {
    unhurried(|| {
        let client = store.client();
        let (old, now) = (key(), pulse(&*client).now);
        let new = record(old, now, b"payload");
        client.create(&new, soon()).unwrap();
        let (first, deadline) = (key(), now.after(Duration::from_secs(1000)));
        assert_eq!(ask(&*client, &old, &first, deadline)?, Succession::First(deadline));
        let last_seen = now.after(Duration::from_secs(9));
        client.touch(&[(old, last_seen)], soon()).unwrap();
        let expected = Metadata { deadline, ends_as: Reason::Superseded, last_seen, ..metadata(&new) };
        assert_eq!(load(&*client, &old), (Stored::Record(expected), b"payload".into()));
        // As a node does that tells a store again of what it may have lost.
        let (earlier, reason) = (now.after(Duration::from_secs(800)), Reason::Superseded);
        let expected = Metadata { deadline: earlier, ..expected };
        assert_eq!(client.retire(&old, earlier, reason, soon()), Ok(Stored::Record(expected)));
        assert_eq!(ask(&*client, &old, &key(), deadline)?, Succession::Second(earlier));
        assert_eq!(load(&*client, &old), (Stored::Record(expected), b"payload".into()));
        let mark = tombstone(Reason::Logout, now);
        assert_eq!(client.end(&old, &mark, soon()), Ok(Stored::Record(expected)));
        assert_eq!(ask(&*client, &old, &first, deadline)?, Succession::Gone(Some(Reason::Logout)));
        Ok(())
    });
}

pub(crate) fn what_was_retired_as_superseded_has_no_place_to_give(store: &impl Store) {
    unhurried(|| {
        let client = store.client();
        let (old, now) = (key(), pulse(&*client).now);
        client.create(&record(old, now, b"payload"), soon()).unwrap();
        let deadline = now.after(Duration::from_secs(10));
        client.retire(&old, deadline, Reason::Superseded, soon()).unwrap();
        for until in [now, deadline] {
            assert_eq!(ask(&*client, &old, &key(), until)?, Succession::Second(deadline));
        }
        Ok(())
    });
}
