//! The verbs of a session: begin, resume, supersede, end. The only caller of the store. The three outcomes of a
//! resume (found, absent, unavailable) are kept apart from here to the last line of the answer.

use super::id::SessionId;
use super::payload::{Payload, PayloadError};
use super::policy::Policy;
use super::realm::{Derived, Realm};
use super::scope::{Effect, Scope};
use crate::chance;
use crate::clock::Timestamp;
use crate::store::key::{Key, LogId};
use crate::store::l1::{Lookup, Slot, TableError, WriteLock};
use crate::store::l2::Metadata;
use crate::store::moment::Moment;
use crate::store::record::Record;
use crate::store::succession::Succession;
use crate::store::tiers::{Budget, Fetched, Loaded, Store, StoreError};
use crate::store::tombstone::{Reason, Tombstone};
use std::sync::Arc;
use std::time::Duration;

/// The sessions of one virtual host, as one request deals with them.
pub struct Sessions<'t, 'm, L> {
    store: &'t Store<'m, L>,
    realm: &'t Realm,
    policy: Policy,
    budget: &'t Budget,
}

/// A session that may be used.
#[derive(Clone)]
pub struct Session {
    id: SessionId,
    key: Key,
    payload: Payload,
    created: Timestamp,
    deadline: Timestamp,
    born_deadline: Timestamp,
    superseded: bool,
    idle: Duration,
    /// Where it lies in the table; `None` for one that was just begun, or is not there.
    slot: Option<Slot>,
}

/// A session that was just begun.
pub struct Begun {
    /// The session.
    pub session: Session,
    /// Live sessions that had to go to make room; more than zero means that the table is too small.
    pub evicted_live: u32,
}

/// The outcome of a resume, when the store could tell.
pub enum Resumed {
    /// The session lives.
    Found {
        /// The session.
        session: Arc<Session>,
        /// When it was last seen before now, as far as the table or the store knows.
        seen: Timestamp,
    },
    /// There is no such session, or no longer; with the reason if one is known.
    Absent(Option<Reason>),
}

/// The store could not tell, or could not do what was asked. Never the same as an absent session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The store could not tell, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness for a new session id.
    #[error("no random session id could be drawn: {0}")]
    Random(#[from] chance::Error),
    /// Another session has taken the place of the one that was to be superseded.
    #[error("the session was superseded by another request")]
    Superseded,
    /// Whoever answers for the user's rights could not tell.
    #[error("the user's rights could not be told")]
    Rights,
    /// The payload could not be written or sealed.
    #[error("the session could not be sealed")]
    Seal,
}

impl SessionError {
    /// Whether the same request may succeed if it is sent again a little later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !matches!(self, SessionError::Store(StoreError::Table(TableError::TooLarge { .. })))
    }
}

impl From<PayloadError> for SessionError {
    fn from(_: PayloadError) -> Self {
        SessionError::Seal
    }
}

impl<'t, 'm, L: WriteLock> Sessions<'t, 'm, L> {
    /// How much longer than its record a tombstone is kept, so that clocks may differ a little.
    pub(super) const TOMBSTONE_MARGIN: Duration = Duration::from_secs(60);

    /// The sessions of `realm` in `store` under `policy`, for a request that may spend `budget` waiting for the store.
    #[must_use]
    pub fn new(store: &'t Store<'m, L>, realm: &'t Realm, policy: Policy, budget: &'t Budget) -> Self {
        Sessions { store, realm, policy, budget }
    }

    pub(super) fn store(&self) -> &'t Store<'m, L> {
        self.store
    }

    pub(super) fn realm(&self) -> &'t Realm {
        self.realm
    }

    pub(super) fn budget(&self) -> &'t Budget {
        self.budget
    }

    /// Begins a session. The payload says which marks it was born under: those of [`Store::watermark`] before
    /// anybody vouched for the user. `probation`: it ends soon unless it is visited (see [`Policy::FIRST_VISIT`]).
    ///
    /// # Errors
    /// When the record is too large for the table, or the store did not confirm it: nothing was begun.
    pub fn begin(&self, payload: &Payload, probation: bool, now: Timestamp) -> Result<Begun, SessionError> {
        let last_seen = self.policy.idle_clock_start(now, probation);
        self.create(payload.clone(), now, now.after(self.policy.lifetime), last_seen, now)
    }

    /// Looks up the session of `id`. No lock, and no system call unless the store of a cluster has to be asked.
    ///
    /// # Errors
    /// When the store could not tell; the visitor's cookie must then be kept.
    pub fn resume(&self, id: &SessionId, now: Timestamp) -> Result<Resumed, SessionError> {
        let Derived { key, secret } = self.realm.derive(id);
        let mut sealed = Vec::new();
        let found = match self.store.load(&key, now, &mut sealed, self.budget)? {
            Loaded::Found(found) => found,
            Loaded::Absent(reason) => return Ok(Resumed::Absent(reason)),
        };
        if let Err(reason) = Policy::judge(&found, now) {
            return Ok(Resumed::Absent(Some(reason)));
        }
        let Fetched {
            metadata: Metadata { created, deadline, born_deadline, ends_as, idle, last_seen: seen },
            slot,
            ..
        } = found;
        // A record that its own id does not open is nobody's: foreign, damaged or forged.
        let Ok(payload) = secret.open(&bound(created, idle), &mut sealed) else {
            return Ok(Resumed::Absent(None));
        };
        let Ok(payload) = Payload::decode(payload) else { return Ok(Resumed::Absent(None)) };
        // A new look at the lease: the store may have been waited for.
        let leased = self.store.is_leased();
        if let Some(reason) = self.end_from_outside(&key, &payload, slot.is_none(), leased, now)? {
            return Ok(Resumed::Absent(Some(reason)));
        }
        self.store.note_visit(&key, slot, now);
        let (id, superseded) = (id.clone(), ends_as == Reason::Superseded);
        let session =
            Arc::new(Session { id, key, payload, created, deadline, born_deadline, superseded, idle, slot });
        Ok(Resumed::Found { session, seen })
    }

    /// Why a session has ended by something that is not in its own record: its line, or a mark.
    fn end_from_outside(
        &self,
        key: &Key,
        payload: &Payload,
        fresh: bool,
        leased: bool,
        now: Timestamp,
    ) -> Result<Option<Reason>, SessionError> {
        let mut leased = leased;
        if let Some(origin) = payload.origin {
            if let Some(reason) = self.end_of_line(&Key::new(origin), fresh, now)? {
                return Ok(Some(reason));
            }
            // The store may have been waited for.
            leased = leased && self.store.is_leased();
        }
        let born_under = Timestamp::from_millis(payload.born_under);
        let marked = self.store.is_marked(
            leased,
            &key.about(END),
            self.marks(payload, Effect::End),
            born_under,
            self.budget,
        )?;
        Ok(marked.then_some(Reason::Marked))
    }

    /// The keys of the marks that a session heeds.
    fn marks<'p>(
        &self,
        payload: &'p Payload,
        effect: Effect,
    ) -> impl Iterator<Item = Key> + use<'p, 't, 'm, L> {
        let realm = self.realm;
        Scope::of(payload).map(move |scope| scope.key(realm, effect))
    }

    /// Whether a session that was resumed before is still as it was, and may be used for another visit: then, when it
    /// was last seen before. `None` when anything has changed; [`Sessions::resume`] then tells what. Costs a look at
    /// the table, and neither cryptography nor, for a session that took no other's place, a look at the clock beyond
    /// that of `moment`.
    #[must_use]
    pub fn resumes_unchanged(&self, session: &Session, moment: Moment) -> Option<Timestamp> {
        let now = moment.now;
        let slot = session.slot.filter(|_| self.store.is_trusted(&session.key, moment))?;
        let last_seen = self.store.table().unchanged(&slot)?;
        let goes_on = || {
            let ended = self.end_from_outside(&session.key, &session.payload, false, moment.is_leased(), now);
            matches!(ended, Ok(None))
        };
        let lives = self.store.is_current(slot)
            && session.deadline > now
            && now.since(last_seen) <= session.idle
            && goes_on();
        if lives {
            self.store.table().touch(slot, now);
        }
        lives.then_some(last_seen)
    }

    /// Whether a session that was resumed a moment ago goes on, and is not about to end because another took its place,
    /// as far as the table knows. One that it has no room for was asked of the store.
    #[must_use]
    pub fn goes_on(&self, session: &Session, now: Timestamp) -> bool {
        !session.superseded
            && match self.store.table().peek(&session.key, now) {
                Lookup::Found(found) => found.ends_as != Reason::Superseded,
                Lookup::Absent(gone) => gone.is_none(),
                Lookup::Torn => false,
            }
    }

    /// Puts a new session with `payload` in the place of `old`. The old id still answers for the grace; the new one
    /// keeps the old one's absolute timeout, and remembers the first of their line: whichever of them is ended, all
    /// are. Of all that would take the place, at the same moment or later, on whatever node, one does.
    ///
    /// # Errors
    /// As [`Sessions::begin`]; `old` then goes on as it was, or, where the store did not say whether it took part, for
    /// the grace. [`SessionError::Superseded`] if another took the place first.
    pub fn supersede(&self, old: &Session, payload: &Payload, now: Timestamp) -> Result<Begun, SessionError> {
        let (begun, is_first) = self.succeed(old, payload, now)?;
        if is_first {
            return Ok(begun);
        }
        // The first may have taken rights: they must not come back by this one.
        self.give_up(old, &begun.session, now)
    }

    /// As [`Sessions::supersede`], where it does no harm that several take the place, and each goes on.
    ///
    /// # Errors
    /// As [`Sessions::begin`]. [`SessionError::Superseded`] if nothing is known of `old` any more.
    pub fn supersede_too(
        &self,
        old: &Session,
        payload: &Payload,
        now: Timestamp,
    ) -> Result<Begun, SessionError> {
        Ok(self.succeed(old, payload, now)?.0)
    }

    /// Ends a session that nobody was told of, and nothing else: its line goes on.
    fn give_up<R>(&self, old: &Session, begun: &Session, now: Timestamp) -> Result<R, SessionError> {
        let until = old.born_deadline.after(Self::TOMBSTONE_MARGIN);
        let tombstone = Tombstone { reason: Reason::Superseded, node: 0, at: now, until, ends_line: false };
        self.store.end(&begun.key, tombstone, now, self.budget)?;
        Err(SessionError::Superseded)
    }

    /// Begins a session of the line of `old`, and asks for the place of `old`. Says whether it was the first to ask.
    fn succeed(
        &self,
        old: &Session,
        payload: &Payload,
        now: Timestamp,
    ) -> Result<(Begun, bool), SessionError> {
        let origin = old.origin();
        // A mark that came since the old one was looked at goes for the new one.
        let born_under = old.payload.born_under;
        let payload = Payload { origin: Some(*origin.as_bytes()), born_under, ..payload.clone() };
        // In this order: who dies in between leaves a session whose id nobody knows, and which idles out; the other way
        // round, the user would have none.
        let begun = self.create(payload, old.created, old.born_deadline, now, now)?;
        let until = self.policy.answers_until(now);
        let succession = self.store.supersede(&old.key, &begun.session.key, until, now, self.budget)?;
        // A logout may have come in between, perhaps before the new session was there to be ended.
        let ended = match succession {
            Succession::Gone(Some(reason)) => Some(reason),
            // Evicted, or superseded so long ago that it is forgotten: then its line goes on without it.
            Succession::Gone(None) => return self.give_up(old, &begun.session, now),
            Succession::First(_) | Succession::Second(_) if origin != old.key => {
                self.end_of_line(&origin, true, now)?
            }
            Succession::First(_) | Succession::Second(_) => None,
        };
        if let Some(reason) = ended {
            self.end(&begun.session, reason, now)?;
        }
        Ok((begun, !matches!(succession, Succession::Second(_))))
    }

    /// Begins a session beside `old`, of another line, with the absolute timeout of `old`.
    ///
    /// # Errors
    /// As [`Sessions::begin`].
    pub fn renew(&self, old: &Session, payload: &Payload, now: Timestamp) -> Result<Begun, SessionError> {
        let payload = Payload { origin: None, ..payload.clone() };
        self.create(payload, old.created, old.born_deadline, now, now)
    }

    /// Ends a session, for `reason`. Returns whether it was still alive.
    ///
    /// # Errors
    /// When the store did not confirm it: the session may go on, and the answer must say so.
    pub fn end(&self, session: &Session, reason: Reason, now: Timestamp) -> Result<bool, SessionError> {
        let origin = session.origin();
        let tombstone = Tombstone {
            reason,
            node: 0,
            at: now,
            // Sessions of one line share the deadline that the first was born with.
            until: session.born_deadline.after(Self::TOMBSTONE_MARGIN),
            ends_line: session.superseded || origin != session.key,
        };
        if origin != session.key {
            self.store.end(&origin, tombstone, now, self.budget)?;
        }
        Ok(self.store.end(&session.key, tombstone, now, self.budget)?)
    }

    /// Ends every session of a scope, or has it refreshed. Returns the mark: sessions born under it are not meant.
    ///
    /// # Errors
    /// When the store did not confirm it.
    pub fn mark(&self, scope: Scope<'_>, effect: Effect, now: Timestamp) -> Result<Timestamp, SessionError> {
        Ok(self.store.mark(&scope.key(self.realm, effect), now, self.budget)?)
    }

    /// Whether the one who vouched for the user of a session has to be asked again.
    ///
    /// # Errors
    /// When nobody could tell.
    pub fn is_stale(&self, session: &Session) -> Result<bool, SessionError> {
        self.is_marked_since(session, Timestamp::from_millis(session.payload.fresh_under))
    }

    /// Whether one of the session's scopes was marked to be refreshed since the watermark was `under`.
    pub(super) fn is_marked_since(&self, session: &Session, under: Timestamp) -> Result<bool, SessionError> {
        Ok(self.store.is_marked(
            self.store.is_leased(),
            &session.key.about(REFRESH),
            self.marks(&session.payload, Effect::Refresh),
            under,
            self.budget,
        )?)
    }

    /// Why the line that began with `origin` has ended; `None` if it goes on. That its first session was superseded is
    /// no end. `fresh`: the table may not know.
    fn end_of_line(&self, origin: &Key, fresh: bool, now: Timestamp) -> Result<Option<Reason>, SessionError> {
        let reason = self.store.reason_of(origin, fresh, now, self.budget)?;
        Ok(reason.filter(|&reason| reason != Reason::Superseded))
    }

    fn create(
        &self,
        payload: Payload,
        created: Timestamp,
        deadline: Timestamp,
        last_seen: Timestamp,
        now: Timestamp,
    ) -> Result<Begun, SessionError> {
        let id = SessionId::random()?;
        let Derived { key, secret } = self.realm.derive(&id);
        let idle = self.policy.idle;
        let mut sealed = payload.encode()?;
        secret.seal(&bound(created, idle), &mut sealed).map_err(|_| SessionError::Seal)?;
        let record = Record { key, created, deadline, last_seen, idle, sealed: &sealed };
        let evicted_live = self.store.create(&record, now, self.budget)?.evicted_live;
        let (born_deadline, superseded) = (deadline, false);
        let session =
            Session { id, key, payload, created, deadline, born_deadline, superseded, idle, slot: None };
        Ok(Begun { session, evicted_live })
    }
}

/// Questions about the marks of a session's scopes: see [`Key::about`].
const END: u8 = 1;
const REFRESH: u8 = 2;
pub(super) const LISTED: u8 = 3;

impl Session {
    /// What it says.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Its log-safe name.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.key.log_id()
    }

    /// When it began.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// When it ends at the latest.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// Whether another has taken its place, and it only answers for the grace.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.superseded
    }

    /// Its idle timeout.
    #[must_use]
    pub fn idle(&self) -> Duration {
        self.idle
    }

    /// The log-safe name of the first session of its line.
    #[must_use]
    pub fn line(&self) -> LogId {
        self.origin().log_id()
    }

    /// When it was to end at the latest when its line began.
    pub(super) fn born_deadline(&self) -> Timestamp {
        self.born_deadline
    }

    /// Key of the first session of its line.
    pub(super) fn origin(&self) -> Key {
        self.payload.origin.map_or(self.key, Key::new)
    }

    /// Its id, for the cookie and for nothing else.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.id
    }
}

/// The plain metadata beside a sealed payload that is bound to its seal, so that neither can be changed in a store.
/// (The deadline is not among them, because it may move earlier; nor the key, because it comes from the same id as the
/// seal.)
fn bound(created: Timestamp, idle: Duration) -> [u8; 16] {
    let idle = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
    (u128::from(created.as_millis()) << 64 | u128::from(idle)).to_le_bytes()
}

#[cfg(test)]
mod tests;
