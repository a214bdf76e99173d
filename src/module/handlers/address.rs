//! Where a login or logout leads: the address that was asked for, if it is allowed.

use crate::ffi::httpd::Request;
use crate::module::conf;
use crate::session::redirect::ReturnTo;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// Where to go next: `wanted` if that is allowed here, else the default.
pub(super) fn target(r: Request<'_>, wanted: Option<&str>) -> String {
    let own;
    let allowed = match conf::dir(r).return_to.get() {
        Some(allowed) => allowed.as_ref(),
        None => {
            own = ReturnTo::default();
            &own
        }
    };
    wanted.and_then(|to| allowed.accept(to)).unwrap_or(allowed.default_target()).to_owned()
}

/// The return address in `?to=`; where the page stands in for another as its `ErrorDocument`, that page's address.
pub(super) fn return_address(r: Request<'_>) -> Option<Cow<'_, str>> {
    match r.query().split('&').find_map(|pair| pair.strip_prefix("to=")) {
        Some(to) => percent_decode_str(to).decode_utf8().ok(),
        None => r.parent().map(|_| r.first().unparsed_uri().into()),
    }
}
