//! httpd's object caches, each with a real httpd in front of it and, where there is one, a real server behind it.

use super::probe::{InProbe, Probe};
use super::redis::shared;
use super::store::{key, load, metadata, pulse, record, soon, tombstone};
use harness::Site;
use harness::memcached::Memcached;
use harness::redis::Redis;
use mod_session_cluster::store::l2::{Backend, Stored};
use mod_session_cluster::store::tombstone::Reason;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// A probe with this provider loaded.
#[track_caller]
pub(crate) fn probe(provider: &str, arguments: &str) -> Probe {
    let module = format!("socache_{provider}");
    let probe =
        Probe::start(&[&format!("socache:{provider}{arguments}")], |site: Site| site.load(&[&module]));
    // What shmcb and dbm say of an entry that is too large.
    ["AH00844", "AH00833", "AH00806"].iter().for_each(|code| probe.httpd().log.allow(code));
    probe
}

mod in_memcached {
    use super::*;

    fn store() -> InProbe {
        static SERVER: Mutex<Weak<Memcached>> = Mutex::new(Weak::new());
        static PROBE: Mutex<Weak<Probe>> = Mutex::new(Weak::new());
        let server = shared(&SERVER, || Memcached::start(64));
        let probe = shared(&PROBE, || probe("memcache", &format!(":127.0.0.1:{}", server.port())));
        InProbe::new(&probe, &server)
    }

    hold_to_the_laws_without_a_log!(store());

    #[test]
    fn a_session_of_many_months_is_kept() {
        let store = store();
        let client = super::super::store::Store::client(&store);
        let mut new = record(key(), pulse(&*client).now, b"payload");
        new.deadline = new.created.after(Duration::from_secs(400 * 86_400));
        assert_eq!(client.create(&new, soon()), Ok(true));
        assert_eq!(load(&*client, &new.key).0, Stored::Record(metadata(&new)));
    }

    #[test]
    fn a_record_that_is_too_large_is_refused_and_closes_nothing() {
        let store = store();
        let client = super::super::store::Store::client(&store);
        too_large(&*client, 1 << 20);
        let (key, now) = (key(), pulse(&*client).now);
        let large = vec![7; 1_000_000];
        assert_eq!(client.create(&record(key, now, &large), soon()), Ok(true));
        assert_eq!(load(&*client, &key).1, large);
    }
}

mod in_redis_by_httpd {
    use super::*;

    fn store() -> InProbe {
        static SERVER: Mutex<Weak<Redis>> = Mutex::new(Weak::new());
        static PROBE: Mutex<Weak<Probe>> = Mutex::new(Weak::new());
        let server = shared(&SERVER, Redis::start);
        let probe = shared(&PROBE, || probe("redis", &format!(":127.0.0.1:{}", server.port())));
        InProbe::new(&probe, &server)
    }

    hold_to_the_laws_without_a_log!(store());
}

mod in_shared_memory {
    use super::*;

    fn store() -> InProbe {
        static PROBE: Mutex<Weak<Probe>> = Mutex::new(Weak::new());
        let probe = shared(&PROBE, || probe("shmcb", ":run/sessions(33554432)"));
        InProbe::new(&probe, &probe)
    }

    hold_to_the_laws_without_a_log!(store());

    #[test]
    fn a_record_that_is_too_large_is_refused_and_closes_nothing() {
        let store = store();
        too_large(&*super::super::store::Store::client(&store), 4 << 20);
    }
}

/// All laws but the first, whose records do not fit into a dbm file.
mod in_a_dbm_file {
    use super::*;

    fn store() -> InProbe {
        static PROBE: Mutex<Weak<Probe>> = Mutex::new(Weak::new());
        let probe = shared(&PROBE, || probe("dbm", ":run/sessions"));
        InProbe::new(&probe, &probe)
    }

    hold_to_the_laws! { store();
        laws: what_was_never_there_is_nothing,
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

    #[test]
    fn a_record_that_is_too_large_is_refused_and_closes_nothing() {
        let store = store();
        too_large(&*super::super::store::Store::client(&store), 2000);
    }
}

/// A record of that size is refused, and what is smaller is kept at once.
fn too_large(client: &dyn Backend, size: usize) {
    let now = pulse(client).now;
    let refused = client.create(&record(key(), now, &vec![7; size]), soon());
    assert!(refused.as_ref().is_err_and(|e| e.0.contains("no room for an entry")), "{refused:?}");
    let small = record(key(), now, &[7; 700]);
    assert_eq!(client.create(&small, soon()), Ok(true));
    assert_eq!(load(client, &small.key), (Stored::Record(metadata(&small)), vec![7; 700]));
}

#[test]
fn a_provider_that_is_not_loaded_is_named_at_the_start() {
    let said = Probe::refused(&["socache:memcache:127.0.0.1:1"]);
    assert!(said.contains("LoadModule socache_memcache_module"), "{said}");
}

/// Prints what the report tells; the law is only that it works.
#[test]
fn what_an_operation_costs_can_be_told() {
    let memcached = Memcached::start(64);
    let redis = Redis::start();
    for (provider, arguments) in [
        ("memcache", format!(":127.0.0.1:{}", memcached.port())),
        ("redis", format!(":127.0.0.1:{}", redis.port())),
        ("shmcb", ":run/sessions(33554432)".into()),
        ("dbm", ":run/sessions".into()),
    ] {
        let probe = Arc::new(probe(provider, &arguments));
        let client = probe.client("");
        let now = pulse(&client).now;
        let keys: Vec<_> = (0..200).map(|_| key()).collect();
        let each = |work: &dyn Fn(usize)| {
            let start = Instant::now();
            (0..keys.len()).for_each(work);
            start.elapsed() / 200
        };
        let idle = each(&|_| assert!(!client.has_log()));
        let create = each(&|n| assert!(client.create(&record(keys[n], now, &[7; 500]), soon()).unwrap()));
        let found = each(&|n| assert!(matches!(load(&client, &keys[n]).0, Stored::Record(_))));
        let end = each(&|n| _ = client.end(&keys[n], &tombstone(Reason::Logout, now), soon()).unwrap());
        eprintln!("{provider}: request {idle:?}; with create {create:?}, load {found:?}, end {end:?}");
    }
}
