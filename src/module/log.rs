//! The error log: every message that a request or a running server can write, with its code, its level, and how often
//! it may be said. Each has a slot of its own, so that no fault hides another. What stops a server from starting is
//! returned as an error instead, by what finds it. `docs/operations.md` says what each message means.

use super::conf;
use super::host::HostTable;
use super::session_cluster::SessionCluster;
use crate::ffi::http_log::{self, Level};
use crate::ffi::httpd::{Request, Server};
use crate::session::sessions::{Begun, SessionError};
use crate::store::l1::TableError;
use crate::store::said::Turn;
use crate::store::tiers::StoreError;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A message that is said at most once in so many seconds by a process: a fault must not fill the disk as well.
const QUIET_SECONDS: u64 = 10;

/// A message of the error log.
pub(crate) struct Message {
    code: &'static str,
    level: Level,
    often: Often,
}

/// How often a message is said.
enum Often {
    Each,
    /// Once in [`QUIET_SECONDS`] by a process; when it last was, s since 1970.
    Rarely(AtomicU64),
}

impl Message {
    /// One that is said each time.
    const fn each(code: &'static str, level: Level) -> Self {
        Message { code, level, often: Often::Each }
    }

    /// One that many requests may have to say, and one of them says.
    const fn rarely(code: &'static str, level: Level) -> Self {
        Message { code, level, often: Often::Rarely(AtomicU64::new(0)) }
    }

    /// Says it of a request.
    #[track_caller]
    pub(crate) fn say(&self, r: Request<'_>, text: impl FnOnce() -> String) {
        if self.is_due(r.time_ms() / 1000) {
            http_log::request::<SessionCluster>(r, self.level, || format!("{}: {}", self.code, text()));
        }
    }

    /// Says it of a request where no process of the server has said it of the same place, since its start or restart. A
    /// place is what is configured there: a client can write as many paths as it likes.
    #[track_caller]
    pub(crate) fn say_once(&self, r: Request<'_>, text: impl FnOnce() -> String) {
        let (server, login) = (r.server(), conf::dir(r).login.get());
        let means = (r.auth_type(), r.auth_name());
        let place = format!("{:?}", (self.code, server.name(), server.port(), means, login));
        self.say_until(r, &place, u32::MAX, text);
    }

    /// Says it of a request unless `what` was said within that time.
    #[track_caller]
    pub(crate) fn say_once_within(
        &self,
        r: Request<'_>,
        what: &str,
        quiet: Duration,
        text: impl FnOnce() -> String,
    ) {
        let now = u32::try_from(r.time_ms() / 1000).unwrap_or(u32::MAX);
        let quiet = u32::try_from(quiet.as_secs()).unwrap_or(u32::MAX).max(1);
        self.say_until(r, &format!("{} {what}", self.code), now.saturating_add(quiet), text);
    }

    #[track_caller]
    fn say_until(&self, r: Request<'_>, what: &str, until: u32, text: impl FnOnce() -> String) {
        let now = u32::try_from(r.time_ms() / 1000).unwrap_or(u32::MAX);
        let host = conf::server(r.server()).host.get();
        match host.map_or(Turn::Unknown, |host| host.said().take(what.as_bytes(), now, until)) {
            Turn::New => {
                http_log::request::<SessionCluster>(r, self.level, || format!("{}: {}", self.code, text()));
            }
            Turn::Old => {}
            // So many that nobody can tell them apart: one of them all, now and then.
            Turn::Unknown => self.say(r, text),
        }
    }

    /// Says it of a server.
    #[track_caller]
    pub(crate) fn say_of_server(&self, server: Server<'_>, text: impl FnOnce() -> String) {
        http_log::server::<SessionCluster>(server, self.level, || format!("{}: {}", self.code, text()));
    }

    fn is_due(&self, now: u64) -> bool {
        let Often::Rarely(last) = &self.often else { return true };
        let before = last.load(Ordering::Relaxed);
        now.saturating_sub(before) >= QUIET_SECONDS
            && last.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

// A server that starts, or runs.
pub(crate) static TABLE_STAYS: Message = Message::each("SC0102", Level::Warning);
pub(crate) static TABLE_CARRIED_OVER: Message = Message::each("SC0109", Level::Notice);
pub(crate) static TABLE_LOST: Message = Message::each("SC0111", Level::Warning);
pub(crate) static TABLE_RECOVERED: Message = Message::each("SC0112", Level::Info);
pub(crate) static TABLE_DAMAGED: Message = Message::each("SC0113", Level::Warning);
pub(crate) static TABLE_TOO_SMALL: Message = Message::each("SC0119", Level::Warning);
pub(crate) static NO_MUTEX: Message = Message::each("SC0116", Level::Error);
pub(crate) static SLOW_DIRECTORY: Message = Message::each("SC0125", Level::Warning);
pub(crate) static STORE_WITHOUT_LOG: Message = Message::each("SC0126", Level::Notice);
pub(crate) static NO_CACHE_MUTEX: Message = Message::each("SC0127", Level::Error);
pub(crate) static LAST_GOOD: Message = Message::each("SC0128", Level::Error);
pub(crate) static STORE_LOST: Message = Message::each("SC0401", Level::Error);
pub(crate) static STORE_REGAINED: Message = Message::each("SC0402", Level::Notice);
pub(crate) static NO_WATCHER: Message = Message::each("SC0403", Level::Error);
pub(crate) static OTHER_STORE: Message = Message::each("SC0404", Level::Warning);

// A session that could not be looked up, begun or ended.
static TOO_LARGE: Message = Message::rarely("SC0201", Level::Error);
static TABLE_FULL: Message = Message::rarely("SC0202", Level::Error);
static LOCK_HELD: Message = Message::rarely("SC0203", Level::Error);
static FAILED: Message = Message::rarely("SC0204", Level::Error);
static EVICTING: Message = Message::rarely("SC0205", Level::Warning);
static STORE_AWAY: Message = Message::rarely("SC0206", Level::Error);

// Doors and what stands in their way.
pub(crate) static LOGIN_BEHIND_DOOR: Message = Message::rarely("SC0210", Level::Warning);
pub(crate) static OTHER_LOGIN: Message = Message::rarely("SC0211", Level::Warning);
pub(crate) static TOLD_TOO_LATE: Message = Message::rarely("SC0212", Level::Warning);

// Logins, rights, applications and administrators.
// At the level at which mod_auth_basic says the same (AH01617, AH01618).
pub(crate) static WRONG_PASSWORD: Message = Message::each("SC0301", Level::Error);
pub(crate) static NO_AUTHN: Message = Message::rarely("SC0302", Level::Error);
pub(crate) static OPEN_ADMIN: Message = Message::rarely("SC0303", Level::Warning);
pub(crate) static ADMINISTERED: Message = Message::each("SC0304", Level::Notice);
pub(crate) static ATTRIBUTE_TOO_LONG: Message = Message::each("SC0305", Level::Warning);
pub(crate) static RIGHTS_UNKNOWN: Message = Message::rarely("SC0306", Level::Error);
pub(crate) static LOGIN_MOVED: Message = Message::rarely("SC0307", Level::Warning);
pub(crate) static NOT_GRANTED: Message = Message::each("SC0308", Level::Error);
pub(crate) static APPLICATION_LOGIN: Message = Message::each("SC0309", Level::Info);
pub(crate) static BAD_ORDER: Message = Message::rarely("SC0310", Level::Warning);
pub(crate) static UNCLEAN_EXPORT: Message = Message::rarely("SC0311", Level::Warning);
pub(crate) static BAD_TEMPLATE: Message = Message::rarely("SC0312", Level::Error);
pub(crate) static THROTTLED: Message = Message::rarely("SC0313", Level::Error);
pub(crate) static NO_LIST: Message = Message::rarely("SC0314", Level::Error);
pub(crate) static OPEN_LIST: Message = Message::rarely("SC0315", Level::Warning);
pub(crate) static TOO_MANY_HEADERS: Message = Message::each("SC0316", Level::Warning);
pub(crate) static GRANT_LOST: Message = Message::each("SC0317", Level::Notice);
pub(crate) static ADMIN_OFF: Message = Message::rarely("SC0318", Level::Warning);
pub(crate) static HTACCESS_VOUCHES: Message = Message::rarely("SC0319", Level::Warning);
pub(crate) static CROSS_SITE: Message = Message::rarely("SC0321", Level::Warning);
pub(crate) static NO_NAME: Message = Message::rarely("SC0320", Level::Error);
pub(crate) static RIGHTS_TOO_OLD: Message = Message::rarely("SC0322", Level::Warning);

/// What somebody else wrote, in quotes for a line of the log. Quotes in it, and whatever could end the line or be taken
/// for another one, are written as `%` and two digits, so that who reads the log by patterns is not led astray.
pub(crate) fn quoted(text: &str) -> String {
    let mut line = String::from("'");
    for letter in text.chars() {
        if letter.is_control() || ['\'', '"', '\\', '%', '[', ']'].contains(&letter) {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                let _ = write!(line, "%{byte:02X}");
            }
        } else {
            line.push(letter);
        }
    }
    line + "'"
}

/// Says what failed and what to do about it.
pub(crate) fn failure(r: Request<'_>, error: &SessionError) {
    let (message, advice) = match error {
        // Two requests of one browser at a time are no fault.
        SessionError::Superseded => return,
        // Said where they were asked for.
        SessionError::Rights => return,
        SessionError::Store(StoreError::Table(TableError::TooLarge { .. })) => {
            (&TOO_LARGE, "keep less in the session, or raise record= in SessionClusterTable")
        }
        SessionError::Store(StoreError::Table(TableError::Full)) => {
            (&TABLE_FULL, "raise the size in SessionClusterTable")
        }
        SessionError::Store(StoreError::Table(TableError::Lock(_))) => {
            (&LOCK_HELD, "a process of this server may be stopped: look for one in state T")
        }
        SessionError::Store(StoreError::Unavailable(_)) => {
            (&STORE_AWAY, "the visitor was asked to try again; look at the store")
        }
        _ => (&FAILED, "if this stays, stop and start httpd"),
    };
    message.say(r, || format!("{error}: {advice}"));
}

/// Says so when a begin had to evict a live session, and what size would do.
pub(crate) fn evictions(r: Request<'_>, table: &HostTable, begun: &Begun) {
    if begun.evicted_live == 0 {
        return;
    }
    EVICTING.say(r, || {
        let stats = table.stats();
        let wanted = stats.live.saturating_add(stats.evicted_live);
        let bytes = u128::from(stats.bytes_total) * u128::from(wanted) / u128::from(stats.live.max(1));
        let megabytes = (bytes >> 20) + 1;
        format!(
            "the table is too small: {} live sessions were evicted so far; {} live now; \
             SessionClusterTable {megabytes}M would have held them all",
            stats.evicted_live, stats.live
        )
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_said_once_in_a_while_and_no_fault_hides_another() {
        let (one, other) = (Message::rarely("SC1", Level::Error), Message::rarely("SC2", Level::Error));
        assert!(one.is_due(1_000));
        assert!(!one.is_due(1_009));
        assert!(other.is_due(1_009), "it has a slot of its own");
        assert!(one.is_due(1_010));
        let each = Message::each("SC3", Level::Error);
        assert!(each.is_due(1_000) && each.is_due(1_000));
    }

    #[test]
    fn what_somebody_wrote_cannot_end_its_quotes_or_its_line() {
        assert_eq!(quoted("alice"), "'alice'");
        assert_eq!(quoted("O'Brien ä%"), "'O%27Brien ä%25'");
        assert_eq!(
            quoted("a' was refused\r\n[client 1.2.3.4]"),
            "'a%27 was refused%0D%0A%5Bclient 1.2.3.4%5D'"
        );
        assert_eq!(quoted("\u{85}"), "'%C2%85'");
    }
}
