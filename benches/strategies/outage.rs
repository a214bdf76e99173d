//! What visitors see while the store's server is stopped, or dead, and what is left when it is back.

use crate::acts::open;
use crate::figures::{Outage, Said};
use crate::stage::Stage;
use crate::stores::Store;
use crate::visitor::{Answer, CLOSED, Visitor};
use std::time::{Duration, Instant};

/// How long a system gets to come back after its store did.
const RECOVERY: Duration = Duration::from_secs(10);

/// Stopped by SIGSTOP.
pub(crate) fn frozen(stage: &Stage, store: &dyn Store) -> Outage {
    observe(stage, || store.freeze(), || store.thaw())
}

/// Killed, and started again with what it has kept.
pub(crate) fn killed(stage: &Stage, store: &dyn Store) -> Outage {
    observe(stage, || store.kill(), || store.restart())
}

fn observe(stage: &Stage, stop: impl FnOnce(), resume: impl FnOnce()) -> Outage {
    let [mut here, mut there] = [0, 1].map(|n| Visitor::of(stage.nodes[n].address()));
    here.insist(Visitor::log_in);
    there.insist(Visitor::log_in);
    let (known, unknown) = (here.cookies(), there.cookies());
    open(&here, &known);
    open(&there, &unknown);
    stop();
    let known_said = twice(|| here.look(CLOSED, &known));
    let unknown_said = twice(|| here.look(CLOSED, &unknown));
    let login = twice(|| here.log_in());
    resume();
    let start = Instant::now();
    let works = |here: &mut Visitor| {
        here.log_in();
        here.look(CLOSED, &here.cookies()).is(200)
    };
    let back = loop {
        let elapsed = start.elapsed();
        match works(&mut here) {
            true => break Some(milliseconds(elapsed)),
            false if elapsed > RECOVERY => break None,
            false => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    // What a node served from its own memory, it may only now find gone.
    std::thread::sleep(Duration::from_secs(1));
    let after = [&known, &unknown].map(|session| here.look(CLOSED, session).status);
    Outage { known: known_said, unknown: unknown_said, login, back, after }
}

/// The first answer, and the slowest of three more; of one more where there was none.
fn twice(mut ask: impl FnMut() -> Answer) -> [Said; 2] {
    let said = |answer: Answer| Said { status: answer.status, ms: milliseconds(answer.took) };
    let first = ask();
    let more = if first.status.is_none() { 1 } else { 3 };
    let following = (0..more).map(|_| ask()).max_by_key(|answer| answer.took);
    [said(first), said(following.unwrap_or(first))]
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}
