//! Four floors, arrows only down. A file in `src` itself is a leaf, which any floor may use; a program under `src/bin`
//! is a client of the two floors that need no httpd. Test code is held to it as well: a floor is tested with what it
//! may know.

use crate::arrows::{Target, resolve};
use crate::rust::sources;
use crate::tree::{Finding, Tree};

/// What each floor may name besides itself and the leaves.
const FLOORS: [(&str, &[&str]); 5] = [
    ("ffi", &[]),
    ("store", &[]),
    ("session", &["store"]),
    ("module", &["session", "store", "ffi"]),
    ("bin", &["session", "store"]),
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let (sources, mut findings) = sources(tree, "src/");
    for source in &sources {
        // The crate's root declares the floors and has the exported symbol.
        let Some(home) = source.module.first() else { continue };
        let (floor, below) = match FLOORS.iter().find(|(floor, _)| floor == home) {
            Some((floor, below)) => (*floor, *below),
            None => ("a leaf", [].as_slice()),
        };
        for written in source.uses.iter().chain(&source.paths) {
            let Target::Ours(path) = resolve(source, written) else { continue };
            let Some(room) = path.first() else { continue };
            let is_leaf = tree.text(&format!("src/{room}.rs")).is_some();
            // The record that httpd looks up is in lib.rs, where C wants it, and the module floor hands it out.
            let is_record = floor == "module" && room == "session_cluster_module";
            if room != home && !is_leaf && !is_record && !below.contains(&room.as_str()) {
                let said = written.segments.join("::");
                findings.push(Finding::new(
                    &source.file,
                    written.line,
                    format!("{floor} must not know {said}"),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(files: &[(&str, &str)]) -> Vec<String> {
        let mut all =
            vec![("src/clock.rs", ""), ("src/lib.rs", "pub mod clock; pub mod store; pub mod module;")];
        all.extend_from_slice(files);
        check(&Tree::of(&all)).iter().map(|finding| format!("{}:{}", finding.file, finding.line)).collect()
    }

    #[test]
    fn an_arrow_up_is_found_in_a_use_in_a_path_and_in_a_macro() {
        let up = "use crate::{clock, session::id::SessionId};\nfn f() { crate::module::g() }\n\
                  fn h() { println!(\"{}\", super::super::ffi::x()) }";
        assert_eq!(
            lines(&[("src/store/key.rs", up)]),
            ["src/store/key.rs:1", "src/store/key.rs:2", "src/store/key.rs:3"]
        );
    }

    #[test]
    fn a_test_may_not_reach_up_either() {
        let test = "#[cfg(test)]\nmod tests { use crate::session::id::SessionId; }";
        assert_eq!(lines(&[("src/store/key.rs", test)]).len(), 1);
    }

    #[test]
    fn arrows_down_and_to_the_leaves_are_free() {
        let module = "use crate::{clock::Wall, ffi::httpd, session::id, store::key};\nuse super::door;\n\
                      fn f() { &raw mut crate::session_cluster_module; }";
        let session = "use crate::store::key::Key;\nuse std::fmt;\nuse self::inner::X;\nmod inner {}";
        assert!(lines(&[("src/module/visit.rs", module), ("src/session/id.rs", session)]).is_empty());
    }

    #[test]
    fn ffi_knows_nothing_of_ours_and_a_leaf_no_floor() {
        let files =
            [("src/ffi/httpd.rs", "use crate::store::key::Key;"), ("src/stats.rs", "use crate::ffi::sys;")];
        assert_eq!(lines(&files), ["src/ffi/httpd.rs:1", "src/stats.rs:1"]);
    }

    #[test]
    fn the_command_line_needs_no_httpd() {
        let files = [(
            "src/bin/sessionctl/main.rs",
            "use mod_session_cluster::store::l1;\nuse mod_session_cluster::ffi::sys;",
        )];
        assert_eq!(lines(&files), ["src/bin/sessionctl/main.rs:2"]);
    }
}
