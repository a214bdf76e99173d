//! The handlers that `SetHandler` can name.

mod address;
mod attempt;
mod login;
mod logout;
mod mine;
mod whoami;

use crate::ffi::hooks::RequestHook;
use crate::ffi::httpd::{Outcome, Request};
use crate::module::operations::admin;

/// Calls the handler of a request, if it is one of ours.
pub(crate) struct Handlers;

impl RequestHook for Handlers {
    fn run(r: Request<'_>) -> Outcome {
        match r.handler().to_bytes() {
            b"session-cluster-login" => login::handle(r),
            b"session-cluster-logout" => logout::handle(r),
            b"session-cluster-admin" => admin::handle(r),
            b"session-cluster-mine" => mine::handle(r),
            b"session-cluster-whoami" => whoami::handle(r),
            _ => Outcome::Declined,
        }
    }
}
