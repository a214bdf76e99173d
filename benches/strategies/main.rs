//! The same work over every store of this module, and beside the other ways to keep sessions in httpd: what a page
//! costs, a login, a logout, when other servers know of it, and what happens while the store is away.
//! `make bench-strategies` runs it; `docs/strategies.md` says how it is measured.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A benchmark that cannot measure stops.

mod acts;
mod figures;
mod mod_python;
mod mod_session;
mod ours;
mod outage;
mod pages;
mod plot;
mod report;
mod rows;
mod scene;
mod stage;
mod stores;
mod visitor;

use figures::Run;
use stage::Effort;
use std::fs;
use std::path::Path;
use std::time::Instant;

const HELP: &str = "\
The same work over every store, and beside other systems: pages, logins, logouts, outages.

    make bench-strategies                        all rows (at most 15 minutes); writes docs/strategies.{json,svg,md}
    make bench-strategies BENCH_ROWS=redis,file  these rows only; writes to target/strategies and not to docs
    make bench-strategies BENCH_QUICK=1          one round of each, to see whether all works; writes there, too
    make plot-strategies                         docs/strategies.svg and the table again from docs/strategies.json

Rows:";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => run(&docs),
        ["--plot"] => {
            let json =
                fs::read_to_string(docs.join("strategies.json")).expect("docs/strategies.json is needed");
            publish(&serde_json::from_str(&json).expect("docs/strategies.json is understood"), &docs);
        }
        ["--help" | "-h"] => {
            println!("{HELP}");
            rows::ROWS.iter().for_each(|row| println!("    {:<24}{}", row.key, row.name));
        }
        _ => {
            eprintln!("{HELP} see --help");
            std::process::exit(2);
        }
    }
}

fn run(docs: &Path) {
    let words = std::env::var("BENCH_ROWS").ok().filter(|words| !words.is_empty());
    let quick = std::env::var_os("BENCH_QUICK").is_some_and(|quick| !quick.is_empty());
    let rows = rows::chosen(words.as_deref()).unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(2);
    });
    let effort = match quick {
        true => Effort { rounds: 1, seconds: 1, acts: 20 },
        false => Effort { rounds: 9, seconds: 1, acts: 200 },
    };
    // A panic of one row becomes its note; it need not be told twice.
    std::panic::set_hook(Box::new(|_| {}));
    let start = Instant::now();
    let mut run = Run { machine: report::machine(), versions: report::versions(), ..Run::default() };
    run.busy[0] = report::busy();
    for (n, row) in rows.iter().enumerate() {
        let begun = Instant::now();
        let figures = stage::play(row, effort);
        let (n, of, took) = (n + 1, rows.len(), begun.elapsed().as_secs());
        println!("{n:>2}/{of} {:<36} {} ({took} s)", row.name, report::line(&figures));
        run.rows.push(figures);
    }
    run.busy[1] = report::busy();
    println!("\n{}", report::text(&run));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("strategies");
    let to = if words.is_none() && !quick { docs } else { &target };
    fs::create_dir_all(to).unwrap();
    fs::write(to.join("strategies.json"), serde_json::to_string_pretty(&run).unwrap() + "\n").unwrap();
    publish(&run, to);
    println!("written to {} after {} s", to.display(), start.elapsed().as_secs());
}

/// Writes the plot, and the tables into the document if it is there.
fn publish(run: &Run, to: &Path) {
    fs::write(to.join("strategies.svg"), plot::svg(run)).unwrap();
    let document = to.join("strategies.md");
    let text = fs::read_to_string(&document).unwrap_or_else(|_| format!("{}{}", report::BEGIN, report::END));
    fs::write(document, report::put(&text, run)).unwrap();
}
