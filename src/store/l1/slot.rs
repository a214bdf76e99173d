//! The protocol of a slot, between one writer and any number of readers that never wait.
//!
//! A writer fills a chunk that nothing refers to (stamp odd, words, stamp even), and then refers to it by one store
//! of the slot's entry word. A reader copies the chunk and takes the copy only if neither stamp nor entry changed
//! meanwhile. This is the seqlock of Boehm, "Can seqlocks get along with programming language memory models?"
//! (MSPC 2012), with the entry word as a second stamp.

use super::layout::{HEAD, short};
use super::mem::Mem;
use crate::clock::Timestamp;
use crate::store::key::Key;
use crate::store::record::Record;
use crate::store::tombstone::{Reason, Tombstone};
use crate::sync::{Ordering, fence};
use std::time::Duration;

/// Times that a reader tries to get an unchanging copy. A writer needs far longer for one change than a reader for
/// one copy, so a second try is rare, and only damaged memory makes the last one fail.
#[cfg(not(loom))]
const TRIES: usize = 16;
#[cfg(loom)]
const TRIES: usize = 2;

/// An entry word: tombstone flag (bit 63), tag of the key (bits 40 to 62), position of the chunk in cache lines from
/// the start of the table (bits 0 to 39). Zero is an empty slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u64);

impl Entry {
    const TOMBSTONE: u64 = 1 << 63;
    const LINES: u64 = (1 << 40) - 1;
    const TAG: u64 = !(Self::TOMBSTONE | Self::LINES);

    pub(super) const EMPTY: Entry = Entry(0);

    pub(super) fn new(key: &[u64; 4], chunk: usize, tombstone: bool) -> Self {
        let flag = if tombstone { Self::TOMBSTONE } else { 0 };
        Entry(flag | Self::tag(key) | ((chunk as u64 / 8) & Self::LINES))
    }

    pub(super) const fn from_word(word: u64) -> Self {
        Entry(word)
    }

    pub(super) const fn word(self) -> u64 {
        self.0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn is_tombstone(self) -> bool {
        self.0 & Self::TOMBSTONE != 0
    }

    /// Word number of the chunk; may be anything if the memory is damaged.
    pub(super) const fn chunk(self) -> usize {
        ((self.0 & Self::LINES) * 8) as usize
    }

    /// The same slot with its chunk elsewhere.
    pub(super) const fn moved_to(self, chunk: usize) -> Self {
        Entry(self.0 & !Self::LINES | ((chunk as u64 / 8) & Self::LINES))
    }

    /// The tag of a key, in place. Two words of the key choose the buckets, this third one tells most keys of a
    /// bucket apart without a look at their chunks.
    pub(super) const fn tag(key: &[u64; 4]) -> u64 {
        key[2] & Self::TAG
    }

    /// Whether it may be the entry of a key with that tag.
    pub(super) const fn may_be(self, tag: u64) -> bool {
        (self.0 != 0) & (self.0 & Self::TAG == tag)
    }
}

/// What a chunk says before its payload. Words of a chunk: stamp, key (4), info, created or ended at, deadline or
/// until, idle timeout, checksum; then the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) key: [u64; 4],
    pub(super) info: Info,
    /// Record: when it began. Tombstone: when the session ended.
    pub(super) from: u64,
    /// Record: its deadline. Tombstone: until when it is kept.
    pub(super) until: u64,
    /// Record: idle timeout, ms. Tombstone: 0.
    pub(super) idle: u64,
    pub(super) checksum: u64,
}

/// One word: payload bytes (bits 0 to 30), whether a tombstone ends a line (31), node of a tombstone or generation of a
/// record (32 to 47), reason (48 to 55, zero for a record), size class (56 to 63).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Info(pub(super) u64);

impl Info {
    const LINE: u64 = 1 << 31;

    pub(super) const fn len(self) -> usize {
        (self.0 & 0x7fff_ffff) as usize
    }

    pub(super) fn reason(self) -> Option<Reason> {
        Reason::from_code((self.0 >> 48) as u8)
    }

    /// The generation of a record.
    pub(super) const fn generation(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// The node where a tombstone's session ended.
    pub(super) const fn node(self) -> u16 {
        (self.0 >> 32) as u16
    }

    pub(super) const fn ends_line(self) -> bool {
        self.0 & Self::LINE != 0
    }

    pub(super) const fn is_tombstone(self) -> bool {
        (self.0 >> 48) as u8 != 0
    }

    pub(super) const fn class(self) -> usize {
        (self.0 >> 56) as usize
    }
}

impl Head {
    /// The head for `record`, its size class still open. Digests the payload: not to be done under the lock.
    pub(super) fn of_record(record: &Record<'_>, generation: u16) -> Self {
        let mut head = Head {
            key: record.key.words(),
            info: Info(record.sealed.len() as u64 | u64::from(generation) << 32),
            from: record.created.as_millis(),
            until: record.deadline.as_millis(),
            idle: u64::try_from(record.idle.as_millis()).unwrap_or(u64::MAX),
            checksum: 0,
        };
        head.checksum = head.digest(record.sealed);
        head
    }

    /// The head for a tombstone, its size class still open.
    pub(super) fn of_tombstone(key: &Key, tombstone: &Tombstone) -> Self {
        let mut head = Head {
            key: key.words(),
            info: Info(
                u64::from(tombstone.reason.code()) << 48
                    | u64::from(tombstone.node) << 32
                    | if tombstone.ends_line { Info::LINE } else { 0 },
            ),
            from: tombstone.at.as_millis(),
            until: tombstone.until.as_millis(),
            idle: 0,
            checksum: 0,
        };
        head.checksum = head.digest(&[]);
        head
    }

    /// The head for a chunk of that class. Only the class is unknown before the lock is held, so it is mixed into
    /// the checksum last.
    pub(super) fn in_class(self, class: usize) -> Self {
        let mixed = self.checksum ^ class_mark(class);
        Head { info: Info(self.info.0 | (class as u64) << 56), checksum: mixed, ..self }
    }

    /// The head with its size class open again.
    pub(super) fn without_class(self) -> Self {
        let info = Info(self.info.0 & !(0xff << 56));
        Head { info, checksum: self.checksum ^ class_mark(self.info.class()), ..self }
    }

    /// Whether head and payload are as they were written.
    pub(super) fn is_intact(&self, payload: &[u8]) -> bool {
        self.digest(payload) ^ class_mark(self.info.class()) == self.checksum
    }

    /// When the session ends or the tombstone goes.
    pub(super) fn deadline(&self) -> Timestamp {
        Timestamp::from_millis(self.until)
    }

    pub(super) fn idle(&self) -> Duration {
        Duration::from_millis(self.idle)
    }

    /// Words that a chunk must have to hold it.
    pub(super) fn chunk_words(&self) -> usize {
        HEAD + self.info.len().div_ceil(8)
    }

    fn digest(&self, payload: &[u8]) -> u64 {
        let info = self.info.0 & !(0xff << 56);
        let [a, b, c, d] = self.key;
        let mut hasher = blake3::Hasher::new();
        for word in [a, b, c, d, info, self.from, self.until, self.idle] {
            hasher.update(&word.to_ne_bytes());
        }
        hasher.update(payload);
        short(&hasher.finalize())
    }

    /// The head at `chunk`, as it is at the moment.
    pub(super) fn load(mem: Mem<'_>, chunk: usize) -> Self {
        let word = |i| mem.load(chunk.saturating_add(i));
        Head {
            key: [word(1), word(2), word(3), word(4)],
            info: Info(word(5)),
            from: word(6),
            until: word(7),
            idle: word(8),
            checksum: word(9),
        }
    }
}

fn class_mark(class: usize) -> u64 {
    (class as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Fills a chunk that no entry refers to.
pub(super) fn fill(mem: Mem<'_>, chunk: usize, head: &Head, payload: &[u8]) {
    let odd = begin_fill(mem, chunk);
    let [a, b, c, d] = head.key;
    let words = [a, b, c, d, head.info.0, head.from, head.until, head.idle, head.checksum];
    for (i, word) in words.into_iter().enumerate() {
        mem.store(chunk + 1 + i, word);
    }
    for (i, bytes) in payload.chunks(8).enumerate() {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(bytes) {
            *to = *from;
        }
        mem.store(chunk + HEAD + i, u64::from_ne_bytes(word));
    }
    mem.publish(chunk, odd.wrapping_add(1));
}

/// Copies a chunk to one that no entry refers to.
pub(super) fn copy(mem: Mem<'_>, from: usize, to: usize, words: usize) {
    let odd = begin_fill(mem, to);
    for i in 1..words {
        mem.store(to + i, mem.load(from + i));
    }
    mem.publish(to, odd.wrapping_add(1));
}

/// Marks a chunk as being written: readers that still look at it will see that, and the next odd stamp is never one
/// that was used since. Returns the stamp.
fn begin_fill(mem: Mem<'_>, chunk: usize) -> u64 {
    let stamp = mem.load(chunk);
    let odd = stamp.wrapping_add(if stamp.is_multiple_of(2) { 1 } else { 2 });
    mem.store(chunk, odd);
    // Partner: the acquire fences in `read`. A reader that sees a word written below sees the odd stamp, and that the
    // entry went elsewhere.
    fence(Ordering::Release);
    odd
}

/// Marks a chunk that no entry refers to any more as void, so that not even a stale entry can bring it back.
pub(super) fn void(mem: Mem<'_>, chunk: usize) {
    mem.publish(chunk, mem.load(chunk) | 1);
}

/// Word numbers of a slot's entry, last-seen and fate words.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) entry: usize,
    pub(super) seen: usize,
    pub(super) fate: usize,
}

/// Gives an empty slot to a chunk that has been filled.
pub(super) fn occupy(mem: Mem<'_>, place: Place, entry: Entry, seen: u64, fate: u64) {
    // Partner: the acquire fence in `read`. A reader that sees the new last-seen time or fate sees that the entry that
    // was here before is gone.
    fence(Ordering::Release);
    mem.store(place.seen, seen);
    mem.store(place.fate, fate);
    mem.publish(place.entry, entry.word());
}

/// What a reader found in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Not this key.
    Other,
    /// The record or tombstone of the key; the payload is in the caller's buffer.
    Is(Copied),
    /// No unchanging copy was to be had.
    Torn,
}

/// A copy of what a slot held at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) entry: Entry,
    /// The chunk's; never used twice, so that it tells this record from every other that was or will be there.
    pub(super) stamp: u64,
    pub(super) head: Head,
    pub(super) seen: u64,
    pub(super) fate: u64,
}

/// Reads a slot, if it holds `key`. Needs no lock. `arena` is the first word that can be a chunk's, `most` the
/// largest payload in bytes: the memory is not trusted.
pub(super) fn read(
    mem: Mem<'_>,
    place: Place,
    key: &[u64; 4],
    arena: usize,
    most: usize,
    payload: &mut Vec<u8>,
) -> Read {
    let tag = Entry::tag(key);
    for _ in 0..TRIES {
        let entry = Entry::from_word(mem.load_acquire(place.entry));
        if !entry.may_be(tag) {
            return Read::Other;
        }
        let chunk = entry.chunk();
        if chunk < arena {
            return Read::Torn;
        }
        let stamp = mem.load_acquire(chunk);
        // The entry again, because it may have gone and come back the same before the stamp was read: marks are read
        // below that must not be older than the chunk.
        if !stamp.is_multiple_of(2) || mem.load_acquire(place.entry) != entry.word() {
            std::hint::spin_loop();
            continue;
        }
        let head = Head::load(mem, chunk);
        let ours = head.key == *key;
        let (seen, fate) = (mem.load(place.seen), mem.load(place.fate));
        let whole = !ours || copy_payload(mem, chunk, head.info.len(), most, payload);
        // Partner: the release fences in `begin_fill` and `occupy`. If any word above is newer
        // than the entry or the stamp, one of the two has visibly changed by now.
        fence(Ordering::Acquire);
        if mem.load(chunk) != stamp || mem.load(place.entry) != entry.word() {
            continue;
        }
        return match (ours, whole) {
            (false, _) => Read::Other,
            (true, true) => Read::Is(Copied { entry, stamp, head, seen, fate }),
            (true, false) => Read::Torn,
        };
    }
    Read::Torn
}

/// Copies the payload of a chunk; false if its length is nonsense.
pub(super) fn copy_payload(
    mem: Mem<'_>,
    chunk: usize,
    len: usize,
    most: usize,
    payload: &mut Vec<u8>,
) -> bool {
    payload.clear();
    if len > most {
        return false;
    }
    let Some(words) = mem.span(chunk.saturating_add(HEAD), len.div_ceil(8)) else { return false };
    payload.resize(words.len() * 8, 0);
    for (bytes, word) in payload.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
    }
    payload.truncate(len);
    true
}

#[cfg(loom)]
#[cfg(test)]
mod tests {
    //! All interleavings, and all the reorderings that the memory model allows, of a reader with a writer that gives
    //! the reader's chunk to another record. Run with
    //! `RUSTFLAGS="--cfg loom" cargo test --no-default-features --release --lib loom_`.

    use super::*;
    use crate::sync::AtomicU64;
    use loom::sync::Arc;

    const ENTRY: usize = 0;
    const PLACE: Place = Place { entry: ENTRY, seen: 1, fate: 2 };
    const A: usize = 8;
    const B: usize = 24;
    const MINE: [u64; 4] = [1; 4];
    const THEIRS: [u64; 4] = [2; 4];

    fn head(key: [u64; 4], n: u64) -> Head {
        Head { key, info: Info(8), from: n, until: n, idle: n, checksum: n }
    }

    fn table() -> Arc<Vec<AtomicU64>> {
        let words = Arc::new((0..B + 16).map(|_| AtomicU64::new(0)).collect::<Vec<_>>());
        let mem = Mem::new(&words);
        fill(mem, A, &head(MINE, 7), &[7; 8]);
        occupy(mem, PLACE, Entry::new(&MINE, A, false), 7, 7);
        words
    }

    /// Runs `write` beside a reader of `MINE`, whose answer is returned to `judge`.
    fn model(write: fn(Mem<'_>), judge: fn(Read, &[u8])) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(move || {
            let words = table();
            let writer = Arc::clone(&words);
            let writer = loom::thread::spawn(move || write(Mem::new(&writer)));
            let mut payload = Vec::new();
            let read = read(Mem::new(&words), PLACE, &MINE, A, 64, &mut payload);
            judge(read, &payload);
            writer.join().unwrap();
        });
    }

    fn whole(read: Read, payload: &[u8], n: u64) {
        let Read::Is(copied) = read else { panic!("{read:?}") };
        assert_eq!((copied.head, copied.seen, copied.fate), (head(MINE, n), n, n));
        assert_eq!(payload, [n as u8; 8]);
    }

    #[test]
    fn loom_a_reader_sees_the_old_record_whole_or_none_while_its_chunk_is_given_away() {
        model(
            |mem| {
                mem.publish(ENTRY, 0);
                fill(mem, A, &head(THEIRS, 9), &[9; 8]);
            },
            |read, payload| match read {
                Read::Is(_) => whole(read, payload, 7),
                Read::Other | Read::Torn => {}
            },
        );
    }

    #[test]
    fn loom_a_reader_sees_no_fate_of_the_next_record_of_its_slot() {
        model(
            |mem| {
                mem.publish(ENTRY, 0);
                occupy(mem, PLACE, Entry::new(&THEIRS, B, false), 9, 9);
            },
            |read, payload| match read {
                Read::Is(_) => whole(read, payload, 7),
                Read::Other | Read::Torn => {}
            },
        );
    }

    #[test]
    fn loom_a_reader_takes_no_mixture_when_the_entry_comes_back_the_same() {
        model(
            |mem| {
                mem.publish(ENTRY, 0);
                fill(mem, A, &head(MINE, 9), &[9; 8]);
                occupy(mem, PLACE, Entry::new(&MINE, A, false), 9, 9);
            },
            |read, payload| match read {
                Read::Is(copied) => whole(read, payload, copied.head.from),
                Read::Other | Read::Torn => {}
            },
        );
    }

    #[test]
    fn loom_a_record_that_moves_is_never_missed() {
        model(
            |mem| {
                copy(mem, A, B, HEAD + 1);
                mem.publish(ENTRY, Entry::new(&MINE, B, false).word());
                void(mem, A);
                fill(mem, A, &head(THEIRS, 9), &[9; 8]);
            },
            |read, payload| match read {
                Read::Torn => {}
                read => whole(read, payload, 7),
            },
        );
    }
}
