//! Gates in the way of an answer: they see the headers before they are sent, and may have another answer sent instead.
//! And the moments at which gates are put there.

use super::http_config::Module;
use super::httpd::{Outcome, Request, Status};
use super::{guard, http_log, sys};
use std::ffi::{CStr, c_int};
use std::ptr;

/// What looks at answers.
pub trait AnswerGate {
    /// The filter's name.
    const NAME: &CStr;
    /// Whether it stands behind all others that change headers, such as those of mod_headers, and behind caches.
    const LAST: bool = false;

    /// Looks at the answer, whose headers are complete and not yet sent. An [`Outcome::Answer`] is sent in its place.
    fn pass(r: Request<'_>) -> Outcome;
}

/// The moments at which an answer begins. Each is the last at which a gate can be put in its way.
pub trait AnswerHook {
    /// The handler of `r`, or a cache in its place, is about to answer.
    fn begins(r: Request<'_>);

    /// httpd is about to send a page of its own about an error, an external redirect, or a 304.
    fn fails(r: Request<'_>);
}

/// Has `G` look at the answer to `r`.
pub fn watch<G: AnswerGate>(r: Request<'_>) {
    // SAFETY: the request is live.
    let connection = unsafe { (*r.as_raw()).connection };
    // SAFETY: as is its connection; the filter was registered under this name.
    unsafe { sys::ap_add_output_filter(G::NAME.as_ptr(), ptr::null_mut(), r.as_raw(), connection) };
}

pub(super) fn register<M: Module, G: AnswerGate>() {
    // Behind what makes content, before what makes bytes of it. A cache is one step behind the first of these.
    let kind = sys::AP_FTYPE_CONTENT_SET + if G::LAST { 2 } else { 0 };
    // SAFETY: a constant name and a thunk of the filter's type.
    unsafe { sys::ap_register_output_filter(G::NAME.as_ptr(), Some(filter::<M, G>), None, kind) };
}

pub(super) unsafe extern "C" fn begins<A: AnswerHook>(r: *mut sys::request_rec) {
    // SAFETY: httpd passes a live request of this thread.
    let r = unsafe { Request::from_raw(r) };
    guard::quietly((), || A::begins(r));
}

pub(super) unsafe extern "C" fn fails<A: AnswerHook>(r: *mut sys::request_rec) {
    // SAFETY: httpd passes a live request of this thread.
    let r = unsafe { Request::from_raw(r) };
    guard::quietly((), || A::fails(r));
}

unsafe extern "C" fn filter<M: Module, G: AnswerGate>(
    f: *mut sys::ap_filter_t,
    brigade: *mut sys::apr_bucket_brigade,
) -> sys::apr_status_t {
    // SAFETY: httpd passes a live filter.
    let next = unsafe { (*f).next };
    // SAFETY: as above.
    let r = unsafe { (*f).r };
    // SAFETY: the request of a filter of this kind is live, and handled by this thread.
    let r = unsafe { Request::from_raw(r) };
    // Once is enough: what comes later is body.
    // SAFETY: the filter is live; what follows it stays in the chain.
    unsafe { sys::ap_remove_output_filter(f) };
    let outcome = guard::run(|| G::pass(r)).unwrap_or_else(|panic| {
        http_log::panicked::<M>(r, &panic);
        Outcome::Answer(Status::INTERNAL)
    });
    if let Outcome::Answer(status) = outcome {
        // SAFETY: the brigade is ours to change until it is passed on.
        unsafe { sys::apr_brigade_cleanup(brigade.cast()) };
        // SAFETY: a live brigade.
        let list = unsafe { (*brigade).bucket_alloc };
        let (code, pool) = (c_int::from(status.0), r.pool().as_raw());
        // SAFETY: the request's pool and the brigade's allocator are live.
        let error = unsafe { sys::ap_bucket_error_create(code, ptr::null(), pool, list) };
        // SAFETY: as above.
        let end = unsafe { sys::apr_bucket_eos_create(list) };
        for bucket in [error, end] {
            // SAFETY: the brigade is live, and the bucket is new and in no list.
            unsafe { append(brigade, bucket) };
        }
    }
    // SAFETY: the rest of the chain and the brigade are live.
    unsafe { sys::ap_pass_brigade(next, brigade) }
}

/// `APR_BRIGADE_INSERT_TAIL`, which is a macro.
///
/// # Safety
/// Both are live, and `bucket` is in no list.
unsafe fn append(brigade: *mut sys::apr_bucket_brigade, bucket: *mut sys::apr_bucket) {
    // The ring's head counts as a bucket whose link lies at the head's own place.
    let offset = std::mem::offset_of!(sys::apr_bucket, link);
    // SAFETY: the head is a field of the live brigade.
    let head = unsafe { &raw mut (*brigade).list };
    let sentinel = head.cast::<u8>().wrapping_sub(offset).cast::<sys::apr_bucket>();
    // SAFETY: as above.
    let last = unsafe { (*head).prev };
    // SAFETY: `bucket` is live.
    unsafe { (*bucket).link.next = sentinel };
    // SAFETY: as above.
    unsafe { (*bucket).link.prev = last };
    if last == sentinel {
        // SAFETY: the head is live.
        unsafe { (*head).next = bucket };
    } else {
        // SAFETY: the last bucket of a live brigade is live.
        unsafe { (*last).link.next = bucket };
    }
    // SAFETY: the head is live.
    unsafe { (*head).prev = bucket };
}
