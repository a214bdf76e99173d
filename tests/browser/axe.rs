//! axe-core, which looks for what keeps people out: one pinned version, from the npm registry, checked against its
//! hash and kept in cargo's target directory. Its licence (MPL 2.0) does not touch what it looks at.

use super::driver::{Chrome, artefacts};
use ring::digest::{SHA512, digest};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

const VERSION: &str = "4.14.1";
/// As the registry says in `dist.integrity`.
const SHA512_BASE64: &str =
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==";

/// The script, which defines `axe`.
#[track_caller]
fn source() -> &'static str {
    static SOURCE: OnceLock<String> = OnceLock::new();
    SOURCE.get_or_init(|| {
        let kept = artefacts("axe").join(format!("axe-core-{VERSION}.tgz"));
        if !is_genuine(&kept) {
            fetch(&kept);
        }
        let tar = Command::new("tar").arg("-xzOf").arg(&kept).arg("package/axe.min.js").output();
        let tar = tar.expect("tar(1) is needed");
        assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
        String::from_utf8(tar.stdout).unwrap()
    })
}

fn is_genuine(archive: &Path) -> bool {
    let Ok(bytes) = fs::read(archive) else { return false };
    data_encoding::BASE64.encode(digest(&SHA512, &bytes).as_ref()) == SHA512_BASE64
}

#[track_caller]
fn fetch(kept: &Path) {
    let url = format!("https://registry.npmjs.org/axe-core/-/axe-core-{VERSION}.tgz");
    let partial = kept.with_extension(format!("{}.part", std::process::id()));
    let mut curl = Command::new("curl");
    curl.args(["-fsSL", "--retry", "3", "--max-time", "120", "-o"]).arg(&partial).arg(&url);
    let output = curl.output().expect("curl(1) is needed");
    assert!(output.status.success(), "{url} cannot be had: {}", String::from_utf8_lossy(&output.stderr));
    assert!(is_genuine(&partial), "{url} is not what it was: see {}", partial.display());
    fs::rename(&partial, kept).unwrap();
}

/// What is wrong with the page that is shown, or could not be told, in words; empty if nothing is.
#[track_caller]
pub(super) fn complaints(chrome: &Chrome) -> Vec<String> {
    // With the best practices, and with all of WCAG's levels and versions that axe knows.
    let run = "return axe.run({resultTypes: ['violations', 'incomplete', 'passes']})";
    let result = chrome.script(&format!("{};{run}", source()), &[]);
    let rules = |kind: &str| result[kind].as_array().unwrap().clone();
    let id = |rule: &Value| rule["id"].as_str().unwrap().to_owned();
    // It did look: at the language and title of each page, and at colours.
    let passed: Vec<String> = rules("passes").iter().map(id).collect();
    let mut complaints: Vec<String> = ["html-has-lang", "document-title", "color-contrast"]
        .iter()
        .filter(|rule| !passed.iter().any(|passed| passed == *rule))
        .map(|rule| format!("{rule} did not pass"))
        .collect();
    for kind in ["violations", "incomplete"] {
        for rule in rules(kind) {
            for node in rule["nodes"].as_array().unwrap() {
                complaints.push(format!(
                    "{kind}: {}: {} {}",
                    id(&rule),
                    node["html"],
                    node["failureSummary"]
                ));
            }
        }
    }
    complaints
}
