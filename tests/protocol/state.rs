//! A cluster at one moment: the store, two nodes, what each of their processes is doing, and what has been promised to
//! users. The promises are no part of the protocol: they are what the properties are judged by.

use super::store::{Store, Stored};
use std::fmt::{Display, Formatter, Result as Written};

/// How long a lease lasts, and how long a load waits for its answer, in ticks.
pub(crate) const BOUND: u8 = 2;
/// How long after the end of its lease a node may serve without the store, where the policy is to serve.
pub(crate) const ALLOWANCE: u8 = 1;
pub(crate) const NODES: usize = 2;
pub(crate) const KEYS: usize = 2;
/// Times are ages in ticks. All that are this old or older are alike, so runs need no last tick.
pub(crate) const OLDEST: u8 = BOUND + ALLOWANCE;
/// The age of what did not happen yet.
pub(crate) const NEVER: u8 = u8::MAX;

fn grow(age: &mut u8) {
    if *age < OLDEST {
        *age += 1;
    }
}

/// What a node's table holds of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Local {
    Nothing,
    Record {
        generation: u8,
    },
    /// A record whose deadline is over.
    Retired,
    Tombstone,
    /// A tombstone by the word of a log whose store may have lost its own.
    Hearsay,
}

impl Local {
    /// Whether it is a tombstone, for all that a node does.
    pub(crate) fn is_tombstone(self) -> bool {
        matches!(self, Local::Tombstone | Local::Hearsay)
    }
}

/// What a process must find unchanged before it puts an answer of the store into the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Seen {
    pub(crate) generation: u8,
    /// Counts what the table forgot, or could not keep: see [`Node::forgotten`].
    pub(crate) forgotten: u8,
}

impl Seen {
    fn renumbered(self, generation: u8, forgotten: u8) -> Self {
        Seen {
            generation: u8::from(self.generation == generation),
            forgotten: u8::from(self.forgotten == forgotten),
        }
    }
}

/// A process that answers a page request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Page {
    Idle,
    /// It has read clock and lease, and may trust the table.
    Leased {
        key: u8,
        /// How long the end had been promised then.
        over_for: u8,
    },
    /// The store has answered; the answer is on its way.
    Answered {
        key: u8,
        /// Its age.
        asked: u8,
        seen: Seen,
        stored: Stored,
    },
    /// A tombstone was found in the store, and the log told of it again.
    Told {
        key: u8,
        seen: Seen,
    },
    Failed {
        key: u8,
    },
}

/// A process that ends, retires or begins a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Handler {
    Idle,
    /// The first of the two steps of an end is done.
    Half {
        key: u8,
        seen: Seen,
    },
    Ended {
        key: u8,
        seen: Seen,
    },
    Retired {
        key: u8,
        seen: Seen,
    },
    Created {
        key: u8,
        seen: Seen,
    },
}

/// The process that follows the log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Watcher {
    Idle,
    /// The pulse told of another log.
    Pulsed {
        round: Round,
        identity: u8,
        last: u8,
    },
    /// The log is another one: tombstones from `key` on are to be asserted.
    Asserting {
        round: Round,
        identity: u8,
        last: u8,
        key: u8,
        half: bool,
    },
    Placed {
        round: Round,
        identity: u8,
    },
    Ready {
        round: Round,
    },
    /// Keys of entries that were read, as bits.
    Applying {
        round: Round,
        ended: u8,
        retired: u8,
        upto: u8,
    },
    Moved {
        round: Round,
    },
}

impl Watcher {
    pub(crate) fn round(&mut self) -> Option<&mut Round> {
        match self {
            Watcher::Idle => None,
            Watcher::Pulsed { round, .. }
            | Watcher::Asserting { round, .. }
            | Watcher::Placed { round, .. }
            | Watcher::Ready { round }
            | Watcher::Applying { round, .. }
            | Watcher::Moved { round } => Some(round),
        }
    }
}

/// One round of a watcher.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Round {
    /// Age of the pulse, from when it was sent.
    pub(crate) sent: u8,
    /// Keys that were over when the store answered it, as bits: for the properties.
    pub(crate) over: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) table: [Local; KEYS],
    pub(crate) position: u8,
    pub(crate) generation: u8,
    /// The identity of the log that it follows; 0 for none.
    pub(crate) known: u8,
    /// Age of the pulse that the lease counts from.
    pub(crate) lease: u8,
    /// Counts tombstones that were evicted, and retirements that were applied.
    pub(crate) forgotten: u8,
    pub(crate) cut: bool,
    pub(crate) page: Page,
    pub(crate) handler: Handler,
    pub(crate) watcher: Watcher,
}

impl Node {
    /// With an empty table, before its first pulse.
    pub(crate) fn new() -> Self {
        Node {
            table: [Local::Nothing; KEYS],
            position: 0,
            generation: 1,
            known: 0,
            lease: OLDEST,
            forgotten: 0,
            cut: false,
            page: Page::Idle,
            handler: Handler::Idle,
            watcher: Watcher::Idle,
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen { generation: self.generation, forgotten: self.forgotten }
    }

    /// All its processes die.
    pub(crate) fn stop(&mut self) {
        (self.page, self.handler, self.watcher) = (Page::Idle, Handler::Idle, Watcher::Idle);
    }
}

/// What happened to a key, as users know it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Promise {
    /// A client has the cookie.
    pub(crate) cookie: bool,
    /// Somebody asked for its end.
    pub(crate) doomed: bool,
    /// How long ago the store acknowledged its end, or somebody was told of it.
    pub(crate) over_for: u8,
    /// Nodes that have read of its end, as bits.
    pub(crate) read_by: u8,
    /// Some node refused it because of a tombstone.
    pub(crate) refused: bool,
    /// A fail-over lost something of it.
    pub(crate) lost: bool,
    /// Its end was acknowledged, once at least.
    pub(crate) acknowledged: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) nodes: [Node; NODES],
    pub(crate) promises: [Promise; KEYS],
    pub(crate) requests_left: u8,
    pub(crate) faults_left: u8,
}

impl State {
    pub(crate) fn end_is_promised(&mut self, key: u8) {
        // What the store lost before it acknowledged it is lost as well.
        let over = matches!(self.store.stored(key), Stored::Tombstone | Stored::Retired);
        let promise = &mut self.promises[usize::from(key)];
        if over && promise.over_for == NEVER {
            promise.over_for = 0;
        }
        promise.acknowledged |= over;
    }

    /// The clocks of all nodes move on by one tick.
    pub(crate) fn tick(&mut self) {
        for promise in self.promises.iter_mut().filter(|promise| promise.over_for != NEVER) {
            grow(&mut promise.over_for);
        }
        for node in &mut self.nodes {
            grow(&mut node.lease);
            if let Page::Answered { asked, .. } = &mut node.page {
                grow(asked);
            }
            if let Some(round) = node.watcher.round() {
                grow(&mut round.sent);
            }
        }
    }

    /// Counts only what differs: a generation is the current one or an old one.
    pub(crate) fn renumber(&mut self) {
        for node in &mut self.nodes {
            let Seen { generation, forgotten } = node.seen();
            for local in &mut node.table {
                if let Local::Record { generation: of } = local {
                    *of = u8::from(*of == generation);
                }
            }
            if let Page::Answered { seen, .. } | Page::Told { seen, .. } = &mut node.page {
                *seen = seen.renumbered(generation, forgotten);
            }
            if let Handler::Half { seen, .. }
            | Handler::Ended { seen, .. }
            | Handler::Retired { seen, .. }
            | Handler::Created { seen, .. } = &mut node.handler
            {
                *seen = seen.renumbered(generation, forgotten);
            }
            (node.generation, node.forgotten) = (1, 1);
        }
    }

    /// Keys whose end was promised, as bits.
    pub(crate) fn over(&self) -> u8 {
        let over = |key: &usize| self.promises[*key].over_for != NEVER;
        (0..KEYS).filter(over).fold(0, |bits, key| bits | 1 << key)
    }

    /// A node has read that a key is over.
    pub(crate) fn read_by(&mut self, node: usize, key: u8) {
        let promise = &mut self.promises[usize::from(key)];
        if promise.over_for != NEVER {
            promise.read_by |= 1 << node;
        }
    }
}

/// For traces: the store's keys and log, and of each node its table, place in the log, lease.
impl Display for State {
    fn fmt(&self, out: &mut Formatter<'_>) -> Written {
        write!(out, "| store")?;
        for key in 0..KEYS as u8 {
            write!(out, " {}", ["-", "record", "retired", "tombstone"][self.store.stored(key) as usize])?;
        }
        write!(out, ", log {} of identity {}", self.store.last(), self.store.identity)?;
        for node in &self.nodes {
            write!(out, " |")?;
            for local in node.table {
                match local {
                    Local::Nothing => write!(out, " -")?,
                    Local::Record { generation } => {
                        write!(
                            out,
                            " {}",
                            if generation == node.generation { "record" } else { "old record" }
                        )?;
                    }
                    Local::Retired => write!(out, " retired")?,
                    Local::Tombstone | Local::Hearsay => write!(out, " tombstone")?,
                }
            }
            let Node { position, known, lease, cut, .. } = node;
            write!(out, ", position {position} of identity {known}, pulse {lease} ago")?;
            write!(out, "{}", if *cut { ", cut off" } else { "" })?;
        }
        Ok(())
    }
}
