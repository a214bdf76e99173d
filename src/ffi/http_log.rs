//! httpd's error log. The level is looked at first, so that a line that nobody wants costs a comparison.

use super::http_config::{Module, module_index};
use super::httpd::{Request, Server};
use super::{strings, sys};
use std::ffi::c_int;
use std::panic::Location;

/// How much a line matters; httpd's levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something needs attention.
    Warning,
    /// Worth knowing in any case: in a log file, whatever `LogLevel` says.
    Notice,
    /// Worth knowing for an administrator who looks for something.
    Info,
    /// For developers.
    Debug,
}

impl Level {
    fn raw(self) -> c_int {
        (match self {
            Level::Error => sys::APLOG_ERR,
            Level::Warning => sys::APLOG_WARNING,
            Level::Notice => sys::APLOG_NOTICE,
            Level::Info => sys::APLOG_INFO,
            Level::Debug => sys::APLOG_DEBUG,
        }) as c_int
    }

    /// Whether httpd may write a line of this level where `LogLevel` is `wanted`. It writes a notice to a file whatever
    /// `LogLevel` says, and decides that itself.
    fn may_be_wanted(self, wanted: c_int) -> bool {
        self.raw() <= wanted.max(Level::Notice.raw())
    }
}

const FILE: *const std::ffi::c_char = c"mod_session_cluster".as_ptr();

/// Logs a line about a request, made by `text` only if it is wanted.
#[track_caller]
pub fn request<M: Module>(r: Request<'_>, level: Level, text: impl FnOnce() -> String) {
    let index = module_index::<M>();
    // SAFETY: the request is live.
    let wanted = unsafe { sys::ap_get_request_module_loglevel(r.as_raw(), index) };
    if !level.may_be_wanted(wanted) {
        return;
    }
    let (line, text) = (Location::caller().line() as c_int, strings::one_line(&text()));
    let (level, format) = (level.raw(), c"%s".as_ptr());
    // SAFETY: the request is live, and the format takes exactly the one C string given.
    unsafe { sys::ap_log_rerror_(FILE, line, index, level, 0, r.as_raw(), format, text.as_ptr()) };
}

/// Logs a panic, which is a fault of ours and not the request's.
pub(super) fn panicked<M: Module>(r: Request<'_>, panic: &str) {
    request::<M>(r, Level::Error, || format!("SC0500: {panic}"));
}

/// As [`panicked`], where there is no request.
pub(super) fn panicked_in_server<M: Module>(s: Server<'_>, panic: &str) {
    server::<M>(s, Level::Error, || format!("SC0500: {panic}"));
}

/// Logs an error before there is a server to log it for.
pub(super) fn startup(text: &str) {
    let (level, text) = ((sys::APLOG_ERR | sys::APLOG_STARTUP) as c_int, strings::one_line(text));
    let format = c"mod_session_cluster: %s".as_ptr();
    // SAFETY: no server is allowed with APLOG_STARTUP, and the format takes exactly the one C string given.
    unsafe { sys::ap_log_error_(FILE, 0, 0, level, 0, std::ptr::null(), format, text.as_ptr()) };
}

/// Logs a line about a server, made by `text` only if it is wanted.
#[track_caller]
pub fn server<M: Module>(s: Server<'_>, level: Level, text: impl FnOnce() -> String) {
    let index = module_index::<M>();
    // SAFETY: the server is live.
    let wanted = unsafe { sys::ap_get_server_module_loglevel(s.as_raw(), index) };
    if !level.may_be_wanted(wanted) {
        return;
    }
    let (line, text) = (Location::caller().line() as c_int, strings::one_line(&text()));
    let (level, format) = (level.raw(), c"%s".as_ptr());
    // SAFETY: the server is live, and the format takes exactly the one C string given.
    unsafe { sys::ap_log_error_(FILE, line, index, level, 0, s.as_raw(), format, text.as_ptr()) };
}
