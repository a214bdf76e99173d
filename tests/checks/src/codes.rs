//! Every code of a message (`SC0123`) is in the catalogue in `docs/operations.md`, with its level, its meaning and what
//! to do about it; neither the catalogue nor other documentation names one that is not there; and no code stands for
//! two things.
//!
//! The last is held like this: a code belongs to one file. Where one thing is said in several, [`SHARED`] says why.

use crate::rust::{Source, sources};
use crate::tree::{Finding, Tree};
use std::collections::{BTreeMap, BTreeSet};

const CATALOGUE: &str = "docs/operations.md";

/// The levels of httpd that the catalogue may name.
const LEVELS: [&str; 6] = ["emerg", "error", "warning", "notice", "info", "debug"];

/// Shows in documentation what a code looks like.
const EXAMPLE: &str = "SC0999";

/// Codes that may stand in several files, and the one thing that they say there.
const SHARED: [(&str, &str); 2] = [
    ("SC0117", "the kernel gave no memory or no randomness at start"),
    ("SC0121", "SessionClusterStore cannot be used as written"),
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let (sources, mut findings) = sources(tree, "src/");
    let mut said: BTreeMap<String, Vec<Place<'_>>> = BTreeMap::new();
    for source in &sources {
        for text in source.texts.iter().filter(|text| !text.test) {
            for code in codes(&text.text) {
                said.entry(code.to_owned()).or_default().push(place(source, text.line));
            }
        }
    }
    let catalogue = catalogue(tree.text(CATALOGUE).unwrap_or_default(), &mut findings);
    for (code, places) in &said {
        let Place { file, line, level } = &places[0];
        let (file, line) = (*file, *line);
        match catalogue.get(code) {
            None => findings.push(Finding::new(file, line, format!("{code} is not in {CATALOGUE}"))),
            Some((row, listed)) => {
                if let Some(level) =
                    level.as_ref().filter(|level| !listed.split(", ").any(|one| one == *level))
                {
                    findings.push(Finding::new(
                        CATALOGUE,
                        *row,
                        format!("{code} is of level {level}, not {listed}"),
                    ));
                }
            }
        }
        let files: BTreeSet<&str> = places.iter().map(|place| place.file).collect();
        let is_shared = SHARED.iter().any(|(shared, _)| shared == code);
        if files.len() > 1 && !is_shared {
            let files: Vec<&str> = files.iter().copied().collect();
            let what = format!("{code} stands in {}: one code, one thing, one place", files.join(", "));
            findings.push(Finding::new(file, line, what));
        }
        if files.len() == 1 && is_shared {
            let what = format!("{code} stands in one file now: take it out of SHARED in tests/checks");
            findings.push(Finding::new(file, line, what));
        }
    }
    // What was once there stays in the changelog.
    for (file, text) in tree.files().filter(|(file, _)| file.ends_with(".md") && *file != "CHANGELOG.md") {
        for (n, line) in text.lines().enumerate() {
            for code in codes(line).filter(|code| !said.contains_key(*code) && *code != EXAMPLE) {
                findings.push(Finding::new(file, n + 1, format!("nothing in src says {code}")));
            }
        }
    }
    findings
}

/// The rows `| SC0123 | level | what it means | what to do |`, with their lines.
fn catalogue(text: &str, findings: &mut Vec<Finding>) -> BTreeMap<String, (usize, String)> {
    let mut rows = BTreeMap::new();
    for (n, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with("| SC")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [code, level, meaning, remedy] = cells[..] else {
            findings.push(Finding::new(
                CATALOGUE,
                n + 1,
                "a row has a code, a level, a meaning and a remedy",
            ));
            continue;
        };
        if !level.split(", ").all(|level| LEVELS.contains(&level)) {
            findings.push(Finding::new(
                CATALOGUE,
                n + 1,
                format!("'{level}' is no level: {}", LEVELS.join(", ")),
            ));
        }
        if meaning.is_empty() || remedy.is_empty() {
            findings.push(Finding::new(CATALOGUE, n + 1, format!("{code} lacks its meaning or its remedy")));
        }
        if !codes(code).eq([code]) || rows.insert(code.to_owned(), (n + 1, level.to_owned())).is_some() {
            findings.push(Finding::new(
                CATALOGUE,
                n + 1,
                format!("'{code}' is no code, or stands here twice"),
            ));
        }
    }
    rows
}

/// Where a code stands.
struct Place<'a> {
    file: &'a str,
    line: usize,
    /// What stands beside it. A code without a level is returned as an error and stops a start.
    level: Option<String>,
}

fn place(source: &Source, line: usize) -> Place<'_> {
    let mut beside = source.paths.iter().filter(|path| path.line == line && !path.test);
    let level = beside.find_map(|path| match path.segments.as_slice() {
        [.., of, level] if of == "Level" => Some(level.to_ascii_lowercase()),
        _ => None,
    });
    Place { file: &source.file, line, level }
}

/// The codes in a text: `SC` and four digits, as a word.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| {
        word.strip_prefix("SC")
            .is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "| SC0101 | error | the table is another build's | stop and start httpd |";
    const SAYS: &str =
        "fn f() { say(format!(\"SC0101: {e}\")) }\n#[cfg(test)]\nmod tests { const X: &str = \"SC9999\"; }";

    fn found(source: &str, catalogue: &str) -> Vec<String> {
        let files = [("src/module/a.rs", source), (CATALOGUE, catalogue)];
        check(&Tree::of(&files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn code_and_catalogue_that_agree_pass() {
        assert!(found(SAYS, ROW).is_empty());
    }

    #[test]
    fn a_code_that_is_missing_is_found_on_either_side() {
        assert_eq!(found(SAYS, ""), ["src/module/a.rs:1: SC0101 is not in docs/operations.md"]);
        assert_eq!(found("", ROW), ["docs/operations.md:1: nothing in src says SC0101"]);
        let doors = Tree::of(&[("docs/front-doors.md", "\nas the log says (`SC0101`), such as SC0999")]);
        assert_eq!(check(&doors), [Finding::new("docs/front-doors.md", 2, "nothing in src says SC0101")]);
    }

    #[test]
    fn a_row_without_level_or_remedy_is_found() {
        let without = "| SC0101 | error | the table is another build's |";
        assert!(found(SAYS, without)[0].contains("a row has a code"));
        assert_eq!(found(SAYS, &ROW.replace("error", "bad")).len(), 1);
        assert_eq!(found(SAYS, "| SC0101 | error | the table is another build's |  |").len(), 1);
    }

    #[test]
    fn another_level_than_the_code_has_is_found() {
        let says = "static X: M = M::each(\"SC0101\", Level::Warning);";
        assert_eq!(found(says, ROW), ["docs/operations.md:1: SC0101 is of level warning, not error"]);
        assert!(found(says, &ROW.replace("error", "warning")).is_empty());
    }

    #[test]
    fn a_code_for_two_things_is_found() {
        let files = [("src/module/a.rs", SAYS), ("src/module/b.rs", SAYS), (CATALOGUE, ROW)];
        let findings = check(&Tree::of(&files));
        assert!(findings.len() == 1 && findings[0].what.contains("src/module/a.rs, src/module/b.rs"));
        assert_eq!(found(SAYS, &format!("{ROW}\n{ROW}")).len(), 1);
    }

    #[test]
    fn an_exception_that_is_none_any_more_is_found() {
        let row = ROW.replace("SC0101", "SC0121");
        assert_eq!(found(&SAYS.replace("SC0101", "SC0121"), &row).len(), 1);
    }
}
