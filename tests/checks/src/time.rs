//! Time and chance come in through one door: `src/clock.rs` and `src/chance.rs`. Nothing else asks the system what time
//! it is, sleeps, or draws a random number, so that whole nodes can be run in simulated time.

use crate::arrows::{Target, resolve};
use crate::rust::sources;
use crate::tree::{Finding, Tree};

/// What asks the system. A path that begins so is meant.
const ASKS: [&[&str]; 9] = [
    &["std", "time", "Instant", "now"],
    &["std", "time", "SystemTime", "now"],
    &["std", "thread", "sleep"],
    &["std", "thread", "park_timeout"],
    &["rustix", "time"],
    &["rustix", "thread", "nanosleep"],
    &["libc", "clock_gettime"],
    &["libc", "nanosleep"],
    &["getrandom"],
];

/// Methods that do.
const ASKING: [&str; 1] = ["elapsed"];

/// Names no time and draws nothing.
const HARMLESS: [&[&str]; 1] = [&["getrandom", "Error"]];

/// Where the system may be asked, and why.
const DOORS: [(&str, &str); 2] =
    [("src/clock.rs", "the door for time"), ("src/chance.rs", "the door for chance")];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let (sources, mut findings) = sources(tree, "src/");
    for source in sources.iter().filter(|source| DOORS.iter().all(|(door, _)| *door != source.file)) {
        for written in source.uses.iter().chain(&source.paths).filter(|written| !written.test) {
            let Target::Foreign(path) = resolve(source, written) else { continue };
            let begins =
                |start: &&[&str]| start.len() <= path.len() && start.iter().zip(&path).all(|(a, b)| a == b);
            if ASKS.iter().any(begins) && !HARMLESS.iter().any(begins) {
                let said = written.segments.join("::");
                findings.push(Finding::new(&source.file, written.line, format!("{said} asks the system")));
            }
        }
        for said in source.methods.iter().filter(|said| !said.test && ASKING.contains(&said.text.as_str())) {
            findings.push(Finding::new(&source.file, said.line, format!(".{}() asks the system", said.text)));
        }
    }
    for (door, _) in DOORS.iter().filter(|(door, _)| !sources.iter().any(|source| source.file == *door)) {
        findings.push(Finding::new(
            door,
            0,
            "is a door for time or chance and not there: see DOORS in tests/checks",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<usize> {
        let mut files: Vec<(&str, &str)> =
            DOORS.iter().map(|(door, _)| (*door, "fn f() { std::time::Instant::now() }")).collect();
        files.push(("src/store/watch.rs", text));
        check(&Tree::of(&files)).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn asking_the_system_is_found_however_it_is_written() {
        assert_eq!(found("use std::time::Instant;\nfn f() { Instant::now(); }"), [2]);
        assert_eq!(
            found("use std::{thread, time};\nfn f() { thread::sleep(x);\n time::SystemTime::now() }"),
            [2, 3]
        );
        assert_eq!(found("use std::thread::sleep;"), [1]);
        assert_eq!(found("fn f() { start.elapsed(); }"), [1]);
        assert_eq!(found("fn f() { println!(\"{}\", getrandom::u32()) }"), [1]);
    }

    #[test]
    fn tests_types_and_our_own_names_are_free() {
        assert!(
            found("use std::time::{Duration, Instant};\nfn f(at: Instant) -> getrandom::Error {}").is_empty()
        );
        assert!(
            found("#[cfg(test)]\nmod tests { fn f() { std::time::Instant::now(); x.elapsed() } }").is_empty()
        );
        assert!(found("use crate::clock::Instant;\nfn f() { Instant::now() }").is_empty());
    }

    #[test]
    fn an_exception_for_a_file_that_is_gone_is_found() {
        assert_eq!(check(&Tree::of(&[("src/clock.rs", "")])).len(), 1);
    }
}
