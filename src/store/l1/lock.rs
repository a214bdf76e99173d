//! The writers' lock, as the table sees it: something that can be taken and is given back on drop. In httpd it is
//! a mutex between processes; here is the one for a single process.

use parking_lot::{Mutex, MutexGuard};

/// Mutual exclusion among all writers of one table. A holder may die: the lock must then become free again, and
/// the next holder finds the table's "writer in progress" word set and repairs.
pub trait WriteLock {
    /// Held for as long as it lives.
    type Guard<'a>
    where
        Self: 'a;

    /// Waits for the lock and takes it.
    ///
    /// # Errors
    /// When the lock is not to be had; nothing was changed then.
    fn lock(&self) -> Result<Self::Guard<'_>, LockError>;
}

/// The lock is not to be had, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the table's lock could not be taken: {0}")]
pub struct LockError(pub String);

/// A lock for writers of one process: tests, benchmarks, embedded use. A panic of its holder frees it.
#[derive(Debug, Default)]
pub struct ProcessLock(Mutex<()>);

impl ProcessLock {
    /// A free lock.
    #[must_use]
    pub const fn new() -> Self {
        ProcessLock(Mutex::new(()))
    }
}

impl WriteLock for ProcessLock {
    type Guard<'a> = MutexGuard<'a, ()>;

    fn lock(&self) -> Result<Self::Guard<'_>, LockError> {
        Ok(self.0.lock())
    }
}
