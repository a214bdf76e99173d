//! The configuration as httpd has read it: a tree of directives, for those that say something about other modules.

use super::{strings, sys};

/// Whether a directive stands in the main server, outside of all sections. For check_config.
#[must_use]
pub fn stands_in_main_server(name: &str) -> bool {
    // SAFETY: null, or the tree of the configuration that has just been read.
    let root = unsafe { sys::ap_conftree }.cast_const();
    // SAFETY: as above.
    let mut at = unsafe { root.as_ref() };
    while let Some(directive) = at {
        // SAFETY: null or a C string of the configuration.
        if unsafe { strings::bytes(directive.directive) }.eq_ignore_ascii_case(name.as_bytes()) {
            return true;
        }
        // SAFETY: null or another node of the tree.
        at = unsafe { directive.next.cast_const().as_ref() };
    }
    false
}
