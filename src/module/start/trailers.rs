//! `MergeTrailers On` lets a client add headers behind its body, after all that the module takes out of a request at
//! its arrival, and while a handler is reading already.

use crate::ffi::httpd::Server;
use crate::module::conf;

/// Whether headers that are taken out at the arrival stay out in every virtual host where the module is in use.
///
/// # Errors
/// Where they do not.
pub(super) fn check(main: Server<'_>) -> Result<(), String> {
    merging(main).next().map_or(Ok(()), |server| {
        Err(format!(
            "SC0129: in {}: with MergeTrailers On, a client could send by a trailer what is exported as a header, or \
             set by an adopted module: leave MergeTrailers out",
            server.name()
        ))
    })
}

/// In a restart: sees to it that they stay out, whatever the directive says.
///
/// # Errors
/// As [`check`].
pub(super) fn keep_off(main: Server<'_>) -> Result<(), String> {
    let complaint = check(main);
    merging(main).for_each(Server::stop_merging_trailers);
    complaint
}

fn merging(main: Server<'_>) -> impl Iterator<Item = Server<'_>> {
    main.all().filter(|server| conf::server(*server).in_use && server.merges_trailers())
}
