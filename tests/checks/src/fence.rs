//! All unsafe code is in `src/ffi`. The compiler enforces it (`unsafe_code = "deny"`); this check sees to it that
//! nobody lifts the ban elsewhere, that every crate of the workspace has it, and that code which the compiler does not
//! hold to it (other workspaces, the inside of macros) is clean as well.

use crate::rust::sources;
use crate::tree::{Finding, Tree};
use toml::Table;

/// The files that may lift the ban, and whether for the whole file or for one item.
const GATES: [(&str, bool); 3] = [
    ("src/ffi/mod.rs", true),
    // The one symbol that each of these modules exports has a name that must not be mangled.
    ("src/lib.rs", false),
    ("tests/probe/module.rs", false),
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let (sources, mut findings) = sources(tree, "");
    for source in &sources {
        let gate = GATES.iter().find(|(file, _)| *file == source.file);
        for (n, &(line, whole)) in source.allows_unsafe.iter().enumerate() {
            if n > 0 || gate.is_none_or(|(_, may_be_whole)| whole && !may_be_whole) {
                findings.push(Finding::new(
                    &source.file,
                    line,
                    "allows unsafe code, which belongs in src/ffi",
                ));
            }
        }
        if gate.is_none() && !source.file.starts_with("src/ffi/") {
            let lines = source.unsafe_words.iter();
            findings.extend(
                lines.map(|line| Finding::new(&source.file, *line, "unsafe code outside of src/ffi")),
            );
        }
    }
    findings.extend(manifests(tree));
    findings
}

/// The ban stands in the workspace's lints, and each crate takes them.
fn manifests(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let root = "Cargo.toml";
    for (file, text) in tree.files().filter(|(file, _)| file.ends_with("Cargo.toml")) {
        let manifest: Table = match text.parse() {
            Ok(manifest) => manifest,
            Err(e) => {
                findings.push(Finding::new(file, 0, format!("not read as TOML: {e}")));
                continue;
            }
        };
        let get = |path: &[&str]| {
            path.iter()
                .try_fold(None, |at: Option<&toml::Value>, key| {
                    at.map_or_else(|| manifest.get(*key), |value| value.get(*key)).map(Some)
                })
                .flatten()
        };
        let level = get(&["workspace", "lints", "rust", "unsafe_code"]).and_then(toml::Value::as_str);
        if file == root && !matches!(level, Some("deny" | "forbid")) {
            findings.push(Finding::new(file, 0, "[workspace.lints.rust] has no unsafe_code = \"deny\""));
        }
        // A workspace of its own takes no lints from here; the word `unsafe` is looked for there all the same.
        let is_apart = file != root && get(&["workspace"]).is_some();
        let takes = get(&["lints", "workspace"]).and_then(toml::Value::as_bool) == Some(true);
        if get(&["package"]).is_some() && !is_apart && !takes {
            findings.push(Finding::new(
                file,
                0,
                "does not take the workspace's lints: [lints] workspace = true",
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: (&str, &str) = (
        "Cargo.toml",
        "[package]\n[workspace.lints.rust]\nunsafe_code = \"deny\"\n[lints]\nworkspace = true",
    );

    fn found(file: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[ROOT, (file, text)])).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn the_ban_may_be_lifted_at_its_gates_alone() {
        assert!(found("src/ffi/mod.rs", "#![allow(unsafe_code)]").is_empty());
        assert!(
            found("src/lib.rs", "#[allow(unsafe_code)]\n#[unsafe(no_mangle)]\nstatic X: u8 = 0;").is_empty()
        );
        assert_eq!(found("src/lib.rs", "#![allow(unsafe_code)]"), [1]);
        assert_eq!(
            found("src/lib.rs", "#[allow(unsafe_code)]\nfn f() {}\n#[allow(unsafe_code)]\nfn g() {}"),
            [3]
        );
        assert_eq!(found("src/store/l1/mem.rs", "#![allow(unsafe_code)]"), [1]);
        assert_eq!(found("tests/live.rs", "\n#[expect(dead_code, unsafe_code)]\nfn f() {}"), [2]);
        assert_eq!(found("src/module/mod.rs", "#![cfg_attr(loom, allow(unsafe_code))]"), [1]);
    }

    #[test]
    fn unsafe_code_is_found_where_the_compiler_does_not_look() {
        assert_eq!(found("fuzz/targets/key.rs", "fuzz!(|d| {\n unsafe { f(d) } });"), [2]);
        assert!(found("fuzz/targets/key.rs", "// unsafe\nfn f() { let unsafety = \"unsafe\"; }").is_empty());
        assert!(found("src/store/mod.rs", "#![forbid(unsafe_code)]").is_empty());
    }

    #[test]
    fn a_crate_without_the_ban_is_found() {
        let without = [
            ("Cargo.toml", "[package]\n[lints]\nworkspace = true"),
            ("tests/harness/Cargo.toml", "[package]"),
        ];
        let files: Vec<String> = check(&Tree::of(&without)).into_iter().map(|finding| finding.file).collect();
        assert_eq!(files, ["Cargo.toml", "tests/harness/Cargo.toml"]);
        assert!(found("fuzz/Cargo.toml", "[package]\n[workspace]").is_empty());
    }
}
