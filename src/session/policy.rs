//! How long a session lives, and the judgement of one that was found in the store.

use crate::clock::Timestamp;
use crate::store::tiers::Fetched;
use crate::store::tombstone::Reason;
use std::time::Duration;

/// The timeouts of a virtual host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Idle timeout: the longest time between two visits.
    pub idle: Duration,
    /// Absolute timeout: the longest life.
    pub lifetime: Duration,
    /// How long a superseded session still answers, for requests that were on their way.
    pub grace: Duration,
}

impl Policy {
    /// How long an adopted session waits for its first visit. A client that keeps no cookies would otherwise leave
    /// one full idle timeout's worth of sessions behind; one that does comes back within seconds, or simply
    /// authenticates again.
    pub const FIRST_VISIT: Duration = Duration::from_secs(120);

    /// Where the idle clock of a session begun at `now` starts. A session on probation starts so far in the past
    /// that it idles out after [`Policy::FIRST_VISIT`] unless it is visited, which sets its clock right.
    #[must_use]
    pub fn idle_clock_start(&self, now: Timestamp, probation: bool) -> Timestamp {
        let head_start = if probation { self.idle.saturating_sub(Self::FIRST_VISIT) } else { Duration::ZERO };
        now.before(head_start)
    }

    /// Clocks of nodes differ by less than this, unless they are set wrong.
    const CLOCKS_DIFFER: Duration = Duration::from_secs(2);

    /// Until when a session answers that is superseded `now`. Without a grace, it does on no node any more, also on one
    /// whose clock is behind.
    #[must_use]
    pub fn answers_until(&self, now: Timestamp) -> Timestamp {
        if self.grace.is_zero() { now.before(Self::CLOCKS_DIFFER) } else { now.after(self.grace) }
    }

    /// Whether a session that was found may still be used. The absolute deadline has been judged by the store.
    ///
    /// # Errors
    /// [`Reason::Idle`] when its last visit is too long ago.
    pub fn judge(found: &Fetched, now: Timestamp) -> Result<(), Reason> {
        let idle = now.since(found.metadata.last_seen);
        if idle > found.metadata.idle + found.idle_slack { Err(Reason::Idle) } else { Ok(()) }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            idle: Duration::from_secs(30 * 60),
            lifetime: Duration::from_secs(12 * 3600),
            grace: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_on_probation_idles_out_unless_it_is_visited() {
        let policy = Policy::default();
        let now = Timestamp::from_millis(1_000_000_000);
        assert_eq!(policy.idle_clock_start(now, false), now);
        let left = policy.idle - now.since(policy.idle_clock_start(now, true));
        assert_eq!(left, Policy::FIRST_VISIT);
        let short = Policy { idle: Duration::from_secs(5), ..policy };
        assert_eq!(short.idle_clock_start(now, true), now);
    }
}
