//! Licences and sources of all dependencies, by the list in `deny.toml`, which `make deny` gives to cargo-deny as well.
//! Here as well, because cargo-deny takes six minutes of a core to build; this asks `cargo metadata`.

use crate::tree::{Finding, Tree};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;
use toml::Table;

const LOCK: &str = "Cargo.lock";
const LIST: &str = "deny.toml";
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let asked = Command::new("cargo").args(["metadata", "--format-version=1", "--locked"]).output();
    let metadata = match asked {
        Ok(output) if output.status.success() => output.stdout,
        Ok(output) => return vec![Finding::new(LOCK, 0, String::from_utf8_lossy(&output.stderr).trim())],
        Err(e) => return vec![Finding::new(LOCK, 0, format!("cargo metadata: {e}"))],
    };
    judge(&metadata, tree.text(LIST).unwrap_or_default()).unwrap_or_else(|e| vec![Finding::new(LIST, 0, e)])
}

fn judge(metadata: &[u8], list: &str) -> Result<Vec<Finding>, String> {
    let list: Table = list.parse().map_err(|e| format!("not read as TOML: {e}"))?;
    let allowed = list.get("licenses").and_then(|table| table.get("allow")).and_then(toml::Value::as_array);
    let allowed: BTreeSet<&str> = allowed.into_iter().flatten().filter_map(toml::Value::as_str).collect();
    let metadata: Value = serde_json::from_slice(metadata).map_err(|e| format!("cargo metadata: {e}"))?;
    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().ok_or("cargo metadata names no packages")? {
        let name = format!(
            "{} {}",
            package["name"].as_str().unwrap_or("?"),
            package["version"].as_str().unwrap_or("?")
        );
        let mut wrong = |what: String| findings.push(Finding::new(LOCK, 0, format!("{name}: {what}")));
        match package["source"].as_str() {
            // Of this workspace: what it asks for is looked at, not what it is.
            None => {
                let asks = package["dependencies"].as_array().into_iter().flatten();
                let any = asks.filter(|asked| asked["req"] == "*" && asked["path"].is_null());
                any.for_each(|asked| wrong(format!("asks for any version of {}", asked["name"])));
                continue;
            }
            Some(CRATES_IO) => {}
            Some(source) => wrong(format!("comes from {source}")),
        }
        match package["license"].as_str() {
            None => wrong("names no licence".into()),
            Some(licence) => match spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX) {
                Err(e) => wrong(format!("licence '{licence}' is not understood: {}", e.reason)),
                Ok(expression) if expression.evaluate(|one| allowed.contains(one.to_string().as_str())) => {}
                Ok(_) => wrong(format!("licence '{licence}' is not in {LIST}")),
            },
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: &str = "[licenses]\nallow = [\"MIT\", \"Apache-2.0 WITH LLVM-exception\"]";

    fn found(licence: &str, source: &str) -> Vec<String> {
        let package = format!(
            "{{\"name\":\"a\",\"version\":\"1\",\"license\":{licence},\"source\":\"{source}\",\"dependencies\":[]}}"
        );
        let metadata = format!("{{\"packages\":[{package}]}}");
        judge(metadata.as_bytes(), ALLOW).unwrap().iter().map(|finding| finding.what.clone()).collect()
    }

    #[test]
    fn a_licence_must_be_in_the_list_or_one_of_its_alternatives() {
        assert!(found("\"MIT\"", CRATES_IO).is_empty());
        assert!(found("\"GPL-3.0 OR MIT\"", CRATES_IO).is_empty());
        assert!(found("\"Unlicense/MIT\"", CRATES_IO).is_empty());
        assert!(found("\"Apache-2.0 WITH LLVM-exception\"", CRATES_IO).is_empty());
        assert_eq!(found("\"Apache-2.0\"", CRATES_IO).len(), 1);
        assert_eq!(found("\"MIT AND GPL-3.0\"", CRATES_IO).len(), 1);
        assert_eq!(found("\"who knows\"", CRATES_IO).len(), 1);
        assert_eq!(found("null", CRATES_IO), ["a 1: names no licence"]);
    }

    #[test]
    fn another_source_is_found() {
        assert_eq!(
            found("\"MIT\"", "git+https://example.org/a"),
            ["a 1: comes from git+https://example.org/a"]
        );
    }

    #[test]
    fn a_wildcard_of_ours_is_found() {
        let metadata = "{\"packages\":[{\"name\":\"a\",\"version\":\"1\",\"source\":null,\"dependencies\":[\
                        {\"name\":\"b\",\"req\":\"*\"},{\"name\":\"c\",\"req\":\"*\",\"path\":\"/c\"}]}]}";
        assert_eq!(judge(metadata.as_bytes(), ALLOW).unwrap().len(), 1);
    }

    #[test]
    fn the_list_of_the_project_holds_what_it_uses() {
        let tree = Tree::of(&[(LIST, include_str!("../../../deny.toml"))]);
        assert_eq!(check(&tree), []);
    }
}
