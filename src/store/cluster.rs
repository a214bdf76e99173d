//! What a host is to the cluster: the store behind its table, how long it trusts the table without asking that store,
//! and what it does while the store cannot be reached.

use super::confirmed::Confirmed;
use super::key::Key;
use super::l2::{Backend, NodeReport};
use crate::clock::uptime;
use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::time::Duration;

/// The store behind the table, and how this host deals with it.
pub struct Cluster {
    /// The store.
    pub backend: Arc<dyn Backend>,
    /// Tells it from other stores.
    pub id: u64,
    /// For how long after it was fresh the table is trusted.
    pub bound: Duration,
    /// What happens while the store cannot be reached.
    pub outage: Outage,
    /// Number of this node.
    pub node: u16,
    /// What this node tells the others of itself.
    pub report: NodeReport,
    /// For a store without a log: which keys it was asked about a moment ago.
    pub confirmed: Option<Confirmed>,
    /// The generation in which this process last used the store.
    pub revived: AtomicU16,
    /// How often the store is told of visits: [`visits::flush_every`](super::visits::flush_every) of the shortest idle
    /// timeout.
    pub flush_every: Duration,
}

/// What happens to sessions that are in the table while the store cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// They go on for so long. A logout on another node is then not heard of here until the store is back.
    Serve(Duration),
    /// They wait: a logout holds within the bound, whatever has failed.
    Refuse,
}

impl Cluster {
    /// Whether the store need not be asked about that key: its log tells, or it was asked a moment ago.
    pub(super) fn is_confirmed(&self, key: &Key) -> bool {
        self.confirmed.is_none() || self.asked(key).is_some()
    }

    /// When it was asked about that key, if that was within the bound.
    pub(super) fn asked(&self, key: &Key) -> Option<u64> {
        self.confirmed.as_ref()?.asked(key, uptime(), self.bound)
    }

    /// It was asked about that key, and what it said is in the table.
    pub(super) fn confirm(&self, key: &Key, asked: u64) {
        if let Some(confirmed) = &self.confirmed {
            confirmed.note(key, asked);
        }
    }
}

impl Default for Outage {
    fn default() -> Self {
        Outage::Serve(Duration::from_secs(3600))
    }
}
