//! The names of things in Redis. Records spread over the slots of a cluster; the log and what belongs to it share one.

use crate::store::key::Key;
use data_encoding::HEXLOWER;

/// All names under one prefix.
pub(super) struct Names {
    prefix: String,
    /// The stream of events.
    pub(super) log: Vec<u8>,
    /// The log's identity, its last removed entry, and the highest cutoff.
    pub(super) meta: Vec<u8>,
    /// The marks of scopes.
    pub(super) marks: Vec<u8>,
    /// What nodes say of themselves.
    pub(super) nodes: Vec<u8>,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        let name = |what| format!("{{{prefix}}}:{what}").into_bytes();
        Names {
            prefix: format!("{prefix}:s:"),
            log: name("log"),
            meta: name("meta"),
            marks: name("marks"),
            nodes: name("nodes"),
        }
    }

    /// Where the record or tombstone of a key is.
    pub(super) fn record(&self, key: &Key) -> Vec<u8> {
        let mut name = self.prefix.clone();
        HEXLOWER.encode_append(key.as_bytes(), &mut name);
        name.into_bytes()
    }
}
