//! Time and chance come in through one door: `src/clock.rs` and `src/chance.rs`. Nothing else asks the system what time
//! it is, sleeps, or draws a random number, so that whole nodes can be run in simulated time. To wait for something
//! with a limit (a socket, a channel, a parked thread) is not to sleep: what is waited for is real.

use crate::arrows::{Target, resolve};
use crate::rust::sources;
use crate::tree::{Finding, Tree};

/// What asks the system. A path that begins so is meant.
const ASKS: [&[&str]; 8] = [
    &["std", "time", "Instant", "now"],
    &["std", "time", "SystemTime", "now"],
    &["std", "thread", "sleep"],
    &["rustix", "time"],
    &["rustix", "thread", "nanosleep"],
    &["libc", "clock_gettime"],
    &["libc", "nanosleep"],
    &["getrandom"],
];

/// The types whose method `elapsed` does. A file that names neither has none of them, or only the door's own.
const TYPES: [&[&str]; 2] = [&["std", "time", "Instant"], &["std", "time", "SystemTime"]];

/// Names no time and draws nothing.
const HARMLESS: [&[&str]; 1] = [&["getrandom", "Error"]];

/// Where the system may be asked, and why. One that ends with a slash is a directory.
const DOORS: [(&str, &str); 4] = [
    ("src/clock.rs", "the door for time"),
    ("src/clock/", "what is behind it"),
    ("src/chance.rs", "the door for chance"),
    ("src/chance/", "what is behind it"),
];

fn is_at(door: &str, file: &str) -> bool {
    if door.ends_with('/') { file.starts_with(door) } else { file == door }
}

fn begins(path: &[String], start: &[&str]) -> bool {
    start.len() <= path.len() && start.iter().zip(path).all(|(a, b)| a == b)
}

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let (sources, mut findings) = sources(tree, "src/");
    for source in sources.iter().filter(|source| DOORS.iter().all(|(door, _)| !is_at(door, &source.file))) {
        let mut names_type = false;
        for written in source.uses.iter().chain(&source.paths).filter(|written| !written.test) {
            let Target::Foreign(path) = resolve(source, written) else { continue };
            names_type |= TYPES.iter().any(|name| begins(&path, name));
            if ASKS.iter().any(|name| begins(&path, name)) && !HARMLESS.iter().any(|name| begins(&path, name))
            {
                let said = written.segments.join("::");
                findings.push(Finding::new(&source.file, written.line, format!("{said} asks the system")));
            }
        }
        for said in source.methods.iter().filter(|said| names_type && !said.test && said.text == "elapsed") {
            findings.push(Finding::new(&source.file, said.line, ".elapsed() asks the system"));
        }
    }
    for (door, _) in DOORS.iter().filter(|(door, _)| !sources.iter().any(|source| is_at(door, &source.file)))
    {
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
        let asks = "fn f() { std::time::Instant::now() }";
        let doors = ["src/clock.rs", "src/clock/system.rs", "src/chance.rs", "src/chance/simulated.rs"];
        let files = doors.map(|door| (door, asks)).into_iter().chain([("src/store/watch.rs", text)]);
        check(&Tree::of(&files.collect::<Vec<_>>())).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn asking_the_system_is_found_however_it_is_written() {
        assert_eq!(found("use std::time::Instant;\nfn f() { Instant::now(); }"), [2]);
        assert_eq!(
            found("use std::{thread, time};\nfn f() { thread::sleep(x);\n time::SystemTime::now() }"),
            [2, 3]
        );
        assert_eq!(found("use std::thread::sleep;"), [1]);
        assert_eq!(found("use std::time;\nfn f(start: time::Instant) { start.elapsed(); }"), [2]);
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
        assert!(found("use crate::clock::Instant;\nfn f() { Instant::now(); start.elapsed() }").is_empty());
    }

    #[test]
    fn an_exception_for_a_file_that_is_gone_is_found() {
        let tree = Tree::of(&[("src/clock.rs", ""), ("src/clock/system.rs", ""), ("src/chance.rs", "")]);
        assert_eq!(check(&tree).len(), 1);
    }
}
