//! What a session costs a page: processor time of a real httpd under load, and user instructions by callgrind, which
//! are held against the budget in `benches/budget.toml`. `make bench` and `make budget` run it.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A benchmark that cannot measure stops.

mod instructions;
mod rounds;
mod sites;

use harness::budget::{Budget, TOLERANCE, versions};
use std::path::Path;
use std::process::exit;

const HELP: &str = "\
What a session costs a page of 1 KiB over kept-alive connections.

    make bench                  these figures among others
    make budget                 instructions only, held against benches/budget.toml; fails when one is passed
    make budget BUDGET=write    writes them there

    cargo bench --profile dev --bench page -- [OPTIONS]

    --rounds N              how often each kind of page is loaded, in alternation (default 7)
    --seconds S             how long each time (default 2)
    --no-callgrind          processor time only
    --budget check|write    instructions only; check fails when a budget is passed, write writes the new ones

MSC_MODULE names the module; without it, it is the one that this very build made, which is slower than a release.

Processor time: the event MPM on one core, wrk on another. The bare page is read twice: the difference is the noise of
the run. A browser's requests come by its own connections, where its session is remembered; \"others' sessions\" takes
one of 64 at random for each request. The rights page is behind two 'Require session-...' lines and exports five
attributes of its session. All are read against the bare page.

Instructions: the prefork MPM with one process under callgrind. Only the thread that serves is counted.";

/// What is asked for.
struct Options {
    rounds: u32,
    seconds: u32,
    callgrind: bool,
    budget: Option<Keep>,
}

/// What to do with the budget.
#[derive(Clone, Copy)]
enum Keep {
    Check,
    Write,
}

fn main() {
    let options =
        options(std::env::args().skip(1).filter(|word| word != "--bench")).unwrap_or_else(|error| {
            eprintln!("{error}\n{HELP}");
            exit(2);
        });
    if let Some(keep) = options.budget {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/budget.toml");
        if let Err(error) = budget(&file, keep) {
            eprintln!("{error}");
            exit(1);
        }
        return;
    }
    println!("{}", rounds::measure(options.rounds, options.seconds));
    if options.callgrind {
        println!("user instructions of a page, by callgrind:");
        let figures = instructions::measure();
        println!("  {:<12} {:>7.0}", "bare page", figures.bare);
        figures.each.iter().for_each(|(name, figure)| println!("  {name:<12} {figure:>7.0} more"));
    }
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { rounds: 7, seconds: 2, callgrind: true, budget: None };
    while let Some(word) = words.next() {
        let mut number = || {
            let value = words.next().and_then(|value| value.parse().ok()).filter(|value| *value > 0);
            value.ok_or_else(|| format!("{word} takes a number above 0"))
        };
        match word.as_str() {
            "--rounds" => options.rounds = number()?,
            "--seconds" => options.seconds = number()?,
            "--no-callgrind" => options.callgrind = false,
            "--budget" => match words.next().as_deref() {
                Some("check") => options.budget = Some(Keep::Check),
                Some("write") => options.budget = Some(Keep::Write),
                _ => return Err("--budget takes check or write".to_owned()),
            },
            "--help" | "-h" => {
                println!("{HELP}");
                exit(0);
            }
            _ => return Err(format!("what is '{word}'?")),
        }
    }
    Ok(options)
}

/// Measures, and holds that against the file or writes it there. The error says what is wrong and what can be done.
fn budget(file: &Path, keep: Keep) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let (budget, with) = (Budget::here(text), versions());
    let figures = instructions::measure();
    println!("user instructions of a page, more than the bare page's {:.0}, with {with}:", figures.bare);
    if matches!(keep, Keep::Write) {
        figures.each.iter().for_each(|(name, figure)| println!("  {name:<12} {figure:>7.0}"));
        println!("written to {}: commit it with a message that says why", file.display());
        return std::fs::write(file, budget.rewritten(&figures.each, &with))
            .map_err(|error| error.to_string());
    }
    let write = "`make budget BUDGET=write`";
    let compared = match budget.compare(&figures.each) {
        Ok(compared) => compared,
        Err(error) if budget.measured_with().is_none() => {
            println!("NOT HELD to a budget: {error}. {write} makes one.");
            return Ok(());
        }
        Err(error) => return Err(format!("{error}: write one with {write}")),
    };
    compared.iter().for_each(|compared| println!("  {compared}"));
    let over: Vec<String> = compared.iter().filter(|one| one.is_over()).map(ToString::to_string).collect();
    if over.is_empty() {
        if compared.iter().any(|compared| compared.excess() < -TOLERANCE) {
            println!("There is more than {TOLERANCE} % to spare: {write} keeps what was gained.");
        }
        return Ok(());
    }
    let over = over.join("\n  ");
    // Another httpd, C library or compiler runs other instructions: that is nobody's fault.
    if let Some(other) = budget.measured_with().filter(|budgeted| *budgeted != with) {
        println!("NOT HELD to the budget, which was measured with {other}; this is {with}:\n  {over}");
        return Ok(());
    }
    Err(format!(
        "A page costs over {TOLERANCE} % more than its budget:\n  {over}\n\
         Find out what it is spent on. If it is worth that, \
         raise the budget: {write}, and a commit of benches/budget.toml that says why."
    ))
}
