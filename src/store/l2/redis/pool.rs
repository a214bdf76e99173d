//! The connections of one process to one place: a few idle ones are kept, and a breaker spares callers the wait for a
//! server that does not answer. Nothing connects before it is needed, so that a pool survives a fork; no lock is held
//! while anybody waits.

use super::connect::Place;
use super::link::{Fault, Link};
use crate::clock::Instant;
use crate::store::l2::breaker::{Breaker, any_byte};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Idle connections that are kept. The last one that was used is used first.
const IDLE: usize = 8;

/// Something to do with a connection. It may be done twice.
pub(super) type Work<'a, R> = &'a mut dyn FnMut(&mut Link) -> Result<R, Fault>;

/// A pool.
pub(super) struct Pool {
    place: Place,
    idle: Mutex<Vec<Link>>,
    breaker: Breaker,
    outages: AtomicUsize,
}

impl Pool {
    pub(super) fn new(place: Place) -> Self {
        Pool { place, idle: Mutex::default(), breaker: Breaker::default(), outages: AtomicUsize::new(0) }
    }

    /// Does the work with an idle connection or a new one. When the idle one turns out to have been closed meanwhile,
    /// as after a restart of the server, it is done again with a new one: so it must be such that doing it twice is no
    /// harm.
    pub(super) fn run<R>(&self, within: Instant, work: Work<'_, R>) -> Result<R, Fault> {
        let permit = self.breaker.enter(Instant::now(), within).map_err(Fault::Recent)?;
        let result = self.attempt(within, work);
        match &result {
            Err(fault) if fault.is_outage() => {
                self.place.forget();
                self.drop_idle();
                self.breaker.failed(permit, Instant::now(), any_byte(), fault.to_string());
            }
            _ => self.breaker.succeeded(permit),
        }
        result
    }

    /// Lets the next caller try at once, with a new connection.
    pub(super) fn revive(&self) {
        self.place.forget();
        self.drop_idle();
        self.breaker.reset();
    }

    /// Makes a connection that is the caller's own.
    pub(super) fn open(&self, within: Instant) -> Result<Link, Fault> {
        self.place.open(within).inspect_err(|_| self.place.forget())
    }

    fn attempt<R>(&self, within: Instant, work: Work<'_, R>) -> Result<R, Fault> {
        let outages = self.outages.load(Ordering::Relaxed);
        let idle = self.idle.lock().pop();
        if let Some(mut link) = idle {
            let result = work(&mut link);
            if !matches!(result, Err(Fault::Closed(_))) {
                self.put_back(link, outages, &result);
                return result;
            }
            // The others were closed with it.
            self.drop_idle();
        }
        let outages = self.outages.load(Ordering::Relaxed);
        let mut link = self.place.open(within)?;
        let result = work(&mut link);
        self.put_back(link, outages, &result);
        result
    }

    /// Connections that lead to the same server go, and so do those that are out, when they come back: what it says
    /// later, others may know better.
    fn drop_idle(&self) {
        self.outages.fetch_add(1, Ordering::Relaxed);
        let idle = std::mem::take(&mut *self.idle.lock());
        drop(idle);
    }

    fn put_back<R>(&self, link: Link, outages: usize, result: &Result<R, Fault>) {
        if result.as_ref().is_err_and(Fault::breaks) {
            return;
        }
        let mut idle = self.idle.lock();
        if idle.len() < IDLE && self.outages.load(Ordering::Relaxed) == outages {
            idle.push(link);
        }
    }
}
