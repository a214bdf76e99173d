//! A circuit breaker: while a server cannot be reached, callers are told so at once, and one of them after the other
//! tries again. The pause between two tries doubles from 100 ms to 1 s, give or take half of it, so that the processes
//! of many hosts do not come back all at the same moment.

use crate::chance;
use crate::clock::Instant;
use parking_lot::Mutex;
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Closed while all is well.
#[derive(Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    /// Failures since the last success.
    failures: u32,
    /// Nobody tries before then.
    pause: Option<Instant>,
    /// What the last failure was.
    why: String,
}

/// Leave to try.
#[must_use]
pub(super) struct Permit {
    failures: u32,
}

impl Breaker {
    /// Asks for leave to try something that will have ended by `within`.
    ///
    /// # Errors
    /// The last failure, during a pause and while the caller that tries after it has not come back.
    pub(super) fn enter(&self, now: Instant, within: Instant) -> Result<Permit, String> {
        let mut state = self.0.lock();
        if let Some(until) = state.pause {
            if now < until {
                return Err(state.why.clone());
            }
            // The next callers wait for this one, yet not for ever: it may die.
            state.pause = Some(within.max(now + FIRST_PAUSE));
        }
        Ok(Permit { failures: state.failures })
    }

    /// It went well.
    pub(super) fn succeeded(&self, _permit: Permit) {
        self.reset();
    }

    /// There is no reason to wait any more.
    pub(super) fn reset(&self) {
        let mut state = self.0.lock();
        if state.failures > 0 {
            *state = State::default();
        }
    }

    /// It did not go well. Of many failures at the same time, one counts. `chance` is any byte.
    pub(super) fn failed(&self, permit: Permit, now: Instant, chance: u8, why: String) {
        let mut state = self.0.lock();
        if permit.failures != state.failures {
            return;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << state.failures.min(4)).min(LONGEST_PAUSE);
        let percent = 50 + u32::from(chance) * 100 / 255;
        *state = State {
            failures: state.failures.saturating_add(1),
            pause: Some(now + pause * percent / 100),
            why,
        };
    }
}

/// Any byte, for [`Breaker::failed`].
pub(super) fn any_byte() -> u8 {
    let mut byte = [128];
    // Without a random source pauses are just not spread.
    let _ = chance::fill(&mut byte);
    u8::from_be_bytes(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half the way between -50 % and +50 %.
    const EVEN: u8 = 128;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn fail(breaker: &Breaker, now: Instant, chance: u8) {
        let permit = breaker.enter(now, now + ms(50)).unwrap();
        breaker.failed(permit, now, chance, "pulled".into());
    }

    #[test]
    fn after_a_failure_callers_are_told_so_until_the_pause_is_over() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        fail(&breaker, start, EVEN);
        assert_eq!(breaker.enter(start + ms(99), start + ms(120)).err(), Some("pulled".into()));
        assert!(breaker.enter(start + ms(101), start + ms(120)).is_ok());
    }

    #[test]
    fn one_caller_tries_and_the_others_wait_for_it_yet_not_for_ever() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        fail(&breaker, start, EVEN);
        let later = start + ms(200);
        let permit = breaker.enter(later, later + ms(300)).unwrap();
        assert!(breaker.enter(later, later + ms(300)).is_err());
        assert!(breaker.enter(later + ms(299), later + ms(600)).is_err());
        assert!(breaker.enter(later + ms(301), later + ms(600)).is_ok());
        breaker.succeeded(permit);
        assert!(breaker.enter(later, later).is_ok());
        assert!(breaker.enter(later, later).is_ok());
    }

    #[test]
    fn pauses_double_up_to_a_second_and_begin_anew_after_a_success() {
        let breaker = Breaker::default();
        let mut now = Instant::now();
        for pause in [100, 200, 400, 800, 1000, 1000, 1000] {
            fail(&breaker, now, EVEN);
            assert!(breaker.enter(now + ms(pause * 99 / 100), now + ms(pause)).is_err(), "{pause}");
            now += ms(pause * 102 / 100);
        }
        breaker.succeeded(breaker.enter(now, now).unwrap());
        fail(&breaker, now, EVEN);
        assert!(breaker.enter(now + ms(101), now).is_ok());
    }

    #[test]
    fn chance_moves_a_pause_by_up_to_half() {
        for (chance, pause) in [(0, 50), (255, 150)] {
            let (breaker, start) = (Breaker::default(), Instant::now());
            fail(&breaker, start, chance);
            assert!(breaker.enter(start + ms(pause - 1), start).is_err());
            assert!(breaker.enter(start + ms(pause), start).is_ok());
        }
    }

    #[test]
    fn of_many_who_fail_at_once_one_counts() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        let permits: Vec<_> = (0..20).map(|_| breaker.enter(start, start + ms(50)).unwrap()).collect();
        for permit in permits {
            breaker.failed(permit, start, EVEN, "pulled".into());
        }
        assert!(breaker.enter(start + ms(101), start + ms(150)).is_ok());
    }
}
