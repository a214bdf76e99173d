//! Every directive is in `httpd-conf/00-reference.conf` and in the README's table, and neither names one that is not
//! there. Nor does a message.
//!
//! The list of directives is found by content: a text for C in `src/module` that is a directive's name and nothing
//! else.

use crate::rust::sources;
use crate::tree::{Finding, Tree};
use std::collections::{BTreeMap, BTreeSet};

const REFERENCE: &str = "httpd-conf/00-reference.conf";
const README: &str = "README.md";

/// What a line of a list names first.
type Name<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let (sources, mut findings) = sources(tree, "src/");
    let mut directives: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.file.starts_with("src/module/")) {
        for said in
            source.c_texts.iter().filter(|said| !said.test && names(&said.text).eq([said.text.as_str()]))
        {
            directives.entry(&said.text).or_insert((&source.file, said.line));
        }
    }
    if directives.is_empty() {
        findings.push(Finding::new("src/module", 0, "no directive found: has the list another form now?"));
    }
    // A line of the reference sets one, or shows it behind a `#`.
    let first =
        |line: &str| line.trim_start_matches([' ', '\t', '#']).split_whitespace().next().map(str::to_owned);
    // A row of the table begins with one.
    let row = |line: &str| line.strip_prefix("| `").and_then(first);
    let lists: [(&str, Name<'_>); 2] = [(REFERENCE, &first), (README, &row)];
    for (file, name) in lists {
        let named: Vec<(usize, String)> = tree
            .text(file)
            .unwrap_or_default()
            .lines()
            .enumerate()
            .filter_map(|(n, line)| Some((n + 1, names(&name(line)?).next()?.to_owned())))
            .collect();
        let known: BTreeSet<&str> = named.iter().map(|(_, name)| name.as_str()).collect();
        for (directive, (source, line)) in directives.iter().filter(|(name, _)| !known.contains(*name)) {
            findings.push(Finding::new(source, *line, format!("{directive} is not in {file}")));
        }
        for (line, name) in named.iter().filter(|(_, name)| !directives.contains_key(name.as_str())) {
            findings.push(Finding::new(file, *line, format!("there is no directive {name}")));
        }
    }
    for source in &sources {
        for said in source.texts.iter().chain(&source.c_texts).filter(|said| !said.test) {
            for name in names(&said.text).filter(|name| !directives.contains_key(name)) {
                findings.push(Finding::new(&source.file, said.line, format!("there is no directive {name}")));
            }
        }
    }
    findings
}

/// The words of a text that look like our directives.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.starts_with("SessionCluster"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str =
        "const A: X = X { name: c\"SessionCluster\" };\nconst B: X = X { name: c\"SessionClusterIdle\" };";
    const TABLE: &str =
        "| `SessionCluster On\\|Off` | directory |\n| `SessionClusterIdle TIME` | virtual host |";

    fn found(list: &str, reference: &str, readme: &str) -> Vec<String> {
        let files = [("src/module/conf/list.rs", list), (REFERENCE, reference), (README, readme)];
        check(&Tree::of(&files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lists_that_agree_pass() {
        let reference = "# See SessionClusterFoo elsewhere.\nSessionClusterIdle 30m\n  # SessionCluster On";
        assert!(found(LIST, reference, TABLE).is_empty());
    }

    #[test]
    fn one_that_is_missing_is_found_on_either_side() {
        let lines = found(LIST, "SessionClusterIdle 30m\n#SessionClusterTime 1", "| `SessionCluster` | |");
        assert_eq!(
            lines,
            [
                "src/module/conf/list.rs:1: SessionCluster is not in httpd-conf/00-reference.conf",
                "httpd-conf/00-reference.conf:2: there is no directive SessionClusterTime",
                "src/module/conf/list.rs:2: SessionClusterIdle is not in README.md",
            ]
        );
    }

    #[test]
    fn a_message_may_not_name_what_is_not_there() {
        let list = format!("{LIST}\nfn f() {{ say(\"raise SessionClusterSoon\") }}");
        let lines = found(&list, "SessionCluster On\nSessionClusterIdle 1", TABLE);
        assert_eq!(lines, ["src/module/conf/list.rs:3: there is no directive SessionClusterSoon"]);
    }

    #[test]
    fn a_list_that_is_not_found_is_a_finding() {
        assert_eq!(found("", "", "").len(), 1);
    }
}
