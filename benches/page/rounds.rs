//! Processor time: each kind of page under load, round by round in alternation, so that what else the machine does
//! meets all of them alike.

use crate::sites::{log_in, with_module};
use harness::{Mpm, meter};
use std::fmt::Write as _;

/// The report of so many rounds of so many seconds each.
pub(crate) fn measure(rounds: u32, seconds: u32) -> String {
    let httpd = with_module(Mpm::Event, "SessionClusterTable 64M").start();
    meter::pin(httpd.pid(), "0");
    let sessions: Vec<String> = (0..64).map(|_| log_in(&httpd, "/login")).collect();
    let sessions: Vec<&str> = sessions.iter().map(String::as_str).collect();
    let rights = log_in(&httpd, "/login/rights");
    let bare = ("/open/page.html", &[][..]);
    let kinds = [
        bare,
        ("/closed/page.html", &sessions[..1]),
        ("/closed/page.html", &sessions[..]),
        ("/rights/page.html", &[rights.as_str()]),
        bare,
    ];
    let cost = |(path, cookies): (&str, &[&str]), seconds| {
        meter::load(httpd.address().port(), path, cookies, seconds, &[httpd.pid()]).cpu[0]
    };
    cost(bare, 1);
    let mut readings = [const { Vec::new() }; 5];
    for _ in 0..rounds {
        for (readings, kind) in readings.iter_mut().zip(kinds) {
            readings.push(cost(kind, seconds));
        }
    }
    let [bare, session, others, rights, again] = readings.map(median);
    let mean = f64::midpoint(bare, again);
    let of_session = |cost: f64| format!("session costs {:.2} us", cost - mean);
    let mut report =
        format!("server CPU per request, medians of {rounds} rounds of {seconds} s each, in alternation:\n");
    for (name, cost, more) in [
        ("bare page", bare, String::new()),
        ("bare page again", again, "(the noise of this run)".to_owned()),
        ("page with session", session, of_session(session)),
        ("... others' sessions", others, of_session(others)),
        ("rights page", rights, of_session(rights)),
    ] {
        let _ = writeln!(report, "  {name:<22} {cost:7.2} us   ratio {:.3}   {more}", cost / mean);
    }
    report.trim_end().to_owned()
}

fn median(mut readings: Vec<f64>) -> f64 {
    readings.sort_by(f64::total_cmp);
    let middle = readings.len() / 2;
    if readings.len() % 2 == 1 {
        readings[middle]
    } else {
        f64::midpoint(readings[middle - 1], readings[middle])
    }
}
