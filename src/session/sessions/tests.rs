//! What sessions promise, over a table in one process.

use super::*;
use crate::session::fixture::{
    START, after, alice, budget, found as resume, of, with_grace, with_sessions, words,
};
use crate::session::rights::Source;
use crate::store::l1::{ProcessLock, Table};

#[test]
fn a_session_lives_from_begin_to_end() {
    with_sessions(|sessions| {
        let session = sessions.begin(&alice(), false, START).unwrap().session;
        assert_eq!(resume(sessions, session.id(), 1), Ok(alice()));
        assert!(sessions.end(&session, Reason::Logout, after(2)).unwrap());
        assert_eq!(resume(sessions, session.id(), 3), Err(Some(Reason::Logout)));
        assert!(!sessions.end(&session, Reason::Admin, after(4)).unwrap());
        assert_eq!(resume(sessions, session.id(), 5), Err(Some(Reason::Logout)));
        assert_eq!(resume(sessions, &SessionId::random().unwrap(), 5), Err(None));
    });
}

#[test]
fn a_remembered_session_lives_no_longer_than_the_session() {
    with_sessions(|sessions| {
        let remembered = |id: &SessionId, at| match sessions.resume(id, after(at)).unwrap() {
            Resumed::Found { session, .. } => session,
            Resumed::Absent(reason) => panic!("{reason:?}"),
        };
        let goes_on = |session: &Session, at| {
            sessions.resumes_unchanged(session, sessions.store().moment(|| after(at))).is_some()
        };
        let begun = || sessions.begin(&alice(), false, START).unwrap().session;
        let ended = remembered(begun().id(), 1);
        assert!(goes_on(&ended, 2));
        sessions.end(&ended, Reason::Logout, after(3)).unwrap();
        assert!(!goes_on(&ended, 3));

        let superseded = remembered(begun().id(), 1);
        let new = sessions.supersede(&superseded, &alice(), after(2)).unwrap().session;
        assert!(!goes_on(&superseded, 3), "its deadline has moved");
        let new = remembered(new.id(), 3);
        sessions.end(&superseded, Reason::Logout, after(4)).unwrap();
        assert!(!goes_on(&new, 4), "its line has ended");

        let idle = remembered(begun().id(), 1);
        assert!(goes_on(&idle, 29 * 60), "a visit");
        assert!(goes_on(&idle, 58 * 60), "which counts");
        assert!(!goes_on(&idle, 89 * 60));
        let old = remembered(begun().id(), 1);
        for minute in (20..720).step_by(20) {
            assert!(goes_on(&old, minute * 60), "{minute}");
        }
        assert!(!goes_on(&old, 12 * 3600));
    });
}

#[test]
fn idleness_ends_a_session_and_visits_keep_it() {
    with_sessions(|sessions| {
        let session = sessions.begin(&alice(), false, START).unwrap().session;
        assert!(resume(sessions, session.id(), 29 * 60).is_ok());
        assert!(resume(sessions, session.id(), 58 * 60).is_ok());
        assert_eq!(resume(sessions, session.id(), 89 * 60), Err(Some(Reason::Idle)));
    });
}

#[test]
fn no_visits_keep_a_session_past_its_lifetime() {
    with_sessions(|sessions| {
        let session = sessions.begin(&alice(), false, START).unwrap().session;
        for minute in (0..12 * 60).step_by(20) {
            assert!(resume(sessions, session.id(), minute * 60).is_ok(), "minute {minute}");
        }
        assert_eq!(resume(sessions, session.id(), 12 * 3600), Err(Some(Reason::Lifetime)));
    });
}

#[test]
fn a_session_on_probation_needs_a_visit() {
    with_sessions(|sessions| {
        let visited = sessions.begin(&alice(), true, START).unwrap().session;
        let left = sessions.begin(&alice(), true, START).unwrap().session;
        assert!(resume(sessions, visited.id(), 60).is_ok());
        assert_eq!(resume(sessions, left.id(), 121), Err(Some(Reason::Idle)));
        assert!(resume(sessions, visited.id(), 20 * 60).is_ok());
    });
}

#[test]
fn a_superseded_session_answers_for_the_grace_and_a_logout_ends_both() {
    with_sessions(|sessions| {
        let old = sessions.begin(&alice(), false, START).unwrap().session;
        let payload = Payload { entries: vec![("k".to_owned(), b"v".to_vec()).into()], ..alice() };
        let new = sessions.supersede(&old, &payload, after(100)).unwrap().session;
        assert_eq!(new.deadline(), old.deadline());
        assert_eq!(resume(sessions, old.id(), 105), Ok(alice()));
        assert_eq!(resume(sessions, new.id(), 105).unwrap().entries, payload.entries);
        assert_eq!(resume(sessions, old.id(), 111), Err(Some(Reason::Superseded)));

        let newest = sessions.supersede(&new, &payload, after(120)).unwrap().session;
        sessions.end(&newest, Reason::Logout, after(121)).unwrap();
        assert_eq!(resume(sessions, new.id(), 122), Err(Some(Reason::Logout)));
        assert_eq!(resume(sessions, newest.id(), 122), Err(Some(Reason::Logout)));
    });
}

#[test]
fn of_two_changes_at_one_instant_the_first_wins_and_the_other_leaves_nothing() {
    for grace in [Duration::ZERO, Policy::default().grace] {
        with_grace(grace, |sessions| {
            let old = sessions.begin(&alice(), false, START).unwrap().session;
            let new = sessions.supersede(&old, &of("first"), after(1)).unwrap().session;
            for at in [0, 1, 2] {
                let second = sessions.supersede(&old, &of("second"), after(at));
                assert!(matches!(second, Err(SessionError::Superseded)), "at {at}");
            }
            assert_eq!(
                resume(sessions, new.id(), 2),
                Ok(Payload { origin: new.payload().origin, ..of("first") })
            );
            assert_eq!(sessions.store().table().stats().live, 2, "the old one and its successor");
            // Nothing that the others left ends their line.
            let newest = sessions.supersede(&new, &of("first"), after(3)).unwrap().session;
            assert!(resume(sessions, newest.id(), 3).is_ok());
        });
    }
}

#[test]
fn of_changes_that_all_threads_make_at_once_one_wins() {
    let (geometry, words) = words();
    let store = Store::alone(Table::format(&words, ProcessLock::new(), geometry, START));
    let realm = Realm::new("test");
    let policy = Policy { grace: Duration::ZERO, ..Policy::default() };
    for _ in 0..50 {
        let old =
            Sessions::new(&store, &realm, policy, budget()).begin(&alice(), false, START).unwrap().session;
        let barrier = std::sync::Barrier::new(4);
        let one = || {
            let budget = Budget::new(Duration::from_millis(50));
            let sessions = Sessions::new(&store, &realm, policy, &budget);
            barrier.wait();
            sessions.supersede(&old, &alice(), after(1)).is_ok()
        };
        let won = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum::<usize>()
        });
        assert_eq!(won, 1);
    }
}

#[test]
fn without_a_grace_the_old_id_is_refused_at_once_and_nobody_else_is() {
    with_grace(Duration::ZERO, |sessions| {
        let mut line = vec![sessions.begin(&alice(), false, START).unwrap().session];
        for at in [0, 0, 1, 1, 2] {
            let old = line.last().unwrap();
            assert!(resume(sessions, old.id(), at).is_ok());
            let new = sessions.supersede(old, &alice(), after(at)).unwrap().session;
            assert!(!sessions.goes_on(old, after(at)));
            assert!(sessions.goes_on(&new, after(at)));
            assert_eq!(resume(sessions, old.id(), at), Err(Some(Reason::Superseded)));
            assert!(resume(sessions, new.id(), at).is_ok());
            line.push(new);
        }
        // Long after all others of the line are forgotten.
        sessions.store().table().purge(after(3700)).unwrap();
        assert!(resume(sessions, line[5].id(), 1700).is_ok());
        sessions.end(&line[2], Reason::Logout, after(1701)).unwrap();
        assert_eq!(resume(sessions, line[5].id(), 1702), Err(Some(Reason::Logout)));
    });
}

#[test]
fn a_change_that_comes_when_the_old_session_is_forgotten_ends_nobody() {
    with_sessions(|sessions| {
        let old = sessions.begin(&alice(), false, START).unwrap().session;
        let new = sessions.supersede(&old, &alice(), after(1)).unwrap().session;
        assert!(resume(sessions, new.id(), 1700).is_ok());
        assert!(sessions.store().table().purge(after(3700)).unwrap() > 0);
        for late in [
            sessions.supersede(&old, &alice(), after(3700)),
            sessions.supersede_too(&old, &alice(), after(3700)),
        ] {
            assert!(matches!(late, Err(SessionError::Superseded)));
        }
        assert!(resume(sessions, new.id(), 1800).is_ok());
    });
}

#[test]
fn a_change_shortly_before_the_end_is_a_change_all_the_same() {
    with_sessions(|sessions| {
        let old = sessions.begin(&alice(), false, START).unwrap().session;
        for minute in (0..12 * 60).step_by(20) {
            assert!(resume(sessions, old.id(), minute * 60).is_ok());
        }
        // Less is left than the grace.
        let late = 12 * 3600 - 5;
        assert!(resume(sessions, old.id(), late).is_ok());
        let new = sessions.supersede(&old, &alice(), after(late)).unwrap().session;
        assert!(matches!(sessions.supersede(&old, &alice(), after(late)), Err(SessionError::Superseded)));
        assert!(!sessions.goes_on(&old, after(late)));
        assert_eq!(new.deadline(), old.deadline());
        assert_eq!(resume(sessions, new.id(), 12 * 3600), Err(Some(Reason::Lifetime)));
    });
}

#[test]
fn whichever_of_a_line_is_ended_all_are() {
    for ended in 0..3 {
        with_sessions(|sessions| {
            let first = sessions.begin(&alice(), false, START).unwrap().session;
            let second = sessions.supersede(&first, &alice(), after(1)).unwrap().session;
            let third = sessions.supersede(&second, &alice(), after(2)).unwrap().session;
            let line = [first, second, third];
            for session in &line {
                assert!(resume(sessions, session.id(), 3).is_ok());
            }
            sessions.end(&line[ended], Reason::Logout, after(4)).unwrap();
            for session in &line {
                assert_eq!(resume(sessions, session.id(), 5), Err(Some(Reason::Logout)), "after {ended}");
            }
        });
    }
}

#[test]
fn a_shorter_lifetime_brings_no_line_back() {
    let (geometry, words) = words();
    let store = Store::alone(Table::format(&words, ProcessLock::new(), geometry, START));
    let realm = Realm::new("test");
    let before = Sessions::new(&store, &realm, Policy::default(), budget());
    let first = before.begin(&alice(), false, START).unwrap().session;
    let second = before.supersede(&first, &alice(), after(1)).unwrap().session;
    let shorter = Policy { lifetime: Duration::from_secs(60), ..Policy::default() };
    let sessions = Sessions::new(&store, &realm, shorter, budget());
    let Ok(Resumed::Found { session: first, .. }) = sessions.resume(first.id(), after(2)) else {
        panic!("in its grace")
    };
    sessions.end(&first, Reason::Logout, after(3)).unwrap();
    assert_eq!(store.table().purge(after(1000)), Ok(0));
    assert_eq!(resume(&sessions, second.id(), 1000), Err(Some(Reason::Logout)));
}

#[test]
fn what_supersedes_an_ended_session_is_ended_too() {
    with_sessions(|sessions| {
        let old = sessions.begin(&alice(), false, START).unwrap().session;
        sessions.end(&old, Reason::Logout, after(1)).unwrap();
        let late = sessions.supersede(&old, &alice(), after(2)).unwrap().session;
        assert_eq!(resume(sessions, late.id(), 3), Err(Some(Reason::Logout)));
    });
}

#[test]
fn a_mark_ends_what_was_born_before_it_and_in_its_scope() {
    for (scope, whose) in [
        (Scope::All, [true, true]),
        (Scope::Realm, [true, true]),
        (Scope::User("alice"), [true, false]),
        (Scope::User("ALICE"), [false, false]),
        (Scope::Group("staff"), [false, true]),
    ] {
        with_sessions(|sessions| {
            let mut bob = of("bob");
            bob.rights.grant(Source::Orders, "staff");
            let born = [alice(), bob].map(|p| sessions.begin(&p, false, START).unwrap().session);
            sessions.mark(scope, Effect::Refresh, after(1)).unwrap();
            assert!(born.iter().all(|session| resume(sessions, session.id(), 1).is_ok()), "not an end");
            sessions.mark(scope, Effect::End, after(2)).unwrap();
            for (session, ended) in born.iter().zip(whose) {
                let expected = ended.then_some(Err(Some(Reason::Marked)));
                let got = resume(sessions, session.id(), 3);
                assert_eq!(Some(&got).filter(|got| got.is_err()), expected.as_ref(), "{scope:?}");
            }
            let born_under = sessions.store.watermark().as_millis();
            let later = sessions.begin(&Payload { born_under, ..alice() }, false, after(4)).unwrap();
            assert!(resume(sessions, later.session.id(), 5).is_ok());
            sessions.mark(scope, Effect::End, after(6)).unwrap();
            assert_eq!(resume(sessions, later.session.id(), 7).is_err(), whose[0], "again");
        });
    }
}

#[test]
fn a_successor_is_ended_by_a_mark_that_came_before_it() {
    with_sessions(|sessions| {
        let old = sessions.begin(&alice(), false, START).unwrap().session;
        sessions.mark(Scope::User("alice"), Effect::End, after(1)).unwrap();
        let born_under = sessions.store.watermark().as_millis();
        let new = sessions.supersede(&old, &Payload { born_under, ..alice() }, after(2)).unwrap();
        assert_eq!(resume(sessions, new.session.id(), 3), Err(Some(Reason::Marked)));
    });
}

#[test]
fn another_realm_sees_nothing() {
    let (geometry, words) = words();
    let store = Store::alone(Table::format(&words, ProcessLock::new(), geometry, START));
    let (here, there) = (Realm::new("here"), Realm::new("there"));
    let begun =
        Sessions::new(&store, &here, Policy::default(), budget()).begin(&alice(), false, START).unwrap();
    let sessions = Sessions::new(&store, &there, Policy::default(), budget());
    assert_eq!(resume(&sessions, begun.session.id(), 1), Err(None));
}

#[test]
fn nothing_readable_is_in_the_table() {
    let (geometry, words) = words();
    let store = Store::alone(Table::format(&words, ProcessLock::new(), geometry, START));
    let sessions_realm = Realm::new("test");
    let sessions = Sessions::new(&store, &sessions_realm, Policy::default(), budget());
    let payload = Payload { entries: vec![("pw".to_owned(), b"correct horse".to_vec()).into()], ..alice() };
    let session = sessions.begin(&payload, false, START).unwrap().session;
    let dump: Vec<u8> =
        words.iter().flat_map(|w| w.load(std::sync::atomic::Ordering::Relaxed).to_le_bytes()).collect();
    let holds = |needle: &[u8]| dump.windows(needle.len()).any(|window| window == needle);
    assert!(holds(&sessions_realm.derive(session.id()).key.as_bytes()[..]));
    assert!(!holds(b"correct horse"));
    assert!(!holds(b"alice"));
    assert!(!holds(session.id().as_bytes()));
}

#[test]
fn a_record_too_large_for_the_table_is_refused_for_good() {
    with_sessions(|sessions| {
        let payload = Payload { entries: vec![("k".to_owned(), vec![0; 5000]).into()], ..alice() };
        let error = sessions.begin(&payload, false, START).err().unwrap();
        assert!(!error.is_retryable(), "{error}");
    });
}

#[test]
fn a_session_goes_on_until_it_ends_or_another_takes_its_place() {
    with_sessions(|sessions| {
        let begun = |at| sessions.begin(&alice(), false, after(at)).unwrap().session;
        let ended = begun(0);
        assert!(sessions.goes_on(&ended, after(1)));
        sessions.end(&ended, Reason::Logout, after(2)).unwrap();
        assert!(!sessions.goes_on(&ended, after(2)));
        let old = begun(3);
        let new = sessions.supersede(&old, &alice(), after(4)).unwrap().session;
        assert!(!sessions.goes_on(&old, after(4)), "it only answers for the grace");
        assert!(sessions.goes_on(&new, after(4)));
        assert!(!sessions.goes_on(&new, after(4).after(Policy::default().lifetime)));
    });
}
