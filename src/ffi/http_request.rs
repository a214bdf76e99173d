//! Questions to httpd about other addresses of the same server, and other answers than httpd's own.

use super::httpd::{Request, Status};
use super::sys;
use std::ffi::c_int;
use std::ptr;

/// A request that is looked up and not answered: what httpd would do at another address, with its configuration there.
pub struct Lookup<'r>(Request<'r>);

impl<'r> Lookup<'r> {
    /// Looks up `path` for the client that sent `r`.
    #[must_use]
    pub fn of(r: Request<'r>, path: &str) -> Option<Self> {
        let path = r.pool().c_string(path);
        // SAFETY: the request and the path are live; what is only looked up needs no filters.
        let raw = unsafe { sys::ap_sub_req_lookup_uri(path.as_ptr(), r.as_raw(), ptr::null_mut()) };
        // SAFETY: a subrequest lives until it is destroyed, at the latest as long as its parent.
        (!raw.is_null()).then(|| Lookup(unsafe { Request::from_raw(raw) }))
    }

    /// The request there.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        self.0
    }
}

impl Drop for Lookup<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `of`, and nobody else has it.
        unsafe { sys::ap_destroy_sub_req(self.0.as_raw()) };
    }
}

/// Takes back what [`answer_with`] said for `status`.
pub fn answer_plainly(r: Request<'_>, status: Status) {
    // SAFETY: the request is live.
    let vector = unsafe { (*r.as_raw()).request_config };
    // SAFETY: httpd's core keeps one of these with each request.
    let core = unsafe { sys::ap_get_core_module_config(vector) }.cast::<sys::core_request_config>();
    // SAFETY: as above.
    let answers = unsafe { (*core).response_code_strings };
    if answers.is_null() {
        return;
    }
    // SAFETY: a number goes in, and a place in that list comes out.
    let place = unsafe { sys::ap_index_of_response(c_int::from(status.0)) };
    let place = usize::try_from(place).unwrap_or_default();
    // SAFETY: the list has room for each status.
    let answer = unsafe { answers.add(place) };
    // SAFETY: as above; null is what stands there before anything is said.
    unsafe { *answer = ptr::null_mut() };
}

/// If `r` comes to be answered with `status`, has the page at the local address `path` say so.
pub fn answer_with(r: Request<'_>, status: Status, path: &str) {
    let path = r.pool().c_string(path);
    // SAFETY: the request is live, and httpd copies nothing: the path lives in the request's pool.
    unsafe { sys::ap_custom_response(r.as_raw(), c_int::from(status.0), path.as_ptr()) };
}
