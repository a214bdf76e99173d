//! mod_cache, which keeps answers and gives them to others. What it may not keep is told by its own means, which no
//! `Cache-Control` of a page and no directive of its own overrides.

use super::httpd::Request;
use super::sys;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The filter that keeps answers; null where mod_cache is not loaded. It stays while a configuration is in force.
static SAVE: AtomicPtr<sys::ap_filter_rec_t> = AtomicPtr::new(ptr::null_mut());

/// Finds out whether mod_cache is loaded. For pre_config, when all modules are.
pub fn look() {
    // SAFETY: a constant name.
    let found = unsafe { sys::ap_get_output_filter_handle(c"CACHE_SAVE".as_ptr()) };
    SAVE.store(found, Ordering::Relaxed);
}

/// Keeps the answer to `r` out of mod_cache, also when it is being saved already.
pub fn keep_out(r: Request<'_>) {
    let save = SAVE.load(Ordering::Relaxed);
    if save.is_null() {
        return;
    }
    r.environment().put(c"no-cache", c"1");
    if r.sends_body() {
        // It looked at the answer before any of it was sent. What it has so far is kept only when it sees the end. It
        // must see a 304, though, which may be the answer to its own question and not to the client's.
        stop(r, save);
    }
}

fn stop(r: Request<'_>, save: *mut sys::ap_filter_rec_t) {
    // SAFETY: the request is live, and so is its chain of filters.
    let mut filter = unsafe { (*r.as_raw()).output_filters };
    while !filter.is_null() {
        // SAFETY: not null, and part of that chain.
        let ours = unsafe { (*filter).frec } == save;
        // SAFETY: as above. What is taken out of the chain stays in its pool, and knows what follows it.
        let next = unsafe { (*filter).next };
        if ours {
            // SAFETY: as above.
            unsafe { sys::ap_remove_output_filter(filter) };
        }
        filter = next;
    }
}
