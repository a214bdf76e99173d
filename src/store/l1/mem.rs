//! The table's memory: a slice of atomic words, and the only ways in which the table touches them. An address out
//! of bounds, which only damaged memory can produce, reads as zero and is not written: nothing here panics.

use crate::sync::{AtomicU64, Ordering};

/// Words of a cache line.
pub(super) const LINE: usize = 8;

/// The words of a table. Unless said otherwise, accesses are relaxed: order comes from the stamp and entry
/// protocol of `slot`, and among writers from their lock.
#[derive(Clone, Copy)]
pub(super) struct Mem<'m>(&'m [AtomicU64]);

impl<'m> Mem<'m> {
    pub(super) const fn new(words: &'m [AtomicU64]) -> Self {
        Mem(words)
    }

    pub(super) const fn words(self) -> &'m [AtomicU64] {
        self.0
    }

    /// `len` words from `at`, if they lie within the table.
    pub(super) fn span(self, at: usize, len: usize) -> Option<&'m [AtomicU64]> {
        self.0.get(at..at.checked_add(len)?)
    }

    pub(super) fn load(self, at: usize) -> u64 {
        self.0.get(at).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Partner of [`Mem::publish`] on the same word.
    pub(super) fn load_acquire(self, at: usize) -> u64 {
        self.0.get(at).map_or(0, |word| word.load(Ordering::Acquire))
    }

    pub(super) fn store(self, at: usize, value: u64) {
        #[cfg(test)]
        death::step();
        if let Some(word) = self.0.get(at) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// A store that makes all stores before it visible to a reader of it by [`Mem::load_acquire`].
    pub(super) fn publish(self, at: usize, value: u64) {
        #[cfg(test)]
        death::step();
        if let Some(word) = self.0.get(at) {
            word.store(value, Ordering::Release);
        }
    }

    /// Adds under the writers' lock, up to the largest number.
    pub(super) fn add(self, at: usize, n: u64) {
        self.store(at, self.load(at).saturating_add(n));
    }

    /// Subtracts under the writers' lock, down to zero.
    pub(super) fn sub(self, at: usize, n: u64) {
        self.store(at, self.load(at).saturating_sub(n));
    }

    /// Adds from any thread, without the lock. A mere count: it orders nothing.
    pub(super) fn count(self, at: usize) {
        if let Some(word) = self.0.get(at) {
            word.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Replaces `old` by `new`, from any thread. False when something else stands there. Orders nothing.
    pub(super) fn exchange(self, at: usize, old: u64, new: u64) -> bool {
        self.0
            .get(at)
            .is_some_and(|word| word.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed).is_ok())
    }

    /// Raises a word to `value` from any thread, without the lock. Copies merge by maximum, so it orders nothing.
    pub(super) fn raise(self, at: usize, value: u64) {
        if let Some(word) = self.0.get(at) {
            word.fetch_max(value, Ordering::Relaxed);
        }
    }
}

/// Lets a test kill a writer at any of its stores.
#[cfg(test)]
#[cfg_attr(loom, allow(dead_code))]
pub(super) mod death {
    use std::cell::Cell;

    thread_local! {
        static STORES_LEFT: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// This thread panics instead of making its store number `n` (from 0) after this call.
    pub(in super::super) fn after(n: u64) {
        STORES_LEFT.set(Some(n));
    }

    /// This thread lives on. Returns whether it had been about to die, that is, did not.
    pub(in super::super) fn never() -> bool {
        STORES_LEFT.take().is_some()
    }

    pub(super) fn step() {
        if let Some(left) = STORES_LEFT.get() {
            if left == 0 {
                STORES_LEFT.set(None);
                std::panic::resume_unwind(Box::new("the writer dies here"));
            }
            STORES_LEFT.set(Some(left - 1));
        }
    }
}
