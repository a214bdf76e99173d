//! The protocol between nodes and the shared store, explored state by state: every order in which processes can take
//! their steps, with clocks that move, processes that die and faults that happen in between. First the protocol as it
//! is, in which nothing may be broken; then, one at a time, the flaws that it could have, each of which must be found.
//!
//! With `-- --nocapture` it prints how much was explored, and for each flaw a shortest trace. `make model` explores
//! all, which takes minutes and much memory: the largest settings have over 30 million states.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

mod protocol {
    pub(crate) mod cluster;
    mod faults;
    mod handler;
    mod page;
    pub(crate) mod search;
    mod state;
    mod store;
    pub(crate) mod succession;
    mod watcher;
}

use protocol::cluster::{
    ASSERTED_AGAIN, Cluster, Fault, Flaw, NO_RESURRECTION, Process, READ_IS_REFUSED, REFUSED_STAYS_REFUSED,
    Request,
};
use protocol::search::{Report, search};
use protocol::succession::{Changes, ONE_SUCCESSOR, SOMEBODY_HAS_IT, Wrong};

/// One session that may be ended once: on node 0, while node 1 serves its pages. Processes may die, and that is all.
const PLAIN: Cluster = Cluster {
    keys: 1,
    begun: true,
    nodes: [&[Process::Handler], &[Process::Page, Process::Watcher]],
    serves_in_outages: false,
    two_steps: false,
    requests: 1,
    of: &[Request::Logout],
    faults: 0,
    among: &[],
    flaw: None,
};

const ALL: &[Process] = &[Process::Page, Process::Handler, Process::Watcher];
/// Faults that lose nothing of the store.
const LOSSLESS: &[Fault] = &[
    Fault::Partition,
    Fault::FailOver,
    Fault::TableLoss,
    Fault::Restart,
    Fault::Reboot,
    Fault::TombstoneEviction,
    Fault::Trim,
];

/// Both faults of every pair of those that lose nothing.
const FAULTY: Cluster = Cluster { faults: 2, among: LOSSLESS, ..PLAIN };
/// Logout, pages and watcher on one node.
const ALONE: Cluster = Cluster { nodes: [ALL, &[]], ..FAULTY };
/// The store may lose writes, and whoever knows of the end asserts it again.
const LOSSY: Cluster = Cluster {
    nodes: [&[Process::Handler, Process::Watcher], &[Process::Page, Process::Watcher]],
    faults: 1,
    among: &[Fault::LossyFailOver],
    ..PLAIN
};
/// Whoever asserts it again has it from a page.
const LOSSY_PAGES: Cluster = Cluster {
    nodes: [ALL, &[Process::Page]],
    faults: 2,
    among: &[Fault::Partition, Fault::LossyFailOver],
    ..PLAIN
};
const OUTAGES: Cluster = Cluster { serves_in_outages: true, ..FAULTY };
const LOGINS: Cluster = Cluster {
    begun: false,
    nodes: [ALL, &[]],
    requests: 2,
    of: &[Request::Login, Request::Logout],
    faults: 1,
    among: LOSSLESS,
    ..PLAIN
};
const RETIREMENTS: Cluster =
    Cluster { of: &[Request::Retire, Request::Logout], requests: 2, faults: 1, ..FAULTY };
const LOSSY_RETIREMENTS: Cluster = Cluster {
    nodes: [&[Process::Handler, Process::Page], &[Process::Page, Process::Watcher]],
    of: &[Request::Retire],
    ..LOSSY
};
const TWO_STEPS: Cluster = Cluster {
    nodes: [&[Process::Handler, Process::Page], &[Process::Page, Process::Watcher]],
    two_steps: true,
    ..PLAIN
};
/// Another logout may be tried, of what a first one ended by half.
const TWO_STEPS_FAULTY: Cluster = Cluster { two_steps: true, requests: 2, faults: 1, ..FAULTY };
const TWO_STEPS_LOSSY: Cluster =
    Cluster { two_steps: true, among: &[Fault::LossyFailOver, Fault::FailOverOfKeys], ..LOSSY };
const TWO_KEYS: Cluster =
    Cluster { keys: 2, requests: 4, of: &[Request::Login, Request::Logout], begun: false, ..PLAIN };

/// States that are looked at where time is short. Searches go from the start outwards, so that what is left out are
/// only the longest runs.
const MOST: usize = 2_500_000;

fn explore(cluster: &Cluster) -> Report {
    let most = if std::env::var_os("MSC_LONG").is_some() { usize::MAX } else { MOST };
    let report = search(cluster, most);
    let Report { states, transitions, depth, seconds, .. } = report;
    let all = if states < most { "all" } else { "the first" };
    let size = format!("{all} {states} states, {transitions} transitions, depth {depth}, {seconds:.2} s");
    let trace = report.violation.as_ref().map_or("", |(_, trace)| trace);
    eprintln!("{size}: {cluster:?}\n{trace}");
    report
}

fn holds(cluster: &Cluster) {
    let report = explore(cluster);
    assert!(report.violation.is_none(), "see the trace above");
}

/// The protocol without one of its rules breaks a property, though with it, it breaks none.
fn is_found(flaw: Flaw, cluster: &Cluster, property: &str) {
    let report = explore(&Cluster { flaw: Some(flaw), ..*cluster });
    assert_eq!(report.violation.map(|(broken, _)| broken), Some(property), "{flaw:?}");
}

macro_rules! holds {
    ($($name:ident: $cluster:expr;)*) => { $(#[test] fn $name() { holds(&$cluster); })* };
}

macro_rules! is_found {
    ($($name:ident: $flaw:ident in $cluster:expr, $property:expr;)*) => {
        $(#[test] fn $name() { is_found(Flaw::$flaw, &$cluster, $property); })*
    };
}

holds! {
    an_ended_session_is_served_nowhere_after_the_bound: FAULTY;
    an_ended_session_is_served_nowhere_after_the_bound_on_the_node_itself: ALONE;
    an_end_that_a_fail_over_lost_is_asserted_again: LOSSY;
    an_end_that_a_page_learned_of_is_asserted_again: LOSSY_PAGES;
    an_outage_brings_nothing_back_that_the_node_has_read_of: OUTAGES;
    a_login_is_found_on_every_node: LOGINS;
    a_retired_session_is_served_nowhere_after_the_bound: RETIREMENTS;
    a_retirement_that_a_fail_over_lost_is_asserted_again: LOSSY_RETIREMENTS;
    an_end_in_two_steps_is_an_end_once_anybody_was_told: TWO_STEPS;
    an_end_in_two_steps_outlives_faults: TWO_STEPS_FAULTY;
    an_end_in_two_steps_outlives_fail_overs: TWO_STEPS_LOSSY;
    two_sessions_do_not_disturb_each_other: TWO_KEYS;
}

is_found! {
    without_assertion_a_fail_over_brings_an_ended_session_back: NothingIsAssertedAgain in LOSSY, ASSERTED_AGAIN;
    without_assertion_a_fail_over_brings_a_retired_session_back:
        RetirementsAreNotAssertedAgain in LOSSY_RETIREMENTS, ASSERTED_AGAIN;
    the_generation_must_move: TheGenerationStays in FAULTY, READ_IS_REFUSED;
    an_insert_must_not_bury_a_tombstone: AnInsertIgnoresATombstone in PLAIN, READ_IS_REFUSED;
    a_lease_must_begin_when_the_pulse_is_sent: ALeaseBeginsWithTheAnswer in PLAIN, NO_RESURRECTION;
    the_position_must_move_last: ThePositionMovesFirst in PLAIN, READ_IS_REFUSED;
    an_end_must_not_be_acknowledged_half: AnEndIsAcknowledgedHalf in TWO_STEPS, READ_IS_REFUSED;
    the_tombstone_must_come_before_the_log: TheLogComesBeforeTheTombstone in TWO_STEPS, REFUSED_STAYS_REFUSED;
    an_insert_must_have_the_generation_of_its_question:
        AnInsertTakesTheGenerationOfItsEnd in FAULTY, READ_IS_REFUSED;
    a_tombstone_of_an_old_generation_must_be_asked_for_again:
        ATombstoneOfAnOldGenerationIsPut in LOSSY_PAGES, ASSERTED_AGAIN;
    a_logout_across_a_fail_over_must_be_done_again: ALogoutPutsItsTombstoneAnyhow in LOSSY, ASSERTED_AGAIN;
    an_evicted_tombstone_must_be_counted: EvictedTombstonesAreNotCounted in FAULTY, READ_IS_REFUSED;
    an_answer_that_is_not_inserted_must_not_be_served:
        AnAnswerThatIsNotInsertedIsServed in FAULTY, READ_IS_REFUSED;
    a_retirement_must_be_counted: RetirementsAreNotCounted in RETIREMENTS, READ_IS_REFUSED;
    an_outage_must_not_serve_an_old_generation: AnOutageServesOldGenerations in OUTAGES, READ_IS_REFUSED;
    the_lease_must_be_read_first: TheLeaseIsReadLast in FAULTY, READ_IS_REFUSED;
    the_identity_must_be_noted_last: TheIdentityIsNotedFirst in LOSSY, ASSERTED_AGAIN;
    a_read_must_tell_of_a_gap: AGapIsLookedForInThePulseOnly in FAULTY, READ_IS_REFUSED;
    a_half_end_must_be_completed_by_who_sees_it:
        AHalfEndIsNotCompletedByWhoSeesIt in TWO_STEPS, READ_IS_REFUSED;
    a_lease_must_not_survive_a_reboot: ALeaseSurvivesAReboot in FAULTY, NO_RESURRECTION;
    the_first_pulse_of_a_table_must_begin_a_generation: TheFirstPulseIsTrusted in FAULTY, READ_IS_REFUSED;
    a_lease_needs_the_whole_log: OneBatchIsEnough in TWO_KEYS, READ_IS_REFUSED;
    an_answer_must_come_within_the_bound: AnAnswerMayTakeForEver in FAULTY, NO_RESURRECTION;
    the_identity_must_be_of_all_servers: TheIdentityIsOfTheLogOnly in TWO_STEPS_LOSSY, ASSERTED_AGAIN;
}

/// Two changes of one session; answers are lost, and processes die.
const CHANGES: Changes = Changes { losses: 3, deaths: 2, wrong: None };

#[test]
fn of_two_changes_of_a_session_one_wins_whatever_is_lost() {
    let report = search(&CHANGES, usize::MAX);
    eprintln!("{} states, {} transitions", report.states, report.transitions);
    assert!(report.violation.is_none(), "{}", report.violation.unwrap().1);
    assert!(report.states > 200, "it is searched");
}

#[test]
fn each_rule_of_the_succession_is_needed() {
    let lossless = Changes { losses: 0, deaths: 0, ..CHANGES };
    for (wrong, among, property) in [
        (Wrong::TheInstantDecides, lossless, ONE_SUCCESSOR),
        (Wrong::TheInstantDecides, CHANGES, SOMEBODY_HAS_IT),
        (Wrong::WhoAsksAgainIsNotKnown, CHANGES, SOMEBODY_HAS_IT),
        (Wrong::ThePlaceIsTakenBeforeThereIsASuccessor, CHANGES, SOMEBODY_HAS_IT),
        (Wrong::TheSecondKeepsItsSession, lossless, ONE_SUCCESSOR),
    ] {
        let report = search(&Changes { wrong: Some(wrong), ..among }, usize::MAX);
        let (broken, trace) = report.violation.expect("it is found");
        eprintln!("{wrong:?}:\n{trace}");
        assert_eq!(broken, property, "{wrong:?}");
    }
}
