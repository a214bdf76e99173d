//! How late other nodes hear of a visit, and how much longer than its idle timeout a session lives for that. Three
//! constants, and why they fit together:
//!
//! A node tells the store of visits in rounds. A round begins once in `ROUND_PART` of the shortest idle timeout (at
//! least once a minute, at most once a second), and tells of a session if since the round before a `TOLD_PART` of its
//! own timeout ended in which it was visited. So what the store knows is never older than a tenth and a fortieth, which
//! is an eighth: the `SLACK_PART` that another node grants. To this comes what does not shrink with the timeout
//! (`LATENESS`).

use crate::clock::Timestamp;
use std::time::Duration;

/// The visits of a session are told once in this part of its idle timeout.
const TOLD_PART: u32 = 10;
/// A round of telling begins once in this part of the shortest idle timeout that a node knows.
const ROUND_PART: u32 = 40;
/// A session that looks idle elsewhere lives for this part of its idle timeout longer: the two parts above together.
const SLACK_PART: u32 = 8;
const _: () = assert!(TOLD_PART * ROUND_PART == SLACK_PART * (TOLD_PART + ROUND_PART));

/// The shortest pause between two rounds, however short idle timeouts are.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long a watcher waits for news of the log, at most, before it looks whether a round is due. Half of the term for
/// which it has the work to itself.
const LOG_WAIT: Duration = Duration::from_millis(300);

/// What delays the word of a visit however short the idle timeout is: the shortest pause between two rounds (1 s); what
/// the table's own last-seen time may be behind ([`Table::TOUCH_QUANTUM`](super::l1::Table::TOUCH_QUANTUM), 1 s); a
/// tenth of the second to which the table rounds timeouts up (0.1 s); the wait for the log (0.3 s); and a round through
/// the whole table (0.6 s).
const LATENESS: Duration = Duration::from_secs(3);

/// How long a watcher waits for news of the log where the logout bound is `bound`.
pub(super) fn log_wait(bound: Duration) -> Duration {
    (bound / 5).min(LOG_WAIT)
}

/// How often a node whose shortest idle timeout is `shortest` begins a round of telling the store of visits.
#[must_use]
pub fn flush_every(shortest: Duration) -> Duration {
    (shortest / ROUND_PART).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}

/// How much longer than its idle timeout a session lives after the last visit that the store was told of, in a cluster.
pub(super) fn idle_slack(idle: Duration) -> Duration {
    idle / SLACK_PART + LATENESS
}

/// Whether a visit is told in a round that goes from one instant to another: if a tenth of the idle timeout ended
/// between them, and the visit was in that one or later. `idle` as the table knows it: in whole seconds, rounded up.
pub(super) fn is_due(idle: Duration, seen: Timestamp, from: Timestamp, until: Timestamp) -> bool {
    let part = u64::try_from(idle.as_millis() / u128::from(TOLD_PART)).unwrap_or(u64::MAX).max(1);
    let number = |at: Timestamp| at.as_millis() / part;
    number(from) < number(until) && number(seen) >= number(from)
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::l1::{ProcessLock, Table};
    use crate::store::record::Record;
    use proptest::prelude::*;

    const QUANTUM: Duration = Table::<ProcessLock>::TOUCH_QUANTUM;
    const START: u64 = 1_700_000_000_000;

    fn ms(span: Duration) -> u64 {
        u64::try_from(span.as_millis()).unwrap()
    }

    /// What the table keeps of an idle timeout: 16 bits of whole seconds, rounded up.
    fn hint(idle: Duration) -> Duration {
        Duration::from_secs(ms(idle).div_ceil(1000).min(u64::from(u16::MAX)))
    }

    /// An idle timeout that the directive allows, as often a short one as a long one.
    fn any_idle() -> impl Strategy<Value = Duration> {
        let longest = ms(Record::LONGEST);
        prop_oneof![100..60_000_u64, 60_000..100_000_000_u64, 100_000_000..=longest]
            .prop_map(Duration::from_millis)
    }

    fn any_bound() -> impl Strategy<Value = Duration> {
        (100..=60_000_u64).prop_map(Duration::from_millis)
    }

    proptest! {
        #[test]
        fn the_slack_covers_all_that_delays_the_word_of_a_visit(idle in any_idle(), bound in any_bound()) {
            let delays = hint(idle) / TOLD_PART + flush_every(idle) + QUANTUM + log_wait(bound);
            let slack = idle_slack(idle);
            // What is left is for the round itself.
            prop_assert!(delays + Duration::from_millis(600) <= slack, "{:?} {:?}", delays, slack);
        }

        /// A session that is visited at one node, never with more than its idle timeout between two visits, is judged
        /// at another one at any moment in between by what the store was told.
        #[test]
        fn a_session_that_is_visited_often_enough_is_never_judged_idle_elsewhere(
            idle in any_idle(),
            bound in any_bound(),
            shorter in 1..=100_u64,
            phase in 0..1_000_000_000_u64,
            gaps in proptest::collection::vec(0..=1000_u64, 1..60),
            late in proptest::collection::vec(0..=1000_u64, 1..20),
        ) {
            let begin = START + phase;
            let shortest = idle * u32::try_from(shorter).unwrap() / 100;
            let pause = ms(flush_every(shortest.max(Duration::from_millis(100))));
            let mut late = late.into_iter().cycle();
            let mut late = |most: u64| most * late.next().unwrap() / 1000;
            // When it was last seen, as the table has it, and as the store has it.
            let (mut seen, mut told) = (begin, begin);
            // The last round began then; the next one begins and ends then: it may have to wait for a look at the log,
            // and takes its time.
            let mut from = begin;
            let mut round = (begin + pause, begin + pause);
            let mut visit = begin;
            for gap in gaps {
                // Often just within the timeout.
                let next = visit + ms(idle) * gap.min(999) / 999;
                while round.1 <= next {
                    let at = Timestamp::from_millis;
                    if is_due(hint(idle), at(seen), at(from), at(round.0)) {
                        told = seen;
                    }
                    from = round.0;
                    // While there is nothing to tell, rounds need not be gone through one by one.
                    if told == seen {
                        from += (next.saturating_sub(from) / pause).saturating_sub(3) * pause;
                    }
                    let begins = round.1.max(from + pause) + late(ms(log_wait(bound)));
                    round = (begins, begins + late(600));
                }
                // Judged by another node just when it is visited there.
                let age = Duration::from_millis(next - told);
                prop_assert!(age <= idle + idle_slack(idle), "{:?} {:?} of {:?}", age, idle, gap);
                visit = next;
                if visit - seen >= ms(QUANTUM) {
                    seen = visit;
                }
            }
        }
    }
}
