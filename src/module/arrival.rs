//! What happens to each request before any other module sees it: our cookies are taken out, and so is what a client
//! sends by the name of a header that only this server sets. httpd's own redirects come by here as well: what an
//! application ordered before one is carried out or taken out.

use super::doors::orders;
use super::headers;
use super::visit::Visit;
use crate::ffi::hooks::RequestHook;
use crate::ffi::httpd::{Outcome, Request};
use crate::module::conf;
use crate::module::conf::settings::ServerConfig;
use crate::session::cookie::Stripped;

pub(crate) struct Arrival;

impl RequestHook for Arrival {
    fn run(r: Request<'_>) -> Outcome {
        let config = conf::server(r.server());
        headers::scrub(r, &config.exported);
        if let Some(cookies) = r.headers_in().get(c"Cookie") {
            Visit::bringing(r, cookies);
            take_out_others(r, config);
        }
        if config.heeds_backend
            && let Some(from) = r.redirected_from()
        {
            return orders::redirected(r, from);
        }
        Outcome::Declined
    }
}

/// A request that is over and was refused while it was read, without a `Host` for example: no module has seen it, but
/// logs will.
pub(crate) struct Unread;

impl RequestHook for Unread {
    fn run(r: Request<'_>) -> Outcome {
        if Visit::begun(r).is_none() {
            Arrival::run(r);
        }
        Outcome::Declined
    }
}

/// Takes the cookies of other virtual hosts out. Browsers send one to every port of a host, and to every host of a
/// domain; the sessions of other virtual hosts are of no use here, and are nobody else's business either.
fn take_out_others(r: Request<'_>, config: &ServerConfig) {
    for cookie in config.others.get().into_iter().flatten() {
        let headers = r.headers_in();
        match headers.get(c"Cookie").map(|header| cookie.strip_ids(header)) {
            None => return,
            Some(Stripped::Unchanged) => {}
            Some(Stripped::Empty) => headers.unset(c"Cookie"),
            Some(Stripped::Changed(rest)) => headers.set_bytes(c"Cookie", &rest),
        }
    }
}
