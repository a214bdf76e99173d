//! What a process does with a page request that shows the cookie of a key.

use super::cluster::{Cluster, Flaw, LOGIN_IS_FOUND, REFUSED_STAYS_REFUSED, Steps};
use super::state::{ALLOWANCE, BOUND, Local, Page, Seen, State};
use super::store::Stored;

impl Cluster {
    pub(crate) fn page_steps(&self, node: usize, steps: &mut Steps<'_>) {
        let from = *steps.from;
        match from.nodes[node].page {
            Page::Idle => {
                for key in (0..self.keys).filter(|&key| from.promises[usize::from(key)].cookie) {
                    self.page_begins(node, key, steps);
                }
            }
            Page::Leased { key, over_for } => self.page_looks(node, key, over_for, steps),
            Page::Answered { key, asked, seen, stored } => {
                let in_time = asked < BOUND || self.has(Flaw::AnAnswerMayTakeForEver);
                if from.nodes[node].cut || !in_time {
                    page_is(node, key, Page::Failed { key }, "gets no answer in time about key", steps);
                } else {
                    self.page_gets_answer(node, key, seen, stored, steps);
                }
            }
            Page::Told { key, seen } => self.page_finds_tombstone(node, key, seen, steps),
            Page::Failed { key } => self.page_without_store(node, key, steps),
        }
    }

    /// The lease is read before the table and the generation. Whoever has a lease at hand that holds, reads a table
    /// that knows all that was written before that lease's pulse.
    fn page_begins(&self, node: usize, key: u8, steps: &mut Steps<'_>) {
        let state = steps.from;
        let over_for = state.promises[usize::from(key)].over_for;
        let leased = if self.has(Flaw::TheLeaseIsReadLast) {
            is_current(state, node, key)
        } else {
            state.nodes[node].lease < BOUND
        };
        if leased {
            page_is(
                node,
                key,
                Page::Leased { key, over_for },
                "begins a page and may trust its table on key",
                steps,
            );
        } else {
            self.page_asks(node, key, steps);
        }
    }

    fn page_looks(&self, node: usize, key: u8, over_for: u8, steps: &mut Steps<'_>) {
        let state = steps.from;
        let serves = if self.has(Flaw::TheLeaseIsReadLast) {
            state.nodes[node].lease < BOUND
        } else {
            is_current(state, node, key)
        };
        if serves {
            let broken = self.judge_served(state, node, key, over_for, false);
            page_ends(node, key, *state, "serves from its table key", broken, steps);
        } else {
            self.page_asks(node, key, steps);
        }
    }

    fn page_asks(&self, node: usize, key: u8, steps: &mut Steps<'_>) {
        let mut state = *steps.from;
        match state.nodes[node].table[usize::from(key)] {
            Local::Tombstone | Local::Hearsay => {
                return page_refuses(node, key, state, "refuses by its table's tombstone key", steps);
            }
            Local::Retired => {
                return page_ends(node, key, state, "refuses as over by its table key", None, steps);
            }
            Local::Nothing | Local::Record { .. } => {}
        }
        if state.nodes[node].cut {
            return page_is(node, key, Page::Failed { key }, "cannot ask about key", steps);
        }
        let (seen, stored) = (state.nodes[node].seen(), state.store.stored(key));
        let promise = &state.promises[usize::from(key)];
        let refused = promise.refused && matches!(stored, Stored::Live | Stored::Retired);
        state.nodes[node].page = Page::Answered { key, asked: 0, seen, stored };
        let broken = refused.then_some(REFUSED_STAYS_REFUSED);
        steps.add_judged(node, "asks the store, which answers about key", key, state, broken);
    }

    fn page_gets_answer(&self, node: usize, key: u8, mut seen: Seen, stored: Stored, steps: &mut Steps<'_>) {
        let mut state = *steps.from;
        let new = state.nodes[node].seen();
        if self.has(Flaw::AnInsertTakesTheGenerationOfItsEnd) {
            seen.generation = new.generation;
        }
        if self.has(Flaw::EvictedTombstonesAreNotCounted) {
            seen.forgotten = new.forgotten;
        }
        let put = self.has(Flaw::ATombstoneOfAnOldGenerationIsPut) && stored == Stored::Tombstone;
        if seen != new && self.has(Flaw::AnAnswerThatIsNotInsertedIsServed) && stored == Stored::Live {
            let broken =
                self.judge_served(&state, node, key, state.promises[usize::from(key)].over_for, false);
            return page_ends(node, key, state, "serves, but does not insert, key", broken, steps);
        }
        if seen != new && !put {
            return self.page_asks(node, key, steps);
        }
        let local = state.nodes[node].table[usize::from(key)];
        match (stored, local) {
            (Stored::Live, Local::Tombstone | Local::Hearsay)
                if !self.has(Flaw::AnInsertIgnoresATombstone) =>
            {
                page_refuses(node, key, state, "refuses by a tombstone that came meanwhile key", steps);
            }
            (Stored::Live, Local::Retired) | (Stored::Retired, _) => {
                page_ends(node, key, state, "refuses as over key", None, steps);
            }
            (Stored::Live, _) => {
                state.nodes[node].table[usize::from(key)] = Local::Record { generation: seen.generation };
                let broken =
                    self.judge_served(&state, node, key, state.promises[usize::from(key)].over_for, false);
                page_ends(node, key, state, "inserts and serves key", broken, steps);
            }
            (Stored::Tombstone, _)
                if self.two_steps && !self.has(Flaw::AHalfEndIsNotCompletedByWhoSeesIt) =>
            {
                // Who set it may have died before the log told of it.
                state.store.append(key);
                state.end_is_promised(key);
                state.nodes[node].page = Page::Told { key, seen };
                steps.add(node, "finds a tombstone in the store and writes to the log of key", key, state);
            }
            (Stored::Tombstone, _) => self.page_finds_tombstone(node, key, seen, steps),
            (Stored::Nothing, _) => {
                let promise = &state.promises[usize::from(key)];
                let broken = (!promise.doomed && !promise.lost).then_some(LOGIN_IS_FOUND);
                page_ends(node, key, state, "says absent of key", broken, steps);
            }
        }
    }

    fn page_finds_tombstone(&self, node: usize, key: u8, seen: Seen, steps: &mut Steps<'_>) {
        let mut state = *steps.from;
        let old = seen.generation != state.nodes[node].generation;
        if old && !self.has(Flaw::ATombstoneOfAnOldGenerationIsPut) {
            return self.page_asks(node, key, steps);
        }
        state.nodes[node].table[usize::from(key)] = Local::Tombstone;
        page_refuses(node, key, state, "puts the store's tombstone and refuses key", steps);
    }

    fn page_without_store(&self, node: usize, key: u8, steps: &mut Steps<'_>) {
        let state = *steps.from;
        let here = &state.nodes[node];
        let record = match here.table[usize::from(key)] {
            Local::Record { generation } => {
                generation == here.generation || self.has(Flaw::AnOutageServesOldGenerations)
            }
            _ => false,
        };
        if self.serves_in_outages && record && here.lease < BOUND + ALLOWANCE {
            let broken =
                self.judge_served(&state, node, key, state.promises[usize::from(key)].over_for, true);
            page_ends(node, key, state, "serves without the store key", broken, steps);
        } else {
            page_ends(node, key, state, "answers 503 for key", None, steps);
        }
    }
}

fn is_current(state: &State, node: usize, key: u8) -> bool {
    let here = &state.nodes[node];
    here.table[usize::from(key)] == Local::Record { generation: here.generation }
}

fn page_is(node: usize, key: u8, page: Page, what: &'static str, steps: &mut Steps<'_>) {
    let mut state = *steps.from;
    state.nodes[node].page = page;
    steps.add(node, what, key, state);
}

fn page_ends(
    node: usize,
    key: u8,
    mut state: State,
    what: &'static str,
    broken: Option<&'static str>,
    steps: &mut Steps<'_>,
) {
    state.nodes[node].page = Page::Idle;
    steps.add_judged(node, what, key, state, broken);
}

/// Somebody is told that the session was ended.
fn page_refuses(node: usize, key: u8, mut state: State, what: &'static str, steps: &mut Steps<'_>) {
    if !state.promises[usize::from(key)].lost {
        state.promises[usize::from(key)].refused = true;
        state.end_is_promised(key);
    }
    page_ends(node, key, state, what, None, steps);
}
