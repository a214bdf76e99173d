//! Repair and recovery. A repair (after a writer's death: every word is as some writer wrote it) rebuilds the
//! bookkeeping from the index. A recovery (a table file found at start, perhaps after a power loss) first drops each
//! entry that does not prove itself.

use super::at::{self, MAX_CLASSES};
use super::index::{Seen, View, tombstone_fate};
use super::mem::Mem;
use super::outcome::Recovery;
use super::slot::{Entry, copy_payload};
use super::write::Writer;
use crate::clock::Timestamp;

impl Writer<'_, '_> {
    /// Puts right what a dead writer left half done.
    pub(super) fn repair(&self) {
        let dropped = self.rebuild();
        self.mem.add(at::REPAIRS, 1);
        self.mem.add(at::DROPPED, dropped as u64);
    }

    /// Judges every entry and rebuilds the rest. Trusts the header's first line only.
    pub(super) fn recover(&self) -> Recovery {
        let mut payload = Vec::new();
        for slab in 0..self.map.slabs {
            self.mem.store(self.map.descriptor(slab), 0);
        }
        let mut dropped = 0;
        for slot in 0..self.map.slots {
            let entry = self.entry(slot);
            if !entry.is_empty() && !self.admit(slot, entry, &mut payload) {
                self.mem.publish(self.map.entry(slot), Entry::EMPTY.word());
                dropped += 1;
            }
        }
        dropped += self.drop_doubles();
        dropped += self.rebuild();
        self.mem.add(at::DROPPED, dropped as u64);
        let tombstones = self.mem.load(at::TOMBSTONES) as usize;
        Recovery { kept: self.mem.load(at::LIVE) as usize + tombstones, tombstones, dropped }
    }

    /// Whether an entry is right in every respect that can be told. The first one of a slab states its size class.
    fn admit(&self, slot: usize, entry: Entry, payload: &mut Vec<u8>) -> bool {
        let chunk = entry.chunk();
        let Some(slab) = self.map.slab_of(chunk) else { return false };
        let head = self.head(entry);
        let class = head.info.class();
        let fits = self.map.classes.words(class).is_some_and(|words| head.chunk_words() <= words);
        let most = self.map.geometry.max_record();
        if !self.mem.load(chunk).is_multiple_of(2)
            || !fits
            || self.locate(chunk, class).is_none()
            || self.slab(slab).class.is_some_and(|other| other != class)
            || !copy_payload(self.mem, chunk, head.info.len(), most, payload)
            || !head.is_intact(payload)
        {
            return false;
        }
        let reason = head.info.reason();
        let belongs = self.slots_of(&head.key).any(|home| home == slot)
            && Entry::new(&head.key, chunk, head.info.is_tombstone()) == entry;
        let sane = head.from <= Timestamp::MAX.as_millis() && head.until <= Timestamp::MAX.as_millis();
        if !belongs || !sane || (head.info.is_tombstone() && (reason.is_none() || head.info.len() != 0)) {
            return false;
        }
        if !head.info.is_tombstone() {
            let fate = self.fate(slot);
            if !fate.is_intact() || fate.deadline() > head.deadline() {
                return false;
            }
        }
        // A mark may lie in the future of a clock that is wrong at boot, and must not be lost to it. But never past the
        // deadline.
        let seen = self.seen(slot).at().min(head.deadline());
        self.mem.store(self.map.seen(slot), Seen::new(seen, head.idle()).word());
        self.set_slab(slab, class, 0);
        true
    }

    /// Drops all but one entry of each key: pages that were written back at different times may hold an old record
    /// beside its tombstone. The tombstone stays. All entries have been admitted. Returns how many it dropped.
    fn drop_doubles(&self) -> usize {
        let mut dropped = 0;
        for slot in 0..self.map.slots {
            let entry = self.entry(slot);
            if entry.is_empty() {
                continue;
            }
            let key = self.head(entry).key;
            for other in self.candidates(&key).filter(|&other| other != slot) {
                let double = self.entry(other);
                if self.head(double).key == key && (entry.is_tombstone() || !double.is_tombstone()) {
                    self.mem.publish(self.map.entry(other), Entry::EMPTY.word());
                    dropped += 1;
                }
            }
        }
        dropped
    }

    /// Rebuilds all bookkeeping from the index and the slabs' classes, and drops entries that contradict these.
    /// Returns how many it dropped.
    fn rebuild(&self) -> usize {
        self.clear_bookkeeping();
        let mut dropped = 0;
        let (mut live, mut tombstones, mut used) = (0, 0, 0);
        for slot in 0..self.map.slots {
            let entry = self.entry(slot);
            if entry.is_empty() {
                continue;
            }
            let Some(words) = self.claim(entry) else {
                self.mem.publish(self.map.entry(slot), Entry::EMPTY.word());
                dropped += 1;
                continue;
            };
            used += words as u64;
            if entry.is_tombstone() {
                tombstones += 1;
                // A writer may have died between the entry and the fate of a tombstone.
                self.mem.store(self.map.fate(slot), tombstone_fate(&self.head(entry)).word());
            } else {
                live += 1;
            }
        }
        self.mem.store(at::LIVE, live);
        self.mem.store(at::TOMBSTONES, tombstones);
        self.mem.store(at::USED, used);
        self.rebuild_lists();
        dropped
    }

    fn clear_bookkeeping(&self) {
        for class in 0..MAX_CLASSES {
            self.mem.store(at::PARTIAL + class, 0);
            self.mem.store(at::FREE_CHUNKS + class, 0);
        }
        self.mem.store(at::FREE_SLABS, 0);
        self.mem.store(at::VICTIM_COUNT, 0);
        // Of a clock that was wrong, perhaps.
        self.mem.store(at::SWEPT, 0);
        for slab in 0..self.map.slabs {
            if let Some(class) = self.slab(slab).class {
                self.set_slab(slab, class, 0);
            }
            for i in 0..=self.map.bitmap_words() {
                self.mem.store(self.map.descriptor(slab) + 1 + i, 0);
            }
        }
    }

    /// Marks an entry's chunk as used and returns its words; `None` if it is no chunk, or another entry's.
    fn claim(&self, entry: Entry) -> Option<usize> {
        let slab = self.map.slab_of(entry.chunk())?;
        let state = self.slab(slab);
        let class = state.class?;
        let (_, number) = self.locate(entry.chunk(), class)?;
        if self.is_used(slab, number) {
            return None;
        }
        let bits = self.bitmap_word(slab, number);
        self.mem.store(bits, self.mem.load(bits) | 1 << (number % 64));
        self.set_slab(slab, class, state.used + 1);
        self.map.classes.words(class)
    }

    fn rebuild_lists(&self) {
        // Backwards, so that the lists begin with the first slabs.
        for slab in (0..self.map.slabs).rev() {
            let state = self.slab(slab);
            match state.class {
                Some(class) if state.used > 0 => {
                    let free = self.chunks_per_slab(class).saturating_sub(state.used);
                    if free > 0 {
                        self.link(at::PARTIAL + class, slab);
                        self.mem.add(at::FREE_CHUNKS + class, free as u64);
                    }
                }
                _ => self.close_slab(slab),
            }
        }
    }
}

impl View<'_> {
    /// Compares the bookkeeping with what follows from the index: the invariant that holds whenever no writer is at
    /// work. The error says what differs.
    pub(super) fn check(&self) -> Result<(), String> {
        let copy: Box<[crate::sync::AtomicU64]> =
            (0..self.mem.words().len()).map(|i| crate::sync::AtomicU64::new(self.mem.load(i))).collect();
        let rebuilt = View { mem: Mem::new(&copy), map: self.map, backed: self.backed };
        let dropped = Writer::run(&rebuilt, |writer| writer.rebuild());
        if dropped > 0 {
            return Err(format!("{dropped} entries contradict the slabs"));
        }
        let classes = MAX_CLASSES;
        let counts = [at::LIVE, at::TOMBSTONES, at::USED].into_iter();
        for word in counts.chain(at::FREE_CHUNKS..at::FREE_CHUNKS + classes) {
            let (is, should) = (self.mem.load(word), rebuilt.mem.load(word));
            if is != should {
                return Err(format!("header word {word} is {is} and should be {should}"));
            }
        }
        for slab in 0..self.map.slabs {
            let descriptor = self.map.descriptor(slab);
            for word in std::iter::once(0).chain(2..2 + self.map.bitmap_words()) {
                if self.mem.load(descriptor + word) != rebuilt.mem.load(descriptor + word) {
                    return Err(format!("word {word} of the descriptor of slab {slab} is wrong"));
                }
            }
        }
        for list in (at::PARTIAL..at::PARTIAL + classes).chain([at::FREE_SLABS]) {
            if self.list(list) != rebuilt.list(list) {
                return Err(format!("the list at header word {list} has other members"));
            }
        }
        Ok(())
    }

    /// The members of a list, in the order of their numbers.
    fn list(&self, list: usize) -> Vec<u64> {
        let mut members = Vec::new();
        let mut link = self.mem.load(list);
        while link != 0 && members.len() <= self.map.slabs {
            members.push(link);
            link = self.mem.load(self.map.descriptor(link as usize - 1) + 1) & 0xffff_ffff;
        }
        members.sort_unstable();
        members
    }
}
