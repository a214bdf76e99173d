//! The arena: slabs, each cut into chunks of one size class, or free. Which chunks are in use follows from the index;
//! bitmaps, lists and counts only make it quick to find. For the holder of the lock.
//!
//! Words of a slab's descriptor: class + 1 (bits 0 to 31, 0 for a free slab) and chunks in use (32 to 63); the next
//! (0 to 31) and the previous slab (32 to 63) of its list, as number + 1; then one bit for each chunk.

use super::at;
use super::index::View;
use super::slot::{self, Entry};
use super::write::Writer;

/// A chunk that was taken for a new tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) at: usize,
    pub(super) class: usize,
}

/// The state word of a slab.
#[derive(Clone, Copy)]
pub(super) struct Slab {
    pub(super) class: Option<usize>,
    pub(super) used: usize,
}

impl View<'_> {
    pub(super) fn slab(&self, slab: usize) -> Slab {
        let word = self.mem.load(self.map.descriptor(slab));
        let class = (word & 0xffff_ffff) as usize;
        Slab { class: class.checked_sub(1), used: (word >> 32) as usize }
    }

    /// How many chunks of that class a slab has.
    pub(super) fn chunks_per_slab(&self, class: usize) -> usize {
        self.map.classes.words(class).map_or(0, |words| self.map.slab_words / words)
    }

    /// The chunk that begins at word `at`, as its slab's number and its number within.
    pub(super) fn locate(&self, at: usize, class: usize) -> Option<(usize, usize)> {
        let slab = self.map.slab_of(at)?;
        let offset = at - self.map.slab_at(slab);
        let words = self.map.classes.words(class)?;
        let number = offset / words;
        (offset.is_multiple_of(words) && number < self.map.slab_words / words).then_some((slab, number))
    }

    pub(super) const fn bitmap_word(&self, slab: usize, chunk: usize) -> usize {
        self.map.descriptor(slab) + 2 + chunk / 64
    }

    pub(super) fn is_used(&self, slab: usize, chunk: usize) -> bool {
        self.mem.load(self.bitmap_word(slab, chunk)) >> (chunk % 64) & 1 == 1
    }
}

impl Writer<'_, '_> {
    /// A chunk of that class, if one is to be had without a look at deadlines: from a slab of the class, from a free
    /// slab, or by packing the records of another class closer.
    pub(super) fn allocate(&self, class: usize) -> Option<Chunk> {
        self.take(class)
            .or_else(|| self.open_slab(class))
            .or_else(|| if self.vacate_for(class) { self.open_slab(class) } else { None })
    }

    /// A chunk of a larger class than needed.
    pub(super) fn allocate_larger(&self, class: usize) -> Option<Chunk> {
        (class + 1..self.map.classes.count()).find_map(|larger| self.take(larger))
    }

    /// Gives a chunk back. No entry refers to it any more.
    pub(super) fn release(&self, at: usize) {
        slot::void(self.mem, at);
        let Some((slab, class, number)) = self.map.slab_of(at).and_then(|slab| {
            let class = self.slab(slab).class?;
            let (_, number) = self.locate(at, class)?;
            Some((slab, class, number))
        }) else {
            return;
        };
        if !self.is_used(slab, number) {
            return;
        }
        let bits = self.bitmap_word(slab, number);
        self.mem.store(bits, self.mem.load(bits) & !(1 << (number % 64)));
        self.mem.sub(at::USED, self.map.classes.words(class).unwrap_or(0) as u64);
        let per_slab = self.chunks_per_slab(class);
        let used = self.slab(slab).used.saturating_sub(1);
        self.set_slab(slab, class, used);
        if used == 0 {
            if per_slab > 1 {
                self.unlink(at::PARTIAL + class, slab);
                self.mem.sub(at::FREE_CHUNKS + class, per_slab as u64 - 1);
            }
            self.close_slab(slab);
        } else {
            if used + 1 == per_slab {
                self.link(at::PARTIAL + class, slab);
            }
            self.mem.add(at::FREE_CHUNKS + class, 1);
        }
    }

    /// A free chunk of a partly used slab.
    fn take(&self, class: usize) -> Option<Chunk> {
        let slab = self.first(at::PARTIAL + class)?;
        let per_slab = self.chunks_per_slab(class);
        let number = (0..per_slab.div_ceil(64)).find_map(|i| {
            let free = !self.mem.load(self.bitmap_word(slab, i * 64));
            let number = i * 64 + free.trailing_zeros() as usize;
            (free != 0 && number < per_slab).then_some(number)
        })?;
        let chunk = self.occupy(slab, class, number)?;
        self.mem.sub(at::FREE_CHUNKS + class, 1);
        if self.slab(slab).used >= per_slab {
            self.unlink(at::PARTIAL + class, slab);
        }
        Some(chunk)
    }

    /// The first chunk of a free slab, which thereby becomes one of that class.
    fn open_slab(&self, class: usize) -> Option<Chunk> {
        let slab = self.first(at::FREE_SLABS)?;
        self.unlink(at::FREE_SLABS, slab);
        self.set_slab(slab, class, 0);
        let chunk = self.occupy(slab, class, 0)?;
        let others = self.chunks_per_slab(class).saturating_sub(1);
        if others > 0 {
            self.link(at::PARTIAL + class, slab);
            self.mem.add(at::FREE_CHUNKS + class, others as u64);
        }
        Some(chunk)
    }

    fn occupy(&self, slab: usize, class: usize, number: usize) -> Option<Chunk> {
        let words = self.map.classes.words(class)?;
        let bits = self.bitmap_word(slab, number);
        self.mem.store(bits, self.mem.load(bits) | 1 << (number % 64));
        self.set_slab(slab, class, self.slab(slab).used + 1);
        self.mem.add(at::USED, words as u64);
        Some(Chunk { at: self.map.slab_at(slab) + number * words, class })
    }

    /// Frees a slab of another class, if one has as many free chunks as a slab has: the records of its least used
    /// slab then fit into its other slabs.
    fn vacate_for(&self, wanted: usize) -> bool {
        (0..self.map.classes.count())
            .filter(|&class| class != wanted)
            .filter(|&class| {
                let per_slab = self.chunks_per_slab(class) as u64;
                per_slab > 1 && self.mem.load(at::FREE_CHUNKS + class) >= per_slab
            })
            .any(|class| self.vacate(class))
    }

    fn vacate(&self, class: usize) -> bool {
        let Some(words) = self.map.classes.words(class) else { return false };
        let per_slab = self.chunks_per_slab(class);
        let Some(slab) = self.partly_used(class).min_by_key(|&slab| self.slab(slab).used) else {
            return false;
        };
        let used = self.slab(slab).used;
        self.unlink(at::PARTIAL + class, slab);
        self.mem.sub(at::FREE_CHUNKS + class, per_slab.saturating_sub(used) as u64);
        for number in (0..per_slab).filter(|&number| self.is_used(slab, number)) {
            let from = self.map.slab_at(slab) + number * words;
            // A chunk that no entry refers to was lost by damage: it needs no move.
            let Some(slot) = self.tenant(from) else { continue };
            let Some(to) = self.take(class) else { return false };
            slot::copy(self.mem, from, to.at, words);
            self.mem.publish(self.map.entry(slot), self.entry(slot).moved_to(to.at).word());
            slot::void(self.mem, from);
        }
        self.mem.sub(at::USED, (used * words) as u64);
        self.close_slab(slab);
        true
    }

    /// The slot whose record lies at `chunk`.
    fn tenant(&self, chunk: usize) -> Option<usize> {
        let head = self.head(Entry::EMPTY.moved_to(chunk));
        self.slots_of(&head.key).find(|&slot| {
            let entry = self.entry(slot);
            !entry.is_empty() && entry.chunk() == chunk
        })
    }

    /// The partly used slabs of a class.
    fn partly_used(&self, class: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.first(at::PARTIAL + class), |&slab| {
            self.number(self.mem.load(self.map.descriptor(slab) + 1) & 0xffff_ffff)
        })
        .take(self.map.slabs)
    }

    /// An empty slab goes back to the free ones.
    pub(super) fn close_slab(&self, slab: usize) {
        self.mem.store(self.map.descriptor(slab), 0);
        for i in 0..self.map.bitmap_words() {
            self.mem.store(self.map.descriptor(slab) + 2 + i, 0);
        }
        self.link(at::FREE_SLABS, slab);
    }

    pub(super) fn set_slab(&self, slab: usize, class: usize, used: usize) {
        self.mem.store(self.map.descriptor(slab), (class as u64 + 1) | ((used as u64) << 32));
    }

    fn first(&self, list: usize) -> Option<usize> {
        self.number(self.mem.load(list))
    }

    fn number(&self, link: u64) -> Option<usize> {
        let slab = usize::try_from(link).ok()?.checked_sub(1)?;
        (slab < self.map.slabs).then_some(slab)
    }

    /// Puts a slab at the head of a list.
    pub(super) fn link(&self, list: usize, slab: usize) {
        let next = self.mem.load(list) & 0xffff_ffff;
        self.mem.store(self.map.descriptor(slab) + 1, next);
        if let Some(next) = self.number(next) {
            let links = self.map.descriptor(next) + 1;
            self.mem.store(links, self.mem.load(links) & 0xffff_ffff | (slab as u64 + 1) << 32);
        }
        self.mem.store(list, slab as u64 + 1);
    }

    /// Takes a slab out of the list that it is in.
    fn unlink(&self, list: usize, slab: usize) {
        let links = self.mem.load(self.map.descriptor(slab) + 1);
        let (next, previous) = (links & 0xffff_ffff, links >> 32);
        match self.number(previous) {
            Some(previous) => {
                let links = self.map.descriptor(previous) + 1;
                self.mem.store(links, self.mem.load(links) & !0xffff_ffff | next);
            }
            None => self.mem.store(list, next),
        }
        if let Some(next) = self.number(next) {
            let links = self.map.descriptor(next) + 1;
            self.mem.store(links, self.mem.load(links) & 0xffff_ffff | previous << 32);
        }
        self.mem.store(self.map.descriptor(slab) + 1, 0);
    }
}
