//! The house rules of the project, each a file here. Prints what breaks one and where, and ends with 1 if anything
//! does.
//!
//! ```text
//! cargo run -p msc-checks [NAME...]     all, or those named, from the root of the project
//! ```
//!
//! A check is a function of the files, so its tests plant a violation and see it found.

mod arrows;
mod circles;
mod codes;
mod directives;
mod fence;
mod floors;
mod licences;
mod links;
mod rust;
mod size;
mod time;
mod tree;

use std::path::Path;
use std::process::ExitCode;
use tree::{Finding, Tree};

type Check = fn(&Tree) -> Vec<Finding>;

const CHECKS: [(&str, &str, Check); 9] = [
    ("floors", "arrows between floors go down", floors::check),
    ("circles", "no circle of files on a floor", circles::check),
    ("fence", "unsafe code is in src/ffi alone", fence::check),
    ("size", "files of 600 lines, lines of 120 columns", size::check),
    ("directives", "directives, reference and README agree", directives::check),
    ("codes", "codes of messages and their catalogue agree", codes::check),
    ("links", "links in Markdown lead somewhere", links::check),
    ("time", "time and chance come in through one door", time::check),
    ("licences", "licences and sources of dependencies", licences::check),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|name| CHECKS.iter().all(|(known, ..)| known != name)) {
        let known: Vec<&str> = CHECKS.iter().map(|(name, ..)| *name).collect();
        eprintln!("there is no check '{unknown}': {}", known.join(", "));
        return ExitCode::from(2);
    }
    let tree = match Tree::read(Path::new(".")) {
        Ok(tree) => tree,
        Err(e) => {
            eprintln!("the project cannot be read: {e}");
            return ExitCode::from(2);
        }
    };
    let mut broken = 0;
    for (name, rule, check) in
        CHECKS.iter().filter(|(name, ..)| wanted.is_empty() || wanted.iter().any(|w| w == name))
    {
        let mut findings = check(&tree);
        findings.sort();
        println!("{name}: {rule}: {}", if findings.is_empty() { "yes" } else { "NO" });
        if *name == "circles" {
            circles::figures(&tree).iter().for_each(|line| println!("  {line}"));
        }
        findings.iter().for_each(|finding| eprintln!("  {finding}"));
        broken += findings.len();
    }
    match broken {
        0 => ExitCode::SUCCESS,
        n => {
            eprintln!("{n} findings");
            ExitCode::FAILURE
        }
    }
}
