use super::engine::now;
use super::*;
use crate::clock::{Instant, Timestamp};
use crate::store::key::Key;
use crate::store::l2::contract::{Backend, Stored, Unavailable};
use crate::store::l2::wire;
use crate::store::l2::workers::Fault;
use crate::store::l2::workers::PlainThreads;
use crate::store::record::Record;
use crate::store::tombstone::{Reason, Tombstone};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// A cache in memory that can be made to forget, or to say "not found" of everything.
#[derive(Default)]
struct InMemory {
    entries: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
    dead: Mutex<bool>,
    /// An operation of the client failed.
    failed: Mutex<bool>,
    /// Comes back, with another client, when the guard is asked for.
    reviving: Mutex<bool>,
    client: Mutex<u64>,
}

impl InMemory {
    fn forget(&self, part: &str) {
        self.entries.lock().retain(|id, _| !String::from_utf8_lossy(id).contains(part));
    }
}

impl Cache for InMemory {
    fn store(&self, id: &[u8], _expiry: Timestamp, data: &[u8]) -> Result<(), Fault> {
        if *self.dead.lock() {
            *self.failed.lock() = true;
            return Err(Fault::Down("dead".into()));
        }
        self.entries.lock().insert(id.into(), data.into());
        Ok(())
    }

    fn retrieve(&self, id: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        if id.ends_with(b":G") && mem::take(&mut *self.reviving.lock()) {
            (*self.dead.lock(), *self.failed.lock()) = (false, false);
            *self.client.lock() += 1;
        }
        Ok(self.entries.lock().get(id).filter(|_| !*self.dead.lock()).cloned())
    }

    fn client(&self) -> Option<u64> {
        Some(*self.client.lock()).filter(|_| !*self.failed.lock())
    }
}

fn store() -> (Arc<InMemory>, SocacheBackend) {
    let cache = Arc::new(InMemory::default());
    let config = SocacheConfig::parse(&["socache:test"]).unwrap();
    let backend = SocacheBackend::new(&config, Arc::clone(&cache) as Arc<dyn Cache>, Arc::new(PlainThreads));
    (cache, backend)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

const KEY: Key = Key::new([7; 32]);

fn record() -> Record<'static> {
    let now = now();
    let deadline = now.after(Duration::from_secs(3600));
    let idle = Duration::from_secs(600);
    Record { key: KEY, created: now, deadline, last_seen: now, idle, sealed: b"payload" }
}

fn tombstone() -> Tombstone {
    let at = now();
    let until = at.after(Duration::from_secs(3600));
    Tombstone { reason: Reason::Logout, node: 1, at, until, ends_line: false }
}

fn stands(backend: &SocacheBackend) -> Result<Stored, Unavailable> {
    backend.load(&KEY, &mut Vec::new(), soon())
}

#[test]
fn a_cache_that_finds_nothing_because_it_is_dead_is_unavailable() {
    let (cache, backend) = store();
    backend.create(&record(), soon()).unwrap();
    let keep = Duration::from_secs(60);
    backend.mark(&KEY, None, keep, soon()).unwrap();
    *cache.dead.lock() = true;
    // Also where the client does not know it yet.
    for knows in [false, true] {
        let still = || {
            backend.revive();
            *cache.failed.lock() = knows;
        };
        still();
        assert!(stands(&backend).is_err());
        still();
        assert!(backend.cutoffs(&[KEY], soon()).is_err());
        still();
        assert!(backend.touch(&[(KEY, now())], soon()).is_err());
        still();
        assert!(backend.mark(&KEY, None, keep, soon()).is_err());
        still();
        assert!(backend.log(soon()).unwrap().pulse(&report(), soon()).is_err());
    }
    (*cache.dead.lock(), *cache.failed.lock()) = (false, false);
    backend.revive();
    assert!(matches!(stands(&backend), Ok(Stored::Record(_))));
    cache.entries.lock().clear();
    assert_eq!(stands(&backend), Ok(Stored::Nothing));
}

#[test]
fn a_cache_that_comes_back_while_it_is_asked_is_unavailable() {
    let (cache, backend) = store();
    backend.create(&record(), soon()).unwrap();
    backend.mark(&KEY, None, Duration::from_secs(60), soon()).unwrap();
    let comes_back = || {
        *cache.dead.lock() = true;
        *cache.reviving.lock() = true;
        backend.revive();
    };
    comes_back();
    assert!(stands(&backend).is_err());
    comes_back();
    assert!(backend.cutoffs(&[KEY], soon()).is_err());
    comes_back();
    assert!(backend.touch(&[(KEY, now())], soon()).is_err());
    comes_back();
    assert!(backend.mark(&KEY, None, Duration::from_secs(60), soon()).is_err());
    backend.revive();
    assert!(matches!(stands(&backend), Ok(Stored::Record(_))));
    assert!(matches!(backend.cutoffs(&[KEY], soon()).as_deref(), Ok([Some(_)])));
}

#[test]
fn what_is_found_is_believed_of_any_client() {
    let (cache, backend) = store();
    let [ended, marked, lost, unseen] = [8, 9, 10, 11].map(|n| Key::new([n; 32]));
    let keep = Duration::from_secs(60);
    backend.create(&record(), soon()).unwrap();
    backend.touch(&[(KEY, now().after(keep))], soon()).unwrap();
    backend.create(&Record { key: unseen, ..record() }, soon()).unwrap();
    backend.end(&ended, &tombstone(), soon()).unwrap();
    let cutoff = backend.mark(&marked, None, keep, soon()).unwrap();
    backend.mark(&lost, None, keep, soon()).unwrap();
    cache.entries.lock().remove(&backend.engine.mark_id(&lost));
    *cache.failed.lock() = true;
    assert!(matches!(backend.load(&ended, &mut Vec::new(), soon()), Ok(Stored::Tombstone(_))));
    assert_eq!(backend.cutoffs(&[marked], soon()), Ok(vec![Some(cutoff)]));
    let later = now().after(keep * 2);
    assert_eq!(backend.touch(&[(KEY, later)], soon()), Ok(()));
    assert_eq!(backend.engine.last_seen(&KEY), Ok(Some(later)));
    assert!(backend.touch(&[(unseen, later)], soon()).is_err(), "it may have been seen later still");
    assert_eq!(backend.engine.last_seen(&unseen), Ok(None));
    backend.revive();
    for unknown in [KEY, lost] {
        assert!(backend.cutoffs(&[marked, unknown], soon()).is_err());
        backend.revive();
    }
    assert!(stands(&backend).is_err(), "for its tombstone was not found");
    assert!(!cache.entries.lock().contains_key(&backend.engine.mark_id(&lost)), "it may be there");
}

fn report() -> crate::store::l2::contract::NodeReport {
    crate::store::l2::contract::NodeReport {
        name: "one".into(),
        fingerprint: String::new(),
        version: "1".into(),
    }
}

#[test]
fn a_record_that_comes_after_its_tombstone_does_not_count() {
    let (cache, backend) = store();
    let (record, mark) = (record(), tombstone());
    backend.end(&KEY, &mark, soon()).unwrap();
    // As a writer would leave it that died before it looked.
    let id = backend.engine.id(&KEY, "");
    cache.store(&id, record.deadline, &wire::record(&record)).unwrap();
    assert_eq!(stands(&backend), Ok(Stored::Tombstone(mark)));
    assert_eq!(backend.create(&record, soon()), Ok(false), "also when it is the same login, tried again");
    assert_eq!(stands(&backend), Ok(Stored::Tombstone(mark)));
    assert_eq!(backend.retire(&KEY, now(), Reason::Superseded, soon()), Ok(Stored::Tombstone(mark)));
}

#[test]
fn either_of_both_tombstones_does() {
    for forgotten in [".t", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"] {
        let (cache, backend) = store();
        let mark = tombstone();
        backend.create(&record(), soon()).unwrap();
        backend.end(&KEY, &mark, soon()).unwrap();
        let kept = cache.entries.lock().get(&backend.engine.id(&KEY, ".t")).cloned().unwrap();
        cache.forget(forgotten);
        if forgotten != ".t" {
            cache.store(&backend.engine.id(&KEY, ".t"), now(), &kept).unwrap();
        }
        assert_eq!(stands(&backend), Ok(Stored::Tombstone(mark)));
        assert_eq!(backend.create(&record(), soon()), Ok(false));
        assert_eq!(stands(&backend), Ok(Stored::Tombstone(mark)));
    }
}

#[test]
fn a_mark_that_the_cache_forgot_counts_as_risen() {
    let (cache, backend) = store();
    let other = Key::new([8; 32]);
    let keep = Duration::from_secs(60);
    let cutoff = backend.mark(&KEY, None, keep, soon()).unwrap();
    let highest = backend.mark(&other, None, keep, soon()).unwrap();
    cache.forget("M.");
    assert_eq!(backend.cutoffs(&[KEY, Key::new([9; 32])], soon()), Ok(vec![Some(highest), None]));
    assert!(highest > cutoff);
    backend.mark(&other, None, keep, soon()).unwrap();
    assert_eq!(backend.cutoffs(&[KEY], soon()), Ok(vec![Some(highest)]), "and rises no further by itself");
}

#[test]
fn more_marks_than_are_listed_are_kept_all_the_same() {
    let (_, backend) = store();
    let scopes: Vec<Key> = (0..200).map(|n| Key::new([n; 32])).collect();
    let mark = |scope| backend.mark(scope, None, Duration::from_secs(60), soon()).unwrap();
    let cutoffs: Vec<_> = scopes.iter().map(|scope| Some(mark(scope))).collect();
    assert_eq!(backend.cutoffs(&scopes, soon()), Ok(cutoffs));
}

#[test]
fn a_session_that_was_not_seen_for_the_cache_forgot_it_was_seen_at_its_begin() {
    let (cache, backend) = store();
    let new = record();
    backend.create(&new, soon()).unwrap();
    let later = now().after(Duration::from_secs(60));
    backend.touch(&[(KEY, later)], soon()).unwrap();
    assert!(matches!(stands(&backend), Ok(Stored::Record(metadata)) if metadata.last_seen == later));
    cache.forget(".s");
    assert!(matches!(stands(&backend), Ok(Stored::Record(metadata)) if metadata.last_seen == new.last_seen));
}

#[test]
fn what_is_not_understood_is_unavailable() {
    let (cache, backend) = store();
    cache.store(&backend.engine.id(&KEY, ""), now(), b"\x02R").unwrap();
    assert!(stands(&backend).is_err());
    assert!(backend.create(&record(), soon()).is_err());
}
