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
    /// Whether it is in charge of `r`; where not, other providers are asked.
    fn provides(r: Request<'_>) -> bool;
    /// The entries of the session that `r` comes with; none for a new session. Asked once in a visit.
    ///
    /// # Errors
    /// What to answer when the store cannot tell.
    fn load(r: Request<'_>) -> Result<Vec<(String, Vec<u8>)>, Outcome>;
    /// Saves `z`.
    fn save(r: Request<'_>, z: SessionRec<'_>) -> Outcome;
}

/// mod_session's record of one session.
#[derive(Clone, Copy)]
pub struct SessionRec<'r> {
    raw: *mut sys::session_rec,
    life: PhantomData<&'r ()>,
}

impl SessionRec<'_> {
    /// How long the session may go without a visit, in seconds, as `SessionMaxAge` says; 0 for any time.
    #[must_use]
    pub fn max_age(self) -> u32 {
        // SAFETY: the record is live for the request.
        u32::try_from(unsafe { (*self.raw).maxage }).unwrap_or_default()
    }

    /// The entries, without the expiry that mod_session keeps among them.
    #[must_use]
    pub fn entries(self) -> Vec<(String, Vec<u8>)> {
        // SAFETY: the record is live for the request.
        let entries = unsafe { (*self.raw).entries };
        if entries.is_null() {
            return Vec::new();
        }
        // SAFETY: the table lives as long as the record.
        let table = unsafe { Table::from_raw(entries) };
        let mut pairs = table.pairs();
        pairs.retain(|(name, _)| name != "expiry");
        pairs
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
    guarded::<P>(r, || {
        if !P::provides(r) {
            return Outcome::Declined;
        }
        // mod_session asks several times in a visit, and all must work on the same record.
        let record = match kept_record(r) {
            Some(record) => record,
            None => match P::load(r) {
                Ok(entries) => keep_record(r, &entries),
                Err(outcome) => return outcome,
            },
        };
        // SAFETY: mod_session passes a place for the result.
        unsafe { *z = record };
        Outcome::Ok
    })
}

unsafe extern "C" fn session_save<P: SessionProvider>(
    r: *mut sys::request_rec,
    z: *mut sys::session_rec,
) -> sys::apr_status_t {
    // SAFETY: mod_session passes a live request.
    let r = unsafe { Request::from_raw(r) };
    guarded::<P>(r, || {
        if P::provides(r) { P::save(r, SessionRec { raw: z, life: PhantomData }) } else { Outcome::Declined }
    })
}

/// Has mod_session load the session where `r` goes, if it keeps one there, as it does itself a little later. It tells
/// nobody whether that failed; its provider knows.
pub fn load(r: Request<'_>) {
    type Load = unsafe extern "C" fn(*mut sys::request_rec, *mut *mut sys::session_rec) -> sys::apr_status_t;
    // SAFETY: a constant name.
    let Some(load) = (unsafe { sys::apr_dynamic_fn_retrieve(c"ap_session_load".as_ptr()) }) else { return };
    // SAFETY: optional functions are registered by name as untyped ones; this one has this type (mod_session.h).
    let load = unsafe { std::mem::transmute::<unsafe extern "C" fn(), Load>(load) };
    let mut record = std::ptr::null_mut();
    // SAFETY: the request is live, and the result goes where `record` is.
    unsafe { load(r.as_raw(), &raw mut record) };
}

/// Under this name, the record of a visit is kept with the pool of its first request.
const RECORD: &CStr = c"mod_session_cluster.session_rec";

/// Makes mod_session forget what it loaded in this visit, and save nothing: the session that it was loaded from has
/// ended. In place, because other modules hold the record.
pub fn forget(r: Request<'_>) {
    let Some(record) = kept_record(r) else { return };
    // SAFETY: kept by `keep_record` in the pool of a request that is live, and worked on by this thread only.
    let record = unsafe { &mut *record };
    // SAFETY: the pool is live.
    record.entries = unsafe { sys::apr_table_make(r.first().pool().as_raw(), 1) };
    record.encoded = std::ptr::null();
    (record.dirty, record.maxage, record.expiry, record.written) = (0, 0, 0, 1);
}

fn kept_record(r: Request<'_>) -> Option<*mut sys::session_rec> {
    let mut record = std::ptr::null_mut();
    // SAFETY: the pool is live, and the result goes where `record` is.
    let status =
        unsafe { sys::apr_pool_userdata_get(&raw mut record, RECORD.as_ptr(), r.first().pool().as_raw()) };
    (status == 0 && !record.is_null()).then(|| record.cast())
}

fn keep_record(r: Request<'_>, entries: &[(String, Vec<u8>)]) -> *mut sys::session_rec {
    let pool = r.first().pool();
    // SAFETY: the pool is live.
    let table = unsafe { sys::apr_table_make(pool.as_raw(), 8) };
    // SAFETY: just made in that pool.
    let view = unsafe { Table::from_raw(table) };
    for (name, value) in entries {
        view.set_bytes(pool.c_string(name), value);
    }
    // SAFETY: all-zero is a valid session_rec: null pointers and numbers.
    let mut record: sys::session_rec = unsafe { std::mem::zeroed() };
    record.pool = pool.as_raw();
    record.entries = table;
    let record = pool.place_raw(record);
    // SAFETY: the name is a constant, and the record lives in this very pool, which needs no cleanup for it.
    unsafe { sys::apr_pool_userdata_setn(record.cast(), RECORD.as_ptr(), None, pool.as_raw()) };
    record
}

fn guarded<P: SessionProvider>(r: Request<'_>, body: impl FnOnce() -> Outcome) -> sys::apr_status_t {
    guard::run(body)
        .unwrap_or_else(|panic| {
            http_log::panicked::<P::Module>(r, &panic);
            Outcome::Answer(super::httpd::Status::INTERNAL)
        })
        .raw()
}
