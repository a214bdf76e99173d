//! httpd's global mutex: one lock for all processes of the server, of the kind that its `Mutex` directive chose.

use super::apr_pools::Pool;
use super::httpd::Server;
use super::{strings, sys};
use std::ffi::{CStr, c_char};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

/// A mutex that lives as long as the server's parent process.
pub struct GlobalMutex {
    // Changed only in child_init, before the child has a second thread: hence relaxed.
    raw: AtomicPtr<sys::apr_global_mutex_t>,
}

impl GlobalMutex {
    /// Makes `name` a mutex that the `Mutex` directive can be used for. For pre_config.
    ///
    /// # Errors
    /// When httpd refuses, in its own words.
    pub fn register(pconf: Pool<'_>, name: &'static CStr) -> Result<(), String> {
        let mechanism = sys::APR_LOCK_DEFAULT;
        // SAFETY: the pool is live and `name` is a constant; null means httpd's own directory for lock files.
        let status =
            unsafe { sys::ap_mutex_register(pconf.as_raw(), name.as_ptr(), ptr::null(), mechanism, 0) };
        check(status)
    }

    /// Creates the mutex `name` in the process pool, so that it outlives configurations as its table does.
    ///
    /// # Errors
    /// When it cannot be created, or when its kind would block for ever once a holder is killed (`posixsem`).
    pub fn create(server: Server<'_>, name: &'static CStr) -> Result<Self, String> {
        let mut raw = ptr::null_mut();
        let pool = server.process_pool();
        let null = ptr::null_mut();
        // SAFETY: the pool lives as long as the process, the name is a constant, the result goes where `raw` is.
        let status = unsafe {
            sys::ap_global_mutex_create(
                &raw mut raw,
                null,
                name.as_ptr(),
                ptr::null(),
                server.as_raw(),
                pool,
                0,
            )
        };
        check(status)?;
        // SAFETY: just created.
        if unsafe { sys::apr_global_mutex_mech(raw) } == sys::APR_LOCK_POSIXSEM {
            return Err("the kind 'posixsem' blocks for ever when a process that holds it is killed: write \
                        'Mutex pthread session-cluster' (or flock, fcntl, sysvsem), or leave the line out"
                .into());
        }
        Ok(GlobalMutex { raw: AtomicPtr::new(raw) })
    }

    /// # Safety
    /// `raw` came from [`GlobalMutex::as_raw`] of a mutex of this very process or its parent.
    pub(super) unsafe fn from_raw(raw: *mut sys::apr_global_mutex_t) -> Self {
        GlobalMutex { raw: AtomicPtr::new(raw) }
    }

    pub(super) fn as_raw(&self) -> *mut sys::apr_global_mutex_t {
        self.raw.load(Ordering::Relaxed)
    }

    /// Makes the mutex usable in a child. For child_init.
    ///
    /// # Errors
    /// When its lock file cannot be opened by the child.
    pub fn child_init(&self, pchild: Pool<'_>) -> Result<(), String> {
        let mut raw = self.as_raw();
        let lock_file: *const c_char = ptr::null();
        // SAFETY: the mutex is live, and the child has one thread yet.
        let status = unsafe { sys::apr_global_mutex_child_init(&raw mut raw, lock_file, pchild.as_raw()) };
        self.raw.store(raw, Ordering::Relaxed);
        check(status)
    }

    /// Takes the lock, waiting at most `patience`.
    ///
    /// # Errors
    /// When the lock was not to be had in that time, or at all.
    pub fn lock(&self, patience: Duration) -> Result<GlobalGuard<'_>, String> {
        let micros = i64::try_from(patience.as_micros()).unwrap_or(i64::MAX);
        // SAFETY: the mutex is live; httpd initialised it for this process.
        check(unsafe { sys::apr_global_mutex_timedlock(self.as_raw(), micros) })?;
        Ok(GlobalGuard { mutex: self })
    }
}

/// The lock, held.
pub struct GlobalGuard<'a> {
    mutex: &'a GlobalMutex,
}

impl Drop for GlobalGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: this guard's existence says that this thread holds the lock.
        unsafe { sys::apr_global_mutex_unlock(self.mutex.as_raw()) };
    }
}

/// APR's word for a status other than success.
pub(super) fn check(status: sys::apr_status_t) -> Result<(), String> {
    if status == 0 {
        return Ok(());
    }
    let mut text: [c_char; 200] = [0; 200];
    // SAFETY: APR writes at most text.len() bytes, ended by NUL.
    let words = unsafe { sys::apr_strerror(status, text.as_mut_ptr(), text.len()) };
    // SAFETY: `words` points into `text`.
    Err(String::from_utf8_lossy(unsafe { strings::bytes(words) }).into_owned())
}
