//! The ledger: where the sessions of a user began, so that the user can look at them and end those they do not know.
//! Each login is a record of its own in one of a few places that the person and the server's secret give, sealed by
//! the same; without that secret, a store says neither whose they are nor what is in them. Beside them stands by which
//! means somebody of a name logged in, for administrators, who know no more than the name.

use super::payload::{Means, Principal};
use super::realm::{Derived, Realm};
use super::scope::{Effect, Scope};
use super::sessions::{LISTED, Session, SessionError, Sessions};
use crate::chance;
use crate::clock::Timestamp;
use crate::store::key::{Key, LogId};
use crate::store::l1::{TableError, WriteLock};
use crate::store::record::Record;
use crate::store::tiers::{Loaded, StoreError};
use crate::store::tombstone::{Reason, Tombstone};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What the ledgers of all users are derived from: the same on every node of a cluster.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct LedgerSecret([u8; 32]);

/// A login, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    session: [u8; 32],
    until: u64,
    born_under: u64,
    /// When, ms since 1970.
    pub at: u64,
    /// The client's address.
    pub address: String,
    /// What the client said it was.
    pub agent: String,
}

/// A session of the user's, as far as the ledger and the store tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its login.
    pub login: Login,
    /// When it was last seen; `None` if that is not known.
    pub last_seen: Option<Timestamp>,
    /// Its log-safe name.
    pub log_id: LogId,
}

impl LedgerSecret {
    /// A secret from any text of at least 16 bytes.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let secret = || blake3::derive_key("mod_session_cluster v1 ledger", text.as_bytes());
        (text.len() >= 16).then(|| LedgerSecret(secret()))
    }

    /// Key of a place, and what seals the record that was put there at `created`. A place is used again once its
    /// record's time is over; the instant makes sure that no two payloads are ever sealed by the same secret.
    fn place(&self, realm: &Realm, shelf: Shelf<'_>, number: u8, created: Timestamp) -> Derived {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(realm.as_bytes());
        match shelf {
            Shelf::Logins(principal) => principal.digest(hasher.update(&[0, number])),
            Shelf::Means(user) => drop(hasher.update(&[1, number]).update(user.as_bytes())),
        }
        let name = hasher.finalize();
        let Derived { secret, .. } = Derived::keyed(name.as_bytes(), &created.as_millis().to_le_bytes());
        Derived { key: Key::new(*blake3::hash(name.as_bytes()).as_bytes()), secret }
    }
}

/// A row of places.
#[derive(Clone, Copy)]
enum Shelf<'a> {
    /// For the logins of a person.
    Logins(&'a Principal),
    /// For the means by which somebody of a name logged in.
    Means(&'a str),
}

impl<L: WriteLock> Sessions<'_, '_, L> {
    /// Places for the logins of a person, and how many are tried for a new one: with as many logins as there are
    /// places, one in a few is not listed.
    const PLACES: u8 = 32;
    const TRIES: usize = 4;
    /// Places for the means of a name: logins of one realm that know somebody of that name.
    const MEANS: u8 = 4;
    /// Bytes of an address, and of what a client says it is.
    const TEXT: usize = 200;

    /// Enters the login of a session of `principal` into the ledger. With all places taken, it is not listed.
    ///
    /// # Errors
    /// When the store did not confirm it.
    pub fn enter(
        &self,
        secret: &LedgerSecret,
        session: &Session,
        principal: &Principal,
        [address, agent]: [&str; 2],
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let short = |text: &str| text.chars().filter(|c| !c.is_control()).take(Self::TEXT).collect();
        let login = Login {
            session: *session.origin().as_bytes(),
            until: session.born_deadline().as_millis(),
            born_under: session.payload().born_under,
            at: now.as_millis(),
            address: short(address),
            agent: short(agent),
        };
        for _ in 0..Self::TRIES {
            let number = (chance::u32()? % u32::from(Self::PLACES)) as u8;
            let place = secret.place(self.realm(), Shelf::Logins(principal), number, now);
            if self.put(place, &login, session.born_deadline(), now)? {
                break;
            }
        }
        self.enter_means(secret, principal, session.born_deadline(), now)
    }

    /// Notes by which means somebody of that name has logged in, unless that is noted for as long as the session can
    /// last. Twice as long, so that one note serves the logins of a while.
    fn enter_means(
        &self,
        secret: &LedgerSecret,
        Principal { user, means, .. }: &Principal,
        needed: Timestamp,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let shelf = Shelf::Means(user);
        let deadline = needed.after(needed.since(now)).min(now.after(Record::LONGEST)).max(needed);
        for number in 0..Self::MEANS {
            match self.get::<Means>(secret, shelf, number, now)? {
                Some((Some(noted), until)) if noted == *means && until >= needed => return Ok(()),
                Some(_) => {}
                None if self.put(secret.place(self.realm(), shelf, number, now), means, deadline, now)? => {
                    return Ok(());
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Puts a record into a place. False if there is one.
    fn put(
        &self,
        place: Derived,
        what: &impl Serialize,
        deadline: Timestamp,
        now: Timestamp,
    ) -> Result<bool, SessionError> {
        let Derived { key, secret } = place;
        let mut sealed = postcard::to_allocvec(what).map_err(|_| SessionError::Seal)?;
        secret.seal(&[], &mut sealed).map_err(|_| SessionError::Seal)?;
        let idle = Record::LONGEST;
        let record = Record { key, created: now, deadline, last_seen: now, idle, sealed: &sealed };
        match self.store().create(&record, now, self.budget()) {
            Err(StoreError::Table(TableError::Exists)) => Ok(false),
            result => Ok(result.map(|_| true)?),
        }
    }

    /// What is in a place, and until when.
    fn get<T: DeserializeOwned>(
        &self,
        secret: &LedgerSecret,
        shelf: Shelf<'_>,
        number: u8,
        now: Timestamp,
    ) -> Result<Option<(Option<T>, Timestamp)>, SessionError> {
        let key = secret.place(self.realm(), shelf, number, now).key;
        let mut sealed = Vec::new();
        let Loaded::Found(found) = self.store().load(&key, now, &mut sealed, self.budget())? else {
            return Ok(None);
        };
        let secret = secret.place(self.realm(), shelf, number, found.metadata.created).secret;
        let what = secret.open(&[], &mut sealed).ok().and_then(|bytes| postcard::from_bytes(bytes).ok());
        Ok(Some((what, found.metadata.deadline)))
    }

    /// The sessions of everybody in the realm who has that name, by whatever login, as [`Sessions::list`] has them.
    ///
    /// # Errors
    /// When the store could not tell.
    pub fn list_named(
        &self,
        secret: &LedgerSecret,
        user: &str,
        now: Timestamp,
    ) -> Result<(Vec<Listed>, bool), SessionError> {
        let mut all: Vec<Means> = Vec::new();
        let mut noted = 0;
        for number in 0..Self::MEANS {
            let Some((means, _)) = self.get::<Means>(secret, Shelf::Means(user), number, now)? else {
                continue;
            };
            noted += 1;
            all.extend(means.filter(|means| !all.contains(means)));
        }
        let (mut listed, mut more) = (Vec::new(), noted == Self::MEANS);
        for means in all {
            let principal = Principal { user: user.to_owned(), means, typed: None };
            let (of_one, others) = self.list(secret, &principal, now)?;
            listed.extend(of_one);
            more |= others;
        }
        Ok((listed, more))
    }

    /// The sessions of `principal` that go on, the newest first; and whether there may be others, because so many
    /// places are taken, by sessions that have ended as well, that a new one may not have found any.
    ///
    /// # Errors
    /// When the store could not tell.
    pub fn list(
        &self,
        secret: &LedgerSecret,
        principal: &Principal,
        now: Timestamp,
    ) -> Result<(Vec<Listed>, bool), SessionError> {
        let (mut listed, mut taken) = (Vec::new(), 0);
        for number in 0..Self::PLACES {
            let Some((login, _)) = self.get(secret, Shelf::Logins(principal), number, now)? else { continue };
            taken += 1;
            if let Some(login) = login {
                listed.extend(self.look(login, principal, now)?);
            }
        }
        listed.sort_by_key(|listed| std::cmp::Reverse(listed.login.at));
        Ok((listed, taken >= Self::PLACES / 2))
    }

    /// How the session of a login stands; `None` if it has ended.
    fn look(
        &self,
        login: Login,
        principal: &Principal,
        now: Timestamp,
    ) -> Result<Option<Listed>, SessionError> {
        let key = Key::new(login.session);
        let last_seen = match self.store().load(&key, now, &mut Vec::new(), self.budget())? {
            Loaded::Found(found)
                if now.since(found.metadata.last_seen) > found.metadata.idle + found.idle_slack =>
            {
                return Ok(None);
            }
            Loaded::Found(found) => Some(found.metadata.last_seen),
            // Another has taken its place, under an id that is not known here.
            Loaded::Absent(Some(Reason::Superseded)) => None,
            Loaded::Absent(_) => return Ok(None),
        };
        let scopes = [Scope::All, Scope::Realm, Scope::User(&principal.user), Scope::Person(principal)];
        let marks = scopes.map(|scope| scope.key(self.realm(), Effect::End));
        let born_under = Timestamp::from_millis(login.born_under);
        if self.store().is_marked(
            self.store().is_leased(),
            &key.about(LISTED),
            marks.into_iter(),
            born_under,
            self.budget(),
        )? {
            return Ok(None);
        }
        Ok(Some(Listed { login, last_seen, log_id: key.log_id() }))
    }

    /// Ends a session that is listed, and all that took its place.
    ///
    /// # Errors
    /// When the store did not confirm it.
    pub fn end_listed(&self, listed: &Listed, now: Timestamp) -> Result<(), SessionError> {
        let until = Timestamp::from_millis(listed.login.until).after(Self::TOMBSTONE_MARGIN);
        let tombstone = Tombstone { reason: Reason::Logout, node: 0, at: now, until, ends_line: true };
        self.store().end(&Key::new(listed.login.session), tombstone, now, self.budget())?;
        Ok(())
    }
}
