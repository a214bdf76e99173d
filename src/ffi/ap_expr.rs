//! httpd's expressions: parsed once with the configuration, evaluated for a request; and functions of our own for them,
//! `%{NAME:arg}` (or `NAME('arg')`) and, after `-in`, the list `NAME('arg')`.

use super::http_config::{Args, Module, module_index};
use super::httpd::Request;
use super::{guard, strings, sys};
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// An expression that gives a text. Lives as long as the configuration that it stands in.
#[derive(Clone)]
pub struct Expr {
    raw: *const sys::ap_expr_info_t,
}

// SAFETY: httpd parses an expression once and then shares it, unchanged, among all threads.
unsafe impl Send for Expr {}
// SAFETY: as above.
unsafe impl Sync for Expr {}

impl Expr {
    /// Parses `text`.
    ///
    /// # Errors
    /// What httpd says is wrong with it.
    pub fn parse<M: Module>(args: &Args<'_>, text: &str) -> Result<Self, String> {
        let text = args.pool().c_string(text);
        let flags = sys::AP_EXPR_FLAG_STRING_RESULT | sys::AP_EXPR_FLAG_DONT_VARY;
        let mut complaint = ptr::null();
        // SAFETY: the directive's parameters and the text are live; without a function of its own, httpd's lookup
        // counts.
        let raw = unsafe {
            sys::ap_expr_parse_cmd_mi(
                args.as_raw(),
                text.as_ptr(),
                flags,
                &raw mut complaint,
                None,
                module_index::<M>(),
            )
        };
        // SAFETY: null or a C string in the configuration's pool.
        match unsafe { strings::text(complaint) } {
            Some(complaint) => Err(complaint.to_owned()),
            None if raw.is_null() => Err("the expression cannot be read".into()),
            None => Ok(Expr { raw }),
        }
    }

    /// Its value for `r`.
    ///
    /// # Errors
    /// What httpd says went wrong.
    pub fn value<'r>(&self, r: Request<'r>) -> Result<&'r [u8], String> {
        let mut complaint = ptr::null();
        // SAFETY: the request is live, and the expression lives as long as its configuration.
        let value = unsafe { sys::ap_expr_str_exec(r.as_raw(), self.raw, &raw mut complaint) };
        // SAFETY: null or a C string in the request's pool.
        if let Some(complaint) = unsafe { strings::text(complaint) } {
            return Err(complaint.to_owned());
        }
        // SAFETY: null, or a C string in the request's pool or of the configuration.
        Ok(unsafe { strings::bytes(value) })
    }
}

/// A function for expressions, by one name.
pub trait ExprFunction {
    /// The name; case does not matter.
    const NAME: &str;

    /// Whether `arg` can be asked for; said when the configuration is read.
    ///
    /// # Errors
    /// What to write instead.
    fn check(arg: &str) -> Result<(), String>;

    /// The values for `arg`.
    ///
    /// # Errors
    /// Why the value is not known; the expression then fails.
    fn values(r: Request<'_>, arg: &str) -> Result<Vec<Vec<u8>>, String>;

    /// What stands between values where one text is wanted.
    const SEPARATOR: &[u8];
}

pub(super) unsafe extern "C" fn lookup<F: ExprFunction>(parms: *mut sys::ap_expr_lookup_parms) -> c_int {
    // SAFETY: httpd passes live parameters.
    let parms = unsafe { &*parms };
    // SAFETY: the name is a C string.
    let name = unsafe { strings::text(parms.name) };
    if !name.is_some_and(|name| name.eq_ignore_ascii_case(F::NAME)) {
        return sys::DECLINED;
    }
    let function: *const c_void = match u32::try_from(parms.type_) {
        Ok(sys::AP_EXPR_FUNC_STRING) => text::<F> as *const c_void,
        Ok(sys::AP_EXPR_FUNC_LIST) => list::<F> as *const c_void,
        _ => return sys::DECLINED,
    };
    // SAFETY: null, unless the argument is a plain text.
    let arg = unsafe { strings::text(parms.arg) };
    let complaint = guard::run(|| arg.map_or(Ok(()), F::check)).unwrap_or_else(Err);
    if let Err(complaint) = complaint {
        // SAFETY: httpd passes the pool of what it parses.
        let pool = unsafe { super::apr_pools::Pool::from_raw(parms.pool) };
        // SAFETY: the place for the complaint is live.
        unsafe { *parms.err = pool.c_string(complaint).as_ptr() };
        return sys::HTTP_INTERNAL_SERVER_ERROR as c_int;
    }
    // SAFETY: the places for the function and its context are live.
    unsafe { *parms.func.cast::<*const c_void>() = function };
    // SAFETY: as above.
    unsafe { *parms.data.cast::<*const c_void>() = ptr::null() };
    sys::OK as c_int
}

unsafe extern "C" fn text<F: ExprFunction>(
    ctx: *mut sys::ap_expr_eval_ctx_t,
    _data: *const c_void,
    arg: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes a live context and a C string.
    let Some((r, values)) = (unsafe { ask::<F>(ctx, arg) }) else { return ptr::null() };
    let joined = values.join(F::SEPARATOR);
    r.pool().c_string(joined).as_ptr()
}

unsafe extern "C" fn list<F: ExprFunction>(
    ctx: *mut sys::ap_expr_eval_ctx_t,
    _data: *const c_void,
    arg: *const c_char,
) -> *mut sys::apr_array_header_t {
    // SAFETY: httpd passes a live context and a C string.
    let Some((r, values)) = (unsafe { ask::<F>(ctx, arg) }) else { return ptr::null_mut() };
    let size = size_of::<*const c_char>() as c_int;
    // SAFETY: the request's pool is live.
    let array = unsafe { sys::apr_array_make(r.pool().as_raw(), values.len() as c_int, size) };
    for value in values {
        // SAFETY: just made, for pointers.
        let place = unsafe { sys::apr_array_push(array) }.cast::<*const c_char>();
        // SAFETY: a place for one pointer in that array.
        unsafe { place.write(r.pool().c_string(value).as_ptr()) };
    }
    array
}

/// # Safety
/// `ctx` is live, with a live request; `arg` is a C string.
unsafe fn ask<'r, F: ExprFunction>(
    ctx: *mut sys::ap_expr_eval_ctx_t,
    arg: *const c_char,
) -> Option<(Request<'r>, Vec<Vec<u8>>)> {
    // SAFETY: the caller's promise.
    let context = unsafe { &*ctx };
    // SAFETY: as above.
    let r = unsafe { Request::from_raw(context.r) };
    // SAFETY: as above.
    let arg = unsafe { strings::text(arg) }?;
    match guard::run(|| F::values(r, arg)).unwrap_or_else(Err) {
        Ok(values) => Some((r, values)),
        Err(complaint) => {
            let complaint = r.pool().c_string(complaint);
            // SAFETY: the place for the complaint is live.
            unsafe { *context.err = complaint.as_ptr() };
            None
        }
    }
}
