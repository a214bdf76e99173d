//! What integration tests and benchmarks stand on, compiled once for all of them: a real httpd in a server root of its
//! own, a browser with a cookie jar, a load of many browsers, and a reader of the error log that fails a test over any
//! line nobody expected; real Redis, memcached and database servers, and a proxy in front of them that fails as
//! networks do.
//!
//! Nothing here knows the module's own code: it is met through httpd, as visitors and operators meet it. Whatever
//! happens to a test, nothing that it started here outlives it.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

mod browser;
pub mod budget;
pub mod callgrind;
mod conf;
pub mod databases;
mod error_log;
pub mod faults;
mod httpd;
mod load;
pub mod memcached;
pub mod meter;
mod ports;
pub mod redis;
mod strace;

pub use browser::{Browser, Page, exchange};
pub use conf::{Site, apxs, is_root, module};
pub use httpd::{Httpd, Signal};
pub use load::Load;
pub use ports::free_port;
pub use strace::Strace;

use std::time::{Duration, Instant};

/// The ways in which httpd spreads requests over processes and threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mpm {
    /// Processes of many threads; idle connections cost none.
    Event,
    /// Processes of many threads.
    Worker,
    /// A process for each connection.
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
    pub const fn cgi_module(self) -> &'static str {
        match self {
            Mpm::Prefork => "cgi",
            Mpm::Event | Mpm::Worker => "cgid",
        }
    }
}

/// Makes three tests of each named `fn(Mpm)`, one for each MPM.
#[macro_export]
macro_rules! on_each_mpm {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use $crate::Mpm;
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

/// How often something is to be repeated: `short`, or `long` when `MSC_LONG` is set.
pub fn rounds(short: usize, long: usize) -> usize {
    if std::env::var_os("MSC_LONG").is_some() { long } else { short }
}

/// Asks again and again until there is an answer, and returns it. Fails the test after `limit`.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
