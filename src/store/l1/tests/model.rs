//! Random histories of a table against a plain map.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Create { n: u64, len: usize, idle: u64, lifetime: u64 },
    Load { n: u64 },
    Visit { n: u64 },
    Retire { n: u64, after: u64 },
    End { n: u64, keep: u64 },
    Wait { ms: u64 },
    Purge,
}

fn ops(keys: u64, most: usize) -> impl Strategy<Value = Vec<Op>> {
    let n = 0..keys;
    let op = prop_oneof![
        8 => (n.clone(), 0..=most, 1u64..7_200_000, 1u64..20_000_000)
            .prop_map(|(n, len, idle, lifetime)| Op::Create { n, len, idle, lifetime }),
        6 => n.clone().prop_map(|n| Op::Load { n }),
        3 => n.clone().prop_map(|n| Op::Visit { n }),
        1 => (n.clone(), 0u64..60_000).prop_map(|(n, after)| Op::Retire { n, after }),
        2 => (n, 0u64..30_000_000).prop_map(|(n, keep)| Op::End { n, keep }),
        2 => prop_oneof![0u64..5000, 0u64..4_000_000].prop_map(|ms| Op::Wait { ms }),
        1 => Just(Op::Purge),
    ];
    proptest::collection::vec(op, 1..400)
}

enum State {
    Alive {
        created: Timestamp,
        deadline: Timestamp,
        reason: Reason,
        idle: Duration,
        seen: Timestamp,
        len: usize,
    },
    Ended {
        tombstone: Tombstone,
    },
}

struct Model<'m> {
    table: TestTable<'m>,
    states: BTreeMap<u64, State>,
    now: Timestamp,
    /// Whether the table may have to evict.
    tight: bool,
}

impl Model<'_> {
    /// Compares what the table says about a key with what it should say.
    fn judge(&mut self, n: u64) -> Option<Found> {
        let mut sealed = Vec::new();
        let lookup = self.table.load(&key(n), self.now, &mut sealed);
        let (now, tight) = (self.now, self.tight);
        match (self.states.get(&n), lookup) {
            (None, lookup) => assert_eq!(lookup, Lookup::Absent(None)),
            (Some(State::Ended { tombstone }), Lookup::Absent(None)) => {
                assert!(tight || tombstone.until <= now)
            }
            (Some(State::Ended { tombstone }), lookup) => {
                let gone = Gone { reason: tombstone.reason, at: tombstone.at };
                assert_eq!(lookup, Lookup::Absent(Some(gone)));
            }
            (Some(State::Alive { deadline, idle, seen, .. }), Lookup::Absent(None)) => {
                assert!(tight || deadline.after(HOUR) <= now || now.since(*seen) > *idle + HOUR);
                self.states.remove(&n);
            }
            (Some(State::Alive { deadline, reason, .. }), Lookup::Absent(Some(gone))) => {
                assert!(*deadline <= now);
                assert_eq!(gone, Gone { reason: *reason, at: *deadline });
            }
            (Some(State::Alive { created, deadline, reason, idle, seen, len, .. }), Lookup::Found(found)) => {
                assert!(*deadline > now && found.born_deadline >= *deadline);
                let expected = Found {
                    created: *created,
                    deadline: *deadline,
                    born_deadline: found.born_deadline,
                    ends_as: *reason,
                    idle: *idle,
                    last_seen: *seen,
                    slot: found.slot,
                };
                assert_eq!(found, expected);
                assert_eq!(sealed, payload(&key(n), *len));
                return Some(found);
            }
            (_, Lookup::Torn) => panic!("torn without a writer"),
        }
        None
    }

    fn apply(&mut self, op: Op) {
        let now = self.now;
        match op {
            Op::Create { n, len, idle, lifetime } => {
                let (idle, deadline) =
                    (Duration::from_millis(idle), now.after(Duration::from_millis(lifetime)));
                let sealed = payload(&key(n), len);
                let record =
                    Record { key: key(n), created: now, deadline, last_seen: now, idle, sealed: &sealed };
                match self.table.create(&record, now) {
                    Ok(created) => {
                        assert!(self.tight || created.evicted_live == 0);
                        match self.states.get(&n) {
                            Some(State::Ended { tombstone }) => assert!(self.tight || tombstone.until <= now),
                            Some(State::Alive { deadline, seen, idle, .. }) => {
                                let swept = deadline.after(HOUR) <= now || now.since(*seen) > *idle + HOUR;
                                assert!(self.tight || swept);
                            }
                            None => {}
                        }
                        let reason = Reason::Lifetime;
                        let state = State::Alive { created: now, deadline, reason, idle, seen: now, len };
                        self.states.insert(n, state);
                    }
                    Err(error) => {
                        assert_eq!(error, TableError::Exists);
                        assert!(self.states.contains_key(&n));
                    }
                }
            }
            Op::Load { n } => {
                self.judge(n);
            }
            Op::Visit { n } => {
                if let Some(found) = self.judge(n) {
                    self.table.touch(found.slot, now);
                    if let Some(State::Alive { seen, .. }) = self.states.get_mut(&n)
                        && now.since(*seen) >= Duration::from_secs(1)
                    {
                        *seen = now;
                    }
                }
            }
            Op::Retire { n, after } => {
                let there = self.judge(n).is_some();
                let earlier = now.after(Duration::from_millis(after));
                assert_eq!(self.table.retire(&key(n), earlier, Reason::Superseded, now), Ok(there));
                if let (true, Some(State::Alive { deadline, reason, .. })) = (there, self.states.get_mut(&n))
                    && earlier < *deadline
                {
                    (*deadline, *reason) = (earlier, Reason::Superseded);
                }
            }
            Op::End { n, keep } => {
                let there = self.judge(n).is_some();
                let buried = matches!(load(&self.table, n, now), Lookup::Absent(Some(_)))
                    && matches!(self.states.get(&n), Some(State::Ended { .. }));
                let until = now.after(Duration::from_millis(keep));
                let tombstone =
                    Tombstone { reason: Reason::Logout, node: 0, at: now, until, ends_line: false };
                assert_eq!(self.table.end(&key(n), tombstone, now), Ok(there));
                if !buried {
                    self.states.insert(n, State::Ended { tombstone });
                }
                assert!(!is_found(&self.table, n, now));
            }
            Op::Wait { ms } => self.now = now.after(Duration::from_millis(ms)),
            Op::Purge => {
                self.table.purge(now).unwrap();
            }
        }
    }
}

fn run(geometry: Geometry, tight: bool, keys: u64, ops: Vec<Op>) -> Stats {
    let words = memory(geometry);
    let table = TestTable::format(&words, ProcessLock::new(), geometry, T0);
    let mut model = Model { table, states: BTreeMap::new(), now: T0, tight };
    for (i, op) in ops.into_iter().enumerate() {
        model.apply(op);
        if i % 16 == 0 {
            assert_eq!(model.table.check(), Ok(()));
        }
    }
    for n in 0..keys {
        model.judge(n);
    }
    assert_eq!(model.table.check(), Ok(()));
    let stats = model.table.stats();
    // What is there also proves itself.
    let (_, recovery) = TestTable::recover(&words, ProcessLock::new()).unwrap();
    assert_eq!(recovery.dropped, 0);
    assert_eq!(recovery.kept as u64, stats.live + stats.tombstones);
    stats
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_roomy_table_answers_as_a_map_does(ops in ops(40, 3000)) {
        let stats = run(smallest(3000), false, 40, ops);
        prop_assert_eq!(stats.evicted_live + stats.evicted_tombstones, 0);
    }

    #[test]
    fn a_tight_table_forgets_but_never_errs(ops in ops(400, 60_000)) {
        run(smallest(60_000), true, 400, ops);
    }
}
