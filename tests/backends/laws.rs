//! The laws about records, tombstones and marks, and the list of all laws.

use super::store::{Store, key, load, metadata, pulse, record, soon, tombstone};
use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::store::l2::Stored;
use mod_session_cluster::store::tombstone::Reason;
use std::time::Duration;

/// Makes a test of each law, of a store that `$begin` gives.
macro_rules! hold_to_the_laws {
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
            logs: the_log_tells_what_happened_in_its_order, the_log_tells_who_was_superseded,
                what_changes_nothing_is_not_told,
                two_readers_see_the_same_order, replay_gives_exactly_what_was_missed,
                a_reader_hears_at_once, a_reader_waits_no_longer_than_it_wants_to,
                more_than_a_batch_comes_in_batches, a_purge_removes_what_is_old_and_says_so,
                marks_are_listed_while_they_are_kept, nodes_leave_word, all_clients_see_one_identity;
            concurrent: of_threads_that_create_a_key_one_wins, of_threads_that_want_a_place_one_has_it,
                an_end_wins_every_race, the_latest_touch_of_all_threads_stays, marks_of_all_threads_differ,
                what_all_threads_write_stands_in_the_log;
        }
    };
    ($begin:expr; $($file:ident: $($law:ident),+;)+) => {$($(
        #[test]
        fn $law() {
            crate::backends::$file::$law(&$begin);
        }
    )+)+};
}

/// As [`hold_to_the_laws`], for caches: what can only store over what is there, and has no log. Missing are all laws
/// about the log; that of threads that create a key one wins (there is no insert-if-absent, and keys are drawn once);
/// and, because hosts read and then write, what is said of touches and marks of all threads at once.
/// `an_end_wins_every_race` is held without its log.
macro_rules! hold_to_the_laws_without_a_log {
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
            concurrent: an_end_wins_every_race_without_a_log, of_threads_that_want_a_place_in_a_cache_one_has_it;
        }
    };
}

pub(crate) fn what_is_created_is_loaded(store: &impl Store) {
    let (client, other) = (store.client(), store.client());
    let now = pulse(&*client).now;
    let all_bytes: Vec<u8> = (0..=255).collect();
    for payload in [Vec::new(), all_bytes, vec![7; 60_000]] {
        let key = key();
        let new = record(key, now, &payload);
        assert_eq!(client.create(&new, soon()), Ok(true));
        assert_eq!(load(&*other, &key), (Stored::Record(metadata(&new)), payload));
    }
}

pub(crate) fn what_was_never_there_is_nothing(store: &impl Store) {
    assert_eq!(load(&*store.client(), &key()), (Stored::Nothing, Vec::new()));
}

pub(crate) fn of_two_creates_of_a_key_the_first_wins(store: &impl Store) {
    let client = store.client();
    let (key, now) = (key(), pulse(&*client).now);
    let first = record(key, now, b"first");
    assert_eq!(client.create(&first, soon()), Ok(true));
    assert_eq!(client.create(&record(key, now, b"second"), soon()), Ok(false));
    assert_eq!(load(&*client, &key), (Stored::Record(metadata(&first)), b"first".into()));
}

pub(crate) fn no_create_wins_over_a_tombstone(store: &impl Store) {
    let client = store.client();
    let (key, now) = (key(), pulse(&*client).now);
    let mark = tombstone(Reason::Logout, now);
    client.end(&key, &mark, soon()).unwrap();
    assert_eq!(client.create(&record(key, now, b"back"), soon()), Ok(false));
    assert_eq!(load(&*client, &key), (Stored::Tombstone(mark), Vec::new()));
}

pub(crate) fn retire_moves_a_deadline_earlier_and_never_later(store: &impl Store) {
    let client = store.client();
    let (key, now) = (key(), pulse(&*client).now);
    let new = record(key, now, b"payload");
    client.create(&new, soon()).unwrap();
    client.touch(&[(key, now.after(Duration::from_secs(9)))], soon()).unwrap();
    let mut expected = metadata(&new);
    expected.last_seen = now.after(Duration::from_secs(9));
    // Bytes above 127 in each place, and both orders of two neighbours.
    for (seconds, reason, counts) in [
        (3601, Reason::Admin, false),
        (3600, Reason::Admin, false),
        (1000, Reason::Superseded, true),
        (1001, Reason::Admin, false),
        (1000, Reason::Admin, false),
        (999, Reason::Replaced, true),
        (800, Reason::Superseded, true),
    ] {
        let deadline = now.after(Duration::from_secs(seconds));
        if counts {
            (expected.deadline, expected.ends_as) = (deadline, reason);
        }
        assert_eq!(client.retire(&key, deadline, reason, soon()), Ok(Stored::Record(expected)), "{seconds}");
        assert_eq!(load(&*client, &key), (Stored::Record(expected), b"payload".into()));
    }
}

pub(crate) fn retire_brings_nothing_back(store: &impl Store) {
    let client = store.client();
    let (key, now) = (key(), pulse(&*client).now);
    assert_eq!(client.retire(&key, now, Reason::Superseded, soon()), Ok(Stored::Nothing));
    assert_eq!(load(&*client, &key).0, Stored::Nothing);
    let mark = tombstone(Reason::Logout, now);
    client.end(&key, &mark, soon()).unwrap();
    assert_eq!(client.retire(&key, now, Reason::Superseded, soon()), Ok(Stored::Tombstone(mark)));
    assert_eq!(load(&*client, &key).0, Stored::Tombstone(mark));
}

pub(crate) fn the_first_tombstone_stays(store: &impl Store) {
    let client = store.client();
    let (key, now) = (key(), pulse(&*client).now);
    let new = record(key, now, b"payload");
    client.create(&new, soon()).unwrap();
    let first = tombstone(Reason::Logout, now);
    assert_eq!(client.end(&key, &first, soon()), Ok(Stored::Record(metadata(&new))));
    let second = tombstone(Reason::Admin, now.after(Duration::from_secs(1)));
    assert_eq!(client.end(&key, &second, soon()), Ok(Stored::Tombstone(first)));
    assert_eq!(load(&*client, &key), (Stored::Tombstone(first), Vec::new()));
}

pub(crate) fn end_needs_no_record(store: &impl Store) {
    let client = store.client();
    let (key, mark) = (key(), tombstone(Reason::Evicted, pulse(&*client).now));
    assert_eq!(client.end(&key, &mark, soon()), Ok(Stored::Nothing));
    assert_eq!(load(&*client, &key).0, Stored::Tombstone(mark));
}

pub(crate) fn a_tombstone_goes_when_its_time_is_over(store: &impl Store) {
    let client = store.client();
    let (key, now) = (key(), pulse(&*client).now);
    let mut mark = tombstone(Reason::Logout, now);
    mark.until = now.after(Duration::from_millis(400));
    client.end(&key, &mark, soon()).unwrap();
    assert_eq!(load(&*client, &key).0, Stored::Tombstone(mark));
    store.pass(Duration::from_millis(500));
    assert_eq!(load(&*client, &key).0, Stored::Nothing);
}

pub(crate) fn touch_moves_last_seen_later_and_never_earlier(store: &impl Store) {
    let client = store.client();
    let now = pulse(&*client).now;
    let keys: Vec<_> = (0..3).map(|_| key()).collect();
    for key in &keys {
        client.create(&record(*key, now, b"payload"), soon()).unwrap();
    }
    let at = |seconds| now.after(Duration::from_secs(seconds));
    client.touch(&[(keys[0], at(200)), (keys[1], at(100)), (keys[2], now)], soon()).unwrap();
    client.touch(&[(keys[0], at(100)), (keys[1], at(200)), (keys[2], Timestamp::default())], soon()).unwrap();
    for (key, seen) in keys.iter().zip([at(200), at(200), now]) {
        let (stored, sealed) = load(&*client, key);
        let Stored::Record(metadata) = stored else { panic!("{stored:?}") };
        assert_eq!((metadata.last_seen, metadata.deadline, &sealed[..]), (seen, at(3600), &b"payload"[..]));
    }
}

pub(crate) fn touch_creates_nothing(store: &impl Store) {
    let client = store.client();
    let (nobody, ended, now) = (key(), key(), pulse(&*client).now);
    let mark = tombstone(Reason::Logout, now);
    client.end(&ended, &mark, soon()).unwrap();
    client.touch(&[(nobody, now), (ended, now)], soon()).unwrap();
    client.touch(&[], soon()).unwrap();
    assert_eq!(load(&*client, &nobody).0, Stored::Nothing);
    assert_eq!(load(&*client, &ended).0, Stored::Tombstone(mark));
}

pub(crate) fn a_mark_only_rises(store: &impl Store) {
    let client = store.client();
    let (scope, now, keep) = (key(), pulse(&*client).now, Duration::from_secs(60));
    let later = now.after(Duration::from_secs(5));
    assert_eq!(client.mark(&scope, Some(later), keep, soon()), Ok(later));
    assert_eq!(client.mark(&scope, Some(now), keep, soon()), Ok(later));
    let risen = client.mark(&scope, None, keep, soon()).unwrap();
    assert!(risen > later);
    assert_eq!(client.cutoffs(&[scope], soon()), Ok(vec![Some(risen)]));
}

pub(crate) fn a_mark_rises_above_every_stamp_given_out_before(store: &impl Store) {
    let (one, other) = (store.client(), store.client());
    let (now, keep) = (pulse(&*one).now, Duration::from_secs(60));
    let first = one.mark(&key(), None, keep, soon()).unwrap();
    assert!(first >= now);
    let second = other.mark(&key(), None, keep, soon()).unwrap();
    assert!(second > first);
    let far = now.after(Duration::from_secs(3600));
    one.mark(&key(), Some(far), keep, soon()).unwrap();
    assert!(other.mark(&key(), None, keep, soon()).unwrap() > far);
}

pub(crate) fn stamps_are_those_of_the_marks_that_are_kept(store: &impl Store) {
    let client = store.client();
    let (kept, over) = (key(), key());
    let cutoff = client.mark(&kept, None, Duration::from_secs(60), soon()).unwrap();
    let gone = client.mark(&over, None, Duration::from_millis(300), soon()).unwrap();
    let cutoffs = [over, key(), kept];
    assert_eq!(client.cutoffs(&cutoffs, soon()), Ok(vec![Some(gone), None, Some(cutoff)]));
    store.pass(Duration::from_millis(400));
    assert_eq!(client.cutoffs(&cutoffs, soon()), Ok(vec![None, None, Some(cutoff)]));
    assert_eq!(client.cutoffs(&[], soon()), Ok(Vec::new()));
}
