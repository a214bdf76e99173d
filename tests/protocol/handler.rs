//! Login, logout and retirement: the store, then the own table, then the answer. The process may die between any two.

use super::cluster::{Cluster, Flaw, Request, Steps};
use super::state::{Handler, Local, Seen, State};
use super::store::{Stored, Write};

impl Cluster {
    pub(crate) fn handler_steps(&self, node: usize, steps: &mut Steps<'_>) {
        let from = *steps.from;
        let handler = from.nodes[node].handler;
        if handler != Handler::Idle {
            handler_is(
                node,
                0,
                from,
                Handler::Idle,
                "loses the process of its request, faults of that kind",
                steps,
            );
        }
        match handler {
            Handler::Idle if from.requests_left > 0 && !from.nodes[node].cut => self.request(node, steps),
            Handler::Idle => {}
            Handler::Half { key, seen } if !from.nodes[node].cut => self.other_half(node, key, seen, steps),
            Handler::Half { .. } => {}
            Handler::Ended { key, seen } | Handler::Retired { key, seen } => {
                self.put(node, key, seen, steps);
            }
            Handler::Created { key, seen } => {
                let mut state = from;
                let here = &mut state.nodes[node];
                if seen == here.seen() && here.table[usize::from(key)] == Local::Nothing {
                    here.table[usize::from(key)] = Local::Record { generation: seen.generation };
                }
                state.promises[usize::from(key)].cookie = true;
                handler_is(node, key, state, Handler::Idle, "inserts and hands out the cookie of key", steps);
            }
        }
    }

    fn request(&self, node: usize, steps: &mut Steps<'_>) {
        for key in 0..self.keys {
            let mut state = *steps.from;
            state.requests_left -= 1;
            let begun = state.promises[usize::from(key)].cookie;
            for request in self.of {
                match request {
                    Request::Login if state.store.stored(key) == Stored::Nothing && !begun => {
                        let (seen, mut state) = (state.nodes[node].seen(), state);
                        state.store.push(Write::Create(key));
                        let created = Handler::Created { key, seen };
                        handler_is(node, key, state, created, "creates at the store key", steps);
                    }
                    Request::Logout if begun => self.end(node, key, state, steps),
                    Request::Retire if begun => self.retire(node, key, state, steps),
                    _ => {}
                }
            }
        }
    }

    fn end(&self, node: usize, key: u8, mut state: State, steps: &mut Steps<'_>) {
        let seen = state.nodes[node].seen();
        state.promises[usize::from(key)].doomed = true;
        if !self.two_steps {
            state.store.end(key);
            state.end_is_promised(key);
            let ended = Handler::Ended { key, seen };
            return handler_is(node, key, state, ended, "ends at the store key", steps);
        }
        if self.has(Flaw::TheLogComesBeforeTheTombstone) {
            state.store.append(key);
            let half = Handler::Half { key, seen };
            return handler_is(node, key, state, half, "writes to the log the end of key", steps);
        }
        state.store.bury(key);
        if self.has(Flaw::AnEndIsAcknowledgedHalf) {
            state.end_is_promised(key);
        }
        handler_is(
            node,
            key,
            state,
            Handler::Half { key, seen },
            "puts a tombstone into the store for key",
            steps,
        );
    }

    fn other_half(&self, node: usize, key: u8, seen: Seen, steps: &mut Steps<'_>) {
        let mut state = *steps.from;
        if self.has(Flaw::TheLogComesBeforeTheTombstone) {
            state.store.bury(key);
        } else {
            state.store.append(key);
        }
        state.end_is_promised(key);
        handler_is(node, key, state, Handler::Ended { key, seen }, "has its end acknowledged: key", steps);
    }

    fn retire(&self, node: usize, key: u8, mut state: State, steps: &mut Steps<'_>) {
        let seen = state.nodes[node].seen();
        state.promises[usize::from(key)].doomed = true;
        state.store.retire(key);
        state.end_is_promised(key);
        handler_is(node, key, state, Handler::Retired { key, seen }, "retires at the store key", steps);
    }

    /// What the store acknowledged goes into the table only if that was the store whose log is followed now: the new
    /// one may have lost it, and its tombstones have been asserted already. Else it is asked for once more.
    fn put(&self, node: usize, key: u8, seen: Seen, steps: &mut Steps<'_>) {
        let mut state = *steps.from;
        let here = &mut state.nodes[node];
        let retired = matches!(here.handler, Handler::Retired { .. });
        if seen.generation != here.generation && !self.has(Flaw::ALogoutPutsItsTombstoneAnyhow) {
            if !here.cut {
                let again = if retired { Self::retire } else { Self::end };
                again(self, node, key, state, steps);
            }
            return;
        }
        let local = &mut here.table[usize::from(key)];
        match (retired, *local) {
            (false, _) => *local = Local::Tombstone,
            (true, Local::Record { .. }) => *local = Local::Retired,
            (true, _) => {}
        }
        if retired && !self.has(Flaw::RetirementsAreNotCounted) {
            here.forgotten += 1;
        }
        state.read_by(node, key);
        handler_is(
            node,
            key,
            state,
            Handler::Idle,
            "puts it into its table and tells the user of key",
            steps,
        );
    }
}

fn handler_is(
    node: usize,
    key: u8,
    mut state: State,
    handler: Handler,
    what: &'static str,
    steps: &mut Steps<'_>,
) {
    state.nodes[node].handler = handler;
    steps.add(node, what, key, state);
}
