//! Who knows whom: each path that a file of `src` names, resolved to a file of `src`.
//!
//! An arrow goes to the file that the path names, not to the one where the thing is defined. If `mod.rs` has `pub use
//! child::X`, then `super::X` is an arrow to `mod.rs`, and the `pub use` is one from there to `child`. `mod child;`
//! alone is no arrow: a parent has its children without knowing them. Not seen: what a method call or a trait brings
//! in without a path, and names that came through a `*` (the `*` itself is an arrow).

use crate::rust::{ModulePath, Source, Written};
use std::collections::BTreeMap;

/// A path, said in full.
pub(crate) enum Target {
    /// From the root of this crate.
    Ours(ModulePath),
    /// From another crate, the standard library above all.
    Foreign(Vec<String>),
}

/// One place where a file names another.
pub(crate) struct Arrow<'a> {
    pub(crate) from: &'a Source,
    pub(crate) to: &'a Source,
    pub(crate) line: usize,
    pub(crate) said: String,
    pub(crate) test: bool,
}

/// All arrows between files. A file that names itself makes none.
pub(crate) fn arrows(sources: &[Source]) -> Vec<Arrow<'_>> {
    let files: BTreeMap<&[String], &Source> =
        sources.iter().map(|source| (source.module.as_slice(), source)).collect();
    let mut arrows = Vec::new();
    for from in sources {
        for written in from.uses.iter().chain(&from.paths) {
            let Target::Ours(path) = resolve(from, written) else { continue };
            // The longest part of the path that is a file; what follows is a thing in it.
            let to = (0..=path.len()).rev().find_map(|n| files.get(&path[..n]));
            if let Some(to) = to.filter(|to| to.file != from.file) {
                let said = written.segments.join("::");
                arrows.push(Arrow { from, to, line: written.line, said, test: written.test });
            }
        }
    }
    arrows
}

/// Says a path in full, following what `use` made of its first name.
pub(crate) fn resolve(source: &Source, written: &Written) -> Target {
    let mut segments = written.segments.clone();
    // A name may come from a `use` that itself begins with such a name. Three steps are more than anybody writes.
    for _ in 0..3 {
        let Some(first) = segments.first() else { break };
        if ["crate", "self", "super"].contains(&first.as_str()) || is_child(source, &written.at, first) {
            break;
        }
        match source.names.get(&(written.at.clone(), first.clone())) {
            // `use regex;` and the like bring in what they are called.
            Some(path) if path.len() > 1 => drop(segments.splice(..1, path.iter().cloned())),
            _ => break,
        }
    }
    let mut path = written.at.clone();
    let mut rest = segments.as_slice();
    match segments.first().map(String::as_str) {
        // A program of this package names the library from outside.
        Some("crate" | "mod_session_cluster") => {
            path.clear();
            rest = &rest[1..];
        }
        Some("self") => rest = &rest[1..],
        Some("super") => {}
        Some(first) if is_child(source, &written.at, first) => {}
        _ => return Target::Foreign(segments),
    }
    while rest.first().is_some_and(|segment| segment == "super") {
        path.pop();
        rest = &rest[1..];
    }
    path.extend_from_slice(rest);
    Target::Ours(path)
}

fn is_child(source: &Source, at: &[String], name: &str) -> bool {
    source.declares.iter().any(|child| child.split_last() == Some((&name.to_owned(), at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rust::sources;
    use crate::tree::Tree;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let (sources, _) = sources(&Tree::of(files), "src/");
        arrows(&sources).iter().map(|a| format!("{} {}", a.from.file, a.to.file)).collect()
    }

    #[test]
    fn a_path_leads_to_the_file_that_it_names() {
        let arrows = found(&[
            ("src/a/mod.rs", "mod b;\npub use b::B;\nfn f() { b::g() }"),
            ("src/a/b.rs", "use super::C;"),
            ("src/c.rs", "use crate::a::B;\nfn f() { crate::a::b::g() }"),
        ]);
        let expected = [
            "src/a/b.rs src/a/mod.rs",
            "src/a/mod.rs src/a/b.rs",
            "src/a/mod.rs src/a/b.rs",
            "src/c.rs src/a/mod.rs",
            "src/c.rs src/a/b.rs",
        ];
        assert_eq!(arrows, expected);
    }

    #[test]
    fn a_declaration_alone_is_no_arrow() {
        assert!(found(&[("src/a/mod.rs", "pub mod b;"), ("src/a/b.rs", "")]).is_empty());
    }

    #[test]
    fn super_is_counted_from_the_module_not_from_the_file() {
        let files = [("src/a.rs", "mod inline { use super::C; use super::super::b::D; }"), ("src/b.rs", "")];
        assert_eq!(found(&files), ["src/a.rs src/b.rs"]);
    }

    #[test]
    fn a_name_from_a_use_is_followed() {
        let files = [
            ("src/a.rs", "use crate::b;\nfn f() { b::c::d() }"),
            ("src/b/mod.rs", "pub mod c;"),
            ("src/b/c.rs", "use std::thread;\nfn f() { thread::sleep(x) }"),
        ];
        assert_eq!(found(&files), ["src/a.rs src/b/mod.rs", "src/a.rs src/b/c.rs"]);
        let (sources, _) = sources(&Tree::of(&files), "src/");
        let c = sources.iter().find(|source| source.file == "src/b/c.rs").unwrap();
        let Target::Foreign(path) = resolve(c, &c.paths[0]) else { panic!("thread is in std") };
        assert_eq!(path, ["std", "thread", "sleep"]);
    }
}
