//! Where the words of a table's header lie: numbers of words (8 bytes each). `docs/l1-table.md` has the same map for
//! people.

use super::mem::LINE;

/// Upper bound of the number of size classes.
pub(super) const MAX_CLASSES: usize = 64;
/// Shards of the counters that readers add to, each on its own cache line.
pub(super) const SHARDS: usize = 64;
/// Victims that one scan collects.
pub(super) const VICTIMS: usize = 64;

// One line that never changes after `format`.
pub(super) const MAGIC: usize = 0;
pub(super) const VERSION: usize = 1;
pub(super) const WORDS: usize = 2;
pub(super) const BUCKETS: usize = 3;
pub(super) const SLAB_WORDS: usize = 4;
pub(super) const SLABS: usize = 5;
pub(super) const MAX_SEALED: usize = 6;
pub(super) const CHECKSUM: usize = 7;
// Written under the lock.
/// Not zero while a writer is at work, or died at it.
pub(super) const INTENT: usize = 8;
pub(super) const LIVE: usize = 9;
pub(super) const TOMBSTONES: usize = 10;
/// Words of chunks in use.
pub(super) const USED: usize = 11;
/// The bucket where sweeping goes on.
pub(super) const CURSOR: usize = 12;
pub(super) const CREATED: usize = 13;
/// Head of the list of free slabs: slab number + 1, or 0.
pub(super) const FREE_SLABS: usize = 14;
/// When the whole table was last swept for want of space.
pub(super) const SWEPT: usize = 15;
pub(super) const BEGINS: usize = 16;
/// One word for each of the eight reasons.
pub(super) const ENDS: usize = 17;
pub(super) const RETIRES: usize = 25;
pub(super) const EXPIRED: usize = 26;
pub(super) const EVICTED_TOMBSTONES: usize = 27;
pub(super) const EVICTED_LIVE: usize = 28;
pub(super) const REPAIRS: usize = 29;
pub(super) const DROPPED: usize = 30;
/// Raised with each tombstone that is evicted and each retirement, so that a process that loads a record from the
/// store meanwhile notices.
pub(super) const SEQUENCE: usize = 31;
// What is known of the store behind the table: see `link`.
/// The store's clock less this machine's uptime, ms, wrapping.
pub(super) const OFFSET: usize = 32;
/// Until when records are trusted without asking the store: uptime, ms.
pub(super) const LEASE: usize = 33;
/// When the store's log was last read to the end, by its clock, ms.
pub(super) const CONTACT: usize = 34;
/// The last log entry that was applied: two words.
pub(super) const POSITION: usize = 35;
/// Tells the log that the position is in.
pub(super) const LOG: usize = 37;
/// Records of another generation are not trusted.
pub(super) const GENERATION: usize = 38;
/// The process that reads the log.
pub(super) const LEADER: usize = 39;
/// Until when it does: uptime, ms.
pub(super) const LEADER_UNTIL: usize = 40;
/// Until when visits were told to the store, by its clock, ms.
pub(super) const FLUSHED: usize = 41;
/// The watermark: the highest cutoff of a mark.
pub(super) const WATERMARK: usize = 42;
/// Tells the store that all this is about from others.
pub(super) const STORE: usize = 43;
/// 1 while the store has been lost and that has been said.
pub(super) const LOST: usize = 44;
/// The next part of the index whose tombstones the store has to be told of, and one; or 0.
pub(super) const REASSERT: usize = 45;
// Words 46 and 47 are spare.
pub(super) const VICTIM_COUNT: usize = 48;
/// Pairs of rank and slot number, the best victim last.
pub(super) const VICTIM_LIST: usize = 56;
/// For each class the head of its list of partly used slabs: slab number + 1, or 0.
pub(super) const PARTIAL: usize = VICTIM_LIST + 2 * VICTIMS;
/// For each class the free chunks in its partly used slabs.
pub(super) const FREE_CHUNKS: usize = PARTIAL + MAX_CLASSES;
pub(super) const SHARDS_AT: usize = FREE_CHUNKS + MAX_CLASSES;
/// The first word after the header.
pub(super) const INDEX: usize = SHARDS_AT + SHARDS * LINE;
