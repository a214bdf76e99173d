//! Logins and logouts, one after the other: what each costs, how long it takes, and when other nodes know.

use crate::figures::{Act, Elsewhere, Sorted};
use crate::stage::Stage;
use crate::visitor::{Answer, CLOSED, Cookies, PATIENCE, Visitor};
use harness::meter;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// So many logins, then as many logouts.
pub(crate) fn measure(stage: &Stage, count: usize) -> (Act, Act) {
    let mut visitor = Visitor::of(stage.nodes[0].address());
    let mut visitors = Vec::new();
    for _ in 0..10 {
        visitor.insist(Visitor::log_in);
        visitor.insist(Visitor::log_out);
    }
    let begin = act(stage, count, || {
        let done = visitor.insist(Visitor::log_in);
        visitors.push(visitor.cookies());
        done
    });
    let mut rest = visitors.into_iter();
    let end = act(stage, count, || {
        visitor.show(&rest.next().unwrap());
        visitor.insist(Visitor::log_out)
    });
    (begin, end)
}

fn act(stage: &Stage, count: usize, mut once: impl FnMut() -> (Answer, usize)) -> Act {
    let pids = stage.pids(0);
    let before = meter::cpu(&pids);
    let done: Vec<(Answer, usize)> = (0..count).map(|_| once()).collect();
    let after = meter::cpu(&pids);
    let each = |n: usize| ((after[n] - before[n]) / count as f64 * 10.0).round() / 10.0;
    let store = stage.server().is_some().then(|| each(1));
    let times = Sorted::of(done.iter().map(|(answer, _)| answer.took.as_secs_f64() * 1e6));
    let put_off = done.iter().map(|(_, put_off)| put_off).sum();
    Act { httpd: each(0), store, p50: times.at(0.5), p99: times.at(0.99), count, put_off }
}

/// What is longer than this is measured for several sessions at once.
const LONG: Duration = Duration::from_millis(50);
/// So many; and how often each asks then.
const AT_ONCE: usize = 10;
const PAUSE: Duration = Duration::from_millis(1);

/// From the answer of a logout here until the other node refuses the session.
pub(crate) fn elsewhere(stage: &Stage, count: usize) -> Elsewhere {
    let [Some(here), Some(there)] = [0, 1].map(|n| stage.nodes.get(n)) else { return Elsewhere::OneHost };
    let nodes = [here.address(), there.address()];
    let few = count.div_ceil(20);
    let Some(mut times) = refusals(nodes, few, Duration::ZERO) else {
        return Elsewhere::Never { seconds: PATIENCE.as_secs_f64() };
    };
    let (at_once, pause) = match times.iter().max() {
        Some(longest) if *longest > LONG => (AT_ONCE, PAUSE),
        _ => (1, Duration::ZERO),
    };
    let each = (count - few).div_ceil(at_once);
    std::thread::scope(|scope| {
        let visitors: Vec<_> =
            (0..at_once).map(|_| scope.spawn(move || refusals(nodes, each, pause))).collect();
        for visitor in visitors {
            times.extend(visitor.join().unwrap().expect("others were refused"));
        }
    });
    let count = times.len();
    let times = Sorted::of(times.iter().map(|time| time.as_secs_f64() * 1e6));
    Elsewhere::After { p50: times.at(0.5), p99: times.at(0.99), max: times.at(1.0), count }
}

/// So many of these times, one after the other; `None` if a session is never refused.
fn refusals([here, there]: [SocketAddr; 2], count: usize, pause: Duration) -> Option<Vec<Duration>> {
    let (mut here, there) = (Visitor::of(here), Visitor::of(there));
    let refusal = |_| {
        here.insist(Visitor::log_in);
        let session: Cookies = here.cookies();
        open(&there, &session);
        here.insist(Visitor::log_out);
        let start = Instant::now();
        while !there.look(CLOSED, &session).is(401) {
            if start.elapsed() > PATIENCE {
                return None;
            }
            std::thread::sleep(pause);
        }
        Some(start.elapsed())
    };
    (0..count).map(refusal).collect()
}

/// Sees a page with this session, at the latest after some tries.
pub(crate) fn open(visitor: &Visitor, session: &str) {
    let opened = (0..20).any(|_| {
        let page = visitor.look(CLOSED, session);
        assert!(!page.is(401), "a session that was just begun is refused");
        page.is(200)
    });
    assert!(opened, "a session that was just begun opens nothing");
}
