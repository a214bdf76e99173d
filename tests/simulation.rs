//! Whole nodes in simulated time: real tables and watchers over the reference store, on one thread whose clocks stand
//! still between two steps, and whose chance follows from a seed. Hours pass in milliseconds, the same each time. Run
//! with `MSC_SIMULATION=1 cargo test --no-default-features --lib --test simulation simulated_`.

#![cfg(simulation)]
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

use mod_session_cluster::chance;
use mod_session_cluster::clock::{Clock, SystemClock, Timestamp, simulated, uptime};
use mod_session_cluster::session::id::SessionId;
use mod_session_cluster::session::payload::Payload;
use mod_session_cluster::session::policy::Policy;
use mod_session_cluster::session::realm::Realm;
use mod_session_cluster::session::sessions::{Resumed, Session, Sessions};
use mod_session_cluster::store::cluster::{Cluster, Outage};
use mod_session_cluster::store::l1::{Geometry, ProcessLock, Table};
use mod_session_cluster::store::l2::{MemoryBackend, NodeReport};
use mod_session_cluster::store::tiers::{Budget, Store};
use mod_session_cluster::store::tombstone::Reason;
use mod_session_cluster::store::visits;
use mod_session_cluster::store::watch::Watcher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64};
use std::time::{Duration, Instant};

const BOUND: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

struct Node {
    store: &'static Store<'static, ProcessLock>,
    watcher: Watcher<'static, 'static, ProcessLock>,
    realm: Realm,
}

impl Node {
    fn new(name: &str, backend: &MemoryBackend) -> Self {
        let geometry = Geometry::new(2 << 20, 4096).unwrap();
        let words: Vec<AtomicU64> = (0..geometry.words()).map(|_| AtomicU64::new(0)).collect();
        let table = Table::format(Vec::leak(words), ProcessLock::new(), geometry, SystemClock.now());
        table.link().open(1, SystemClock.now(), uptime());
        let cluster = Cluster {
            backend: Arc::new(backend.clone()),
            id: 1,
            bound: BOUND,
            outage: Outage::Refuse,
            node: 1,
            report: NodeReport { name: name.into(), fingerprint: "f".into(), version: "1".into() },
            confirmed: None,
            revived: AtomicU16::new(0),
            flush_every: visits::flush_every(Policy::default().idle),
        };
        let store: &'static Store<'_, _> = Box::leak(Box::new(Store::clustered(table, cluster)));
        Node { store, watcher: Watcher::new(store, 1).unwrap(), realm: Realm::new("r") }
    }

    fn now(&self) -> Timestamp {
        self.store.now(|| unreachable!("it is in a cluster"))
    }

    fn with_sessions<R>(&self, op: impl FnOnce(&Sessions<'_, 'static, ProcessLock>) -> R) -> R {
        let budget = Budget::new(Duration::from_millis(50));
        op(&Sessions::new(self.store, &self.realm, Policy::default(), &budget))
    }

    fn begin(&self) -> Session {
        self.with_sessions(|sessions| sessions.begin(&Payload::default(), false, self.now())).unwrap().session
    }

    /// Why a session is refused; `None` when it is served.
    fn refusal(&self, id: &SessionId) -> Option<Option<Reason>> {
        match self.with_sessions(|sessions| sessions.resume(id, self.now())).unwrap() {
            Resumed::Found { .. } => None,
            Resumed::Absent(reason) => Some(reason),
        }
    }
}

/// Two nodes and their store.
struct Nodes {
    backend: MemoryBackend,
    a: Node,
    b: Node,
}

impl Nodes {
    fn new(seed: u64) -> Self {
        simulated::reset();
        chance::simulated::seed(seed);
        let backend = MemoryBackend::new(SystemClock.now());
        let (a, b) = (Node::new("a", &backend), Node::new("b", &backend));
        let mut nodes = Nodes { backend, a, b };
        nodes.pass(BOUND);
        nodes
    }

    /// Lets so much time pass, in which both nodes read the log as often as they do.
    fn pass(&mut self, time: Duration) {
        let until = simulated::passed() + time;
        while simulated::passed() < until {
            simulated::advance((BOUND / 5).min(until - simulated::passed()));
            self.backend.set_now(SystemClock.now());
            for node in [&mut self.a, &mut self.b] {
                node.watcher.step(&|report| panic!("{report:?}"));
            }
        }
    }
}

#[test]
fn simulated_hours_with_visits_end_a_session_by_each_of_its_timeouts_and_not_before() {
    let real = Instant::now();
    let mut nodes = Nodes::new(1);
    let (idle, lifetime) = (Policy::default().idle, Policy::default().lifetime);
    let (left, kept) = (nodes.a.begin(), nodes.a.begin());
    // Visits of both to one node, so far apart as they may be: the other hears of them from the store.
    for _ in 0..16 {
        nodes.pass(idle - MINUTE);
        assert_eq!(nodes.a.refusal(left.id()), None);
        assert_eq!(nodes.a.refusal(kept.id()), None);
    }
    nodes.pass(idle - MINUTE);
    assert_eq!(nodes.b.refusal(left.id()), None, "it was told of the visits");
    assert_eq!(nodes.b.refusal(kept.id()), None);
    // One is left alone.
    nodes.pass(idle / 2);
    assert_eq!(nodes.b.refusal(kept.id()), None);
    nodes.pass(idle);
    for node in [&nodes.a, &nodes.b] {
        assert_eq!(node.refusal(left.id()), Some(Some(Reason::Idle)));
        assert_eq!(node.refusal(kept.id()), None);
    }
    while simulated::passed() + MINUTE < lifetime {
        nodes.pass(MINUTE);
        assert_eq!(nodes.b.refusal(kept.id()), None);
    }
    nodes.pass(2 * MINUTE);
    for node in [&nodes.a, &nodes.b] {
        assert_eq!(node.refusal(kept.id()), Some(Some(Reason::Lifetime)));
    }
    assert!(simulated::passed() > 12 * HOUR);
    println!("{:?} of simulated time in {:?}", simulated::passed(), real.elapsed());
    assert!(real.elapsed() < MINUTE, "{:?}", real.elapsed());
}

#[test]
fn simulated_a_logout_is_heard_by_the_log_or_asked_for_once_the_lease_is_over() {
    let mut nodes = Nodes::new(2);
    let (told, asked) = (nodes.a.begin(), nodes.a.begin());
    for session in [&told, &asked] {
        assert_eq!(nodes.b.refusal(session.id()), None);
    }
    let log_out = |node: &Node, session: &Session| {
        node.with_sessions(|sessions| sessions.end(session, Reason::Logout, node.now())).unwrap()
    };
    assert!(log_out(&nodes.a, &told));
    assert_eq!(nodes.b.refusal(told.id()), None, "it has not been told, and trusts its table");
    nodes.pass(BOUND / 5);
    let before = nodes.backend.commands();
    assert_eq!(nodes.b.refusal(told.id()), Some(Some(Reason::Logout)));
    assert_eq!(nodes.backend.commands(), before, "without a question");
    // A watcher that stands still.
    assert!(log_out(&nodes.a, &asked));
    simulated::advance(BOUND);
    assert_eq!(nodes.b.refusal(asked.id()), Some(Some(Reason::Logout)));
    assert_eq!(nodes.backend.commands(), before + 2, "the end, and one question");
}

#[test]
fn simulated_runs_with_the_same_seed_are_the_same_to_the_last_bit() {
    // What a run leaves behind: its session ids, the figures of both tables, and what the store was asked.
    let run = |seed| {
        let mut nodes = Nodes::new(seed);
        let mut ids = Vec::new();
        for round in 0..20 {
            let session = if round % 2 == 0 { nodes.a.begin() } else { nodes.b.begin() };
            // As chance has it, it is visited or not.
            if chance::u32().unwrap() % 2 == 0 {
                assert_eq!(nodes.a.refusal(session.id()), None);
            }
            ids.push(session.id().to_text());
            nodes.pass(Duration::from_secs(u64::from(chance::u32().unwrap() % 600)));
        }
        let stats = [&nodes.a, &nodes.b].map(|node| node.store.table().stats());
        (ids, stats, nodes.backend.commands(), simulated::passed())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).0, run(4).0);
}
