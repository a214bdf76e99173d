//! Two stores as one, while sessions move from the one to the other. The log of both may tell of a mark twice, so that
//! the law about what exactly it tells is not among these.

use super::redis::{InRedis, shared};
use super::store::{Store, events, key, load, log, metadata, node, pulse, read_all, record, soon, tombstone};
use harness::redis::Redis;
use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::store::l2::{Backend, Draining, Event, Mark, MemoryBackend, Position, Stored};
use mod_session_cluster::store::succession::{Succession, Successor};
use mod_session_cluster::store::tombstone::Reason;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

const KEEP: Duration = Duration::from_secs(60);

/// One over the other.
struct Both<N, O> {
    new: N,
    old: O,
}

impl<N: Store, O: Store> Store for Both<N, O> {
    fn client(&self) -> Box<dyn Backend> {
        Box::new(Draining::new(self.new.client().into(), self.old.client().into()))
    }

    fn pass(&self, span: Duration) {
        self.new.pass(span);
        self.old.pass(span);
    }
}

macro_rules! hold_to_the_laws_while_draining {
    ($begin:expr) => {
        hold_to_the_laws! { $begin;
            laws: what_is_created_is_loaded, what_was_never_there_is_nothing,
                of_two_creates_of_a_key_the_first_wins, no_create_wins_over_a_tombstone,
                retire_moves_a_deadline_earlier_and_never_later, retire_brings_nothing_back,
                the_first_tombstone_stays, end_needs_no_record, a_tombstone_goes_when_its_time_is_over,
                touch_moves_last_seen_later_and_never_earlier, touch_creates_nothing,
                a_mark_only_rises, a_mark_rises_above_every_stamp_given_out_before,
                stamps_are_those_of_the_marks_that_are_kept;
            places: the_first_who_asks_for_a_place_has_it, a_place_is_taken_though_no_deadline_moves,
                there_is_no_place_of_what_has_ended, what_was_superseded_is_seen_and_ends_like_others,
                what_was_retired_as_superseded_has_no_place_to_give, who_asks_again_is_told_the_same;
            logs: the_log_tells_who_was_superseded, what_changes_nothing_is_not_told,
                two_readers_see_the_same_order, replay_gives_exactly_what_was_missed,
                a_reader_hears_at_once, a_reader_waits_no_longer_than_it_wants_to,
                more_than_a_batch_comes_in_batches, a_purge_removes_what_is_old_and_says_so,
                marks_are_listed_while_they_are_kept, nodes_leave_word, all_clients_see_one_identity;
            concurrent: of_threads_that_create_a_key_one_wins, of_threads_that_want_a_place_one_has_it,
                an_end_wins_every_race, the_latest_touch_of_all_threads_stays, marks_of_all_threads_differ,
                what_all_threads_write_stands_in_the_log;
        }
    };
}

mod from_redis_to_redis {
    use super::*;

    fn store() -> Both<InRedis, InRedis> {
        static SERVER: Mutex<Weak<Redis>> = Mutex::new(Weak::new());
        let server = shared(&SERVER, Redis::start);
        let part = || InRedis::new(&server, &[&server.url()]);
        Both { new: part(), old: part() }
    }

    hold_to_the_laws_while_draining!(store());
}

/// The parts of a change: two stores, a node on its way to the new one, and one that is not so far yet.
struct Change {
    old: MemoryBackend,
    new: MemoryBackend,
    ahead: Draining,
    behind: Draining,
}

fn change() -> Change {
    let now = Timestamp::from_millis(1_700_000_000_000);
    // The old store's clock is ahead.
    let (old, new) = (MemoryBackend::new(now.after(Duration::from_secs(9))), MemoryBackend::new(now));
    let arc = |store: &MemoryBackend| -> Arc<dyn Backend> { Arc::new(store.clone()) };
    let ahead = Draining::new(arc(&new), arc(&old));
    let behind = Draining::new(arc(&old), arc(&new));
    Change { old, new, ahead, behind }
}

#[test]
fn a_session_of_the_old_store_is_found_and_new_ones_go_to_the_new() {
    let Change { old, new, ahead, behind } = change();
    let (before, after, now) = (key(), key(), pulse(&new).now);
    let (first, second) = (record(before, now, b"old"), record(after, now, b"new"));
    behind.create(&first, soon()).unwrap();
    ahead.create(&second, soon()).unwrap();
    for node in [&ahead, &behind] {
        assert_eq!(load(node, &before), (Stored::Record(metadata(&first)), b"old".into()));
        assert_eq!(load(node, &after), (Stored::Record(metadata(&second)), b"new".into()));
    }
    assert_eq!(load(&new, &before).0, Stored::Nothing);
    assert_eq!(load(&old, &after).0, Stored::Nothing);
}

#[test]
fn whoever_ends_or_retires_a_session_ends_it_for_both_kinds_of_nodes() {
    for (born_ahead, ended_ahead) in [(false, false), (false, true), (true, false), (true, true)] {
        let Change { new, ahead, behind, .. } = change();
        let (ended, retired, now) = (key(), key(), pulse(&new).now);
        let node = |is_ahead: bool| if is_ahead { &ahead } else { &behind };
        for key in [ended, retired] {
            node(born_ahead).create(&record(key, now, b"payload"), soon()).unwrap();
        }
        let mut logs = [log(&ahead), log(&behind)];
        let at = logs.each_mut().map(|log| log.pulse(&super::store::node(), soon()).unwrap().last);
        let mark = tombstone(Reason::Logout, now);
        assert!(matches!(node(ended_ahead).end(&ended, &mark, soon()), Ok(Stored::Record(_))));
        let deadline = now.after(Duration::from_secs(10));
        node(ended_ahead).retire(&retired, deadline, Reason::Superseded, soon()).unwrap();
        for (reader, (log, at)) in [&ahead, &behind].into_iter().zip(logs.iter_mut().zip(at)) {
            assert_eq!(load(reader, &ended).0, Stored::Tombstone(mark));
            let Stored::Record(metadata) = load(reader, &retired).0 else { panic!("it is gone") };
            assert_eq!(metadata.deadline, deadline);
            let told = events(&mut **log, at);
            assert!(told.contains(&Event::Ended { key: ended, tombstone: mark }), "{told:?}");
            let reason = Reason::Superseded;
            assert!(told.contains(&Event::Retired { key: retired, deadline, reason }), "{told:?}");
        }
    }
}

#[test]
fn both_kinds_of_nodes_ask_one_store_for_a_place() {
    for born_ahead in [false, true] {
        let Change { new, ahead, behind, .. } = change();
        let (old, now) = (key(), pulse(&new).now);
        let born = if born_ahead { &ahead } else { &behind };
        born.create(&record(old, now, b"payload"), soon()).unwrap();
        let until = now.after(Duration::from_secs(10));
        let ask = |node: &Draining, by| node.supersede(&old, Successor::of(by), until, soon()).unwrap();
        let (first, second) = (key(), key());
        for _ in 0..2 {
            assert_eq!(ask(&behind, &first), Succession::First(until));
            assert_eq!(ask(&ahead, &second), Succession::Second(until));
            assert_eq!(ask(&ahead, &first), Succession::First(until));
        }
    }
}

#[test]
fn a_mark_is_above_every_stamp_of_both_stores_and_heard_by_both_kinds_of_nodes() {
    let Change { old, ahead, behind, .. } = change();
    let first = old.mark(&key(), None, KEEP, soon()).unwrap();
    for marker in [&ahead, &behind] {
        let scope = key();
        let cutoff = marker.mark(&scope, None, KEEP, soon()).unwrap();
        assert!(cutoff > first);
        for reader in [&ahead, &behind] {
            assert_eq!(reader.cutoffs(&[scope], soon()), Ok(vec![Some(cutoff)]));
            let told = events(&mut *log(reader), Position::default());
            let is_it = |mark: &Mark| mark.scope == scope && mark.cutoff == cutoff;
            let heard = |event: &Event| matches!(event, Event::Marked(mark) if is_it(mark));
            assert!(told.iter().any(heard), "{told:?}");
            let marks = log(reader).marks(soon()).unwrap();
            assert_eq!(marks.iter().filter(|mark| mark.scope == scope).count(), 1);
        }
    }
}

#[test]
fn who_reads_both_logs_misses_nothing_of_either_and_is_moved_by_the_new_one_only() {
    let Change { old, new, ahead, .. } = change();
    let mark = tombstone(Reason::Logout, pulse(&new).now);
    for _ in 0..super::store::BATCH + 20 {
        old.end(&key(), &mark, soon()).unwrap();
    }
    for _ in 0..super::store::BATCH + 20 {
        new.end(&key(), &mark, soon()).unwrap();
    }
    let mut log = log(&ahead);
    log.pulse(&node(), soon()).unwrap();
    let all = read_all(&mut *log, Position::default());
    assert_eq!(all.len(), 2 * (super::store::BATCH + 20));
    assert_eq!(all.last().unwrap().0, pulse(&new).last);
    old.end(&key(), &mark, soon()).unwrap();
    assert_eq!(read_all(&mut *log, pulse(&new).last).len(), 1);
}

#[test]
fn without_the_old_store_what_is_in_the_new_one_is_known_and_nothing_else_is_taken_for_absent() {
    let Change { old, new, ahead, .. } = change();
    let (here, now) = (key(), pulse(&new).now);
    let new_one = record(here, now, b"new");
    ahead.create(&new_one, soon()).unwrap();
    old.set_reachable(false);
    assert_eq!(load(&ahead, &here).0, Stored::Record(metadata(&new_one)));
    assert!(ahead.load(&key(), &mut Vec::new(), soon()).is_err());
    assert!(matches!(ahead.end(&here, &tombstone(Reason::Logout, now), soon()), Ok(Stored::Record(_))));
    assert!(ahead.end(&key(), &tombstone(Reason::Logout, now), soon()).is_err());
}

#[test]
fn when_either_store_is_another_one_the_log_is_too() {
    let Change { old, new, ahead, .. } = change();
    let first = pulse(&ahead).identity;
    old.lose_everything();
    let second = pulse(&ahead).identity;
    new.lose_everything();
    assert!(first != second && second != pulse(&ahead).identity);
}
