//! Nodes over a store that has no log, such as memcached: each session must have been asked about within the bound.

use super::wrapped::Wrapped;
use super::{BOUND, Node, START};
use mod_session_cluster::session::policy::Policy;
use mod_session_cluster::session::scope::{Effect, Scope};
use mod_session_cluster::session::sessions::Session;
use mod_session_cluster::store::cluster::Outage;
use mod_session_cluster::store::l2::MemoryBackend;
use mod_session_cluster::store::tombstone::Reason;
use std::sync::Arc;
use std::thread::sleep;

fn node(name: &str, backend: &MemoryBackend, outage: Outage) -> Node {
    Node::over(name, Arc::new(Wrapped::without_log(backend)), outage, Policy::default())
}

fn pair(backend: &MemoryBackend) -> (Node, Node) {
    (node("a", backend, Outage::Refuse), node("b", backend, Outage::Refuse))
}

#[test]
fn within_the_bound_pages_ask_the_store_once() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let session = a.begin("alice");
    b.watch();
    assert!(b.serves(session.id()));
    let before = backend.commands();
    for _ in 0..100 {
        assert!(b.serves(session.id()));
    }
    assert_eq!(backend.commands(), before);
    sleep(BOUND);
    b.watch();
    assert!(b.serves(session.id()));
    // The record, and the marks of its scopes.
    assert_eq!(backend.commands(), before + 2);
}

#[test]
fn visits_count_although_the_store_is_asked_at_each_of_them() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    super::a_visit_counts_that_the_store_was_asked_for(&backend, &a, &b);
}

#[test]
fn marks_of_a_scope_are_asked_for_once_for_all_sessions() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let sessions = ["alice", "alice", "alice", "bob"].map(|user| a.begin(user));
    sleep(BOUND);
    b.watch();
    let serve = |session: &_| {
        let before = backend.commands();
        assert!(b.serves(Session::id(session)));
        backend.commands() - before
    };
    // Each record; the marks with alice's first session, and bob's own with his.
    assert_eq!(sessions.each_ref().map(serve), [2, 1, 1, 2]);
    assert_eq!(sessions.each_ref().map(serve), [0; 4]);
}

#[test]
fn what_was_asked_for_one_session_is_as_old_for_the_next() {
    // A machine that stands still in between shows nothing.
    let shown = (0..20).any(|_| {
        let backend = MemoryBackend::new(START);
        let (a, b) = pair(&backend);
        let (old, new) = (a.begin("alice"), a.begin("alice"));
        b.watch();
        assert!(b.serves(old.id()));
        sleep(BOUND / 2);
        b.watch();
        let before = backend.commands();
        assert!(b.serves(new.id()));
        let asked_for_marks = backend.commands() - before > 1;
        a.with_sessions(|sessions| sessions.mark(Scope::User("alice"), Effect::End, a.now())).unwrap();
        sleep(BOUND * 3 / 4);
        b.watch();
        assert!(asked_for_marks || !b.serves(new.id()), "alice's marks were asked for more than a bound ago");
        !asked_for_marks
    });
    assert!(shown);
}

#[test]
fn a_logout_elsewhere_holds_once_the_bound_has_passed() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let session = a.begin("alice");
    assert!(b.serves(session.id()));
    a.log_out(&session);
    assert_eq!(a.refusal(session.id()), Some(Reason::Logout), "at once where it happened");
    sleep(BOUND);
    b.watch();
    assert_eq!(b.refusal(session.id()), Some(Reason::Logout));
}

#[test]
fn a_session_that_another_page_remembers_is_asked_about_as_well() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let begun = a.begin("alice");
    assert!(b.serves(begun.id()));
    let known = b.resume(begun.id()).unwrap().unwrap();
    let unchanged = |node: &Node| {
        node.with_sessions(|sessions| sessions.resumes_unchanged(&known, node.moment())).is_some()
    };
    assert!(unchanged(&b));
    a.log_out(&begun);
    sleep(BOUND);
    b.watch();
    assert!(!unchanged(&b));
}

#[test]
fn a_mark_holds_once_the_bound_has_passed_and_who_logs_in_after_it_is_not_meant() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let sessions = ["alice", "alice", "bob"].map(|user| a.begin(user));
    for session in &sessions {
        assert!(b.serves(session.id()));
    }
    a.with_sessions(|sessions| sessions.mark(Scope::User("alice"), Effect::End, a.now())).unwrap();
    sleep(BOUND);
    b.watch();
    assert_eq!(sessions.each_ref().map(|session| b.serves(session.id())), [false, false, true]);
    let again = b.begin("alice");
    assert!(a.serves(again.id()) && b.serves(again.id()));
}

#[test]
fn a_line_ends_everywhere_once_the_bound_has_passed() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let old = a.begin("alice");
    let new = a.with_sessions(|sessions| sessions.supersede(&old, old.payload(), a.now())).unwrap().session;
    assert!(b.serves(old.id()) && b.serves(new.id()));
    a.log_out(&old);
    sleep(BOUND);
    b.watch();
    assert!(!b.serves(old.id()) && !b.serves(new.id()));
}

#[test]
fn without_the_store_known_sessions_go_on_or_wait_as_the_policy_says() {
    for (outage, goes_on) in [(Outage::Refuse, false), (Outage::default(), true)] {
        let backend = MemoryBackend::new(START);
        let (a, b) = (node("a", &backend, outage), node("b", &backend, outage));
        let (old, unseen) = (a.begin("alice"), a.begin("bob"));
        let new =
            a.with_sessions(|sessions| sessions.supersede(&old, old.payload(), a.now())).unwrap().session;
        assert!(b.serves(new.id()));
        b.watch();
        backend.set_reachable(false);
        sleep(BOUND);
        b.watch();
        assert_eq!(b.serves(new.id()), goes_on);
        assert!(b.is_unavailable(unseen.id()), "nobody knows it here");
    }
}

#[test]
fn what_the_store_has_evicted_is_absent_and_never_comes_back() {
    let backend = MemoryBackend::new(START);
    let (a, b) = pair(&backend);
    let session = a.begin("alice");
    assert!(b.serves(session.id()));
    backend.lose_everything();
    sleep(BOUND);
    b.watch();
    assert_eq!(b.refusal(session.id()), None);
}
