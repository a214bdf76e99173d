//! What the MPMs have in common: the file in which a running server writes down which process it is.

use super::apr_pools::OwnPool;
use super::{strings, sys};
use std::ffi::{CStr, c_char};
use std::fs;

/// Whether `pid` is the parent process of the server that runs by this configuration, as its `PidFile` has it.
#[must_use]
pub fn is_running_parent(pid: u32) -> bool {
    // SAFETY: set by a directive or httpd's default, and not changed once the configuration has been read.
    let name = unsafe { sys::ap_pid_fname };
    // SAFETY: null or a C string of the configuration.
    let Some(name) = (unsafe { strings::c_str(name) }) else { return false };
    // Where a relative one is seen from has changed over the versions of httpd.
    let both = [relative(sys::ap_server_root_relative, name), relative(sys::ap_runtime_dir_relative, name)];
    let says = |path: String| fs::read_to_string(path).ok()?.trim().parse::<u32>().ok();
    both.into_iter().flatten().any(|path| says(path) == Some(pid))
}

type Resolve = unsafe extern "C" fn(*mut sys::apr_pool_t, *const c_char) -> *mut c_char;

fn relative(resolve: Resolve, name: &CStr) -> Option<String> {
    let pool = OwnPool::new()?;
    // SAFETY: one of httpd's two functions of this type; the pool and the C string are live.
    let path = unsafe { resolve(pool.0, name.as_ptr()) };
    // SAFETY: null or a C string in that pool.
    unsafe { strings::text(path) }.map(str::to_owned)
}
