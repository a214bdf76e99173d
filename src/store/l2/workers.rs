//! Threads that do what may block for longer than its caller can wait: calls on a file system whose server hangs, or of
//! a driver without time-outs. A caller waits until its time is over and is then told that the engine is unavailable;
//! the thread goes on by itself, and is used again when it comes back. While all of them are stuck, nobody waits for
//! more than that.
//!
//! No thread is started before there is something to do, so that the workers can be made before a fork.

use super::breaker::{Breaker, any_byte};
use crate::clock::{Instant, sleep};
use crate::store::l2::contract::Unavailable;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// Threads of one process at most.
const THREADS: usize = 8;
/// Jobs that wait for a thread at most.
const WAITING: usize = 64;
/// A thread with nothing to do ends after so long.
const IDLE: Duration = Duration::from_secs(30);
/// How long a stopping process waits for what is under way.
const FAREWELL: Duration = Duration::from_millis(500);

/// How a thread is started: within httpd, one that takes no signals.
pub trait Spawn: Send + Sync {
    /// Starts a thread that runs `body`.
    ///
    /// # Errors
    /// When the system has no thread to give.
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<()>;
}

/// Threads as they are, for a process that is not httpd.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainThreads;

impl Spawn for PlainThreads {
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
    }
}

/// Why an operation did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The engine cannot be used at present. The next callers should not wait for it.
    Down(String),
    /// The engine answered something that is not understood, or did not do what was asked.
    Odd(String),
}

/// The threads that work for one store in one process.
pub struct Workers {
    engine: &'static str,
    spawn: Arc<dyn Spawn>,
    breaker: Breaker,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    stopping: AtomicBool,
    /// Jobs that are being done.
    busy: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

type Job = Box<dyn FnOnce() + Send>;

impl Workers {
    /// Workers for an engine, which messages call by that name.
    pub fn new(engine: &'static str, spawn: Arc<dyn Spawn>) -> Self {
        Workers { engine, spawn, breaker: Breaker::default(), shared: Arc::default() }
    }

    /// Has the work done and waits for it until `within`. When it takes longer it goes on by itself, unless it was not
    /// begun.
    ///
    /// # Errors
    /// What the work said, or that it took too long, or, for a moment after either, the same at once.
    pub fn run<R: Send + 'static>(
        &self,
        within: Instant,
        work: impl FnOnce() -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Unavailable> {
        let engine = self.engine;
        let permit = self
            .breaker
            .enter(Instant::now(), within)
            .map_err(|why| Unavailable(format!("{engine}: the store was unavailable a moment ago: {why}")))?;
        let result = self.wait_for(within, work);
        match &result {
            Err(Fault::Down(why)) => self.breaker.failed(permit, Instant::now(), any_byte(), why.clone()),
            Ok(_) | Err(Fault::Odd(_)) => self.breaker.succeeded(permit),
        }
        result.map_err(|(Fault::Down(why) | Fault::Odd(why))| Unavailable(format!("{engine}: {why}")))
    }

    /// Lets the next caller try at once.
    pub fn revive(&self) {
        self.breaker.reset();
    }

    /// Begins nothing any more, and waits a moment for what is under way. Takes no lock: this may run in the handler of
    /// a signal.
    pub fn stop(&self) {
        // One order with `busy` for all: either this sees a job that is begun, or its thread sees this.
        self.shared.stopping.store(true, Ordering::SeqCst);
        let patience = Instant::now() + FAREWELL;
        while self.shared.busy.load(Ordering::SeqCst) > 0 && Instant::now() < patience {
            sleep(Duration::from_millis(2));
        }
    }

    fn wait_for<R: Send + 'static>(
        &self,
        within: Instant,
        work: impl FnOnce() -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Fault> {
        let (answer, question) = sync_channel(1);
        let awaited = Arc::new(AtomicBool::new(true));
        let still = Arc::clone(&awaited);
        let job = move || {
            if still.load(Ordering::Relaxed) {
                // Nobody may be there any more to hear it.
                let _ = answer.send(work());
            }
        };
        self.give(Box::new(job)).map_err(|e| {
            awaited.store(false, Ordering::Relaxed);
            Fault::Down(format!("no thread can be started: {e}"))
        })?;
        question.recv_timeout(within.saturating_duration_since(Instant::now())).unwrap_or_else(|e| {
            awaited.store(false, Ordering::Relaxed);
            Err(match e {
                RecvTimeoutError::Timeout => Fault::Down("no answer in time".into()),
                RecvTimeoutError::Disconnected => Fault::Odd("the operation was given up".into()),
            })
        })
    }

    /// Leaves a job for the next thread that is free, or a new one.
    fn give(&self, job: Job) -> io::Result<()> {
        let mut queue = self.shared.queue.lock();
        // While all threads are stuck, the callers of the oldest jobs have long since given up.
        if queue.jobs.len() >= WAITING {
            queue.jobs.pop_front();
        }
        queue.jobs.push_back(job);
        if queue.idle >= queue.jobs.len() || queue.threads >= THREADS {
            self.shared.filled.notify_one();
            return Ok(());
        }
        queue.threads += 1;
        drop(queue);
        let shared = Arc::clone(&self.shared);
        self.spawn.spawn("session-store", Box::new(move || Thread(shared).work())).inspect_err(|_| {
            let mut queue = self.shared.queue.lock();
            queue.threads -= 1;
            if queue.threads == 0 {
                queue.jobs.clear();
            }
        })
    }
}

/// One of the threads. Counts itself off when it ends, also by a panic.
struct Thread(Arc<Shared>);

impl Thread {
    fn work(&self) {
        while let Some(job) = self.next() {
            let _busy = Busy::new(&self.0.busy);
            if !self.0.stopping.load(Ordering::SeqCst) {
                job();
            }
        }
    }

    /// The next job; `None` when there was none for a long time.
    fn next(&self) -> Option<Job> {
        let mut queue = self.0.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            queue.idle += 1;
            let idle = self.0.filled.wait_for(&mut queue, IDLE).timed_out();
            queue.idle -= 1;
            if idle && queue.jobs.is_empty() {
                return None;
            }
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.0.queue.lock().threads -= 1;
    }
}

/// A job is being done.
struct Busy<'a>(&'a AtomicUsize);

impl<'a> Busy<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Busy(count)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers() -> Workers {
        Workers::new("test", Arc::new(PlainThreads))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn work_is_done_and_its_result_comes_back() {
        let workers = workers();
        for number in 0..100 {
            assert_eq!(workers.run(soon(), move || Ok(number)), Ok(number));
        }
        assert!(workers.shared.queue.lock().threads <= THREADS);
    }

    #[test]
    fn nobody_waits_longer_than_their_time_and_the_next_ones_not_at_all() {
        let workers = workers();
        let start = Instant::now();
        let late = workers.run(start + Duration::from_millis(50), || {
            sleep(Duration::from_secs(2));
            Ok(())
        });
        assert_eq!(late, Err(Unavailable("test: no answer in time".into())));
        let waited = start.elapsed();
        assert!(waited >= Duration::from_millis(50) && waited < Duration::from_secs(1), "{waited:?}");
        let next = workers.run(soon(), || Ok(())).unwrap_err();
        assert_eq!(next.0, "test: the store was unavailable a moment ago: no answer in time");
        workers.revive();
        assert_eq!(workers.run(soon(), || Ok(7)), Ok(7), "another thread does it");
    }

    #[test]
    fn while_all_threads_are_stuck_what_was_not_begun_is_never_done() {
        let workers = workers();
        let (go, gate) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let stuck = Arc::new(AtomicUsize::new(0));
        while stuck.load(Ordering::Relaxed) < THREADS {
            let (go, stuck) = (Arc::clone(&go), Arc::clone(&stuck));
            let late = workers.run(Instant::now() + Duration::from_millis(5), move || {
                stuck.fetch_add(1, Ordering::Relaxed);
                while !go.load(Ordering::Relaxed) {
                    sleep(Duration::from_millis(1));
                }
                Ok(())
            });
            assert!(late.is_err());
            workers.revive();
        }
        let begun = Arc::clone(&gate);
        let more = move || {
            begun.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        assert!(workers.run(Instant::now() + Duration::from_millis(20), more).is_err());
        workers.revive();
        go.store(true, Ordering::Relaxed);
        assert_eq!(workers.run(soon(), || Ok(1)), Ok(1));
        assert_eq!(gate.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_panic_is_a_failure_of_that_operation_only() {
        let workers = workers();
        let panicked = workers.run(soon(), || -> Result<(), Fault> { panic!("on purpose") });
        assert_eq!(panicked, Err(Unavailable("test: the operation was given up".into())));
        assert_eq!(workers.run(soon(), || Ok(1)), Ok(1));
    }

    #[test]
    fn an_odd_answer_closes_nothing() {
        let workers = workers();
        let odd = workers.run(soon(), || -> Result<(), Fault> { Err(Fault::Odd("what?".into())) });
        assert_eq!(odd, Err(Unavailable("test: what?".into())));
        let down = workers.run(soon(), || -> Result<(), Fault> { Err(Fault::Down("gone".into())) });
        assert_eq!(down, Err(Unavailable("test: gone".into())));
        assert!(workers.run(soon(), || Ok(())).is_err());
    }

    #[test]
    fn a_stop_waits_for_what_is_under_way_and_begins_nothing() {
        let workers = workers();
        let done = Arc::new(AtomicBool::new(false));
        let its = Arc::clone(&done);
        let _ = workers.run(Instant::now() + Duration::from_millis(10), move || {
            sleep(Duration::from_millis(100));
            its.store(true, Ordering::Relaxed);
            Ok(())
        });
        workers.stop();
        assert!(done.load(Ordering::Relaxed));
        workers.revive();
        assert!(workers.run(soon(), || Ok(())).is_err());
    }
}
