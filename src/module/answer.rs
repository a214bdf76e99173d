//! What failed, as HTTP and as a line in the log: the one place where an error becomes a status.

use crate::ffi::http_log::{self, Level};
use crate::ffi::httpd::{Outcome, Request, Status};
use crate::module::SessionCluster;
use crate::module::host::HostTable;
use crate::module::pages;
use crate::session::sessions::{Begun, SessionError};
use crate::store::l1::TableError;
use crate::store::tiers::StoreError;
use std::sync::atomic::{AtomicU64, Ordering};

/// At most one line of a kind in so many seconds and process: a fault must not fill the disk as well.
const QUIET_SECONDS: u64 = 10;

/// The answer to a request whose session could not be looked up, begun or ended. The cookie is kept.
pub(crate) fn failed(r: Request<'_>, error: &SessionError) -> Outcome {
    log_failure(r, error);
    if !error.is_retryable() {
        return Outcome::Answer(Status::INTERNAL);
    }
    r.err_headers_out().set(c"Retry-After", pages::RETRY_AFTER);
    Outcome::Answer(Status::UNAVAILABLE)
}

/// As [`failed`], for a login or logout: with a page that says that nothing was done.
pub(crate) fn not_done(r: Request<'_>, error: &SessionError) -> Outcome {
    if !error.is_retryable() {
        return failed(r, error);
    }
    log_failure(r, error);
    pages::try_again(r)
}

/// Says what failed and what to do about it, for a request that is answered all the same.
pub(crate) fn log_failure(r: Request<'_>, error: &SessionError) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    // Two requests of one browser at a time are no fault.
    if !matches!(error, SessionError::Superseded) && is_time_to_speak(r, &LAST) {
        let (code, advice) = match error {
            SessionError::Store(StoreError::Table(TableError::TooLarge { .. })) => {
                ("SC0201", "keep less in the session, or raise record= in SessionClusterTable")
            }
            SessionError::Store(StoreError::Table(TableError::Full)) => {
                ("SC0202", "raise the size in SessionClusterTable")
            }
            SessionError::Store(StoreError::Table(TableError::Lock(_))) => {
                ("SC0203", "a process of this server may be stopped: look for one in state T")
            }
            SessionError::Store(StoreError::Unavailable(_)) => {
                ("SC0206", "the visitor was asked to try again; look at the store")
            }
            _ => ("SC0204", "if this stays, stop and start httpd"),
        };
        http_log::request::<SessionCluster>(r, Level::Error, || format!("{code}: {error}: {advice}"));
    }
}

/// The answer when something other than the store could not tell: the same, to a client.
pub(crate) fn try_later(r: Request<'_>) -> Outcome {
    r.err_headers_out().set(c"Retry-After", pages::RETRY_AFTER);
    Outcome::Answer(Status::UNAVAILABLE)
}

/// As [`try_later`], for an error page whose headers are made already.
pub(crate) fn say_try_later(r: Request<'_>) {
    r.headers_out().set(c"Retry-After", pages::RETRY_AFTER);
    r.headers_out().set(c"Cache-Control", "no-store");
}

/// Says something that many requests may have to say, for one of them.
pub(crate) fn log_now_and_then(
    r: Request<'_>,
    last: &AtomicU64,
    level: Level,
    text: impl FnOnce() -> String,
) {
    if is_time_to_speak(r, last) {
        http_log::request::<SessionCluster>(r, level, text);
    }
}

/// Says that rights could not be evaluated.
pub(crate) fn log_rights_failure(r: Request<'_>, why: &str) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    log_now_and_then(r, &LAST, Level::Error, || {
        format!("SC0306: rights cannot be evaluated: {why}: look at what answers for it")
    });
}

/// Says that a backend's order was not carried out.
pub(crate) fn log_bad_order(r: Request<'_>, why: &str) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    log_now_and_then(r, &LAST, Level::Warning, || {
        format!("SC0310: the application's session header was dropped: {why}")
    });
}

/// Says that a value was not exported.
pub(crate) fn log_unclean(r: Request<'_>, what: &str) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    log_now_and_then(r, &LAST, Level::Warning, || {
        format!("SC0311: '{what}' holds control characters and is not exported")
    });
}

/// Says so when a begin had to evict a live session, and what size would do.
pub(crate) fn alarm_if_evicting(r: Request<'_>, table: &HostTable, begun: &Begun) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    if begun.evicted_live == 0 || !is_time_to_speak(r, &LAST) {
        return;
    }
    http_log::request::<SessionCluster>(r, Level::Warning, || {
        let stats = table.stats();
        let wanted = stats.live.saturating_add(stats.evicted_live);
        let bytes = u128::from(stats.bytes_total) * u128::from(wanted) / u128::from(stats.live.max(1));
        let megabytes = (bytes >> 20) + 1;
        format!(
            "SC0205: the table is too small: {} live sessions were evicted so far; {} live now; \
             SessionClusterTable {megabytes}M would have held them all",
            stats.evicted_live, stats.live
        )
    });
}

fn is_time_to_speak(r: Request<'_>, last: &AtomicU64) -> bool {
    let now = r.time_ms() / 1000;
    let before = last.load(Ordering::Relaxed);
    now.saturating_sub(before) >= QUIET_SECONDS
        && last.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}
