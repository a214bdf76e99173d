//! A store in one of httpd's object caches (memcache, redis, dbm, shmcb): something that can only store over what is there, and
//! may forget. No log, hence [`Backend::has_log`] is false; a table in front of it must ask for each record again and again.
//!
//! Entries: `K` record, or tombstone over it; `K.t` the tombstone again; `K.s` last seen; `M` and `M.SCOPE` marks; `G` a guard.
//!
//! Why nothing comes back, although there is only "store":
//! * Only `create` stores a record with its full time, and keys are drawn once. `retire` stores it with less.
//! * `end` stores `K.t` first and `K` then. `create` and `retire` store `K` first and look at `K.t` then, and store a tombstone
//!   that they find over their record. Whichever comes last leaves a tombstone in `K`.
//! * A record counts only where `K.t` is not there. So it is no matter when a writer dies or is held up between its two steps.
//! * A cache may throw away any entry, so also `K.t` alone. A record comes back only if that happens while a `retire` of the
//!   same session is held up between its look at `K` and its write of it; and then for no longer than the grace it gave.
//!
//! Why an outage is no absence: clients of memcached and Redis say "not found" also while they hold a server for dead, as they do
//! for a while after an operation failed. So "not found" is believed only of a client of which nothing has failed, before and
//! after, and which then finds the guard, or can store it: see [`Engine::certainly`]. What is found is believed of any.

mod config;
mod log;
mod marks;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

pub use config::SocacheConfig;

use super::workers::{Fault, Spawn, Workers};
use super::{Backend, Facts, Log, Stored, Unavailable, wire};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::store::key::Key;
use crate::store::record::Record;
use crate::store::tombstone::{Reason, Tombstone};
use data_encoding::BASE64URL_NOPAD;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A cache: what all providers of httpd can do. Each call may block.
pub trait Cache: Send + Sync {
    /// Stores `data` over what is there, to be kept until `expiry`, or shorter.
    ///
    /// # Errors
    /// When it was not stored.
    fn store(&self, id: &[u8], expiry: Timestamp, data: &[u8]) -> Result<(), Fault>;

    /// What is stored under `id`. `None` may also mean that the cache cannot be reached.
    ///
    /// # Errors
    /// When the cache says that it failed.
    fn retrieve(&self, id: &[u8]) -> Result<Option<Vec<u8>>, Fault>;

    /// Which client it is that asks: another number once another has taken its place. `None` while an operation of it has
    /// failed, for it may then say that it found nothing without having asked.
    fn client(&self) -> Option<u64>;
}

/// Caches count in whole seconds, so that entries are kept for longer than they are needed.
const MARGIN: Duration = Duration::from_secs(2);
/// The guard is stored anew when it is gone.
const GUARD_KEPT: Duration = Duration::from_secs(3600);
/// Visits that are told in one go.
const VISITS: usize = 20;
/// Locks over keys: what reads and then writes an entry does so one at a time in this process.
const LOCKS: usize = 64;

/// The store.
pub struct SocacheBackend {
    engine: Arc<Engine>,
    workers: Arc<Workers>,
    /// Visits of a batch for which there was no time to tell all.
    told: Mutex<HashSet<(Key, Timestamp)>>,
}

/// What the workers work on.
struct Engine {
    cache: Arc<dyn Cache>,
    prefix: String,
    locks: [Mutex<()>; LOCKS],
    marking: Mutex<()>,
}

impl SocacheBackend {
    /// A store in `cache`, as `config` says.
    pub fn new(config: &SocacheConfig, cache: Arc<dyn Cache>, spawn: Arc<dyn Spawn>) -> Self {
        let locks = std::array::from_fn(|_| Mutex::new(()));
        let engine = Engine { cache, prefix: config.prefix.clone(), locks, marking: Mutex::new(()) };
        let workers = Arc::new(Workers::new("socache", spawn));
        SocacheBackend { engine: Arc::new(engine), workers, told: Mutex::default() }
    }

    fn run<R: Send + 'static>(
        &self,
        within: Instant,
        work: impl FnOnce(&Engine) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Unavailable> {
        let engine = Arc::clone(&self.engine);
        self.workers.run(within, move || work(&engine))
    }
}

impl Backend for SocacheBackend {
    fn create(&self, record: &Record<'_>, within: Instant) -> Result<bool, Unavailable> {
        let (key, deadline, bytes) = (record.key, record.deadline, wire::record(record));
        self.run(within, move |engine| engine.create(&key, deadline, &bytes))
    }

    fn load(&self, key: &Key, sealed: &mut Vec<u8>, within: Instant) -> Result<Stored, Unavailable> {
        let key = *key;
        let (stored, payload) = self.run(within, move |engine| engine.look(&key))?;
        *sealed = payload;
        Ok(stored)
    }

    fn retire(
        &self,
        key: &Key,
        deadline: Timestamp,
        reason: Reason,
        within: Instant,
    ) -> Result<Stored, Unavailable> {
        let key = *key;
        self.run(within, move |engine| engine.retire(&key, deadline, reason))
    }

    fn end(&self, key: &Key, tombstone: &Tombstone, within: Instant) -> Result<Stored, Unavailable> {
        let (key, tombstone) = (*key, *tombstone);
        self.run(within, move |engine| engine.end(&key, &tombstone))
    }

    fn touch(&self, seen: &[(Key, Timestamp)], within: Instant) -> Result<(), Unavailable> {
        if seen.is_empty() {
            return Ok(());
        }
        let mut told = self.told.lock();
        let rest: Vec<_> = seen.iter().copied().filter(|visit| !told.contains(visit)).collect();
        let mut longest = Duration::ZERO;
        for some in rest.chunks(VISITS) {
            let start = Instant::now();
            // A cache that is only slow is not one that is away: nobody else is put off, and the next try begins here.
            if longest > Duration::ZERO && start + longest * 2 > within {
                return Err(Unavailable("socache: there was no time for all visits".into()));
            }
            let visits = some.to_vec();
            self.run(within, move |engine| visits.iter().try_for_each(|(key, at)| engine.touch(key, *at)))?;
            told.extend(some);
            longest = longest.max(start.elapsed());
        }
        told.clear();
        Ok(())
    }

    fn mark(
        &self,
        scope: &Key,
        stamp: Option<Timestamp>,
        keep: Duration,
        within: Instant,
    ) -> Result<Timestamp, Unavailable> {
        let scope = *scope;
        self.run(within, move |engine| engine.mark(&scope, stamp, keep))
    }

    fn stamps(&self, scopes: &[Key], within: Instant) -> Result<Vec<Option<Timestamp>>, Unavailable> {
        if scopes.is_empty() {
            return Ok(Vec::new());
        }
        let scopes = scopes.to_vec();
        self.run(within, move |engine| engine.stamps(&scopes))
    }

    fn has_log(&self) -> bool {
        false
    }

    fn stop(&self) {
        self.workers.stop();
    }

    fn revive(&self) {
        self.workers.revive();
    }

    fn log(&self, _within: Instant) -> Result<Box<dyn Log>, Unavailable> {
        Ok(Box::new(log::NoLog::new(Arc::clone(&self.engine), Arc::clone(&self.workers))))
    }
}

impl Engine {
    /// As [`Backend::create`].
    fn create(&self, key: &Key, deadline: Timestamp, bytes: &[u8]) -> Result<bool, Fault> {
        if let Some(there) = self.cache.retrieve(&self.id(key, ""))? {
            // Bytes that are the same are an earlier try of the same login. A tombstone that is over counts as nothing.
            if there == bytes {
                return Ok(!self.is_overtaken(key)?);
            }
            if understood(&there)?.0 != Stored::Nothing {
                return Ok(false);
            }
        }
        self.cache.store(&self.id(key, ""), kept_until(deadline), bytes)?;
        Ok(!self.is_overtaken(key)?)
    }

    /// After a record was stored: whether the session has ended. Then its tombstone is stored over the record.
    fn is_overtaken(&self, key: &Key) -> Result<bool, Fault> {
        let Some(tombstone) = self.tombstone_of(key)? else { return Ok(false) };
        self.cache.store(&self.id(key, ""), kept_until(tombstone.until), &wire::tombstone(&tombstone))?;
        Ok(true)
    }

    /// How a key stands, and the payload of its record.
    fn look(&self, key: &Key) -> Result<(Stored, Vec<u8>), Fault> {
        self.certainly(|| self.look_once(key), |(stored, _)| matches!(stored, Stored::Tombstone(_)))
    }

    fn look_once(&self, key: &Key) -> Result<(Stored, Vec<u8>), Fault> {
        let (stored, payload) = match self.cache.retrieve(&self.id(key, ""))? {
            Some(bytes) => understood(&bytes)?,
            None => (Stored::Nothing, Vec::new()),
        };
        if let Stored::Tombstone(_) = stored {
            return Ok((stored, payload));
        }
        if let Some(tombstone) = self.tombstone_of(key)? {
            return Ok((Stored::Tombstone(tombstone), Vec::new()));
        }
        let Stored::Record(facts) = stored else { return Ok((stored, payload)) };
        let last_seen = self.last_seen(key)?.unwrap_or_default().max(facts.last_seen);
        Ok((Stored::Record(Facts { last_seen, ..facts }), payload))
    }

    /// As [`Backend::retire`].
    fn retire(&self, key: &Key, deadline: Timestamp, reason: Reason) -> Result<Stored, Fault> {
        let _one_at_a_time = self.lock(key).lock();
        let (stored, payload) = self.look(key)?;
        let Stored::Record(mut facts) = stored else { return Ok(stored) };
        if deadline >= facts.deadline {
            return Ok(stored);
        }
        (facts.deadline, facts.ends_as) = (deadline, reason);
        let bytes = wire::stored_record(&facts, &payload);
        self.cache.store(&self.id(key, ""), kept_until(deadline), &bytes)?;
        match self.is_overtaken(key)? {
            true => self.look(key).map(|(stored, _)| stored),
            false => Ok(Stored::Record(facts)),
        }
    }

    /// As [`Backend::end`].
    fn end(&self, key: &Key, tombstone: &Tombstone) -> Result<Stored, Fault> {
        let (before, _) = self.look(key)?;
        let tombstone = match before {
            Stored::Tombstone(first) => first,
            Stored::Record(_) | Stored::Nothing => *tombstone,
        };
        // Also what is there already: either of the two may be missing.
        let (until, bytes) = (kept_until(tombstone.until), wire::tombstone(&tombstone));
        self.cache.store(&self.id(key, ".t"), until, &bytes)?;
        self.cache.store(&self.id(key, ""), until, &bytes)?;
        Ok(before)
    }

    /// As [`Backend::touch`], for one key.
    fn touch(&self, key: &Key, at: Timestamp) -> Result<(), Fault> {
        let _one_at_a_time = self.lock(key).lock();
        // A later visit that was only not found is not to be overwritten: the session would end too soon.
        let look = || Ok((self.cache.retrieve(&self.id(key, ""))?, self.last_seen(key)?));
        let found = |(record, last): &(Option<_>, Option<_>)| record.is_some() && last.is_some();
        let (Some(bytes), last) = self.certainly(look, found)? else { return Ok(()) };
        let Stored::Record(facts) = understood(&bytes)?.0 else { return Ok(()) };
        if at > last.unwrap_or_default().max(facts.last_seen) {
            let bytes = at.as_millis().to_be_bytes();
            self.cache.store(&self.id(key, ".s"), kept_until(facts.deadline), &bytes)?;
        }
        Ok(())
    }

    /// The tombstone in `K.t`, while its time is not over.
    fn tombstone_of(&self, key: &Key) -> Result<Option<Tombstone>, Fault> {
        let Some(bytes) = self.cache.retrieve(&self.id(key, ".t"))? else { return Ok(None) };
        match understood(&bytes)?.0 {
            Stored::Tombstone(tombstone) => Ok(Some(tombstone)),
            Stored::Record(_) | Stored::Nothing => Ok(None),
        }
    }

    fn last_seen(&self, key: &Key) -> Result<Option<Timestamp>, Fault> {
        let Some(bytes) = self.cache.retrieve(&self.id(key, ".s"))? else { return Ok(None) };
        let bytes: [u8; 8] = bytes.try_into().map_err(|_| unreadable())?;
        Ok(Some(Timestamp::from_millis(u64::from_be_bytes(bytes))))
    }

    /// What `look` finds. Unless `found` says that this holds of itself, something was not found, which is certain only if it
    /// was one client that looked, and that client has not failed and reaches the cache.
    fn certainly<R>(
        &self,
        look: impl FnOnce() -> Result<R, Fault>,
        found: impl FnOnce(&R) -> bool,
    ) -> Result<R, Fault> {
        let client = self.cache.client();
        let result = look()?;
        if found(&result) {
            return Ok(result);
        }
        if client.is_some() {
            self.check()?;
            if self.cache.client() == client {
                return Ok(result);
            }
        }
        Err(Fault::Down("the cache was away for a moment".into()))
    }

    /// Whether the cache can be reached at all.
    fn check(&self) -> Result<(), Fault> {
        let guard = self.name("G");
        if self.cache.retrieve(&guard)?.is_some() {
            return Ok(());
        }
        self.cache.store(&guard, now().after(GUARD_KEPT), b"here")
    }

    fn id(&self, key: &Key, part: &str) -> Vec<u8> {
        self.name(&format!("{}{part}", BASE64URL_NOPAD.encode(key.as_bytes())))
    }

    fn name(&self, what: &str) -> Vec<u8> {
        format!("{}:{what}", self.prefix).into_bytes()
    }

    fn lock(&self, key: &Key) -> &Mutex<()> {
        let [first, ..] = *key.as_bytes();
        // In range whatever the byte is; the fallback is never used.
        self.locks.get(usize::from(first) % LOCKS).unwrap_or(&self.marking)
    }
}

/// Reads what is stored under a key. A tombstone whose time is over is nothing.
fn understood(bytes: &[u8]) -> Result<(Stored, Vec<u8>), Fault> {
    let mut payload = Vec::new();
    match wire::read(bytes, &mut payload).map_err(|e| Fault::Odd(e.to_string()))? {
        Stored::Tombstone(tombstone) if tombstone.until <= now() => Ok((Stored::Nothing, Vec::new())),
        stored => Ok((stored, payload)),
    }
}

fn unreadable() -> Fault {
    Fault::Odd(wire::Unreadable.to_string())
}

/// Until when the cache is to keep what counts until `time`: caches refuse times that are over.
fn kept_until(time: Timestamp) -> Timestamp {
    time.max(now()).after(MARGIN)
}

fn now() -> Timestamp {
    SystemClock.now()
}
