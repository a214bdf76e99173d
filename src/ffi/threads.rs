//! Threads of a child beside those that serve. They are started when the child is, take no signals, and are told when
//! the child stops.

use super::apr_pools::Pool;
use super::http_config::Module;
use super::httpd::Server;
use super::{guard, http_log, sys};
use crate::clock::{Instant, sleep};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;
use std::{io, ptr};

/// How long a stopping child waits for its thread. Then it ends all the same, and the thread with it.
const FAREWELL: Duration = Duration::from_millis(250);

/// How a thread knows that its child goes on.
#[derive(Default)]
pub struct Running {
    stopping: AtomicBool,
    done: AtomicBool,
}

impl Running {
    /// Whether the child goes on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
    }

    /// Sleeps for so long, or until the child stops.
    pub fn sleep(&self, time: Duration) {
        if self.is_on() && !time.is_zero() {
            thread::park_timeout(time);
        }
    }
}

/// Neither is ever freed: see `drop`.
struct Handle {
    running: ManuallyDrop<Arc<Running>>,
    thread: ManuallyDrop<Thread>,
}

impl Drop for Handle {
    /// On prefork this runs in the handler of a signal: nothing here allocates, frees or takes a lock.
    fn drop(&mut self) {
        self.running.stopping.store(true, Ordering::Relaxed);
        self.thread.unpark();
        let patience = Instant::now() + FAREWELL;
        while !self.running.done.load(Ordering::Acquire) && Instant::now() < patience {
            sleep(Duration::from_millis(2));
        }
    }
}

/// The main server, for a thread of the same child.
struct Main(*mut sys::server_rec);

// SAFETY: the configuration of a child is not changed once it serves, and stays until the process ends.
unsafe impl Send for Main {}

impl Main {
    fn server(self) -> Server<'static> {
        // SAFETY: as above.
        unsafe { Server::from_raw(self.0) }
    }
}

/// Runs `body` in a thread of its own for as long as `pchild` lives. A panic is logged and ends the thread, nothing
/// else.
///
/// # Errors
/// When the system has no thread to give.
pub fn spawn<M: Module>(
    main: Server<'_>,
    pchild: Pool<'_>,
    name: &str,
    body: impl FnOnce(Server<'static>, &Running) + Send + 'static,
) -> io::Result<()> {
    let running = Arc::new(Running::default());
    let (its, main) = (Arc::clone(&running), Main(main.as_raw()));
    let thread = start(name, move || {
        let main = main.server();
        if let Err(panic) = guard::run(|| body(main, &its)) {
            http_log::panicked_in_server::<M>(main, &panic);
        }
        its.done.store(true, Ordering::Release);
    })?;
    pchild.place_on_top(Handle { running: ManuallyDrop::new(running), thread: ManuallyDrop::new(thread) });
    Ok(())
}

/// Runs `body` in a thread to which none of httpd's signals is ever delivered. Not to be called before the child is
/// forked.
///
/// # Errors
/// When the system has no thread to give.
pub fn start(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    let before = block_signals();
    // A thread inherits the mask.
    let thread = thread::Builder::new().name(name.to_owned()).spawn(body);
    restore_signals(&before);
    Ok(thread?.thread().clone())
}

/// Calls `farewell` when `pchild` begins to be destroyed. On prefork that is in the handler of a signal: it must not
/// allocate or take a lock.
pub fn at_child_end(pchild: Pool<'_>, farewell: impl Fn() + Send + 'static) {
    struct AtEnd<F: Fn()>(ManuallyDrop<F>);
    impl<F: Fn()> Drop for AtEnd<F> {
        fn drop(&mut self) {
            // What it holds is never dropped: the process ends.
            (self.0)();
        }
    }
    pchild.place_on_top(AtEnd(ManuallyDrop::new(farewell)));
}

/// Ends this process at once, without what is left to be done when its pools go. Nothing is flushed.
pub fn leave() -> ! {
    // SAFETY: takes no lock and runs none of this process' code, so that it may be called anywhere.
    unsafe { libc::_exit(0) }
}

fn block_signals() -> libc::sigset_t {
    // SAFETY: a plain set of bits, for which zeros are a value.
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut before: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: writes to the set given.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: both sets are live; the mask of this thread is all that changes.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
    before
}

fn restore_signals(before: &libc::sigset_t) {
    // SAFETY: the set is live, and null asks for no answer.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, ptr::from_ref(before), ptr::null_mut()) };
}
