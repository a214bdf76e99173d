//! What follows from somebody being vouched for, over a table in one process.

use super::*;
use crate::session::fixture::{START, after, alice, found, of, with_sessions};
use crate::session::payload::Entry;
use crate::session::rights::Source;
use crate::store::l1::ProcessLock;

type Host<'a, 'm> = Sessions<'a, 'm, ProcessLock>;

const NOBODY: Shown<'static> = Shown { session: None, ids: &[] };

fn occasion(seconds: u64) -> Occasion<'static> {
    Occasion {
        watermark: Timestamp::default(),
        list: None,
        client: ["192.0.2.1", "test"],
        now: after(seconds),
    }
}

fn begin(sessions: &Host<'_, '_>, payload: &Payload) -> Session {
    let beginning = Beginning::Anew { payload, probation: false };
    sessions.establish(beginning, occasion(0)).unwrap().unwrap().begun.session
}

fn staff() -> Payload {
    with_rights(&["staff"])
}

fn with_rights(grants: &[&str]) -> Payload {
    let mut rights = Rights::ordered();
    grants.iter().for_each(|name| rights.grant(Source::Orders, name));
    Payload { rights, ..alice() }
}

fn with_entries(payload: Payload) -> Payload {
    Payload { entries: vec![Entry { name: "cart".into(), value: b"7".to_vec() }], ..payload }
}

#[test]
fn what_goes_on_depends_on_who_vouches_and_for_whom() {
    let nobody = Payload::default();
    let table = [
        (Voucher::Form, &alice(), Inheritance::Nothing),
        (Voucher::Form, &nobody, Inheritance::Nothing),
        (Voucher::Module, &alice(), Inheritance::All),
        (Voucher::Module, &nobody, Inheritance::Nothing),
        (Voucher::Module, &of("bob"), Inheritance::Nothing),
        (Voucher::Application, &alice(), Inheritance::Entries),
        (Voucher::Application, &of("bob"), Inheritance::Nothing),
        (Voucher::ModSession, &alice(), Inheritance::Nothing),
    ];
    for (voucher, old, inheritance) in table {
        assert_eq!(voucher.inheritance(old, &alice()), inheritance, "{voucher:?} over {:?}", old.principal);
    }
    // mod_auth_form logs in within the session that is there.
    let mut new = alice();
    new.principal.as_mut().unwrap().means.auth_type = "form".into();
    assert_eq!(Voucher::Module.inheritance(&nobody, &new), Inheritance::All);
    assert_eq!(Voucher::Module.inheritance(&of("bob"), &new), Inheritance::Nothing);
    // Nor is a namesake, whom another login knows.
    let mut namesake = alice();
    namesake.principal.as_mut().unwrap().means.auth_name = Some("elsewhere".into());
    for voucher in [Voucher::Module, Voucher::Application] {
        assert_eq!(voucher.inheritance(&namesake, &alice()), Inheritance::Nothing, "{voucher:?}");
    }
    // A session that names nobody is no successor of somebody's.
    assert_eq!(Voucher::Module.inheritance(&alice(), &nobody), Inheritance::Nothing);
}

#[test]
fn a_login_ends_every_session_that_came_with_it() {
    with_sessions(|sessions| {
        let (one, other) = (begin(sessions, &with_entries(alice())), begin(sessions, &of("bob")));
        let ids = [one.id().clone(), other.id().clone()];
        let shown = Shown { session: Some(&one), ids: &ids };
        let new = sessions.sign_in(Voucher::Form, alice(), None, shown, occasion(1)).unwrap().unwrap();
        assert!(new.ended_shown);
        for id in &ids {
            assert_eq!(found(sessions, id, 2), Err(Some(Reason::Replaced)));
        }
        let says = found(sessions, new.begun.session.id(), 2).unwrap();
        assert_eq!((says.principal, says.entries), (alice().principal, Vec::new()));
        assert_eq!(says.auth_time, after(1).as_millis());
    });
}

#[test]
fn an_adopted_login_goes_on_in_the_session_of_the_same_person_and_of_nobody_else() {
    with_sessions(|sessions| {
        let old = begin(sessions, &with_entries(alice()));
        let ids = [old.id().clone()];
        let shown = Shown { session: Some(&old), ids: &ids };
        let new =
            sessions.sign_in(Voucher::Module, staff(), Some(&old), shown, occasion(1)).unwrap().unwrap();
        assert!(!new.ended_shown);
        assert!(found(sessions, old.id(), 2).is_ok(), "it answers on for the grace");
        let says = found(sessions, new.begun.session.id(), 2).unwrap();
        assert_eq!((says.entries.len(), says.rights.all_grants().count()), (1, 1));

        let shown = Shown { session: Some(&new.begun.session), ids: &[] };
        let from = Some(&new.begun.session);
        let bobs = sessions.sign_in(Voucher::Module, of("bob"), from, shown, occasion(3)).unwrap().unwrap();
        assert_eq!(found(sessions, new.begun.session.id(), 4), Err(Some(Reason::Replaced)));
        let says = found(sessions, bobs.begun.session.id(), 4).unwrap();
        assert_eq!((says.entries.len(), says.rights.all_grants().count()), (0, 0), "nothing of alice's");
    });
}

#[test]
fn an_adopted_login_must_be_shown_before_long_and_one_by_a_form_need_not() {
    with_sessions(|sessions| {
        let begun = |voucher| {
            let established = sessions.sign_in(voucher, alice(), None, NOBODY, occasion(0)).unwrap().unwrap();
            established.begun.session.id().clone()
        };
        let (form, module) = (begun(Voucher::Form), begun(Voucher::Module));
        assert_eq!(found(sessions, &module, 10 * 60), Err(Some(Reason::Idle)));
        assert!(found(sessions, &form, 10 * 60).is_ok());
    });
}

#[test]
fn an_application_keeps_the_entries_of_the_same_person_only() {
    with_sessions(|sessions| {
        let entries = |user: &str| {
            let old = begin(sessions, &with_entries(alice()));
            let ids = [old.id().clone()];
            let shown = Shown { session: Some(&old), ids: &ids };
            let new = sessions.sign_in(Voucher::Application, of(user), Some(&old), shown, occasion(1));
            assert_eq!(found(sessions, old.id(), 2), Err(Some(Reason::Replaced)));
            found(sessions, new.unwrap().unwrap().begun.session.id(), 2).unwrap().entries.len()
        };
        assert_eq!(entries("alice"), 1);
        assert_eq!(entries("bob"), 0);
    });
}

#[test]
fn a_superseded_session_brings_no_rights_back() {
    with_sessions(|sessions| {
        let old = begin(sessions, &staff());
        let stale = |id: &SessionId| match sessions.resume(id, after(1)).unwrap() {
            Resumed::Found { session, .. } => session,
            Resumed::Absent(reason) => panic!("{reason:?}"),
        };
        let revoked = alice();
        let change = |old: &Session, payload: &Payload, change: Change| {
            sessions.establish(Beginning::InPlaceOf { old, payload, change }, occasion(1)).unwrap()
        };
        assert!(change(&old, &revoked, Change::Order).is_some());
        let late = stale(old.id());
        assert!(late.is_superseded());
        for kind in [Change::Data, Change::Order, Change::Rights, Change::FirstRights, Change::Login] {
            assert!(matches!(late.permits(kind), Err(SessionError::Superseded)), "{kind:?}");
            assert!(change(&late, &staff(), kind).is_none(), "{kind:?}");
        }
        // One that does not know yet that it is late is found out by the store, though it comes at the same instant.
        assert!(change(&old, &staff(), Change::Order).is_none());
    });
}

#[test]
fn data_of_a_superseded_session_without_rights_may_still_change() {
    with_sessions(|sessions| {
        let old = begin(sessions, &Payload::default());
        let data = with_entries(Payload::default());
        let change = |old: &Session, change| {
            sessions.establish(Beginning::InPlaceOf { old, payload: &data, change }, occasion(1)).unwrap()
        };
        assert!(change(&old, Change::Data).is_some());
        let Resumed::Found { session: late, .. } = sessions.resume(old.id(), after(1)).unwrap() else {
            panic!("it answers on for the grace");
        };
        assert!(change(&late, Change::Data).is_some(), "parallel requests of one browser");
        for kind in [Change::Login, Change::FirstRights] {
            assert!(change(&late, kind).is_some(), "{kind:?} brings rights that are evaluated now");
        }
        for kind in [Change::Order, Change::Rights] {
            assert!(change(&late, kind).is_none(), "{kind:?}");
        }
    });
}

#[test]
fn of_changes_at_one_instant_the_first_wins_unless_it_can_have_taken_no_rights() {
    let kinds = [Change::Data, Change::Order, Change::Rights, Change::FirstRights, Change::Login];
    for (before, several) in [
        (staff(), &[][..]),
        (Payload::default(), &[Change::Data, Change::FirstRights, Change::Login]),
        (alice(), &[Change::Data, Change::FirstRights, Change::Login]),
    ] {
        with_sessions(|sessions| {
            for first in kinds {
                for second in kinds {
                    let old = begin(sessions, &before);
                    let [one, other] = [first, second].map(|change| {
                        let payload = &with_entries(before.clone());
                        let beginning = Beginning::InPlaceOf { old: &old, payload, change };
                        sessions.establish(beginning, occasion(0)).unwrap()
                    });
                    assert!(one.is_some(), "{first:?}");
                    assert_eq!(other.is_some(), several.contains(&second), "{second:?} after {first:?}");
                }
            }
        });
    }
}

#[test]
fn times_and_marks_say_what_is_new() {
    with_sessions(|sessions| {
        let old = begin(sessions, &staff());
        let watermark = after(5);
        let at = Occasion { watermark, ..occasion(5) };
        let times = |change| {
            let beginning = Beginning::InPlaceOf { old: &old, payload: old.payload(), change };
            // Each from the same old session: as if the others had not been.
            let new = sessions.establish(beginning, at).unwrap();
            new.map(|new| {
                let says = new.begun.session.payload().clone();
                (says.auth_time, says.fresh_under, says.born_under)
            })
        };
        let (born, zero) = (START.as_millis(), 0);
        assert_eq!(
            times(Change::Order),
            Some((born, zero, zero)),
            "an order proves nothing and asks nothing"
        );
        let old = begin(sessions, &staff());
        let beside = sessions.establish(Beginning::Beside { old: &old, payload: old.payload() }, at);
        assert_eq!(beside.unwrap().unwrap().begun.session.payload().born_under, watermark.as_millis());
        for (change, expected) in [
            (Change::Data, (born, zero, zero)),
            (Change::Rights, (born, zero, zero)),
            (Change::FirstRights, (born, zero, zero)),
            (Change::Login, (after(5).as_millis(), watermark.as_millis(), zero)),
        ] {
            let old = begin(sessions, &staff());
            let beginning = Beginning::InPlaceOf { old: &old, payload: old.payload(), change };
            let new = sessions.establish(beginning, at).unwrap().unwrap().begun.session;
            let says = new.payload();
            assert_eq!((says.auth_time, says.fresh_under, says.born_under), expected, "{change:?}");
        }
    });
}
