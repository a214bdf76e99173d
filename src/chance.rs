//! The only door to chance: random bytes from the kernel, with nothing between. No file above the leaves asks the
//! system for any but through this one. In a crate that is built for simulation they come from a seed instead
//! (see `simulated`), so that a run can be had again.

#[cfg(simulation)]
pub mod simulated;

pub use getrandom::Error;

/// Fills `bytes` with random ones.
///
/// # Errors
/// When the kernel has none to give, which on a booted Linux does not happen.
#[cfg(not(simulation))]
#[inline]
pub fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes)
}

/// As above, from the seed.
///
/// # Errors
/// Never.
#[cfg(simulation)]
pub fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    simulated::fill(bytes);
    Ok(())
}

/// A random number of 32 bits.
///
/// # Errors
/// As [`fill`].
#[inline]
pub fn u32() -> Result<u32, Error> {
    let mut bytes = [0; 4];
    fill(&mut bytes)?;
    Ok(u32::from_ne_bytes(bytes))
}

/// A random number of 64 bits.
///
/// # Errors
/// As [`fill`].
#[inline]
pub fn u64() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}
