//! What the live tests stand on: a real httpd in a server root of its own, a browser with a cookie jar, a load of
//! many browsers, and a reader of the error log that fails a test over any line nobody expected; real Redis servers,
//! and a proxy in front of them that fails as networks do.

mod browser;
mod conf;
// Each test binary uses its part of these three.
#[allow(dead_code, unused_imports)]
pub(crate) mod databases;
mod error_log;
#[allow(dead_code)]
pub(crate) mod faults;
mod httpd;
mod load;
#[allow(dead_code, unused_imports)]
pub(crate) mod memcached;
#[allow(dead_code, unused_imports)]
pub(crate) mod redis;
mod strace;

pub(crate) use browser::{Browser, Page, exchange};
#[allow(unused_imports)] // Each test binary uses its part, and benchmarks look at what is installed.
pub(crate) use conf::{Site, apxs, is_root, module};
pub(crate) use httpd::{Httpd, Signal};
pub(crate) use load::Load;
pub(crate) use strace::Strace;

use std::time::{Duration, Instant};

/// The ways in which httpd spreads requests over processes and threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mpm {
    Event,
    Worker,
    Prefork,
}

impl Mpm {
    /// As in `mod_mpm_NAME.so`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Mpm::Event => "event",
            Mpm::Worker => "worker",
            Mpm::Prefork => "prefork",
        }
    }

    /// The module that runs CGI scripts under this MPM.
    pub(crate) const fn cgi_module(self) -> &'static str {
        match self {
            Mpm::Prefork => "cgi",
            Mpm::Event | Mpm::Worker => "cgid",
        }
    }
}

/// Makes three tests of each named `fn(Mpm)`, one for each MPM.
macro_rules! on_each_mpm {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::harness::Mpm;
            #[test]
            fn event() {
                super::$name(Mpm::Event);
            }
            #[test]
            fn worker() {
                super::$name(Mpm::Worker);
            }
            #[test]
            fn prefork() {
                super::$name(Mpm::Prefork);
            }
        }
    )+};
}
pub(crate) use on_each_mpm;

/// How often something is to be repeated: `short`, or `long` when `MSC_LONG` is set.
pub(crate) fn rounds(short: usize, long: usize) -> usize {
    if std::env::var_os("MSC_LONG").is_some() { long } else { short }
}

/// Asks again and again until there is an answer, and returns it. Fails the test after `limit`.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
