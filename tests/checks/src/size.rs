//! One idea a file, and lines that two windows show side by side.
//!
//! Held to the width is what is read as code or beside code: Rust, scripts, manifests, configuration, SQL. Not held is
//! Markdown, where a table's row is one line and prose is reflowed by whatever shows it; nor are the pages' HTML and
//! CSS, which go to browsers as they stand; nor is data.

use crate::tree::{Finding, Tree};

const MOST_LINES: usize = 600;
const MOST_COLUMNS: usize = 120;

const ENDINGS: [&str; 12] =
    [".rs", ".toml", ".conf", ".sh", ".py", ".lua", ".php", ".sql", ".load", ".h", ".yml", "Makefile"];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, text) in tree.files() {
        let lines = text.lines().count();
        if file.ends_with(".rs") && lines > MOST_LINES {
            findings.push(Finding::new(
                file,
                0,
                format!("{lines} lines; past {MOST_LINES}, split it by idea"),
            ));
        }
        if ENDINGS.iter().any(|ending| file.ends_with(ending)) || text.starts_with("#!") {
            findings.extend(text.lines().enumerate().filter_map(|(n, line)| {
                let columns = line.chars().count();
                let what = format!("{columns} columns wide; {MOST_COLUMNS} is the most");
                (columns > MOST_COLUMNS).then(|| Finding::new(file, n + 1, what))
            }));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_and_a_wide_line_are_found() {
        let (long, wide) = ("\n".repeat(601), format!("\n// {}", "ä".repeat(118)));
        let tree = Tree::of(&[("src/a.rs", &long), ("src/b.rs", &wide), ("apxs/demo", &format!("#!{wide}"))]);
        let found: Vec<(String, usize)> = check(&tree).into_iter().map(|it| (it.file, it.line)).collect();
        assert_eq!(found, [("apxs/demo".into(), 2), ("src/a.rs".into(), 0), ("src/b.rs".into(), 2)]);
    }

    #[test]
    fn characters_count_not_bytes_and_prose_is_free() {
        let (full, long) = ("ä".repeat(120), "word ".repeat(100));
        let lines = "\n".repeat(600);
        let tree =
            Tree::of(&[("src/a.rs", &full), ("docs/a.md", &long), ("LICENSE", &long), ("src/b.rs", &lines)]);
        assert!(check(&tree).is_empty());
    }
}
