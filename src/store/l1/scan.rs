//! What the table holds, a part of the index at a time, for the watcher, which tells the store behind it. Takes no
//! lock.

use super::index::{Fate, Seen};
use super::layout::BUCKET;
use super::lock::WriteLock;
use super::slot::Read;
use super::table::Table;
use crate::clock::Timestamp;
use crate::store::key::Key;
use crate::store::tombstone::{Reason, Tombstone};
use std::ops::Range;
use std::time::Duration;

impl<L: WriteLock> Table<'_, L> {
    /// The tombstones in a part of the index, marks included.
    pub fn tombstones(&self, part: Range<usize>) -> Vec<(Key, Tombstone)> {
        let tombstone = |slot| {
            let entry = self.view.entry(slot);
            let key = self.view.head(entry).key;
            match self.view.read_slot(slot, &key, &mut Vec::new()) {
                Read::Is(copied) if copied.head.info.is_tombstone() => {
                    let head = copied.head;
                    let tombstone = Tombstone {
                        reason: head.info.reason()?,
                        node: head.info.node(),
                        at: Timestamp::from_millis(head.from),
                        until: head.deadline(),
                        ends_line: head.info.ends_line(),
                    };
                    Some((Key::from_words(key), tombstone))
                }
                _ => None,
            }
        };
        self.slots(part).filter(|&slot| self.view.entry(slot).is_tombstone()).filter_map(tombstone).collect()
    }

    /// The records in a part of the index whose deadline was moved earlier, with that deadline and the reason.
    pub fn retired(&self, part: Range<usize>) -> Vec<(Key, Timestamp, Reason)> {
        let retired = |slot| {
            let entry = self.view.entry(slot);
            let fate = Fate::from_word(self.view.mem.load(self.view.map.fate(slot)));
            if entry.is_empty() || entry.is_tombstone() || fate.reason() == Reason::Lifetime {
                return None;
            }
            let key = self.view.head(entry).key;
            match self.view.read_slot(slot, &key, &mut Vec::new()) {
                Read::Is(copied) => {
                    let fate = Fate::from_word(copied.fate);
                    Some((Key::from_words(key), fate.deadline(), fate.reason()))
                }
                Read::Other | Read::Torn => None,
            }
        };
        self.slots(part).filter_map(retired).collect()
    }

    /// The records in a part of the index that `wanted` chooses by their idle timeout (in whole seconds, rounded up)
    /// and when they were last seen.
    pub fn visited(
        &self,
        part: Range<usize>,
        wanted: impl Fn(Duration, Timestamp) -> bool,
    ) -> Vec<(Key, Timestamp)> {
        let visited = |slot| {
            let (entry, seen) = (self.view.entry(slot), self.view.seen(slot));
            if entry.is_empty() || entry.is_tombstone() || !wanted(seen.idle_hint(), seen.at()) {
                return None;
            }
            let key = self.view.head(entry).key;
            match self.view.read_slot(slot, &key, &mut Vec::new()) {
                Read::Is(copied) => Some((Key::from_words(key), Seen::from_word(copied.seen).at())),
                Read::Other | Read::Torn => None,
            }
        };
        self.slots(part).filter_map(visited).collect()
    }

    /// Parts of the index that [`Table::tombstones`] and [`Table::visited`] can be asked for: numbers below this.
    pub fn parts(&self) -> usize {
        self.view.map.buckets
    }

    fn slots(&self, part: Range<usize>) -> Range<usize> {
        part.start * BUCKET..part.end.min(self.view.map.buckets) * BUCKET
    }
}
