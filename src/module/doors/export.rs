//! `SessionClusterExport`: what a session says, as environment variables for programs that httpd runs and as request
//! headers for backends. A header that is exported anywhere is never let through as a client sent it, by whatever path
//! it came.

use super::here::{Here, here};
use crate::ffi::httpd::Request;
use crate::module::conf;
use crate::module::conf::exports::{Export, Target};
use crate::module::headers;
use crate::module::log;
use crate::module::visit::Visit;
use crate::session::facts::each_value;
use crate::session::rights::SEPARATOR;
use crate::session::sessions::SessionError;
use std::sync::Arc;

/// As [`export`], for a request whose handler is about to begin: once more, if the request stands somewhere else by
/// now. `DirectoryIndex` and content negotiation look a page up as a request of its own and take over from there its
/// place and its environment, but not the headers that a backend is to get. What a page includes is such a request
/// itself, and nobody can tell.
pub(crate) fn follow(visit: Visit<'_>) {
    let r = visit.request();
    let here = list(r);
    if !r.is_subrequest() {
        match visit.notes().told() {
            Some((told, there)) if told == r.place() && there != here => {}
            // Or a cache answers, whose place is nowhere.
            _ => return,
        }
        headers::scrub(r, &conf::server(r.server()).exported);
    }
    if let Err(error) = export(r) {
        // The page that was looked up would have been answered with 503 for it.
        log::failure(r, &error);
    }
}

/// Notes that `r` was told what is exported where it goes.
pub(crate) fn note(visit: Visit<'_>) {
    let r = visit.request();
    if !r.is_subrequest() {
        visit.notes().tell(r.place(), list(r));
    }
}

/// Where the list of what is exported lies; 0 if nothing is.
fn list(r: Request<'_>) -> usize {
    conf::dir(r).exports.get().map_or(0, |exports| Arc::as_ptr(exports).addr())
}

/// Exports what is to be exported where `r` goes.
///
/// # Errors
/// When nobody can tell what the session says: a program must not take its user for somebody who is not logged in.
pub(crate) fn export(r: Request<'_>) -> Result<(), Arc<SessionError>> {
    let Some(exports) = conf::dir(r).exports.get() else { return Ok(()) };
    // A visitor without a cookie costs nothing more than this.
    let here = if Visit::begun(r).is_some() { here(r) } else { Here::Nobody };
    if let Here::Unavailable(error) = here {
        return Err(error);
    }
    let mut value = Vec::new();
    for Export { what, target, name } in exports.iter() {
        value.clear();
        if let Here::Session(counted) = &here {
            each_value(counted.session(), counted.rights(), what, |one| {
                value.extend_from_slice(if value.is_empty() { b"" } else { SEPARATOR });
                value.extend_from_slice(one);
            });
        }
        let table = match target {
            Target::Env => r.environment(),
            Target::Header => r.headers_in(),
        };
        // What a line break or a NUL would make of a header, or a log, is not for a session to say.
        let clean = !value.iter().any(u8::is_ascii_control);
        if !clean {
            log::UNCLEAN_EXPORT.say(r, || format!("'{what}' holds control characters and is not exported"));
        }
        if value.is_empty() || !clean {
            table.unset(name);
        } else {
            table.set(name, &value);
        }
    }
    Ok(())
}
