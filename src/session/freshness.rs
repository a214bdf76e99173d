//! Which of a session's rights are too old. Each set of answers is judged by its own age, and by the marks that came
//! since it was asked: to ask one set makes no other younger, and uses up no mark for it.

use super::payload::Payload;
use super::rights::Source;
use super::sessions::{Session, SessionError, Sessions};
use crate::clock::Timestamp;
use crate::store::l1::WriteLock;
use std::time::Duration;

impl<L: WriteLock> Sessions<'_, '_, L> {
    /// The sources of answers that have to be asked again before they count: those that a mark is for, and where only
    /// an `age` is allowed, those that were asked longer ago than that before an instant.
    ///
    /// # Errors
    /// When nobody could tell.
    pub fn outdated(
        &self,
        session: &Session,
        age: Option<(Duration, Timestamp)>,
    ) -> Result<Vec<Source>, SessionError> {
        let rights = &session.payload().rights;
        let (mut oldest, mut stale) = (None, false);
        for answers in rights.asked() {
            oldest = Some(oldest.map_or(answers.under(), |oldest: Timestamp| oldest.min(answers.under())));
            stale |= answers.are_stale();
        }
        let Some(oldest) = oldest else { return Ok(Vec::new()) };
        let marked = self.is_marked_since(session, oldest)?;
        if !marked && !stale && age.is_none() {
            return Ok(Vec::new());
        }
        let mut outdated = Vec::new();
        for answers in rights.asked() {
            if answers.are_stale()
                || age.is_some_and(|(age, now)| answers.are_older_than(age, now))
                || marked && self.is_marked_since(session, answers.under())?
            {
                outdated.push(answers.source());
            }
        }
        Ok(outdated)
    }

    /// Has the successor of `old` remember which answers a mark is for: it may belong to other groups, of which there
    /// is no such mark.
    ///
    /// # Errors
    /// When nobody could tell.
    pub(super) fn carry_marks(&self, old: &Session, payload: &mut Payload) -> Result<(), SessionError> {
        let mut stale = Vec::new();
        for answers in payload.rights.asked() {
            if self.is_marked_since(old, answers.under())? {
                stale.push(answers.source());
            }
        }
        payload.rights.age(&stale);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::fixture::{after, alice, with_sessions};
    use crate::session::rights::Rights;
    use crate::session::scope::{Effect, Scope};
    use crate::session::sign_in::{Beginning, Change, Occasion};
    use crate::store::l1::ProcessLock;

    const A: Source = Source::Page(1);
    const B: Source = Source::Page(2);

    type Host<'a, 'm> = Sessions<'a, 'm, ProcessLock>;

    fn occasion(sessions: &Host<'_, '_>, seconds: u64) -> Occasion<'static> {
        let watermark = sessions.store().watermark();
        Occasion { watermark, list: None, client: ["192.0.2.1", "test"], now: after(seconds) }
    }

    /// A session of alice's for which both sets were asked, each with a grant.
    fn begin(sessions: &Host<'_, '_>) -> Session {
        let mut rights = Rights::default();
        ask(sessions, &mut rights, A, "staff", 0);
        ask(sessions, &mut rights, B, "guest", 0);
        let payload = Payload { rights, ..alice() };
        let beginning = Beginning::Anew { payload: &payload, probation: false };
        sessions.establish(beginning, occasion(sessions, 0)).unwrap().unwrap().begun.session
    }

    fn ask(sessions: &Host<'_, '_>, rights: &mut Rights, source: Source, grant: &str, seconds: u64) {
        rights.ask(source, after(seconds), sessions.store().watermark(), |_| false);
        if !grant.is_empty() {
            rights.grant(source, grant);
        }
    }

    fn supersede(sessions: &Host<'_, '_>, old: &Session, rights: Rights, seconds: u64) -> Session {
        let payload = Payload { rights, ..old.payload().clone() };
        let beginning = Beginning::InPlaceOf { old, payload: &payload, change: Change::Rights };
        sessions.establish(beginning, occasion(sessions, seconds)).unwrap().unwrap().begun.session
    }

    fn outdated(sessions: &Host<'_, '_>, session: &Session) -> Vec<Source> {
        sessions.outdated(session, None).unwrap()
    }

    #[test]
    fn to_ask_one_set_makes_no_other_younger() {
        with_sessions(|sessions| {
            let old = begin(sessions);
            let mut rights = old.payload().rights.clone();
            ask(sessions, &mut rights, B, "guest", 10);
            let new = supersede(sessions, &old, rights, 10);
            let older =
                |seconds| sessions.outdated(&new, Some((Duration::from_secs(5), after(seconds)))).unwrap();
            assert_eq!(older(11), [A]);
            assert_eq!(older(16), [A, B]);
            assert!(outdated(sessions, &new).is_empty(), "where any age is allowed");
        });
    }

    #[test]
    fn what_an_application_ordered_is_never_too_old() {
        with_sessions(|sessions| {
            let mut rights = Rights::ordered();
            rights.grant(Source::Orders, "staff");
            let payload = Payload { rights, ..alice() };
            let session = sessions.begin(&payload, false, after(0)).unwrap().session;
            sessions.mark(Scope::User("alice"), Effect::Refresh, after(1)).unwrap();
            let age = Some((Duration::from_secs(1), after(1000)));
            assert!(sessions.outdated(&session, age).unwrap().is_empty());
        });
    }

    #[test]
    fn a_mark_is_for_each_set_until_that_one_was_asked() {
        for scope in [Scope::All, Scope::Realm, Scope::User("alice"), Scope::Group("staff")] {
            with_sessions(|sessions| {
                let old = begin(sessions);
                assert!(outdated(sessions, &old).is_empty());
                sessions.mark(scope, Effect::Refresh, after(1)).unwrap();
                assert_eq!(outdated(sessions, &old), [A, B], "{scope:?}");
                // What A grants no longer was the group that the mark was for.
                let mut rights = old.payload().rights.clone();
                ask(sessions, &mut rights, A, "", 2);
                let new = supersede(sessions, &old, rights.clone(), 2);
                assert_eq!(outdated(sessions, &new), [B], "{scope:?}");
                let mut rights = new.payload().rights.clone();
                ask(sessions, &mut rights, B, "guest", 3);
                let newest = supersede(sessions, &new, rights, 3);
                assert!(outdated(sessions, &newest).is_empty(), "{scope:?}");
            });
        }
    }

    #[test]
    fn a_mark_that_came_while_a_set_was_asked_is_for_that_set_too() {
        with_sessions(|sessions| {
            let old = begin(sessions);
            let mut rights = old.payload().rights.clone();
            ask(sessions, &mut rights, A, "", 2);
            sessions.mark(Scope::Group("staff"), Effect::Refresh, after(2)).unwrap();
            let new = supersede(sessions, &old, rights, 2);
            assert_eq!(outdated(sessions, &new), [B, A]);
        });
    }
}
