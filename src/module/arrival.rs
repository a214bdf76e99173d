//! What happens to each request before any other module sees it: our cookie is taken out, and so is what a client sends
//! by the name of a header that only this server sets.

use super::headers;
use super::visit::Visit;
use crate::ffi::hooks::RequestHook;
use crate::ffi::httpd::{Outcome, Request};
use crate::module::conf;

pub(crate) struct Arrival;

impl RequestHook for Arrival {
    fn run(r: Request<'_>) -> Outcome {
        let config = conf::server(r.server());
        headers::scrub(r, &config.exported);
        if let Some(cookies) = r.headers_in().get(c"Cookie") {
            Visit::bringing(r, cookies);
        }
        Outcome::Declined
    }
}
