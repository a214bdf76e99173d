//! What pages may cost: a file with a number for each kind of page, which may be passed by little. The file is TOML of
//! the plainest kind: comments, a section for each kind of machine, and in it `NAME = NUMBER`. Writing new numbers
//! leaves all else in it as it is.

use std::fmt;
use std::process::Command;

/// By how much a page may pass its budget before that is an error, in percent.
pub const TOLERANCE: f64 = 2.0;
/// The key under which a section says what it was measured with.
const WITH: &str = "measured-with";

/// The budgets of one kind of machine.
#[derive(Clone, Debug)]
pub struct Budget {
    text: String,
    section: String,
}

/// One page's figure beside its budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    name: String,
    measured: f64,
    budget: f64,
}

impl Budget {
    /// That of this kind of machine in the text of such a file.
    pub fn here(text: String) -> Self {
        Budget { text, section: kind_of_machine() }
    }

    /// Holds each figure against its budget. The error says what the file has no budget for.
    ///
    /// # Errors
    /// If the file has no section for this machine, or no number for one of the figures.
    pub fn compare(&self, figures: &[(&str, f64)]) -> Result<Vec<Compared>, String> {
        let section = &self.section;
        let each = figures.iter().map(|&(name, measured)| {
            let budget = self.value(name).ok_or_else(|| format!("no budget for {name} in [{section}]"))?;
            let budget =
                budget.parse().map_err(|_| format!("{name} in [{section}] is no number: {budget}"))?;
            Ok(Compared { name: name.to_owned(), measured, budget })
        });
        each.collect()
    }

    /// What the budgets were measured with, if the file says so.
    pub fn measured_with(&self) -> Option<&str> {
        self.value(WITH).map(|value| value.trim_matches('"'))
    }

    /// The text of the file with these figures as its budgets.
    pub fn rewritten(&self, figures: &[(&str, f64)], with: &str) -> String {
        let mut lines: Vec<String> = self.text.lines().map(str::to_owned).collect();
        let header = format!("[{}]", self.section);
        if !lines.contains(&header) {
            lines.extend([String::new(), header.clone()]);
        }
        let numbers = figures.iter().map(|(name, figure)| (*name, format!("{figure:.0}")));
        for (name, value) in [(WITH, format!("\"{with}\""))].into_iter().chain(numbers) {
            let line = format!("{name} = {value}");
            let start = lines.iter().position(|line| *line == header).map_or(0, |at| at + 1);
            let length = lines.iter().skip(start).take_while(|line| !line.starts_with('[')).count();
            let mut section = lines.iter().enumerate().skip(start).take(length);
            match section.find(|(_, line)| key(line) == Some(name)) {
                Some((at, _)) => lines[at] = line,
                None => {
                    let filled = |line: &&String| !line.trim().is_empty();
                    let last =
                        lines[start..start + length].iter().rev().skip_while(|line| !filled(line)).count();
                    lines.insert(start + last, line);
                }
            }
        }
        lines.join("\n") + "\n"
    }

    fn value(&self, name: &str) -> Option<&str> {
        let header = format!("[{}]", self.section);
        let section = self.text.lines().skip_while(|line| *line != header).skip(1);
        let mut section = section.take_while(|line| !line.starts_with('['));
        section
            .find(|line| key(line) == Some(name))
            .and_then(|line| line.split_once('='))
            .map(|(_, v)| v.trim())
    }
}

fn key(line: &str) -> Option<&str> {
    line.split_once('=').map(|(key, _)| key.trim()).filter(|key| !key.starts_with('#'))
}

impl Compared {
    /// By how much it passes its budget, in percent; below nothing if it keeps it.
    pub fn excess(&self) -> f64 {
        (self.measured / self.budget - 1.0) * 100.0
    }

    /// Whether that is too much.
    pub fn is_over(&self) -> bool {
        self.excess() > TOLERANCE
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Compared { name, measured, budget } = self;
        write!(
            f,
            "{name:<12} {measured:>7.0} instructions, budget {budget:>6.0}  {:>+6.2} %",
            self.excess()
        )?;
        if self.is_over() { write!(f, "  OVER") } else { Ok(()) }
    }
}

/// Valgrind shows a program the processor that it runs on, as far as it knows that, and libraries choose by it how they
/// copy, hash and encrypt. AVX2 makes the difference; what came after it valgrind does not show.
fn kind_of_machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let has_avx2 = cpuinfo.split_whitespace().any(|flag| flag == "avx2");
    format!("{}{}", std::env::consts::ARCH, if has_avx2 { "-avx2" } else { "" })
}

/// The versions on which the figures depend: httpd's, the C library's, valgrind's and the compiler's.
pub fn versions() -> String {
    let httpd = crate::httpd::program().display().to_string();
    let programs = [
        vec![&*httpd, "-v"],
        vec!["getconf", "GNU_LIBC_VERSION"],
        vec!["valgrind", "--version"],
        vec!["rustc", "--version"],
    ];
    let said = |words: &[&str]| {
        let output = Command::new(words[0]).args(&words[1..]).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        // `rustc 1.95.0 (hash date)`, `Server version: Apache/2.4.71 (Debian)`
        let line = text.lines().next()?.trim_start_matches("Server version: ");
        Some(line.split(" (").next().unwrap_or(line).to_owned())
    };
    programs.iter().filter_map(|words| said(words)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# What pages may cost.\n[other]\ntable = 1\n\n[this]\nmeasured-with = \"sand\"\n# Why.\n\
                        table = 5000\nredis=300\n";

    fn budget(text: &str) -> Budget {
        Budget { text: text.to_owned(), section: "this".to_owned() }
    }

    #[test]
    fn a_page_three_percent_over_its_budget_is_over_and_one_percent_is_not() {
        let compared = budget(FILE).compare(&[("table", 5150.0), ("redis", 303.0)]).unwrap();
        let [table, redis] = &compared[..] else { panic!("two figures") };
        assert!(table.is_over() && !redis.is_over());
        assert_eq!(table.to_string(), "table           5150 instructions, budget   5000   +3.00 %  OVER");
        assert_eq!(redis.to_string(), "redis            303 instructions, budget    300   +1.00 %");
        assert!(!budget(FILE).compare(&[("table", 2500.0)]).unwrap()[0].is_over());
    }

    #[test]
    fn a_page_without_a_budget_is_an_error() {
        let error = budget(FILE).compare(&[("basic", 1.0)]).unwrap_err();
        assert_eq!(error, "no budget for basic in [this]");
        assert!(budget("[other]\ntable = 1\n").compare(&[("table", 1.0)]).is_err());
        assert!(budget("[this]\ntable = much\n").compare(&[("table", 1.0)]).is_err());
    }

    #[test]
    fn new_figures_leave_all_else_as_it_was() {
        let new = budget(FILE).rewritten(&[("table", 5150.4), ("basic", 7.0)], "stone");
        let expected = FILE
            .replace("sand", "stone")
            .replace("5000", "5150")
            .replace("redis=300\n", "redis=300\nbasic = 7\n");
        assert_eq!(new, expected);
        assert_eq!(budget(&new).measured_with(), Some("stone"));
        assert_eq!(budget(&new).rewritten(&[("table", 5150.4), ("basic", 7.0)], "stone"), new);
    }

    #[test]
    fn a_machine_of_another_kind_gets_a_section_of_its_own() {
        let new = budget("# Why.\n[other]\ntable = 1\n").rewritten(&[("table", 2.0)], "stone");
        assert_eq!(new, "# Why.\n[other]\ntable = 1\n\n[this]\nmeasured-with = \"stone\"\ntable = 2\n");
    }
}
