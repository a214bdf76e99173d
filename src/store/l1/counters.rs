//! Counts of what readers do: without the lock, and without readers getting in each other's way. Each thread adds to
//! one of 64 shards of a cache line each; a figure is their sum.

use super::at::{self, SHARDS};
use super::index::View;
use super::mem::LINE;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What readers count; the numbers are the words of a shard.
#[derive(Clone, Copy)]
pub(super) enum Counter {
    Hits = 0,
    Misses = 1,
    Gone = 2,
    Torn = 3,
    Touches = 4,
}

thread_local! {
    /// Differs, most likely, between threads, also those of different processes: all of them count in one table.
    static SHARD: usize = {
        let mut hasher = DefaultHasher::new();
        (std::process::id(), std::thread::current().id()).hash(&mut hasher);
        (hasher.finish() % SHARDS as u64) as usize
    };
}

impl View<'_> {
    pub(super) fn count(&self, counter: Counter) {
        // A thread that is being torn down has no number any more.
        let shard = SHARD.try_with(|&shard| shard).unwrap_or(0);
        self.mem.count(at::SHARDS_AT + shard * LINE + counter as usize);
    }

    pub(super) fn counted(&self, counter: Counter) -> u64 {
        let shards = (0..SHARDS).map(|shard| self.mem.load(at::SHARDS_AT + shard * LINE + counter as usize));
        shards.fold(0, u64::saturating_add)
    }
}
