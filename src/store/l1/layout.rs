//! The byte map of a table: where each region lies, and the size classes of the arena. What each
//! header word means is in `at`. All positions are word numbers (8 bytes each); every region begins on a cache line.

use super::at::{self, MAX_CLASSES};
use super::mem::{LINE, Mem};
use super::outcome::AttachError;
use crate::sync::AtomicU64;

/// Slots of a bucket.
pub(super) const BUCKET: usize = 8;
/// Words of a bucket: a cache line each of entries, last-seen times and fates, on one page for most buckets.
const BUCKET_WORDS: usize = 3 * BUCKET;
/// Words that a chunk's head takes before its payload.
pub(super) const HEAD: usize = 10;

pub(super) const MAGIC: u64 = u64::from_be_bytes(*b"SessTabl");
pub(super) const VERSION: u64 = 1;

/// Shape of a table: a function of its size and of the largest record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    words: usize,
    buckets: usize,
    slab_words: usize,
    slabs: usize,
    max_sealed: usize,
}

/// No table can be made like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// The table would be too small to work well.
    #[error("a table for records of this size needs at least {least} bytes")]
    TooSmall {
        /// The least size in bytes.
        least: usize,
    },
    /// The largest record is too large.
    #[error("a record can have at most {most} bytes")]
    RecordTooLarge {
        /// The largest size in bytes.
        most: usize,
    },
    /// The table is larger than its index can address.
    #[error("a table can have at most {most} bytes")]
    TooLarge {
        /// The largest size in bytes.
        most: usize,
    },
}

impl Geometry {
    /// The largest record bound: 1 MiB.
    pub const MOST_RECORD: usize = 1 << 20;
    /// The largest table: 1 TiB.
    pub const MOST_BYTES: usize = 1 << 40;

    /// One slot of the index for each so many bytes of table.
    const BYTES_PER_SLOT: usize = 128;
    /// Fewer slabs than this, and size classes would starve one another.
    const LEAST_SLABS: usize = 16;
    const PAGE_WORDS: usize = 512;
    const LEAST_SLAB_WORDS: usize = 16 * Self::PAGE_WORDS;

    /// The shape of a table of `bytes` bytes whose sealed payloads have at most `max_record` bytes.
    ///
    /// # Errors
    /// When no such table can be made; the error names the bound.
    pub fn new(bytes: usize, max_record: usize) -> Result<Geometry, GeometryError> {
        if max_record > Self::MOST_RECORD {
            return Err(GeometryError::RecordTooLarge { most: Self::MOST_RECORD });
        }
        if bytes > Self::MOST_BYTES {
            return Err(GeometryError::TooLarge { most: Self::MOST_BYTES });
        }
        let chunk = HEAD + max_record.div_ceil(8);
        let slab_words = chunk.next_multiple_of(Self::PAGE_WORDS).max(Self::LEAST_SLAB_WORDS);
        let words = bytes / 8 / LINE * LINE;
        let buckets = (bytes / Self::BYTES_PER_SLOT / BUCKET).max(2);
        let fixed = at::INDEX + buckets * BUCKET_WORDS;
        let per_slab = slab_words + descriptor_words(slab_words);
        let slabs = words.saturating_sub(fixed) / per_slab;
        if slabs < Self::LEAST_SLABS {
            return Err(GeometryError::TooSmall { least: Self::least(per_slab) });
        }
        Ok(Geometry { words, buckets, slab_words, slabs, max_sealed: max_record })
    }

    /// The least bytes for so many words a slab: the index takes 3 words in [`Self::BYTES_PER_SLOT`] bytes, and
    /// the rest must hold the header and the fewest slabs. Rounded up to a page.
    const fn least(per_slab: usize) -> usize {
        let rest = (at::INDEX + Self::LEAST_SLABS * per_slab) * 8;
        (rest * Self::BYTES_PER_SLOT).div_ceil(Self::BYTES_PER_SLOT - 24).next_multiple_of(4096)
    }

    /// Words of the table. The memory given to [`Table::format`](super::Table::format) has at least that many.
    #[must_use]
    pub const fn words(&self) -> usize {
        self.words
    }

    /// Bytes of the table.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.words * 8
    }

    /// Bytes of the largest payload.
    #[must_use]
    pub const fn max_record(&self) -> usize {
        self.max_sealed
    }

    fn fields(&self) -> [(usize, u64); 7] {
        [
            (at::MAGIC, MAGIC),
            (at::VERSION, VERSION),
            (at::WORDS, self.words as u64),
            (at::BUCKETS, self.buckets as u64),
            (at::SLAB_WORDS, self.slab_words as u64),
            (at::SLABS, self.slabs as u64),
            (at::MAX_SEALED, self.max_sealed as u64),
        ]
    }

    /// The header's first line. The magic number goes last: until then this is not a table.
    pub(super) fn write(&self, mem: Mem<'_>) {
        let fields = self.fields();
        mem.store(at::CHECKSUM, checksum(&fields));
        for (at, value) in fields.into_iter().rev() {
            mem.publish(at, value);
        }
    }

    /// The shape that a table states, of which the first words will do.
    ///
    /// # Errors
    /// When it is no table of this version.
    pub fn stated(words: &[AtomicU64]) -> Result<Self, AttachError> {
        let mem = Mem::new(words);
        // Partner: the release stores in `Geometry::write`, the magic number last.
        if mem.load_acquire(at::MAGIC) != MAGIC {
            return Err(AttachError::NotATable);
        }
        let found = mem.load(at::VERSION);
        if found != VERSION {
            return Err(AttachError::OtherVersion { found });
        }
        Geometry::read(mem).ok_or(AttachError::Damaged)
    }

    /// The shape that the header states, `None` if it contradicts itself. Magic number and version are not judged.
    pub(super) fn read(mem: Mem<'_>) -> Option<Geometry> {
        let word = |at| usize::try_from(mem.load(at)).ok();
        let stated = Geometry {
            words: word(at::WORDS)?,
            buckets: word(at::BUCKETS)?,
            slab_words: word(at::SLAB_WORDS)?,
            slabs: word(at::SLABS)?,
            max_sealed: word(at::MAX_SEALED)?,
        };
        let sound = mem.load(at::CHECKSUM) == checksum(&stated.fields())
            && Geometry::new(stated.words.checked_mul(8)?, stated.max_sealed) == Ok(stated);
        sound.then_some(stated)
    }
}

fn checksum(fields: &[(usize, u64)]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for (_, value) in fields {
        hasher.update(&value.to_ne_bytes());
    }
    short(&hasher.finalize())
}

/// The first 64 bits of a digest.
pub(super) fn short(digest: &blake3::Hash) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Words of a slab's descriptor: two, and one bit for each chunk of the smallest class.
const fn descriptor_words(slab_words: usize) -> usize {
    (2 + (slab_words / Classes::LEAST).div_ceil(64)).next_multiple_of(LINE)
}

/// Where everything lies, worked out from a [`Geometry`].
#[derive(Clone, Copy)]
pub(super) struct Map {
    pub(super) geometry: Geometry,
    pub(super) buckets: usize,
    pub(super) slots: usize,
    pub(super) slabs: usize,
    pub(super) slab_words: usize,
    pub(super) arena: usize,
    pub(super) classes: Classes,
    descriptors: usize,
    descriptor_words: usize,
}

impl Map {
    pub(super) fn new(geometry: Geometry) -> Self {
        let Geometry { buckets, slab_words, slabs, .. } = geometry;
        let slots = buckets * BUCKET;
        let descriptors = at::INDEX + buckets * BUCKET_WORDS;
        let descriptor_words = descriptor_words(slab_words);
        Map {
            geometry,
            buckets,
            slots,
            slabs,
            slab_words,
            arena: descriptors + slabs * descriptor_words,
            classes: Classes::new(slab_words),
            descriptors,
            descriptor_words,
        }
    }

    pub(super) const fn entry(&self, slot: usize) -> usize {
        at::INDEX + slot / BUCKET * BUCKET_WORDS + slot % BUCKET
    }

    pub(super) const fn seen(&self, slot: usize) -> usize {
        self.entry(slot) + BUCKET
    }

    pub(super) const fn fate(&self, slot: usize) -> usize {
        self.entry(slot) + 2 * BUCKET
    }

    pub(super) const fn descriptor(&self, slab: usize) -> usize {
        self.descriptors + slab * self.descriptor_words
    }

    pub(super) const fn bitmap_words(&self) -> usize {
        self.descriptor_words - 2
    }

    pub(super) const fn slab_at(&self, slab: usize) -> usize {
        self.arena + slab * self.slab_words
    }

    /// The slab in which a word lies.
    pub(super) fn slab_of(&self, at: usize) -> Option<usize> {
        let slab = at.checked_sub(self.arena)? / self.slab_words;
        (slab < self.slabs).then_some(slab)
    }
}

/// The sizes of chunks: from 128 bytes up, each about a fifth larger than the one before, the last one a whole
/// slab. A size is the largest that gives its number of chunks to a slab.
#[derive(Clone, Copy)]
pub(super) struct Classes {
    words: [usize; MAX_CLASSES],
    count: usize,
}

impl Classes {
    /// Words of the smallest chunk.
    const LEAST: usize = 16;

    fn new(slab_words: usize) -> Self {
        let mut classes = Classes { words: [slab_words; MAX_CLASSES], count: 1 };
        let mut wanted = Self::LEAST;
        for size in &mut classes.words {
            let chunks = (slab_words / wanted).max(1);
            *size = slab_words / chunks / LINE * LINE;
            if chunks == 1 {
                break;
            }
            classes.count += 1;
            wanted = (*size + *size / 5).next_multiple_of(LINE).max(*size + LINE);
        }
        classes.count = classes.count.min(MAX_CLASSES);
        classes
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Words of a chunk of that class.
    pub(super) fn words(&self, class: usize) -> Option<usize> {
        self.words.get(..self.count)?.get(class).copied()
    }

    /// The smallest class whose chunks have `words` words.
    pub(super) fn fitting(&self, words: usize) -> Option<usize> {
        self.words.get(..self.count)?.iter().position(|&size| size >= words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn size_classes_grow_by_about_a_fifth_and_reach_a_whole_slab() {
        let geometry = Geometry::new(64 << 20, 64 << 10).unwrap();
        let map = Map::new(geometry);
        let sizes: Vec<usize> = (0..map.classes.count()).map(|c| map.classes.words(c).unwrap()).collect();
        assert_eq!(sizes[0], 16);
        assert_eq!(*sizes.last().unwrap(), map.slab_words);
        assert!(map.slab_words * 8 >= (64 << 10) + HEAD * 8);
        for pair in sizes.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].is_multiple_of(LINE), "{sizes:?}");
            assert!(pair[1] <= pair[0] * 2, "{sizes:?}");
        }
        assert_eq!(map.classes.fitting(HEAD), Some(0));
        assert_eq!(map.classes.fitting(map.slab_words), Some(sizes.len() - 1));
        assert_eq!(map.classes.fitting(map.slab_words + 1), None);
    }

    proptest! {
        #[test]
        fn the_least_size_that_an_error_names_is_enough(max in 0usize..=Geometry::MOST_RECORD) {
            let Err(GeometryError::TooSmall { least }) = Geometry::new(0, max) else {
                panic!("a table of no bytes")
            };
            prop_assert!(Geometry::new(least, max).is_ok());
            prop_assert!(Geometry::new(least - least / 50, max).is_err(), "{} is not the least", least);
        }

        #[test]
        fn every_region_lies_within_the_table(bytes in 0usize..1 << 34, max in 0usize..=Geometry::MOST_RECORD) {
            if let Ok(geometry) = Geometry::new(bytes, max) {
                let map = Map::new(geometry);
                prop_assert!(map.slab_at(map.slabs) <= geometry.words());
                prop_assert!(geometry.bytes() <= bytes);
                prop_assert_eq!(Geometry::new(geometry.bytes(), max), Ok(geometry));
                let largest = map.classes.words(map.classes.count() - 1).unwrap();
                prop_assert!(largest >= HEAD + max.div_ceil(8));
                prop_assert_eq!(map.arena % LINE, 0);
            }
        }
    }
}
