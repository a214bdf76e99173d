//! mod_session's provider interface: two hooks that exist only where mod_session is loaded, and its record of a
//! session's entries.

use super::hooks::Order;
use super::http_config::Module;
use super::httpd::{Outcome, Request};
use super::{apr_tables::Table, guard, http_log, sys};
use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;

/// What a provider of sessions does.
pub trait SessionProvider {
    /// The module that it is of.
    type Module: Module;
    /// Loads the session of `r` into `z`, or declines. [`Outcome::Ok`] with nothing loaded means a new session.
    fn load(r: Request<'_>, z: &mut Loaded<'_>) -> Outcome;
    /// Saves `z`, or declines.
    fn save(r: Request<'_>, z: SessionRec<'_>) -> Outcome;
}

/// mod_session's record of one session.
#[derive(Clone, Copy)]
pub struct SessionRec<'r> {
    raw: *mut sys::session_rec,
    r: Request<'r>,
    life: PhantomData<&'r ()>,
}

impl SessionRec<'_> {
    /// The entries, without the expiry that mod_session keeps among them.
    #[must_use]
    pub fn entries(self) -> Vec<(String, Vec<u8>)> {
        // SAFETY: the record is live for the request.
        let entries = unsafe { (*self.raw).entries };
        if entries.is_null() {
            return Vec::new();
        }
        // SAFETY: the table lives as long as the record.
        let table = unsafe { Table::from_raw(entries, self.r.pool()) };
        let mut pairs = table.pairs();
        pairs.retain(|(name, _)| name != "expiry");
        pairs
    }
}

/// Where a provider puts the session that it loaded.
pub struct Loaded<'r> {
    r: Request<'r>,
    place: *mut *mut sys::session_rec,
}

impl Loaded<'_> {
    /// Gives mod_session a session with these entries.
    pub fn set(&mut self, entries: &[(String, Vec<u8>)]) {
        let pool = self.r.pool();
        // SAFETY: the request's pool is live.
        let table = unsafe { sys::apr_table_make(pool.as_raw(), 8) };
        // SAFETY: just made in that pool.
        let view = unsafe { Table::from_raw(table, pool) };
        for (name, value) in entries {
            view.set_bytes(pool.c_string(name), value);
        }
        // SAFETY: all-zero is a valid session_rec: null pointers and numbers.
        let mut record: sys::session_rec = unsafe { std::mem::zeroed() };
        record.pool = pool.as_raw();
        record.entries = table;
        let record = pool.place_raw(record);
        // SAFETY: mod_session passes a place for the result.
        unsafe { *self.place = record };
    }
}

type LoadHook = unsafe extern "C" fn(*mut sys::request_rec, *mut *mut sys::session_rec) -> sys::apr_status_t;
type SaveHook = unsafe extern "C" fn(*mut sys::request_rec, *mut sys::session_rec) -> sys::apr_status_t;
type Register<H> = unsafe extern "C" fn(H, *const *const c_char, *const *const c_char, c_int);

/// Registers `P` with mod_session, if that is loaded, before or after this module. For pre_config, when all modules
/// are loaded. Returns whether it is.
pub fn register<P: SessionProvider>() -> bool {
    let (Some(load), Some(save)) = (symbol(c"ap_hook_session_load"), symbol(c"ap_hook_session_save")) else {
        return false;
    };
    // SAFETY: mod_session exports this name with this type (APR_DECLARE_EXTERNAL_HOOK).
    let hook_load = unsafe { std::mem::transmute::<*mut std::ffi::c_void, Register<LoadHook>>(load) };
    // SAFETY: as above.
    let hook_save = unsafe { std::mem::transmute::<*mut std::ffi::c_void, Register<SaveHook>>(save) };
    let (null, order) = (std::ptr::null(), Order::First.raw());
    // SAFETY: null lists of modules to come before and after.
    unsafe { hook_load(session_load::<P>, null, null, order) };
    // SAFETY: as above.
    unsafe { hook_save(session_save::<P>, null, null, order) };
    true
}

fn symbol(name: &CStr) -> Option<*mut std::ffi::c_void> {
    // SAFETY: a C string; modules are loaded with RTLD_GLOBAL, so that the default search finds their symbols.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

unsafe extern "C" fn session_load<P: SessionProvider>(
    r: *mut sys::request_rec,
    z: *mut *mut sys::session_rec,
) -> sys::apr_status_t {
    // SAFETY: mod_session passes a live request.
    let r = unsafe { Request::from_raw(r) };
    // SAFETY: mod_session passes a place for the result; null in it means a new session.
    unsafe { *z = std::ptr::null_mut() };
    guarded::<P>(r, || P::load(r, &mut Loaded { r, place: z }))
}

unsafe extern "C" fn session_save<P: SessionProvider>(
    r: *mut sys::request_rec,
    z: *mut sys::session_rec,
) -> sys::apr_status_t {
    // SAFETY: mod_session passes a live request.
    let r = unsafe { Request::from_raw(r) };
    guarded::<P>(r, || P::save(r, SessionRec { raw: z, r, life: PhantomData }))
}

fn guarded<P: SessionProvider>(r: Request<'_>, body: impl FnOnce() -> Outcome) -> sys::apr_status_t {
    guard::run(body)
        .unwrap_or_else(|panic| {
            http_log::request::<P::Module>(r, http_log::Level::Error, || format!("SC0500: {panic}"));
            Outcome::Answer(super::httpd::Status::INTERNAL)
        })
        .raw()
}
