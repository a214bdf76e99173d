//! What visitors see while the store's server is stopped, or dead, and what is left when it is back.

use crate::figures::{Outage, Said};
use crate::stage::Stage;
use crate::stores::Store;
use crate::visitor::{Answer, CLOSED, Visitor};
use std::time::{Duration, Instant};

/// How long a system gets to come back after its store did.
const RECOVERY: Duration = Duration::from_secs(5);

/// Stopped by SIGSTOP.
pub(crate) fn frozen(stage: &Stage<'_>, store: &dyn Store) -> Outage {
    observe(stage, || store.freeze(), || store.thaw())
}

/// Killed, and started again with what it has kept.
pub(crate) fn killed(stage: &Stage<'_>, store: &dyn Store) -> Outage {
    observe(stage, || store.kill(), || store.restart())
}

fn observe(stage: &Stage<'_>, stop: impl FnOnce(), resume: impl FnOnce()) -> Outage {
    let [mut here, mut there] = [0, 1].map(|n| Visitor::of(stage.nodes[n].address()));
    here.log_in();
    there.log_in();
    let (known, unknown) = (here.cookies(), there.cookies());
    assert!(here.look(CLOSED, &known).is(200) && there.look(CLOSED, &unknown).is(200));
    stop();
    let outage = Outage {
        known: twice(|| here.look(CLOSED, &known)),
        unknown: twice(|| here.look(CLOSED, &unknown)),
        login: twice(|| here.log_in()),
        after: [String::new(), String::new()],
    };
    resume();
    // What a node served from its own memory, it may only now find gone.
    std::thread::sleep(Duration::from_secs(1));
    let start = Instant::now();
    let after = [&known, &unknown].map(|session| {
        loop {
            match here.look(CLOSED, session).status {
                Some(200) => return "there".to_owned(),
                _ if start.elapsed() < RECOVERY => std::thread::sleep(Duration::from_millis(20)),
                // Some refuse a session that they cannot look for, so that the first such answer says nothing yet.
                Some(401) => return format!("401 after {RECOVERY:?}"),
                Some(status) => return format!("{status} after {RECOVERY:?}"),
                None => return format!("no answer after {RECOVERY:?}"),
            }
        }
    });
    Outage { after, ..outage }
}

/// The first answer, and the slowest of three more; of one more where there was none.
fn twice(mut ask: impl FnMut() -> Answer) -> [Said; 2] {
    let said = |answer: Answer| {
        let ms = (answer.took.as_secs_f64() * 1e5).round() / 100.0;
        Said { status: answer.status, ms }
    };
    let first = ask();
    let more = if first.status.is_none() { 1 } else { 3 };
    let following = (0..more).map(|_| ask()).max_by_key(|answer| answer.took);
    [said(first), said(following.unwrap_or(first))]
}
