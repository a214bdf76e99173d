//! Nodes that change one session: the store says who was first, whatever a table knows.

use super::wrapped::Wrapped;
use super::{Node, START, pair};
use mod_session_cluster::session::policy::Policy;
use mod_session_cluster::session::sessions::{Session, SessionError};
use mod_session_cluster::store::cluster::Outage;
use mod_session_cluster::store::l2::{Backend, MemoryBackend};
use mod_session_cluster::store::tombstone::Reason;
use std::sync::Arc;
use std::time::Duration;

fn change(node: &Node, old: &Session) -> Result<Session, SessionError> {
    node.with_sessions(|sessions| sessions.supersede(old, old.payload(), node.now()))
        .map(|begun| begun.session)
}

fn lost(outcome: Result<Session, SessionError>) -> bool {
    matches!(outcome, Err(SessionError::Superseded))
}

#[test]
fn of_two_nodes_that_change_a_session_at_one_instant_the_first_wins() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let old = a.begin("alice");
    assert!(b.serves(old.id()));
    let new = change(&a, &old).unwrap();
    // Its table says that nothing has happened, and the store's clock stands still.
    assert!(lost(change(&b, &old)) && lost(change(&a, &old)));
    for node in [&a, &b] {
        assert!(node.serves(new.id()) && node.serves(old.id()), "the old one within its grace");
        assert!(node.resume(old.id()).unwrap().unwrap().is_superseded(), "as the second one has just heard");
    }
    backend.set_now(START.after(Duration::from_secs(11)));
    for node in [&a, &b] {
        node.watch();
        assert_eq!(node.refusal(old.id()), Some(Reason::Superseded));
        assert!(node.serves(new.id()));
    }
}

#[test]
fn without_a_grace_a_node_that_comes_second_refuses_at_once() {
    let backend = MemoryBackend::new(START);
    let policy = Policy { grace: Duration::ZERO, ..Policy::default() };
    let [a, b] = ["a", "b"].map(|name| Node::with(name, &backend, Outage::Refuse, policy));
    let mut old = a.begin("alice");
    for (first, second) in [(&a, &b), (&b, &a), (&a, &b)] {
        assert!(first.serves(old.id()) && second.serves(old.id()));
        let new = change(first, &old).unwrap();
        assert_eq!(first.refusal(old.id()), Some(Reason::Superseded));
        assert!(second.serves(old.id()), "it has not heard of it yet");
        assert!(lost(change(second, &old)));
        assert_eq!(second.refusal(old.id()), Some(Reason::Superseded));
        assert!(first.serves(new.id()) && second.serves(new.id()));
        old = new;
    }
    b.log_out(&old);
    a.watch();
    assert_eq!(a.refusal(old.id()), Some(Reason::Logout));
}

#[test]
fn a_change_whose_answer_is_lost_is_none_and_no_other_one_comes_after_it() {
    let store = MemoryBackend::new(START);
    let lossy = Arc::new(Wrapped::with_log(&store));
    let a = Node::over("a", Arc::clone(&lossy) as Arc<dyn Backend>, Outage::Refuse, Policy::default());
    let old = a.begin("alice");
    lossy.lose_answers(true);
    let error = change(&a, &old).err().expect("nobody knows");
    assert!(error.is_retryable() && !matches!(error, SessionError::Superseded), "{error}");
    lossy.lose_answers(false);
    assert!(a.serves(old.id()), "for the grace at least");
    assert!(lost(change(&a, &old)));
}

#[test]
fn a_session_that_the_store_has_lost_has_no_place_to_give() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let old = a.begin("alice");
    assert!(b.serves(old.id()));
    change(&a, &old).unwrap();
    backend.lose_everything();
    a.watch();
    // Nothing is known of it there, and a session that is not there has no place.
    assert!(lost(change(&b, &old)));
}
