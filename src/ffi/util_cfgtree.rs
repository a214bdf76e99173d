//! The configuration as httpd has read it: a tree of directives, for those that say something about other modules.

use super::apr_pools::{OwnPool, Pool};
use super::{strings, sys};

/// A directive, or a section with the directives in it. What `Include`, `Define` and the like came to is in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directive {
    /// Its name, in small letters; that of a section begins with `<`.
    pub name: String,
    /// Its arguments.
    pub words: Vec<String>,
    /// What stands in a section.
    pub within: Vec<Directive>,
}

/// All that the configuration says. For check_config.
#[must_use]
pub fn all() -> Vec<Directive> {
    let Some(pool) = OwnPool::new() else { return Vec::new() };
    // SAFETY: a pool of its own, which goes after all that is made in it.
    let scratch = unsafe { Pool::from_raw(pool.0) };
    // SAFETY: null, or the tree of the configuration that has just been read.
    siblings(scratch, unsafe { sys::ap_conftree })
}

/// Whether a directive stands in the main server, outside of all sections. For check_config.
#[must_use]
pub fn stands_in_main_server(name: &str) -> bool {
    all().iter().any(|directive| directive.name.eq_ignore_ascii_case(name))
}

fn siblings(scratch: Pool<'_>, first: *const sys::ap_directive_t) -> Vec<Directive> {
    let mut found = Vec::new();
    let mut at = first;
    // SAFETY: null or a node of httpd's tree, which nobody changes now.
    while let Some(directive) = unsafe { at.as_ref() } {
        // SAFETY: null or a C string of the configuration.
        let name = unsafe { strings::text(directive.directive) }.unwrap_or_default().to_ascii_lowercase();
        // SAFETY: as above.
        let line = String::from_utf8_lossy(unsafe { strings::bytes(directive.args) });
        let line = line.trim_end();
        let line = if name.starts_with('<') { line.strip_suffix('>').unwrap_or(line) } else { line };
        let words = strings::words(scratch, line).into_iter().map(str::to_owned).collect();
        found.push(Directive { name, words, within: siblings(scratch, directive.first_child) });
        at = directive.next;
    }
    found
}
