//! httpd's global mutex: one lock for all processes of the server, of the kind that its `Mutex` directive chose.

use super::apr_pools::{OwnPool, Pool};
use super::httpd::Server;
use super::{strings, sys};
use std::ffi::{CStr, c_char};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

const NONE: &str = "the kind 'none' lets two processes write at once: leave the line out";
const POSIXSEM: &str = "the kind 'posixsem' blocks for ever when a process that holds it is killed: write \
                        'Mutex pthread session-cluster' (or flock, fcntl, sysvsem), or leave the line out";

/// How a mutex will be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Configured {
    /// In memory, or by the kernel.
    WithoutFile,
    /// By a file in this directory.
    LockFile {
        /// Where.
        directory: String,
        /// Whether each child opens it again.
        again: bool,
    },
}

/// What httpd says of all mutexes, one a line: all that it tells of them before they are made.
fn dump(server: Server<'_>) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("httpd cannot be asked for its mutexes: {e}");
    // A pipe holds what a few mutexes come to, so that nobody need read meanwhile.
    let (mut reader, writer) = std::io::pipe().map_err(failed)?;
    let pool = OwnPool::new().ok_or("out of memory")?;
    let (mut file, mut descriptor) = (ptr::null_mut(), writer.as_raw_fd());
    let to_write = sys::APR_FOPEN_WRITE as i32;
    // SAFETY: an open descriptor, which APR does not close, and a live pool; the result goes where `file` is.
    check(unsafe { sys::apr_os_file_put(&raw mut file, &raw mut descriptor, to_write, pool.0) })?;
    // SAFETY: pool, server and file are live.
    unsafe { sys::ap_dump_mutexes(pool.0, server.as_raw(), file) };
    drop((pool, writer));
    let mut all = String::new();
    reader.read_to_string(&mut all).map_err(failed)?;
    Ok(all)
}

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
        if raw.is_null() {
            return Err(NONE.into());
        }
        // SAFETY: just created.
        if unsafe { sys::apr_global_mutex_mech(raw) } == sys::APR_LOCK_POSIXSEM {
            return Err(POSIXSEM.into());
        }
        Ok(GlobalMutex { raw: AtomicPtr::new(raw) })
    }

    /// A mutex in the process pool of the one kind that needs neither a file nor permissions, whatever the `Mutex`
    /// directive says.
    ///
    /// # Errors
    /// When the system has none.
    pub fn create_default(server: Server<'_>) -> Result<Self, String> {
        let mut raw = ptr::null_mut();
        let (pool, no_file) = (server.process_pool(), ptr::null());
        // SAFETY: the pool lives as long as the process; the result goes where `raw` is.
        check(unsafe {
            sys::apr_global_mutex_create(&raw mut raw, no_file, sys::APR_LOCK_PROC_PTHREAD, pool)
        })?;
        Ok(GlobalMutex { raw: AtomicPtr::new(raw) })
    }

    /// What the `Mutex` directive says of `name`, once the configuration has been read. Makes no mutex.
    ///
    /// # Errors
    /// When the kind is one that cannot be used, and what to write instead.
    pub fn configured(server: Server<'_>, name: &'static CStr) -> Result<Configured, String> {
        let all = dump(server)?;
        let line_of = |name: &str| {
            let start = format!("Mutex {name}: ");
            all.lines().find_map(|line| line.strip_prefix(start.as_str()))
        };
        let own = line_of(&name.to_string_lossy()).ok_or("httpd does not know it")?;
        let line = if own.starts_with("using_defaults") { line_of("default").unwrap_or(own) } else { own };
        let kind = line.split_once("mechanism=").map_or(line, |(_, rest)| rest);
        let directory = line.split_once("dir=\"").and_then(|(_, rest)| rest.split_once('"'));
        match (kind.split_whitespace().next().unwrap_or_default(), directory) {
            ("none", _) => Err(NONE.into()),
            ("posixsem", _) => Err(POSIXSEM.into()),
            ("flock", Some((directory, _))) => {
                Ok(Configured::LockFile { directory: directory.into(), again: true })
            }
            ("fcntl", Some((directory, _))) => {
                Ok(Configured::LockFile { directory: directory.into(), again: false })
            }
            _ => Ok(Configured::WithoutFile),
        }
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
