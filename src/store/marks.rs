//! Marks of scopes, as sessions heed them: to mark a scope ends, or has refreshed, every session of it that was born
//! before, at the cost of one round trip, and of one word that each session looks at.

use super::cluster::Cluster;
use super::key::Key;
use super::l1::WriteLock;
use super::record::Record;
use super::tiers::{Budget, Store, StoreError};
use crate::clock::{Timestamp, uptime};
use std::time::Duration;

/// How long a mark is kept: a day longer than the longest session lives, so that clocks may differ, and a mark outlives
/// every session that was born before it.
pub const MARK_KEPT: Duration = Record::LONGEST.saturating_add(Duration::from_secs(86_400));

impl<L: WriteLock> Store<'_, L> {
    /// Marks every session of a scope that was born so far. Returns the cutoff. One round trip, however many they are.
    ///
    /// # Errors
    /// When the store did not confirm it.
    pub fn mark(&self, scope: &Key, now: Timestamp, budget: &Budget) -> Result<Timestamp, StoreError> {
        let until = now.after(MARK_KEPT);
        let Some(cluster) = &self.cluster else {
            let cutoff = self.table.link().watermark().after(Duration::from_millis(1)).max(now);
            self.table.mark(scope, cutoff, until, now)?;
            return Ok(cutoff);
        };
        let cutoff = budget.spend(|within| self.backend(cluster).mark(scope, None, MARK_KEPT, within))?;
        let _ = self.table.mark(scope, cutoff, until, now);
        Ok(cutoff)
    }

    /// The highest cutoff of a mark that this host has heard of, under which a session is born: marks that come later
    /// are higher.
    pub fn watermark(&self) -> Timestamp {
        self.table.link().watermark()
    }

    /// Whether one of the scopes was marked after a session was born under the watermark `born_under`. Costs one load
    /// where nothing was marked since then. A store without a log is asked about each scope once in a bound, for all
    /// sessions; `question` stands for the scopes of this one together, so that within the bound one look is enough.
    /// `leased`: as [`Store::is_leased`] said just now.
    ///
    /// # Errors
    /// When neither table nor store could tell.
    pub fn is_marked(
        &self,
        leased: bool,
        question: &Key,
        scopes: impl Iterator<Item = Key>,
        born_under: Timestamp,
        budget: &Budget,
    ) -> Result<bool, StoreError> {
        if let Some(cluster) = &self.cluster
            && !(leased && cluster.is_confirmed(question))
        {
            let scopes: Vec<Key> = scopes.collect();
            return self.ask_for_marks(cluster, leased, question, &scopes, born_under, budget);
        }
        self.is_marked_here(scopes, born_under)
    }

    /// As [`Store::is_marked`], by the store's word; of what it was asked a moment ago, by what it said then.
    fn ask_for_marks(
        &self,
        cluster: &Cluster,
        leased: bool,
        question: &Key,
        scopes: &[Key],
        born_under: Timestamp,
        budget: &Budget,
    ) -> Result<bool, StoreError> {
        let (now, asking) = (self.table.link().now(uptime()), uptime());
        let (mut oldest, mut unasked) = (asking, Vec::new());
        for scope in scopes {
            match cluster.asked(scope).filter(|_| leased) {
                Some(asked) => oldest = oldest.min(asked),
                None => unasked.push(*scope),
            }
        }
        let cutoffs = match unasked[..] {
            [] => Ok(Vec::new()),
            _ => budget.spend(|within| self.backend(cluster).cutoffs(&unasked, within)),
        };
        match cutoffs {
            Ok(cutoffs) if cluster.confirmed.is_none() => {
                return Ok(cutoffs.into_iter().flatten().any(|cutoff| cutoff > born_under));
            }
            Ok(cutoffs) => {
                for (scope, cutoff) in unasked.iter().zip(cutoffs) {
                    if let Some(cutoff) = cutoff {
                        self.table.mark(scope, cutoff, now.after(MARK_KEPT), now)?;
                    }
                    cluster.confirm(scope, asking);
                }
                cluster.confirm(question, oldest);
            }
            Err(_) if self.may_serve(cluster, now) => {}
            Err(unavailable) => return Err(unavailable.into()),
        }
        self.is_marked_here(scopes.iter().copied(), born_under)
    }

    fn is_marked_here(
        &self,
        mut scopes: impl Iterator<Item = Key>,
        born_under: Timestamp,
    ) -> Result<bool, StoreError> {
        if self.table.link().watermark() <= born_under {
            return Ok(false);
        }
        scopes.try_fold(false, |marked, scope| {
            let cutoff = self.table.cutoff_of(&scope)?;
            Ok(marked || cutoff.is_some_and(|cutoff| cutoff > born_under))
        })
    }
}
