//! No circle of files on a floor: each can be read after those that it knows. What an arrow is, `arrows.rs` says; test
//! code makes none, because a test knows what it tests.

use crate::arrows::{Arrow, arrows};
use crate::rust::sources;
use crate::tree::{Finding, Tree};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(crate) const FLOORS: [&str; 4] = ["src/module/", "src/session/", "src/store/", "src/ffi/"];

/// The arrows of one floor: from a file, to a file, the first place that says so.
type Graph<'a> = BTreeMap<&'a str, BTreeMap<&'a str, &'a Arrow<'a>>>;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let (sources, mut findings) = sources(tree, "src/");
    let arrows = arrows(&sources);
    for floor in FLOORS {
        let mut graph = graph(floor, &arrows);
        // One circle after the other, each without the arrows of those before it: at least one arrow of each must go.
        while let Some(circle) = shortest(&graph) {
            for arrow in &circle {
                graph.entry(&arrow.from.file).or_default().remove(arrow.to.file.as_str());
            }
            findings.extend(finding(&circle));
        }
    }
    findings
}

/// Files and arrows of each floor, both without test code: an arrow is a pair of files, however often one names the
/// other.
pub(crate) fn figures(tree: &Tree) -> Vec<String> {
    let (sources, _) = sources(tree, "src/");
    let arrows = arrows(&sources);
    let tests: BTreeSet<_> = sources.iter().flat_map(|source| &source.tests).collect();
    let figure = |floor: &str| {
        let files = sources.iter().filter(|source| {
            source.file.starts_with(floor)
                && !(0..=source.module.len()).any(|n| tests.contains(&source.module[..n].to_vec()))
        });
        let pairs: usize = graph(floor, &arrows).values().map(BTreeMap::len).sum();
        format!("{floor}: {} files, {pairs} arrows between them", files.count())
    };
    FLOORS.iter().map(|floor| figure(floor)).collect()
}

fn graph<'a>(floor: &str, arrows: &'a [Arrow<'a>]) -> Graph<'a> {
    let mut graph = Graph::new();
    for arrow in arrows.iter().filter(|arrow| !arrow.test) {
        let (from, to) = (arrow.from.file.as_str(), arrow.to.file.as_str());
        if from.starts_with(floor) && to.starts_with(floor) {
            graph.entry(from).or_default().entry(to).or_insert(arrow);
        }
    }
    graph
}

/// The shortest circle of a floor, if there is one.
fn shortest<'a>(graph: &Graph<'a>) -> Option<Vec<&'a Arrow<'a>>> {
    graph.keys().filter_map(|file| circle(graph, file)).min_by_key(Vec::len)
}

/// A circle as a way from file to file, and the line of each arrow.
fn finding(circle: &[&Arrow<'_>]) -> Option<Finding> {
    let first = circle.first()?;
    let mut text = format!("a circle: {}", first.from.file);
    for arrow in circle {
        text += &format!(" -> {}", arrow.to.file);
    }
    for arrow in circle {
        text += &format!("\n    {}:{}: {}", arrow.from.file, arrow.line, arrow.said);
    }
    Some(Finding::new(&first.from.file, first.line, text))
}

/// The shortest way from a file back to it.
fn circle<'a>(graph: &Graph<'a>, start: &str) -> Option<Vec<&'a Arrow<'a>>> {
    let mut came: BTreeMap<&str, &Arrow<'_>> = BTreeMap::new();
    let mut todo = VecDeque::from([start]);
    while let Some(file) = todo.pop_front() {
        for (next, arrow) in graph.get(file).into_iter().flatten() {
            if came.contains_key(next) {
                continue;
            }
            came.insert(next, arrow);
            todo.push_back(next);
            if *next != start {
                continue;
            }
            let mut way = vec![*arrow];
            while let Some(last) = way.last().filter(|last| last.from.file != start) {
                way.push(came.get(last.from.file.as_str())?);
            }
            way.reverse();
            return Some(way);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_circle_is_found_with_its_way_and_lines() {
        let findings = check(&Tree::of(&[
            ("src/module/a.rs", "\nuse super::b::B;"),
            ("src/module/b.rs", "fn f() { println!(\"{}\", crate::module::c::C) }"),
            ("src/module/c.rs", "use super::a;\nuse super::d;"),
            ("src/module/d.rs", ""),
        ]));
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].file.as_str(), findings[0].line), ("src/module/a.rs", 2));
        let way = "a circle: src/module/a.rs -> src/module/b.rs -> src/module/c.rs -> src/module/a.rs\n    \
                   src/module/a.rs:2: super::b::B\n    src/module/b.rs:1: crate::module::c::C\n    \
                   src/module/c.rs:1: super::a";
        assert_eq!(findings[0].what, way);
    }

    #[test]
    fn a_parent_that_uses_a_child_that_uses_it_is_a_circle() {
        let child = ("src/store/l1/slot.rs", "use super::Table;");
        let uses = Tree::of(&[("src/store/l1/mod.rs", "mod slot;\npub use slot::Slot;"), child]);
        assert_eq!(check(&uses).len(), 1);
        let declares = Tree::of(&[("src/store/l1/mod.rs", "pub mod slot;"), child]);
        assert!(check(&declares).is_empty());
    }

    #[test]
    fn each_circle_is_named_and_circles_through_the_same_arrow_are_one() {
        let findings = check(&Tree::of(&[
            ("src/ffi/a.rs", "use super::b;\nuse super::c;"),
            ("src/ffi/b.rs", "use super::a;\nuse super::c;"),
            ("src/ffi/c.rs", "use super::b;"),
            ("src/store/x.rs", "use super::y;"),
            ("src/store/y.rs", "use super::x;"),
        ]));
        let ways: Vec<&str> = findings.iter().filter_map(|finding| finding.what.lines().next()).collect();
        assert_eq!(
            ways,
            [
                "a circle: src/store/x.rs -> src/store/y.rs -> src/store/x.rs",
                "a circle: src/ffi/a.rs -> src/ffi/b.rs -> src/ffi/a.rs",
                "a circle: src/ffi/b.rs -> src/ffi/c.rs -> src/ffi/b.rs",
            ]
        );
    }

    #[test]
    fn tests_and_other_floors_make_no_circle() {
        let tree = Tree::of(&[
            ("src/store/a.rs", "use super::b;\n#[cfg(test)]\nmod tests { use super::*; }"),
            ("src/store/b.rs", "#[cfg(test)]\nmod tests { use crate::store::a; }"),
            ("src/module/a.rs", "use crate::store::a;"),
        ]);
        assert!(check(&tree).is_empty());
    }

    #[test]
    fn an_arrow_is_counted_once_for_a_pair_of_files() {
        let tree = Tree::of(&[
            ("src/store/mod.rs", "#[cfg(test)]\nmod tests;"),
            ("src/store/a.rs", "use super::b::{B, C};\nfn f() { super::b::g() }"),
            ("src/store/b.rs", ""),
            ("src/store/tests.rs", "use super::a;"),
        ]);
        assert!(figures(&tree).contains(&"src/store/: 3 files, 1 arrows between them".to_owned()));
    }
}
