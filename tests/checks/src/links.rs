//! What the Markdown files point at is there: relative links, anchors of headings, and files of the project that stand
//! in backquotes. Links into the net are not followed: whether they answer is not ours to fail on.

use crate::tree::{Finding, Tree};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use std::collections::BTreeSet;

/// A text in backquotes that begins like this names a file or a directory.
const PLACES: [&str; 8] =
    ["src/", "tests/", "docs/", "apxs/", "httpd-conf/", "benches/", "fuzz/", ".github/"];

/// Says what was, so it may name what is gone.
const HISTORY: &str = "CHANGELOG.md";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, text) in tree.files().filter(|(file, _)| file.ends_with(".md")) {
        let mut line = Lines { text, at: 0, line: 1 };
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            let wrong = match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    broken(tree, file, &dest_url)
                }
                Event::Html(html) | Event::InlineHtml(html) => {
                    targets(&html).find_map(|to| broken(tree, file, to))
                }
                Event::Code(code) => missing(tree, &code).filter(|_| file != HISTORY),
                _ => None,
            };
            findings.extend(wrong.map(|what| Finding::new(file, line.of(range.start), what)));
        }
    }
    findings
}

/// Why a link leads nowhere, if it does.
fn broken(tree: &Tree, from: &str, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let to = if path.is_empty() { from.to_owned() } else { joined(from, path)? };
    if !tree.has(&to) {
        return Some(format!("{link}: there is no {to}"));
    }
    let anchor = anchor.filter(|_| to.ends_with(".md"))?;
    let known = anchors(tree.text(&to).unwrap_or_default());
    (!known.contains(anchor)).then(|| format!("{link}: {to} has no heading #{anchor}"))
}

/// A path that a file names, from the root of the project; none if it leads out of it.
fn joined(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Addresses in HTML that stands in Markdown.
fn targets(html: &str) -> impl Iterator<Item = &str> {
    [" src=\"", " href=\""].into_iter().flat_map(|name| {
        html.split(name).skip(1).filter_map(|rest| rest.split_once('"').map(|(target, _)| target))
    })
}

/// The file that a text in backquotes names, if it is not there.
fn missing(tree: &Tree, code: &str) -> Option<String> {
    let is_path = code.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let names = is_path && PLACES.iter().any(|place| code.starts_with(place));
    (names && !tree.has(code)).then(|| format!("`{code}`: there is no such file"))
}

/// The anchors that GitHub and mdBook make of a file's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let (mut anchors, mut heading) = (BTreeSet::new(), None);
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => anchors.extend(heading.take().map(|title| slug(&title))),
            Event::Text(text) | Event::Code(text) => {
                heading.iter_mut().for_each(|title| title.push_str(&text))
            }
            _ => {}
        }
    }
    anchors
}

fn slug(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Lines of offsets that only grow.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl Lines<'_> {
    fn of(&mut self, offset: usize) -> usize {
        if let Some(more) = self.text.get(self.at..offset) {
            self.line += more.matches('\n').count();
            self.at = offset;
        }
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let files = [
            ("docs/a.md", text),
            ("docs/b.md", "# What is `it`, then?\n\n## What is it-then\n"),
            ("README.md", ""),
            ("src/store/mod.rs", ""),
        ];
        check(&Tree::of(&files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let text = "# Here\n[1](b.md) [2](../README.md) [3](#here) [4](b.md#what-is-it-then) [5](../src)\n\
                    [6](https://example.org/nothing.md) `src/store/` `src/store/*.rs` <img alt=\"x\" src=\"b.md\">\n";
        assert_eq!(found(text), [""; 0]);
    }

    #[test]
    fn a_missing_file_or_heading_is_found_with_its_line() {
        let text = "\n[1](c.md)\n\n| a |\n|---|\n| [2](b.md#what) |\n\n<img src=\"../c.svg\">\n";
        assert_eq!(
            found(text),
            [
                "docs/a.md:2: c.md: there is no docs/c.md",
                "docs/a.md:6: b.md#what: docs/b.md has no heading #what",
                "docs/a.md:8: ../c.svg: there is no c.svg",
            ]
        );
    }

    #[test]
    fn a_file_in_backquotes_that_is_gone_is_found() {
        assert_eq!(
            found("as `src/store/key.rs` says"),
            ["docs/a.md:1: `src/store/key.rs`: there is no such file"]
        );
        assert!(found("```\n`src/store/key.rs` [x](y.md)\n```\n").is_empty());
    }
}
