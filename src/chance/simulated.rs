//! Simulated chance: bytes that follow from a seed alone, a stream of them for each thread. BLAKE3, keyed with the
//! seed, over the number of the draw.

use std::cell::Cell;

/// The seed, and how often was drawn.
type Stream = (u64, u64);

thread_local! {
    static STREAM: Cell<Stream> = const { Cell::new((0, 0)) };
}

/// Begins the stream of that seed, for this thread.
pub fn seed(seed: u64) {
    STREAM.set((seed, 0));
}

pub(super) fn fill(bytes: &mut [u8]) {
    let (seed, drawn) = STREAM.get();
    STREAM.set((seed, drawn + 1));
    let mut hasher = blake3::Hasher::new_derive_key("mod_session_cluster v1 simulated chance");
    hasher.update(&seed.to_le_bytes()).update(&drawn.to_le_bytes());
    hasher.finalize_xof().fill(bytes);
}

#[cfg(test)]
mod tests {
    use crate::chance::{fill, simulated, u32, u64};

    fn drawn(seed: u64) -> ([u8; 32], u32, u64) {
        simulated::seed(seed);
        let mut bytes = [0; 32];
        fill(&mut bytes).unwrap();
        (bytes, u32().unwrap(), u64().unwrap())
    }

    #[test]
    fn simulated_chance_is_the_same_for_the_same_seed_and_another_for_another() {
        assert_eq!(drawn(7), drawn(7));
        let (one, other) = (drawn(7), drawn(8));
        assert!(one.0 != other.0 && one.1 != other.1 && one.2 != other.2);
    }

    #[test]
    fn simulated_chance_does_not_repeat_itself() {
        simulated::seed(1);
        let drawn: std::collections::HashSet<u64> = (0..1000).map(|_| u64().unwrap()).collect();
        assert_eq!(drawn.len(), 1000);
    }
}
