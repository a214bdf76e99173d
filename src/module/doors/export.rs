//! `SessionClusterExport`: what a session says, as environment variables for programs that httpd runs and as request
//! headers for backends. A header that is exported anywhere is never let through as a client sent it, by whatever path
//! it came.

use crate::ffi::httpd::Request;
use crate::module::conf;
use crate::module::conf::exports::{Export, Target};
use crate::module::log;
use crate::module::visit::{Here, Visit, here};
use crate::session::facts::each_value;
use crate::session::rights::SEPARATOR;
use crate::session::sessions::SessionError;
use std::sync::Arc;

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
        if let Here::Session(session) = &here {
            each_value(session, what, |one| {
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
