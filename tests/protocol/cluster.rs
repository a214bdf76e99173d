//! The protocol, with its settings and, one at a time, the flaws that it might have. Every step that some process could
//! take next is one function call; between any two of them anything else may happen.

use super::search::{Model, Next, Step};
use super::state::{ALLOWANCE, BOUND, KEYS, Local, NEVER, NODES, Node, OLDEST, Promise, Round, State};
use super::store::{Store, Stored, Write};

/// A rule of the protocol that is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flaw {
    NothingIsAssertedAgain,
    RetirementsAreNotAssertedAgain,
    TheGenerationStays,
    AnInsertIgnoresATombstone,
    ALeaseBeginsWithTheAnswer,
    ThePositionMovesFirst,
    AnEndIsAcknowledgedHalf,
    TheLogComesBeforeTheTombstone,
    AnInsertTakesTheGenerationOfItsEnd,
    ATombstoneOfAnOldGenerationIsPut,
    ALogoutPutsItsTombstoneAnyhow,
    EvictedTombstonesAreNotCounted,
    AnAnswerThatIsNotInsertedIsServed,
    RetirementsAreNotCounted,
    AnOutageServesOldGenerations,
    TheLeaseIsReadLast,
    TheIdentityIsNotedFirst,
    AGapIsLookedForInThePulseOnly,
    AHalfEndIsNotCompletedByWhoSeesIt,
    ALeaseSurvivesAReboot,
    TheFirstPulseIsTrusted,
    OneBatchIsEnough,
    AnAnswerMayTakeForEver,
    TheIdentityIsOfTheLogOnly,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    Partition,
    /// Loses nothing.
    FailOver,
    /// Loses any number of the last writes, or all.
    LossyFailOver,
    /// Of the server that holds the keys but not the log; loses its last write.
    FailOverOfKeys,
    TableLoss,
    /// Kills all processes of a node; its table stays.
    Restart,
    /// A restart after which the monotonic clock begins at 0.
    Reboot,
    TombstoneEviction,
    Trim,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    Login,
    Logout,
    Retire,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Process {
    Page,
    Handler,
    Watcher,
}

/// What one run explores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cluster {
    pub(crate) keys: u8,
    /// Key 0 has a session from the start.
    pub(crate) begun: bool,
    /// Which processes each node has.
    pub(crate) nodes: [&'static [Process]; NODES],
    pub(crate) serves_in_outages: bool,
    /// Tombstone and log entry are two steps.
    pub(crate) two_steps: bool,
    pub(crate) requests: u8,
    pub(crate) of: &'static [Request],
    pub(crate) faults: u8,
    pub(crate) among: &'static [Fault],
    pub(crate) flaw: Option<Flaw>,
}

/// The states that follow one state, as they are collected.
pub(crate) struct Steps<'s> {
    pub(crate) cluster: &'s Cluster,
    pub(crate) from: &'s State,
    pub(crate) next: &'s mut Vec<Next<State>>,
}

impl Steps<'_> {
    pub(crate) fn add(&mut self, node: usize, what: &'static str, key: u8, state: State) {
        self.add_judged(node, what, key, state, None);
    }

    pub(crate) fn add_judged(
        &mut self,
        node: usize,
        what: &'static str,
        key: u8,
        state: State,
        broken: Option<&'static str>,
    ) {
        let step = Step { who: ["node 0", "node 1", "world"][node], what, number: key.into() };
        let mut state = state;
        state.renumber();
        self.cluster.leave_out_leases(&mut state);
        self.next.push(Next { step, state, broken });
    }
}

/// The place of [`Steps::add`]'s node for what no node does.
pub(crate) const WORLD: usize = NODES;

pub(crate) const NO_RESURRECTION: &str = "P1: served BOUND or more after its end was acknowledged";
pub(crate) const READ_IS_REFUSED: &str = "P2, P5: served by a node that had read of its end";
pub(crate) const REFUSED_STAYS_REFUSED: &str = "P3: the store has a record of what was refused as ended";
pub(crate) const ASSERTED_AGAIN: &str =
    "P4: served by the store's word, though a node that pulsed knows its acknowledged end";
pub(crate) const LOGIN_IS_FOUND: &str = "P6: a session that goes on was said to be absent";

impl Cluster {
    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// A node that serves no pages needs no lease.
    fn leave_out_leases(&self, state: &mut State) {
        for (node, processes) in state.nodes.iter_mut().zip(&self.nodes) {
            if !processes.contains(&Process::Page) {
                node.lease = OLDEST;
                if let Some(round) = node.watcher.round() {
                    *round = Round { sent: OLDEST, over: 0 };
                }
            }
        }
    }

    /// What is broken when `node` serves `key` now. When it read its clock, the end had been promised for `over_for`.
    pub(crate) fn judge_served(
        &self,
        state: &State,
        node: usize,
        key: u8,
        over_for: u8,
        outage: bool,
    ) -> Option<&'static str> {
        let promise = &state.promises[usize::from(key)];
        let bound = BOUND + if outage { ALLOWANCE } else { 0 };
        let knows = |other: &Node| {
            let ended = matches!(other.table[usize::from(key)], Local::Tombstone | Local::Retired);
            ended && other.known == state.store.identity
        };
        if over_for != NEVER && over_for >= bound {
            Some(NO_RESURRECTION)
        } else if promise.read_by & 1 << node != 0 {
            Some(READ_IS_REFUSED)
        } else if promise.acknowledged
            && state.store.stored(key) == Stored::Live
            && state.nodes.iter().any(knows)
        {
            Some(ASSERTED_AGAIN)
        } else {
            None
        }
    }
}

impl Model for Cluster {
    type State = State;

    fn initial(&self) -> State {
        let promise = Promise {
            cookie: false,
            doomed: false,
            over_for: NEVER,
            read_by: 0,
            refused: false,
            lost: false,
            acknowledged: false,
        };
        let mut state = State {
            store: Store::new(),
            nodes: [Node::new(); NODES],
            promises: [promise; KEYS],
            requests_left: self.requests,
            faults_left: self.faults,
        };
        for node in &mut state.nodes {
            node.known = state.store.identity;
        }
        if self.begun {
            state.store.push(Write::Create(0));
            state.promises[0].cookie = true;
        }
        state
    }

    fn steps(&self, state: &State, next: &mut Vec<Next<State>>) {
        let mut steps = Steps { cluster: self, from: state, next };
        let mut later = *state;
        later.tick();
        steps.add(WORLD, "the clocks move on, ticks:", 1, later);
        for (node, processes) in self.nodes.iter().enumerate() {
            for process in *processes {
                match process {
                    Process::Page => self.page_steps(node, &mut steps),
                    Process::Handler => self.handler_steps(node, &mut steps),
                    Process::Watcher => self.watcher_steps(node, &mut steps),
                }
            }
        }
        self.fault_steps(&mut steps);
    }
}
