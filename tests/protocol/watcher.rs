//! The watcher of a node: pulse, entries of the log, position, lease. It may die between any two steps, and another
//! begins a round with what stands in shared memory.

use super::cluster::{Cluster, Flaw, Steps};
use super::state::{KEYS, Local, Node, Round, State, Watcher};
use super::store::Write;

impl Cluster {
    pub(crate) fn watcher_steps(&self, node: usize, steps: &mut Steps<'_>) {
        let state = *steps.from;
        let here = state.nodes[node];
        if here.watcher != Watcher::Idle {
            watcher_is(node, state, Watcher::Idle, "loses its watcher, at position", steps);
        }
        // Without the store, a round can only end.
        match here.watcher {
            Watcher::Idle if !here.cut => self.pulse(node, steps),
            Watcher::Idle => {}
            Watcher::Pulsed { round, identity, last } => {
                self.follow_new_log(node, round, identity, last, steps);
            }
            Watcher::Asserting { round, identity, last, key, half } => {
                self.assert_again(node, (round, identity, last), key, half, steps);
            }
            Watcher::Placed { round, identity } => {
                let mut state = state;
                state.nodes[node].known = identity;
                watcher_is(
                    node,
                    state,
                    Watcher::Ready { round },
                    "notes the log's identity, at position",
                    steps,
                );
            }
            Watcher::Ready { round } if !here.cut => self.read(node, round, steps),
            Watcher::Ready { .. } => {}
            Watcher::Applying { round, ended, retired, upto } => {
                self.apply(node, round, (ended, retired), upto, steps);
            }
            Watcher::Moved { round } => self.finish(node, round, steps),
        }
    }

    fn pulse(&self, node: usize, steps: &mut Steps<'_>) {
        let state = *steps.from;
        let here = &state.nodes[node];
        let unknown = here.known == 0 && !self.has(Flaw::TheFirstPulseIsTrusted);
        let another = here.known != 0 && here.known != state.store.identity;
        let fresh = unknown || another || here.position < state.store.trimmed;
        let round = Round { sent: 0, over: state.over() };
        let (identity, last) = (state.store.identity, state.store.last());
        let mut state = state;
        if here.known == 0 && !fresh {
            (state.nodes[node].known, state.nodes[node].position) = (identity, last);
        }
        let pulsed = if fresh { Watcher::Pulsed { round, identity, last } } else { Watcher::Ready { round } };
        watcher_is(node, state, pulsed, "sends a pulse, at position", steps);
    }

    /// Nothing that the table holds can be trusted now.
    fn follow_new_log(&self, node: usize, round: Round, identity: u8, last: u8, steps: &mut Steps<'_>) {
        let mut state = *steps.from;
        if !self.has(Flaw::TheGenerationStays) {
            state.nodes[node].generation += 1;
        }
        if self.has(Flaw::TheIdentityIsNotedFirst) {
            state.nodes[node].known = identity;
        }
        let next = next_to_assert(&state.nodes[node], 0);
        let watcher = Watcher::Asserting { round, identity, last, key: next, half: false };
        watcher_is(node, state, watcher, "sees another log and begins a generation, at position", steps);
    }

    fn assert_again(&self, node: usize, log: (Round, u8, u8), key: u8, half: bool, steps: &mut Steps<'_>) {
        let mut state = *steps.from;
        let (round, identity, last) = log;
        if usize::from(key) == KEYS || self.has(Flaw::NothingIsAssertedAgain) {
            state.nodes[node].position = last;
            let placed = Watcher::Placed { round, identity };
            return watcher_is(node, state, placed, "goes to the end of the log, at position", steps);
        }
        if state.nodes[node].cut {
            return;
        }
        let retired = state.nodes[node].table[usize::from(key)] == Local::Retired;
        let whole = half || !self.two_steps || retired;
        match (retired, self.two_steps, half) {
            (true, ..) if self.has(Flaw::RetirementsAreNotAssertedAgain) => {}
            (true, ..) => state.store.retire(key),
            (false, false, _) => state.store.end(key),
            (false, true, false) => state.store.bury(key),
            (false, true, true) => state.store.append(key),
        }
        if whole && !(retired && self.has(Flaw::RetirementsAreNotAssertedAgain)) {
            state.end_is_promised(key);
        }
        let next = if whole { next_to_assert(&state.nodes[node], key + 1) } else { key };
        let watcher = Watcher::Asserting { round, identity, last, key: next, half: !whole };
        state.nodes[node].watcher = watcher;
        steps.add(node, "asserts again that it is over: key", key, state);
    }

    fn read(&self, node: usize, round: Round, steps: &mut Steps<'_>) {
        let mut state = *steps.from;
        let position = state.nodes[node].position;
        if position < state.store.trimmed && !self.has(Flaw::AGapIsLookedForInThePulseOnly) {
            state.nodes[node].known = 0;
            return watcher_is(node, state, Watcher::Idle, "finds a gap in the log, at position", steps);
        }
        let batch = if self.has(Flaw::OneBatchIsEnough) { 1 } else { usize::MAX };
        let (mut ended, mut retired, mut upto) = (0, 0, position);
        for (at, entry) in state.store.log().filter(|&(at, _)| at > position).take(batch) {
            match entry {
                Write::Retire(key) => retired |= 1 << key,
                Write::End(key) | Write::Append(key) => ended |= 1 << key,
                Write::Create(_) | Write::Bury(_) => {}
            }
            upto = at;
        }
        if self.has(Flaw::ThePositionMovesFirst) {
            state.nodes[node].position = upto;
        }
        let watcher = Watcher::Applying { round, ended, retired, upto };
        watcher_is(node, state, watcher, "reads the log, at position", steps);
    }

    fn apply(&self, node: usize, round: Round, what: (u8, u8), upto: u8, steps: &mut Steps<'_>) {
        let mut state = *steps.from;
        let (mut ended, mut retired) = what;
        let here = &mut state.nodes[node];
        let Some(key) = (0..KEYS as u8).find(|key| (ended | retired) & 1 << key != 0) else {
            here.position = upto;
            return watcher_is(
                node,
                state,
                Watcher::Moved { round },
                "moves its position, at position",
                steps,
            );
        };
        let local = &mut here.table[usize::from(key)];
        // A key that is retired and then ended is both in one batch: the end is what stays.
        if retired & 1 << key != 0 {
            if matches!(local, Local::Record { .. }) {
                *local = Local::Retired;
            }
            if !self.has(Flaw::RetirementsAreNotCounted) {
                here.forgotten += 1;
            }
        }
        if ended & 1 << key != 0 && !local.is_tombstone() {
            *local = if self.two_steps { Local::Hearsay } else { Local::Tombstone };
        }
        (ended, retired) = (ended & !(1 << key), retired & !(1 << key));
        here.watcher = Watcher::Applying { round, ended, retired, upto };
        state.read_by(node, key);
        steps.add(node, "applies what it read of key", key, state);
    }

    fn finish(&self, node: usize, round: Round, steps: &mut Steps<'_>) {
        let mut state = *steps.from;
        let age = if self.has(Flaw::ALeaseBeginsWithTheAnswer) { 0 } else { round.sent };
        state.nodes[node].lease = age;
        for key in (0..KEYS as u8).filter(|key| round.over & 1 << key != 0) {
            state.read_by(node, key);
        }
        watcher_is(node, state, Watcher::Idle, "sets its lease, at position", steps);
    }
}

fn next_to_assert(node: &Node, from: u8) -> u8 {
    let over = |key: &u8| {
        let local = node.table[usize::from(*key)];
        local.is_tombstone() || local == Local::Retired
    };
    (from..KEYS as u8).find(over).unwrap_or(KEYS as u8)
}

fn watcher_is(node: usize, mut state: State, watcher: Watcher, what: &'static str, steps: &mut Steps<'_>) {
    state.nodes[node].watcher = watcher;
    steps.add(node, what, state.nodes[node].position, state);
}
