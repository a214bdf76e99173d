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
        let graph = graph(floor, &arrows);
        for group in groups(&graph) {
            findings.extend(shortest(&graph, &group));
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

/// Every file that can be reached.
fn reachable<'a>(graph: &Graph<'a>, from: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut todo) = (BTreeSet::new(), vec![from]);
    while let Some(file) = todo.pop() {
        for next in graph.get(file).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(*next) {
                todo.push(next);
            }
        }
    }
    seen
}

/// Files that reach each other. A floor has some dozens, so the plain way is fast enough.
fn groups<'a>(graph: &Graph<'a>) -> BTreeSet<BTreeSet<&'a str>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        graph.keys().map(|file| (*file, reachable(graph, file))).collect();
    let group = |file: &'a str| {
        let mates =
            reach[file].iter().filter(|other| reach.get(**other).is_some_and(|back| back.contains(file)));
        mates.copied().collect::<BTreeSet<&str>>()
    };
    graph.keys().map(|file| group(file)).filter(|group| !group.is_empty()).collect()
}

/// The shortest circle of a group, with the line of each arrow, and who else is in the group.
fn shortest(graph: &Graph<'_>, group: &BTreeSet<&str>) -> Option<Finding> {
    let circle = group.iter().filter_map(|file| circle(graph, file)).min_by_key(Vec::len)?;
    let first = circle.first()?;
    let mut text = format!("a circle of {} files: {}", group.len(), first.from.file);
    for arrow in &circle {
        text += &format!(" -> {}", arrow.to.file);
    }
    for arrow in &circle {
        text += &format!("\n    {}:{}: {}", arrow.from.file, arrow.line, arrow.said);
    }
    let others: Vec<&str> =
        group.iter().filter(|file| circle.iter().all(|arrow| arrow.from.file != **file)).copied().collect();
    if !others.is_empty() {
        text += &format!("\n    also in it, by other ways: {}", others.join(" "));
    }
    Some(Finding::new(&first.from.file, first.line, text))
}

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
        let way = "a circle of 3 files: src/module/a.rs -> src/module/b.rs -> src/module/c.rs -> src/module/a.rs\n    \
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
    fn two_circles_are_two_findings_and_the_longer_way_round_is_named() {
        let findings = check(&Tree::of(&[
            ("src/ffi/a.rs", "use super::b;\nuse super::c;"),
            ("src/ffi/b.rs", "use super::a;"),
            ("src/ffi/c.rs", "use super::b;"),
            ("src/store/x.rs", "use super::y;"),
            ("src/store/y.rs", "use super::x;"),
        ]));
        assert_eq!(findings.len(), 2);
        let ffi = findings.iter().find(|finding| finding.file.starts_with("src/ffi")).unwrap();
        assert!(ffi.what.starts_with("a circle of 3 files: src/ffi/a.rs -> src/ffi/b.rs -> src/ffi/a.rs\n"));
        assert!(ffi.what.ends_with("by other ways: src/ffi/c.rs"));
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
