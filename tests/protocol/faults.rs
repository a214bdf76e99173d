//! What may go wrong, beside processes that die and steps that take long: those need no leave. Each fault costs one.

use super::cluster::{Cluster, Fault, Flaw, Steps, WORLD};
use super::state::{Local, NEVER, Node, OLDEST, State};
use super::store::Stored;

impl Cluster {
    pub(crate) fn fault_steps(&self, steps: &mut Steps<'_>) {
        for node in 0..steps.from.nodes.len() {
            if steps.from.nodes[node].cut {
                let mut state = *steps.from;
                state.nodes[node].cut = false;
                let position = state.nodes[node].position;
                steps.add(node, "reaches the store again, at position", position, state);
            }
            for key in 0..self.keys {
                let mut state = *steps.from;
                let local = &mut state.nodes[node].table[usize::from(key)];
                if matches!(local, Local::Record { .. } | Local::Retired) {
                    *local = Local::Nothing;
                    steps.add(node, "evicts the record of key", key, state);
                }
            }
        }
        if steps.from.faults_left > 0 {
            for &fault in self.among {
                let mut state = *steps.from;
                state.faults_left -= 1;
                self.fault(fault, state, steps);
            }
        }
    }

    fn fault(&self, fault: Fault, state: State, steps: &mut Steps<'_>) {
        match fault {
            Fault::FailOver | Fault::LossyFailOver => {
                let most = if fault == Fault::FailOver { 0 } else { state.store.writes().count() };
                for lost in 0..=most {
                    let mut state = state;
                    state.store.fail_over(lost);
                    forget_lost_promises(&mut state, steps.from);
                    steps.add(WORLD, "the store fails over and loses writes:", lost as u8, state);
                }
            }
            Fault::FailOverOfKeys => {
                let mut state = state;
                state.store.fail_over_of_keys();
                state.store.identity += u8::from(!self.has(Flaw::TheIdentityIsOfTheLogOnly));
                forget_lost_promises(&mut state, steps.from);
                steps.add(WORLD, "the server of the keys fails over and loses writes:", 1, state);
            }
            Fault::Trim if state.store.trimmed < state.store.last() => {
                let mut state = state;
                state.store.trimmed = state.store.last();
                steps.add(WORLD, "the log is trimmed up to", state.store.trimmed, state);
            }
            Fault::Trim => {}
            _ => (0..state.nodes.len()).for_each(|node| self.fault_of_node(fault, node, state, steps)),
        }
    }

    fn fault_of_node(&self, fault: Fault, node: usize, mut state: State, steps: &mut Steps<'_>) {
        let here = &mut state.nodes[node];
        let position = here.position;
        match fault {
            Fault::Partition if !here.cut => {
                here.cut = true;
                steps.add(node, "is cut off from the store, at position", position, state);
            }
            Fault::TableLoss => {
                *here = Node { cut: here.cut, ..Node::new() };
                steps.add(node, "restarts with an empty table, at position", position, state);
            }
            Fault::Restart => {
                here.stop();
                steps.add(node, "restarts with its table, at position", position, state);
            }
            Fault::Reboot => {
                here.stop();
                // A clock that is at 0 now reads the old lease as one that lasts as long again.
                here.lease = if self.has(Flaw::ALeaseSurvivesAReboot) { 0 } else { OLDEST };
                steps.add(node, "boots again, with its table,", 0, state);
            }
            Fault::TombstoneEviction => {
                for key in (0..self.keys).map(usize::from) {
                    if state.nodes[node].table[key].is_tombstone() {
                        let mut state = state;
                        state.nodes[node].table[key] = Local::Nothing;
                        state.nodes[node].forgotten += 1;
                        steps.add(node, "evicts the tombstone of key", key as u8, state);
                    }
                }
            }
            _ => {}
        }
    }
}

/// What was acknowledged and lost binds nobody until it is asserted again. Where only the log's entry was lost, a node
/// may have a lease from before the fail-over: the time begins anew.
fn forget_lost_promises(state: &mut State, before: &State) {
    for key in 0..state.promises.len() {
        let (was, is) = (before.store.stored(key as u8), state.store.stored(key as u8));
        let promise = &mut state.promises[key];
        if was != is {
            (promise.over_for, promise.refused, promise.lost) = (NEVER, false, true);
        } else if was == Stored::Tombstone
            && before.store.has_logged_end_of(key as u8)
            && !state.store.has_logged_end_of(key as u8)
        {
            promise.over_for = 0;
        } else {
            continue;
        }
        promise.read_by = 0;
        for node in &mut state.nodes {
            if let Some(round) = node.watcher.round() {
                round.over &= !(1 << key);
            }
        }
    }
}
