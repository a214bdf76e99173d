//! What is done with the entries of a cache, so that nothing comes back: `mod.rs` says why it does not. Marks are in
//! `marks`.

use crate::clock::{Clock, Instant, SystemClock, Timestamp, sleep};
use crate::store::key::Key;
use crate::store::l2::contract::{Metadata, Stored};
use crate::store::l2::wire;
use crate::store::l2::workers::Fault;
use crate::store::succession::{Succession, Successor};
use crate::store::tombstone::{Reason, Tombstone};
use data_encoding::BASE64URL_NOPAD;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

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

    /// Which client it is that asks: another number once another has taken its place. `None` while an operation of it
    /// has failed, for it may then say that it found nothing without having asked.
    fn client(&self) -> Option<u64>;
}

/// Caches count in whole seconds, so that entries are kept for longer than they are needed.
const MARGIN: Duration = Duration::from_secs(2);
/// The guard is stored anew when it is gone.
const GUARD_KEPT: Duration = Duration::from_secs(3600);
/// Whoever wants a session's place writes that within so long after a look that found it free, or has failed.
const QUICKLY: Duration = Duration::from_millis(12);
/// And has it who finds that written so long after it was.
const SETTLED: Duration = Duration::from_millis(15);
/// Locks over keys: what reads and then writes an entry does so one at a time in this process.
const LOCKS: usize = 64;

/// What the workers work on.
pub(super) struct Engine {
    pub(super) cache: Arc<dyn Cache>,
    prefix: String,
    locks: [Mutex<()>; LOCKS],
    pub(super) marking: Mutex<()>,
}

impl Engine {
    pub(super) fn new(cache: Arc<dyn Cache>, prefix: String) -> Self {
        Engine { cache, prefix, locks: std::array::from_fn(|_| Mutex::new(())), marking: Mutex::new(()) }
    }

    /// As `Backend::create`.
    pub(super) fn create(&self, key: &Key, deadline: Timestamp, bytes: &[u8]) -> Result<bool, Fault> {
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
    pub(super) fn look(&self, key: &Key) -> Result<(Stored, Vec<u8>), Fault> {
        self.look_closely(key).map(|(stored, payload, _)| (stored, payload))
    }

    /// The same, and who has the place of the session.
    fn look_closely(&self, key: &Key) -> Result<(Stored, Vec<u8>, Option<Successor>), Fault> {
        self.certainly(|| self.look_once(key), |(stored, ..)| matches!(stored, Stored::Tombstone(_)))
    }

    fn look_once(&self, key: &Key) -> Result<(Stored, Vec<u8>, Option<Successor>), Fault> {
        let (stored, payload, successor) = match self.cache.retrieve(&self.id(key, ""))? {
            Some(bytes) => {
                let (stored, payload) = understood(&bytes)?;
                (stored, payload, wire::successor(&bytes))
            }
            None => (Stored::Nothing, Vec::new(), None),
        };
        if let Stored::Tombstone(_) = stored {
            return Ok((stored, payload, None));
        }
        if let Some(tombstone) = self.tombstone_of(key)? {
            return Ok((Stored::Tombstone(tombstone), Vec::new(), None));
        }
        let Stored::Record(metadata) = stored else { return Ok((stored, payload, None)) };
        let last_seen = self.last_seen(key)?.unwrap_or_default().max(metadata.last_seen);
        Ok((Stored::Record(Metadata { last_seen, ..metadata }), payload, successor))
    }

    /// As `Backend::retire`.
    pub(super) fn retire(&self, key: &Key, deadline: Timestamp, reason: Reason) -> Result<Stored, Fault> {
        let _one_at_a_time = self.lock(key).lock();
        let (stored, payload, successor) = self.look_closely(key)?;
        let Stored::Record(mut metadata) = stored else { return Ok(stored) };
        if deadline >= metadata.deadline {
            return Ok(stored);
        }
        (metadata.deadline, metadata.ends_as) = (deadline, reason);
        let bytes = wire::stored_record(&metadata, successor, &payload);
        self.cache.store(&self.id(key, ""), kept_until(deadline), &bytes)?;
        match self.is_overtaken(key)? {
            true => self.look(key).map(|(stored, _)| stored),
            false => Ok(Stored::Record(metadata)),
        }
    }

    /// As `Backend::supersede`. All that a cache can do is to store over what is there, so that who wants the place
    /// writes its name and looks after a while whether that is still the one that stands there (Fischer's way). Who
    /// found the place free before it was taken has written by then, and who finds it taken does not write: so of two
    /// that looked, none is told that it is the first but the one who wrote last. Who was too slow may have written
    /// over the name of one who was told; nobody reads that again who could take it for the truth.
    pub(super) fn supersede(
        &self,
        key: &Key,
        by: Successor,
        deadline: Timestamp,
    ) -> Result<Succession, Fault> {
        let locked = self.lock(key).lock();
        let start = Instant::now();
        let (stored, payload, successor) = self.look_closely(key)?;
        let Stored::Record(mut metadata) = stored else { return Ok(stored.succession(false)) };
        if successor.is_some() || metadata.ends_as == Reason::Superseded {
            return Ok(stored.succession(successor == Some(by)));
        }
        let deadline = deadline.min(metadata.deadline);
        (metadata.deadline, metadata.ends_as) = (deadline, Reason::Superseded);
        let bytes = wire::stored_record(&metadata, Some(by), &payload);
        let in_time = |share: u32| match start.elapsed() > QUICKLY / share {
            true => Err(Fault::Odd("the cache was too slow to tell who came first".into())),
            false => Ok(()),
        };
        // Mostly it shows before anything is written, and the session goes on.
        in_time(2)?;
        self.cache.store(&self.id(key, ""), kept_until(deadline), &bytes)?;
        in_time(1)?;
        drop(locked);
        self.is_overtaken(key)?;
        sleep(SETTLED);
        let (stored, _, successor) = self.look_closely(key)?;
        Ok(stored.succession(successor == Some(by)))
    }

    /// As `Backend::end`.
    pub(super) fn end(&self, key: &Key, tombstone: &Tombstone) -> Result<Stored, Fault> {
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

    /// As `Backend::touch`, for one key.
    pub(super) fn touch(&self, key: &Key, at: Timestamp) -> Result<(), Fault> {
        let _one_at_a_time = self.lock(key).lock();
        // A later visit that was only not found is not to be overwritten: the session would end too soon.
        let look = || Ok((self.cache.retrieve(&self.id(key, ""))?, self.last_seen(key)?));
        let found = |(record, last): &(Option<_>, Option<_>)| record.is_some() && last.is_some();
        let (Some(bytes), last) = self.certainly(look, found)? else { return Ok(()) };
        let Stored::Record(metadata) = understood(&bytes)?.0 else { return Ok(()) };
        if at > last.unwrap_or_default().max(metadata.last_seen) {
            let bytes = at.as_millis().to_be_bytes();
            self.cache.store(&self.id(key, ".s"), kept_until(metadata.deadline), &bytes)?;
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

    pub(super) fn last_seen(&self, key: &Key) -> Result<Option<Timestamp>, Fault> {
        let Some(bytes) = self.cache.retrieve(&self.id(key, ".s"))? else { return Ok(None) };
        let bytes: [u8; 8] = bytes.try_into().map_err(|_| unreadable())?;
        Ok(Some(Timestamp::from_millis(u64::from_be_bytes(bytes))))
    }

    /// What `look` finds. Unless `found` says that this holds of itself, something was not found, which is certain only
    /// if it was one client that looked, and that client has not failed and reaches the cache.
    pub(super) fn certainly<R>(
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
    pub(super) fn check(&self) -> Result<(), Fault> {
        let guard = self.name("G");
        if self.cache.retrieve(&guard)?.is_some() {
            return Ok(());
        }
        self.cache.store(&guard, now().after(GUARD_KEPT), b"here")
    }

    pub(super) fn id(&self, key: &Key, part: &str) -> Vec<u8> {
        self.name(&format!("{}{part}", BASE64URL_NOPAD.encode(key.as_bytes())))
    }

    pub(super) fn name(&self, what: &str) -> Vec<u8> {
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

pub(super) fn unreadable() -> Fault {
    Fault::Odd(wire::Unreadable.to_string())
}

/// Until when the cache is to keep what counts until `time`: caches refuse times that are over.
pub(super) fn kept_until(time: Timestamp) -> Timestamp {
    time.max(now()).after(MARGIN)
}

pub(super) fn now() -> Timestamp {
    SystemClock.now()
}
