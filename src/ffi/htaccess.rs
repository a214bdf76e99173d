//! What `.htaccess` files say where a request goes: of which modules there are directives in them. httpd keeps each
//! file that it read for a request as a configuration of its own, in which a module has a part if one of its
//! directives stands there.

use super::httpd::Request;
use super::sys;
use std::ffi::CStr;
use std::ptr;

/// Sections within sections that are looked into. What lies deeper is taken for what matters.
const DEPTH: usize = 8;

/// The name of a module, such as `mod_auth_basic.c`, with a directive in a `.htaccess` file that goes for `r`, of those
/// that matter. Sections in such files are looked into, whatever they are for.
#[must_use]
pub fn module_in_htaccess(r: Request<'_>, matters: impl Fn(&[u8]) -> bool) -> Option<&'static CStr> {
    // SAFETY: the request is live.
    let sys::request_rec { htaccess: mut file, filename, .. } = unsafe { *r.as_raw() };
    if file.is_null() || filename.is_null() {
        return None;
    }
    // SAFETY: a C string in the request's pool.
    let mut filename = unsafe { CStr::from_ptr(filename) }.to_bytes().to_vec();
    filename.push(b'/');
    // Once a rewrite has put an address in its place, nothing says which files do not go for it.
    let is_path = filename.starts_with(b"/");
    // SAFETY: null, or an entry of httpd's list, which lives as long as the request.
    while let Some(read) = unsafe { file.as_ref() } {
        // The list also has what was read for other directories, on behalf of the same visit.
        // SAFETY: a C string as old as the entry.
        let directory = unsafe { CStr::from_ptr(read.dir) }.to_bytes();
        if (filename.starts_with(directory) || !is_path)
            && let Some(module) = module_in(read.htaccess, &matters, DEPTH)
        {
            return Some(module);
        }
        file = read.next;
    }
    None
}

fn module_in(
    vector: *mut sys::ap_conf_vector_t,
    matters: &impl Fn(&[u8]) -> bool,
    depth: usize,
) -> Option<&'static CStr> {
    if vector.is_null() {
        // No such file, or an empty section.
        return None;
    }
    // SAFETY: httpd changes the list only while it reads its configuration.
    let mut module = unsafe { sys::ap_top_module };
    while let Some(record) = ptr::NonNull::new(module) {
        // SAFETY: the list holds live records.
        let sys::module { name, next, .. } = *unsafe { record.as_ref() };
        // SAFETY: each name is a constant of its module.
        let name = unsafe { CStr::from_ptr(name) };
        // SAFETY: the vector is a configuration of httpd's, and the record one of its modules.
        let config = unsafe { sys::ap_get_module_config(vector, record.as_ptr()) };
        if !config.is_null() {
            if matters(name.to_bytes()) {
                return Some(name);
            }
            if name == c"core.c" {
                // SAFETY: this is what the core keeps for a directory, and not null.
                let core = unsafe { &*config.cast::<sys::core_dir_config>() };
                let sections = [core.sec_file, core.sec_if];
                let found = sections.iter().find_map(|&of_one| module_in_sections(of_one, matters, depth));
                if found.is_some() {
                    return found;
                }
            }
        }
        module = next;
    }
    None
}

/// As [`module_in`], in all of these sections.
fn module_in_sections(
    sections: *const sys::apr_array_header_t,
    matters: &impl Fn(&[u8]) -> bool,
    depth: usize,
) -> Option<&'static CStr> {
    // SAFETY: null, or an array of the core's.
    let sections = unsafe { sections.as_ref() }.filter(|sections| sections.nelts > 0)?;
    let Some(depth) = depth.checked_sub(1) else { return Some(c"core.c") };
    let count = usize::try_from(sections.nelts).unwrap_or_default();
    let vectors = sections.elts.cast::<*mut sys::ap_conf_vector_t>();
    // SAFETY: the core keeps pointers to configurations in these arrays, `nelts` of them.
    let vectors = unsafe { std::slice::from_raw_parts(vectors, count) };
    vectors.iter().find_map(|&vector| module_in(vector, matters, depth))
}
