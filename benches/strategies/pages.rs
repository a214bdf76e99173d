//! What a page costs in steady state: the bare page, the page with a session and the page with one of 64 sessions, in
//! alternation.

use crate::acts::open;
use crate::figures::{Idle, Page, Spread};
use crate::stage::Stage;
use crate::visitor::{CLOSED, Cookies, OPEN, STATIC, Visitor};
use harness::meter::{self, Loaded};
use std::time::{Duration, Instant};

const SESSIONS: usize = 64;
const IDLE: Duration = Duration::from_millis(1500);

/// Loads each kind of page for so many rounds of so many seconds.
pub(crate) fn measure(stage: &Stage, rounds: u32, seconds: u32) -> Page {
    let cookies = log_in(stage);
    let all: Vec<&str> = cookies.iter().map(String::as_str).collect();
    let own = &all[..1];
    let httpd = &stage.nodes[0];
    let pids = stage.pids(0);
    meter::pin(httpd.pid(), "0");
    let load = |path: &str, cookies: &[&str], seconds| {
        meter::load(httpd.address().port(), path, cookies, seconds, &pids)
    };
    load(OPEN, &[], 1);
    load(CLOSED, own, 1);
    let (start, before) = (Instant::now(), stage.operations());
    let mut readings: Vec<[Loaded; 3]> = Vec::new();
    let mut files = Vec::new();
    for _ in 0..rounds {
        readings.push([load(OPEN, &[], seconds), load(CLOSED, own, seconds), load(CLOSED, &all, seconds)]);
        if stage.row.handler {
            files.push(load(STATIC, &[], seconds).cpu[0]);
        }
    }
    let asked = stage.operations().zip(before).map(|(after, before)| after - before);
    let took = start.elapsed().as_secs_f64();
    meter::pin(httpd.pid(), "0,1");
    let idle = idle(stage);
    let spread = |of: &dyn Fn(&[Loaded; 3]) -> f64| Spread::of(readings.iter().map(of));
    let pages: f64 = readings.iter().map(|[_, own, others]| own.pages + others.pages).sum();
    Page {
        bare: spread(&|[bare, ..]| bare.cpu[0]),
        file: (!files.is_empty()).then(|| Spread::of(files)),
        session: spread(&|[_, own, _]| own.cpu[0]),
        cost: spread(&|[bare, own, _]| own.cpu[0] - bare.cpu[0]),
        ratio: spread(&|[bare, own, _]| own.cpu[0] / bare.cpu[0]),
        cost_of_others: spread(&|[bare, _, others]| others.cpu[0] - bare.cpu[0]),
        store: stage.server().is_some().then(|| spread(&|[_, own, _]| own.cpu[1])),
        operations: asked
            .map(|asked| ((asked - idle.operations * took).max(0.0) / pages * 1000.0).round() / 1000.0),
        idle,
    }
}

fn log_in(stage: &Stage) -> Vec<Cookies> {
    let mut visitor = Visitor::of(stage.nodes[0].address());
    let sessions = (0..SESSIONS).map(|_| {
        let (answer, _) = visitor.insist(Visitor::log_in);
        let cookies = visitor.cookies();
        assert!(!cookies.is_empty(), "no cookie from a login: {answer:?}");
        open(&visitor, &cookies);
        cookies
    });
    let sessions = sessions.collect();
    assert!(visitor.look(CLOSED, "").is(401), "the door is open to everybody");
    sessions
}

/// What goes on while nobody asks.
fn idle(stage: &Stage) -> Idle {
    let pids = stage.pids(0);
    let (start, asked, used) = (Instant::now(), stage.operations(), meter::cpu(&pids));
    std::thread::sleep(IDLE);
    let (used_after, asked_after) = (meter::cpu(&pids), stage.operations());
    let seconds = start.elapsed().as_secs_f64();
    let rounded = |figure: f64| (figure * 100.0).round() / 100.0;
    let ms = |n: usize| Some(rounded((used_after.get(n)? - used.get(n)?) / 1000.0 / seconds));
    let operations =
        asked.zip(asked_after).map_or(0.0, |(before, after)| rounded((after - before) / seconds));
    Idle { httpd: ms(0).unwrap_or(0.0), store: ms(1), operations }
}
