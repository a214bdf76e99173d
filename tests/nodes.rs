//! Nodes of a cluster in one process: real tables, real watchers and the reference store, without httpd and without
//! waiting for anything but leases. What each test says must hold with every store; here the faults can be had exactly.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

#[path = "nodes/logless.rs"]
mod logless;
#[path = "nodes/succession.rs"]
mod succession;
#[path = "nodes/wrapped.rs"]
mod wrapped;

use mod_session_cluster::clock::{Timestamp, uptime};
use mod_session_cluster::session::id::SessionId;
use mod_session_cluster::session::payload::{Means, Payload, Principal};
use mod_session_cluster::session::policy::Policy;
use mod_session_cluster::session::realm::Realm;
use mod_session_cluster::session::scope::{Effect, Scope};
use mod_session_cluster::session::sessions::{Resumed, Session, SessionError, Sessions};
use mod_session_cluster::store::cluster::{Cluster, Outage};
use mod_session_cluster::store::confirmed::Confirmed;
use mod_session_cluster::store::l1::{Geometry, ProcessLock, Table};
use mod_session_cluster::store::l2::{Backend, MemoryBackend, NodeReport};
use mod_session_cluster::store::moment::Moment;
use mod_session_cluster::store::tiers::{Budget, Store};
use mod_session_cluster::store::tombstone::Reason;
use mod_session_cluster::store::watch::{Report, Watcher};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64};
use std::thread::sleep;
use std::time::Duration;
use wrapped::Wrapped;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const BOUND: Duration = Duration::from_millis(100);

/// A host: its table, and the watcher of its only process.
struct Node {
    store: &'static Store<'static, ProcessLock>,
    watcher: RefCell<Watcher<'static, 'static, ProcessLock>>,
    reports: RefCell<Vec<Report>>,
    realm: Realm,
    policy: Policy,
}

impl Node {
    fn new(name: &str, backend: &MemoryBackend) -> Self {
        Self::with(name, backend, Outage::Refuse, Policy::default())
    }

    fn with(name: &str, backend: &MemoryBackend, outage: Outage, policy: Policy) -> Self {
        Self::over(name, Arc::new(backend.clone()), outage, policy)
    }

    fn over(name: &str, backend: Arc<dyn Backend>, outage: Outage, policy: Policy) -> Self {
        let geometry = Geometry::new(2 << 20, 4096).unwrap();
        let words: Vec<AtomicU64> = (0..geometry.words()).map(|_| AtomicU64::new(0)).collect();
        let table = Table::format(Vec::leak(words), ProcessLock::new(), geometry, START);
        // A clock that is an hour wrong, until the store has been heard.
        table.link().open(1, START.after(Duration::from_secs(3600)), uptime());
        let words = || Vec::leak((0..4096).map(|_| AtomicU64::new(0)).collect());
        let confirmed = if backend.has_log() { None } else { Some(Confirmed::new(words())) };
        let cluster = Cluster {
            backend,
            id: 1,
            bound: BOUND,
            outage,
            node: 7,
            report: NodeReport { name: name.into(), fingerprint: "f".into(), version: "1".into() },
            confirmed,
            revived: AtomicU16::new(0),
            flush_every: Duration::from_millis(1),
        };
        let store: &'static Store<'_, _> = Box::leak(Box::new(Store::clustered(table, cluster)));
        let watcher = RefCell::new(Watcher::new(store, 1).unwrap());
        let node = Node { store, watcher, reports: RefCell::default(), realm: Realm::new("r"), policy };
        node.watch();
        node
    }

    /// One step of the watcher.
    fn watch(&self) {
        self.watcher.borrow_mut().step(&|report| self.reports.borrow_mut().push(report));
    }

    fn now(&self) -> Timestamp {
        self.store.now(|| unreachable!("it is in a cluster"))
    }

    fn moment(&self) -> Moment {
        self.store.moment(|| unreachable!("it is in a cluster"))
    }

    fn with_sessions<R>(&self, op: impl FnOnce(&Sessions<'_, 'static, ProcessLock>) -> R) -> R {
        let budget = Budget::new(Duration::from_millis(50));
        op(&Sessions::new(self.store, &self.realm, self.policy, &budget))
    }

    fn begin(&self, user: &str) -> Session {
        let means = Means { auth_type: "Session".into(), auth_name: None };
        let principal = Some(Principal { user: user.into(), means, typed: None });
        let born_under = self.store.watermark().as_millis();
        let payload = Payload { principal, born_under, ..Payload::default() };
        self.with_sessions(|sessions| sessions.begin(&payload, false, self.now())).unwrap().session
    }

    fn resume(&self, id: &SessionId) -> Result<Result<Arc<Session>, Option<Reason>>, SessionError> {
        self.with_sessions(|sessions| sessions.resume(id, self.now())).map(|resumed| match resumed {
            Resumed::Found { session, .. } => Ok(session),
            Resumed::Absent(reason) => Err(reason),
        })
    }

    fn serves(&self, id: &SessionId) -> bool {
        matches!(self.resume(id), Ok(Ok(_)))
    }

    fn refusal(&self, id: &SessionId) -> Option<Reason> {
        self.resume(id).unwrap().err().expect("it is refused")
    }

    fn is_unavailable(&self, id: &SessionId) -> bool {
        self.resume(id).is_err()
    }

    fn log_out(&self, session: &Session) {
        assert!(self.with_sessions(|sessions| sessions.end(session, Reason::Logout, self.now())).unwrap());
    }
}

fn pair(backend: &MemoryBackend) -> (Node, Node) {
    (Node::new("a", backend), Node::new("b", backend))
}

#[test]
fn a_login_on_one_node_is_known_on_the_other_by_one_question_to_the_store() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let before = backend.commands();
    let session = a.begin("alice");
    assert_eq!(backend.commands() - before, 1, "a begin");
    for _ in 0..1000 {
        assert!(a.serves(session.id()) && b.serves(session.id()));
    }
    assert_eq!(backend.commands() - before, 2, "and a look at it, for 2,000 pages");
}

/// A visit counts, although the node had to ask the store for the session.
fn a_visit_counts_that_the_store_was_asked_for(backend: &MemoryBackend, a: &Node, b: &Node) {
    let idle = Policy::default().idle;
    let session = a.begin("alice");
    let pass = |time| {
        backend.set_now(START.after(time));
        sleep(BOUND);
        a.watch();
        b.watch();
    };
    pass(idle * 9 / 10);
    let before = backend.commands();
    assert!(b.serves(session.id()));
    assert!(backend.commands() > before, "it was asked");
    pass(idle * 18 / 10);
    assert!(b.serves(session.id()), "it was visited less than its idle timeout ago");
    pass(idle * 27 / 10);
    assert!(a.serves(session.id()), "the other node was told of the visits");
}

#[test]
fn a_visit_to_a_node_that_did_not_know_the_session_counts() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    a_visit_counts_that_the_store_was_asked_for(&backend, &a, &b);
}

#[test]
fn a_logout_is_heard_of_by_the_log() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let session = a.begin("alice");
    assert!(b.serves(session.id()));
    a.log_out(&session);
    assert_eq!(a.refusal(session.id()), Some(Reason::Logout));
    b.watch();
    let before = backend.commands();
    assert_eq!(b.refusal(session.id()), Some(Reason::Logout));
    assert_eq!(backend.commands(), before, "without a question");
}

#[test]
fn a_node_that_does_not_hear_the_log_asks_the_store_once_the_lease_is_over() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let (ended, other) = (a.begin("alice"), a.begin("bob"));
    b.watch();
    assert!(b.serves(ended.id()) && b.serves(other.id()));
    a.log_out(&ended);
    sleep(BOUND + Duration::from_millis(5));
    assert_eq!(b.refusal(ended.id()), Some(Reason::Logout));
    let before = backend.commands();
    assert!(b.serves(other.id()) && b.serves(other.id()));
    assert!(backend.commands() >= before + 2, "every hit is confirmed");
}

#[test]
fn a_page_that_looked_when_there_was_no_lease_does_not_trust_the_table_for_a_lease_that_came_later() {
    let backend = MemoryBackend::new(START);
    let node = Node::new("a", &backend);
    let session = node.begin("alice");
    let known = node.resume(session.id()).unwrap().unwrap();
    let goes_on =
        |moment| node.with_sessions(|sessions| sessions.resumes_unchanged(&known, moment)).is_some();
    assert!(goes_on(node.moment()));
    sleep(BOUND + Duration::from_millis(5));
    let before = node.moment();
    node.watch();
    assert!(!goes_on(before), "it looked before the log was read");
    assert!(goes_on(node.moment()));
}

#[test]
fn without_the_store_hits_go_on_or_wait_as_the_policy_says_and_unknown_ids_wait() {
    let backend = MemoryBackend::new(START);
    let refuse = Node::new("a", &backend);
    let serve = Node::with("b", &backend, Outage::Serve(Duration::from_millis(400)), Policy::default());
    let (known, unknown) = (refuse.begin("alice"), refuse.begin("bob"));
    assert!(serve.serves(known.id()));
    backend.set_reachable(false);
    sleep(BOUND + Duration::from_millis(5));
    refuse.watch();
    serve.watch();
    assert!(matches!(refuse.reports.borrow()[..], [Report::Lost(_)]));
    assert!(refuse.is_unavailable(known.id()));
    assert!(serve.serves(known.id()));
    assert!(serve.is_unavailable(unknown.id()));
    let end = serve.with_sessions(|sessions| sessions.end(&known, Reason::Logout, serve.now()));
    assert!(end.unwrap_err().is_retryable(), "a logout that the store did not confirm is none");
    assert!(serve.serves(known.id()));
    sleep(Duration::from_millis(400));
    assert!(serve.is_unavailable(known.id()), "the allowance is over");
    backend.set_reachable(true);
    for node in [&refuse, &serve] {
        node.watch();
        assert!(node.serves(known.id()) && node.serves(unknown.id()));
        assert!(matches!(node.reports.borrow()[..], [Report::Lost(_), Report::Regained]));
    }
}

#[test]
fn a_known_end_outlasts_the_loss_of_the_store() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let (ended, lost) = (a.begin("alice"), a.begin("bob"));
    assert!(b.serves(ended.id()) && b.serves(lost.id()));
    a.log_out(&ended);
    backend.lose_everything();
    b.watch();
    assert_eq!(b.reports.borrow()[..], [Report::OtherLog]);
    assert_eq!(b.refusal(lost.id()), None, "what the store has lost is lost");
    a.watch();
    b.watch();
    assert_eq!(b.refusal(ended.id()), Some(Reason::Logout), "a has told of it");
    let c = Node::new("c", &backend);
    assert_eq!(c.refusal(ended.id()), Some(Reason::Logout));
}

#[test]
fn a_node_that_was_away_replays_what_it_missed() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let sessions: Vec<Session> = (0..1200).map(|i| a.begin(&format!("user{i}"))).collect();
    for session in &sessions {
        assert!(b.serves(session.id()));
        a.log_out(session);
    }
    b.watch();
    let before = backend.commands();
    for session in &sessions {
        assert_eq!(b.refusal(session.id()), Some(Reason::Logout));
    }
    assert_eq!(backend.commands(), before);
    assert_eq!(b.reports.borrow()[..], []);
}

#[test]
fn a_superseded_session_ends_after_its_grace_on_every_node_and_its_line_with_any_of_it() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let old = a.begin("alice");
    assert!(b.serves(old.id()));
    let supersede = |old: &Session| {
        a.with_sessions(|sessions| sessions.supersede(old, old.payload(), a.now())).unwrap().session
    };
    let new = supersede(&old);
    b.watch();
    assert!(b.serves(old.id()) && b.serves(new.id()), "within the grace");
    backend.set_now(START.after(Duration::from_secs(11)));
    a.watch();
    b.watch();
    assert_eq!(b.refusal(old.id()), Some(Reason::Superseded));
    assert!(b.serves(new.id()));
    let newest = supersede(&new);
    assert!(b.serves(newest.id()));
    a.log_out(&new);
    b.watch();
    assert_eq!(b.refusal(newest.id()), Some(Reason::Logout));
    let c = Node::new("c", &backend);
    assert_eq!(c.refusal(newest.id()), Some(Reason::Logout), "also where neither was ever seen");
}

#[test]
fn a_mark_ends_all_sessions_of_a_user_on_every_node() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let (alice, bob) = (a.begin("alice"), a.begin("bob"));
    assert!(b.serves(alice.id()) && b.serves(bob.id()));
    a.with_sessions(|sessions| sessions.mark(Scope::User("alice"), Effect::End, a.now())).unwrap();
    assert_eq!(a.refusal(alice.id()), Some(Reason::Marked));
    b.watch();
    assert_eq!(b.refusal(alice.id()), Some(Reason::Marked));
    let c = Node::new("c", &backend);
    for node in [&a, &b, &c] {
        assert_eq!(node.refusal(alice.id()), Some(Reason::Marked));
        assert!(node.serves(bob.id()));
        assert!(node.serves(node.begin("alice").id()), "a new login");
    }
}

#[test]
fn a_mark_is_heeded_by_a_node_that_does_not_hear_the_log() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let alice = a.begin("alice");
    assert!(b.serves(alice.id()));
    a.with_sessions(|sessions| sessions.mark(Scope::All, Effect::End, a.now())).unwrap();
    sleep(BOUND + Duration::from_millis(5));
    assert_eq!(b.refusal(alice.id()), Some(Reason::Marked));
}

#[test]
fn a_visit_on_one_node_keeps_a_session_alive_on_the_other() {
    let idle = Duration::from_secs(100);
    let policy = Policy { idle, ..Policy::default() };
    let backend = MemoryBackend::new(START);
    let a = Node::with("a", &backend, Outage::Refuse, policy);
    let b = Node::with("b", &backend, Outage::Refuse, policy);
    let session = a.begin("alice");
    assert!(b.serves(session.id()));
    for minute in 1..5 {
        backend.set_now(START.after(Duration::from_secs(60 * minute)));
        // A step learns the time, and the next one tells of the visits until then.
        a.watch();
        b.watch();
        assert!(a.serves(session.id()), "minute {minute}");
        backend.set_now(START.after(Duration::from_secs(60 * minute + 30)));
        a.watch();
        a.watch();
        b.watch();
    }
    assert!(b.serves(session.id()), "although it was not seen here for four minutes");
    // An idle timeout, an eighth of it and three seconds after that visit.
    backend.set_now(START.after(Duration::from_secs(270 + 116)));
    a.watch();
    b.watch();
    assert_eq!(b.refusal(session.id()), Some(Reason::Idle));
    assert_eq!(a.refusal(session.id()), Some(Reason::Idle));
}

#[test]
fn a_record_that_was_ended_while_it_was_fetched_does_not_come_back() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let session = a.begin("alice");
    let stop = std::sync::atomic::AtomicBool::new(false);
    // b hears of the end while it fetches the record again and again, with every hit an untrusted one.
    std::thread::scope(|scope| {
        let id = session.id().clone();
        let (store, realm, stop) = (b.store, b.realm.clone(), &stop);
        scope.spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                store.table().invalidate().unwrap();
                let budget = Budget::new(Duration::from_millis(50));
                let now = store.now(|| unreachable!());
                let _ = Sessions::new(store, &realm, Policy::default(), &budget).resume(&id, now);
            }
        });
        sleep(Duration::from_millis(20));
        a.log_out(&session);
        b.watch();
        for _ in 0..1000 {
            assert_eq!(b.refusal(session.id()), Some(Reason::Logout));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_second_watcher_takes_over_from_one_that_says_nothing_any_more() {
    let backend = MemoryBackend::new(START);
    let a = Node::new("a", &backend);
    let mut other = Watcher::new(a.store, 2).unwrap();
    other.step(&|_| {});
    sleep(BOUND + Duration::from_millis(5));
    assert!(uptime() >= a.store.table().link().lease(), "it stood by");
    sleep(Duration::from_millis(600));
    other.step(&|_| {});
    assert!(uptime() < a.store.table().link().lease());
    a.watch();
    drop(other);
    a.watch();
    assert!(uptime() < a.store.table().link().lease(), "who resigns is not waited for");
}

#[test]
fn a_node_that_was_away_for_longer_than_the_log_is_kept_has_everything_confirmed() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let session = a.begin("alice");
    assert!(b.serves(session.id()));
    backend.set_now(START.after(Duration::from_secs(25 * 3600)));
    assert_eq!(b.reports.borrow()[..], []);
    b.watch();
    assert_eq!(b.reports.borrow()[..], [Report::OtherLog]);
    b.watch();
    assert_eq!(b.reports.borrow().len(), 1, "it is said once");
}

#[test]
fn marks_are_not_judged_by_a_lease_that_ran_out_while_the_store_was_asked_for_the_line() {
    let store = MemoryBackend::new(START);
    let a = Node::new("a", &store);
    let slow = Arc::new(Wrapped::with_log(&store));
    let b = Node::over("b", Arc::clone(&slow) as Arc<dyn Backend>, Outage::Refuse, Policy::default());
    let old = a.begin("alice");
    let new = a.with_sessions(|sessions| sessions.supersede(&old, old.payload(), a.now())).unwrap().session;
    b.watch();
    a.with_sessions(|sessions| sessions.mark(Scope::User("alice"), Effect::End, a.now())).unwrap();
    // First the session is asked for, then the one that it superseded.
    slow.slow_down(2);
    assert_eq!(b.refusal(new.id()), Some(Reason::Marked));
}
