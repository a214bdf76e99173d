//! The figures as people read them: a line while it runs, then tables, as text and as Markdown.

use crate::figures::{Act, Elsewhere, Figures, Outage, Run, Said, Spread};
use std::fs;
use std::process::Command;

pub(crate) const BEGIN: &str = "<!-- figures: written by make bench-strategies -->\n";
pub(crate) const END: &str = "<!-- end of figures -->\n";

/// A table of text.
struct Table {
    title: &'static str,
    rows: Vec<Vec<String>>,
}

/// What there is to say of a row in one line.
pub(crate) fn line(figures: &Figures) -> String {
    let page = figures.page.as_ref().map(|page| format!("{} us a page", spread(page.cost)));
    let begin = figures.begin.as_ref().map(|begin| format!("login {}", waited(begin)));
    let elsewhere = figures.elsewhere.as_ref().map(|elsewhere| format!("elsewhere {}", told(elsewhere)));
    let all = [page, begin, elsewhere, figures.note.clone()];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// All tables, for a terminal.
pub(crate) fn text(run: &Run) -> String {
    let tables = tables(run).iter().map(Table::text).collect::<Vec<_>>().join("\n");
    format!("{}\n{tables}", circumstances(run))
}

/// The document with the tables of this run between its two marks.
pub(crate) fn put(document: &str, run: &Run) -> String {
    let tables = tables(run).iter().map(Table::markdown).collect::<Vec<_>>().join("\n");
    let figures = format!("{BEGIN}\n{}\n{tables}\n{END}", circumstances(run));
    match (document.split_once(BEGIN), document.split_once(END)) {
        (Some((before, _)), Some((_, after))) => format!("{before}{figures}{after}"),
        _ => figures,
    }
}

fn circumstances(run: &Run) -> String {
    let [begin, end] = run.busy;
    format!(
        "{}; {}. Processes that wanted to run, over a minute: {begin:.1} before, {end:.1} at the end.\n",
        run.machine, run.versions
    )
}

fn tables(run: &Run) -> [Table; 3] {
    let cells = |head: &[&str], notes: bool, cells: &dyn Fn(&Figures) -> Option<Vec<String>>| {
        let head: Vec<String> = head.iter().map(|&head| head.into()).collect();
        let row = |figures: &Figures| {
            let mut row =
                vec![if figures.ours { format!("**{}**", figures.name) } else { figures.name.clone() }];
            let note = || figures.note.clone().filter(|_| notes).map(|note| vec![note]);
            row.extend(cells(figures).or_else(note)?);
            row.resize(head.len(), String::new());
            Some(row)
        };
        let rows = run.rows.iter().filter_map(row).collect::<Vec<_>>();
        [vec![head.clone()], rows].concat()
    };
    let pages = cells(PAGES, true, &|figures| {
        let page = figures.page.as_ref()?;
        let bare = format!("{:.1}", page.bare.median)
            + &page.file.map_or(String::new(), |file| format!(" (file {:.1})", file.median));
        Some(vec![
            bare,
            spread(page.cost),
            spread(page.cost_of_others),
            format!("{:.2}", page.ratio.median),
            page.store.map_or("-".into(), spread),
            page.operations.map_or("-".into(), |operations| format!("{operations:.3}")),
            match page.idle.store {
                Some(store) => format!("{:.1} + {store:.1}", page.idle.httpd),
                None => format!("{:.1}", page.idle.httpd),
            },
        ])
    });
    let acts = cells(ACTS, false, &|figures| {
        let (begin, end) = (figures.begin.as_ref()?, figures.end.as_ref()?);
        let elsewhere = figures.elsewhere.as_ref().map_or("-".into(), told);
        Some(vec![used(begin), waited(begin), used(end), waited(end), elsewhere])
    });
    let outages = cells(OUTAGES, false, &|figures| {
        let (frozen, killed) = (figures.frozen.as_ref()?, figures.killed.as_ref()?);
        Some(vec![seen(frozen), after(frozen), seen(killed), after(killed)])
    });
    [("Pages", pages), ("Logins and logouts", acts), ("The store is away", outages)]
        .map(|(title, rows)| Table { title, rows })
}

const PAGES: &[&str] = &[
    "",
    "bare page, us",
    "a session costs, us",
    "another session at each request, us",
    "ratio",
    "the store, us",
    "store operations a page",
    "idle, httpd + store, ms a second",
];
const ACTS: &[&str] = &[
    "",
    "login, httpd + store, us",
    "login, p50 / p99, ms",
    "logout, httpd + store, us",
    "logout, p50 / p99, ms",
    "refused elsewhere after, p50 / p99 / max, ms",
];
const OUTAGES: &[&str] = &[
    "",
    "stopped: known session; other node's; login",
    "works again, and its sessions",
    "killed: known session; other node's; login",
    "works again, and its sessions",
];

fn spread(spread: Spread) -> String {
    let digits = if spread.median.abs() < 100.0 { 1 } else { 0 };
    let Spread { median, least, most } = spread;
    format!("{median:.digits$} ({least:.digits$} to {most:.digits$})")
}

fn used(act: &Act) -> String {
    act.store.map_or(format!("{:.0}", act.httpd), |store| format!("{:.0} + {store:.0}", act.httpd))
}

fn waited(act: &Act) -> String {
    let times = format!("{:.2} / {:.2}", act.p50 / 1000.0, act.p99 / 1000.0);
    match act.put_off {
        0 => times,
        put_off => format!("{times} (503 {put_off} times)"),
    }
}

fn told(elsewhere: &Elsewhere) -> String {
    match elsewhere {
        Elsewhere::OneHost => "one host".into(),
        Elsewhere::Never { seconds } => format!("never (still open after {seconds:.0} s)"),
        Elsewhere::After { p50, p99, max, .. } => {
            let [p50, p99, max] = [p50, p99, max].map(|us| us / 1000.0);
            format!("{p50:.2} / {p99:.2} / {max:.2}")
        }
    }
}

/// `200 in 0.2 ms; 503 in 51 ms, then 0.3; ...`
fn seen(outage: &Outage) -> String {
    let time = |ms: f64| if ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") };
    let status = |said: &Said| said.status.map_or("no answer".into(), |status| status.to_string());
    let both = |[first, then]: &[Said; 2]| {
        let begin = format!("{} in {} ms", status(first), time(first.ms));
        match first.status == then.status {
            true => format!("{begin}, then {}", time(then.ms)),
            false => format!("{begin}, then {} in {} ms", status(then), time(then.ms)),
        }
    };
    [&outage.known, &outage.unknown, &outage.login].map(both).join("; ")
}

/// `after 0.2 s; both there`
fn after(outage: &Outage) -> String {
    let word = |status: &Option<u16>| match status {
        Some(200) => "there".into(),
        Some(401) => "gone".into(),
        Some(status) => status.to_string(),
        None => "no answer".into(),
    };
    let back = outage.back.map_or("not in 10 s".into(), |ms| format!("after {:.1} s", ms / 1000.0));
    let [known, unknown] = outage.after.each_ref().map(word);
    if known == unknown {
        format!("{back}; both {known}")
    } else {
        format!("{back}; {known}; other node's {unknown}")
    }
}

impl Table {
    fn text(&self) -> String {
        let plain = |cell: &String| cell.replace("**", "");
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |n: usize| self.rows.iter().filter_map(|row| row.get(n)).map(|cell| plain(cell).len()).max();
        let widths: Vec<usize> = (0..columns).map(|n| width(n).unwrap_or(0).min(76)).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{:<width$}", plain(cell)));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        format!("{}\n{}", self.title, self.rows.iter().map(line).collect::<String>())
    }

    fn markdown(&self) -> String {
        let line = |row: &Vec<String>| {
            format!("| {} |\n", row.iter().map(|cell| cell.replace('|', "/")).collect::<Vec<_>>().join(" | "))
        };
        let Some((head, rows)) = self.rows.split_first() else { return String::new() };
        let rule = format!("|{}\n", "---|".repeat(head.len()));
        format!("### {}\n\n{}{rule}{}", self.title, line(head), rows.iter().map(line).collect::<String>())
    }
}

/// The processor and how many of it there are.
pub(crate) fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{count} x {}", model.map_or("an unnamed processor", |(_, model)| model))
}

/// httpd and what is beside it.
pub(crate) fn versions() -> String {
    let said = |program: &str, argument: &str| {
        let output = Command::new(crate::scene::program(program)?).arg(argument).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next()?.replace("Server version: ", ""))
    };
    let programs = [
        ("apache2", "-v"),
        ("httpd", "-v"),
        ("redis-server", "--version"),
        ("memcached", "--version"),
        ("mariadbd", "--version"),
        ("postgres", "--version"),
    ];
    let said: Vec<String> =
        programs.iter().filter_map(|(program, argument)| said(program, argument)).collect();
    said.iter().map(|said| said.split(" sha=").next().unwrap_or(said).trim()).collect::<Vec<_>>().join(", ")
}

/// How many processes wanted to run, over the last minute.
pub(crate) fn busy() -> f64 {
    let loadavg = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    loadavg.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}
