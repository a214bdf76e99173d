//! Marks of scopes: `M.SCOPE` holds one (cutoff, until), `M` the highest cutoff and the beginnings of the scopes that
//! are marked.
//!
//! `M` is written first. So when it lists a scope whose own entry is not there, either somebody died who was told
//! nothing yet, or the cache threw the entry away: then the scope counts as marked by the highest cutoff, and the entry
//! is stored anew. Ended sessions stay ended; at worst newer ones of that scope end with them. `M` itself is read most
//! often of all.
//!
//! Two hosts that mark in the same moment can give out the same cutoff, and one can miss the other's line in `M`. A
//! session is told from a mark by cutoffs of its own scopes only, and for one scope cutoffs rise all the same, unless
//! both marked that very scope at once: then one mark does for both.

use super::engine::{Engine, kept_until, now, unreadable};
use crate::clock::Timestamp;
use crate::store::key::Key;
use crate::store::l2::workers::Fault;
use data_encoding::BASE64URL_NOPAD;
use std::time::Duration;

/// Scopes that `M` lists at most: with more, the entry would not fit into a dbm file. Those listed first are forgotten
/// first.
const LISTED: usize = 48;

const MILLISECOND: Duration = Duration::from_millis(1);

/// One mark.
#[derive(Clone, Copy)]
struct Kept {
    cutoff: Timestamp,
    until: Timestamp,
}

/// What is there of the marks of some scopes.
#[derive(Default)]
struct There {
    cutoffs: Vec<Option<Timestamp>>,
    /// Those among them whose own entry was not found.
    lost: Vec<(Key, Kept)>,
}

/// The entry `M`.
#[derive(Default)]
struct All {
    highest: Timestamp,
    /// The first six bytes of scopes, and until when their marks are kept.
    listed: Vec<(u64, Timestamp)>,
}

impl Engine {
    /// As `Backend::mark`.
    pub(super) fn mark(
        &self,
        scope: &Key,
        cutoff: Option<Timestamp>,
        keep: Duration,
    ) -> Result<Timestamp, Fault> {
        let _one_at_a_time = self.marking.lock();
        let look = || Ok((self.all_marks()?, self.kept(scope)?));
        let (mut all, old) = self.certainly(look, |_| false)?;
        let highest = old.map_or(all.highest, |old| all.highest.max(old.cutoff));
        let new = cutoff.unwrap_or_else(|| highest.after(MILLISECOND).max(now()));
        let until = now().after(keep);
        let kept = Kept {
            cutoff: old.map_or(new, |old| old.cutoff.max(new)),
            until: old.map_or(until, |old| old.until.max(until)),
        };
        all.highest = highest.max(new);
        all.list(scope, kept.until);
        self.store_all(&all)?;
        self.keep(scope, kept)?;
        Ok(kept.cutoff)
    }

    /// As `Backend::cutoffs`.
    pub(super) fn cutoffs(&self, scopes: &[Key]) -> Result<Vec<Option<Timestamp>>, Fault> {
        let found = |there: &There| there.lost.is_empty() && !there.cutoffs.contains(&None);
        let There { cutoffs, lost } = self.certainly(|| self.look_for_marks(scopes), found)?;
        lost.into_iter().try_for_each(|(scope, kept)| self.keep(&scope, kept))?;
        Ok(cutoffs)
    }

    fn look_for_marks(&self, scopes: &[Key]) -> Result<There, Fault> {
        let (mut there, mut all) = (There::default(), None);
        for scope in scopes {
            let cutoff = if let Some(kept) = self.kept(scope)? {
                (kept.until > now()).then_some(kept.cutoff)
            } else {
                let all = match &all {
                    Some(all) => all,
                    None => all.insert(self.all_marks()?),
                };
                let until = all.until(scope).filter(|until| *until > now());
                let lost = until.map(|until| Kept { cutoff: all.highest, until });
                there.lost.extend(lost.map(|kept| (*scope, kept)));
                lost.map(|kept| kept.cutoff)
            };
            there.cutoffs.push(cutoff);
        }
        Ok(there)
    }

    /// The highest cutoff of all.
    pub(super) fn highest(&self) -> Result<Timestamp, Fault> {
        self.all_marks().map(|all| all.highest)
    }

    fn kept(&self, scope: &Key) -> Result<Option<Kept>, Fault> {
        let Some(bytes) = self.cache.retrieve(&self.mark_id(scope))? else { return Ok(None) };
        let (cutoff, until) = two(&bytes).filter(|_| bytes.len() == 16).ok_or_else(unreadable)?;
        Ok(Some(Kept { cutoff, until }))
    }

    fn keep(&self, scope: &Key, kept: Kept) -> Result<(), Fault> {
        let bytes = [kept.cutoff, kept.until].map(|time| time.as_millis().to_be_bytes()).concat();
        self.cache.store(&self.mark_id(scope), kept_until(kept.until), &bytes)
    }

    pub(super) fn mark_id(&self, scope: &Key) -> Vec<u8> {
        self.name(&format!("M.{}", BASE64URL_NOPAD.encode(scope.as_bytes())))
    }

    fn all_marks(&self) -> Result<All, Fault> {
        let Some(bytes) = self.cache.retrieve(&self.name("M"))? else { return Ok(All::default()) };
        let (highest, pairs) = bytes.split_first_chunk().ok_or_else(unreadable)?;
        let (pairs, rest) = pairs.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(unreadable());
        }
        let listed =
            pairs.iter().filter_map(|pair| two(pair)).map(|(scope, until)| (scope.as_millis(), until));
        let listed = listed.collect();
        Ok(All { highest: Timestamp::from_millis(u64::from_be_bytes(*highest)), listed })
    }

    fn store_all(&self, all: &All) -> Result<(), Fault> {
        let mut bytes = all.highest.as_millis().to_be_bytes().to_vec();
        for (scope, until) in &all.listed {
            bytes.extend(scope.to_be_bytes());
            bytes.extend(until.as_millis().to_be_bytes());
        }
        let until = all.listed.iter().map(|(_, until)| *until).max().unwrap_or_default();
        self.cache.store(&self.name("M"), kept_until(until), &bytes)
    }
}

impl All {
    /// Lists a scope, and forgets those whose time is over.
    fn list(&mut self, scope: &Key, until: Timestamp) {
        let name = beginning(scope);
        self.listed.retain(|(other, until)| *other != name && *until > now());
        self.listed.push((name, until));
        let too_many = self.listed.len().saturating_sub(LISTED);
        self.listed.drain(..too_many);
    }

    fn until(&self, scope: &Key) -> Option<Timestamp> {
        let name = beginning(scope);
        self.listed.iter().find(|(other, _)| *other == name).map(|(_, until)| *until)
    }
}

/// Six bytes of a scope, so that it can be read as a time is.
fn beginning(scope: &Key) -> u64 {
    let [a, b, c, d, e, f, ..] = *scope.as_bytes();
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

/// Two numbers, one after the other.
fn two(bytes: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (one, rest) = bytes.split_first_chunk()?;
    let (other, _) = rest.split_first_chunk()?;
    let time = |bytes: &[u8; 8]| Timestamp::from_millis(u64::from_be_bytes(*bytes));
    Some((time(one), time(other)))
}
