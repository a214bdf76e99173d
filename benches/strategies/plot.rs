//! The plot: what a session costs a page, one bar a system, on a logarithmic scale from 1 to 1500 microseconds. Made
//! from the figures alone, so that the same figures make the same bytes.

use crate::figures::{Figures, Page, Run};
use std::fmt::Write as _;

const LEAST: f64 = 1.0;
const MOST: f64 = 1500.0;
const TICKS: [f64; 7] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0];

/// Units of the picture: where the bars begin and end, and the height of a row.
const LEFT: f64 = 290.0;
const RIGHT: f64 = 720.0;
const WIDTH: f64 = 900.0;
const ROW: f64 = 24.0;
const TOP: f64 = 84.0;

const STYLE: &str = "\
  :root { color-scheme: light dark; }
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .faint { fill: #59636e; font-size: 12px; }
  .group { font-weight: 600; }
  .paper { fill: #ffffff; }
  .rule { stroke: #d1d9e0; }
  .spread { stroke: #1f2328; stroke-width: 1.5; }
  .ours { fill: #0969da; }
  .others { fill: #818b98; }
  .store { fill: #bc4c00; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .faint { fill: #9198a1; }
    .paper { fill: #0d1117; }
    .rule { stroke: #3d444d; }
    .spread { stroke: #f0f6fc; }
    .ours { fill: #4493f8; }
    .others { fill: #848d97; }
    .store { fill: #f0883e; }
  }
";

/// The whole picture.
pub(crate) fn svg(run: &Run) -> String {
    let group = |ours: bool| run.rows.iter().filter(move |row| row.ours == ours).collect::<Vec<_>>();
    let groups = [("This module", group(true)), ("Others", group(false))];
    let rows: usize =
        groups.iter().filter(|(_, rows)| !rows.is_empty()).map(|(_, rows)| rows.len() + 1).sum();
    let bottom = TOP + rows as f64 * ROW;
    let height = bottom + 34.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-labelledby=\"title desc\">\n\
         <title id=\"title\">What a session costs a page</title>\n<desc id=\"desc\">{}</desc>\n<style>\n\
         {STYLE}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"title\" x=\"16\" y=\"28\">What a session costs a page: microseconds of processor time</text>\n\
         <text class=\"faint\" x=\"16\" y=\"48\">over the same page without a session, logarithmic; thin lines: least \
         and most of the rounds</text>\n",
        escaped(&description(run)),
    );
    for (x, class, label) in
        [(LEFT, "store", "the store's server"), (LEFT + 150.0, "ours", "httpd"), (LEFT + 164.0, "others", "")]
    {
        let _ = writeln!(svg, "<rect class=\"{class}\" x=\"{x}\" y=\"59\" width=\"11\" height=\"11\"/>");
        let x = if class == "ours" { x + 31.0 } else { x + 17.0 };
        if !label.is_empty() {
            let _ = writeln!(svg, "<text class=\"faint\" x=\"{x}\" y=\"69\">{label}</text>");
        }
    }
    for tick in TICKS {
        let x = at(tick);
        let _ =
            writeln!(svg, "<line class=\"rule\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>");
        let _ = writeln!(
            svg,
            "<text class=\"faint\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick}</text>",
            bottom + 18.0
        );
    }
    let _ =
        writeln!(svg, "<text class=\"faint\" x=\"{:.1}\" y=\"{:.1}\">us</text>", RIGHT + 8.0, bottom + 18.0);
    let mut y = TOP;
    for (name, rows) in groups.iter().filter(|(_, rows)| !rows.is_empty()) {
        let _ = writeln!(svg, "<text class=\"group\" x=\"16\" y=\"{:.1}\">{name}</text>", y + 17.0);
        y += ROW;
        for row in rows {
            svg += &bar(row, y);
            y += ROW;
        }
    }
    svg + "</svg>\n"
}

/// A system: its name, its bar and its figures.
fn bar(row: &Figures, y: f64) -> String {
    let (base, name) = (y + 17.0, escaped(&row.name));
    let mut bar = format!("<text x=\"28\" y=\"{base:.1}\">{name}</text>\n");
    let Some(page) = &row.page else {
        let note = row.note.clone().unwrap_or_default();
        let short: String = note.chars().take(64).collect();
        let more = if short.len() < note.len() { "..." } else { "" };
        let _ = writeln!(
            bar,
            "<text class=\"faint\" x=\"{LEFT}\" y=\"{base:.1}\">{}{more}</text>",
            escaped(&short)
        );
        return bar;
    };
    let (httpd, all) = (page.cost.median, total(page));
    let class = if row.ours { "ours" } else { "others" };
    let mut piece = |class: &str, from: f64, to: f64| {
        let (x, width) = (at(from), at(to) - at(from));
        if width > 0.0 {
            let _ = writeln!(
                bar,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"14\"/>",
                y + 5.0
            );
        }
    };
    piece(class, LEAST, httpd);
    piece("store", httpd, all);
    let (from, to, middle) = (at(page.cost.least), at(page.cost.most), y + 12.0);
    let _ = writeln!(
        bar,
        "<line class=\"spread\" x1=\"{from:.1}\" y1=\"{middle:.1}\" x2=\"{to:.1}\" y2=\"{middle:.1}\"/>"
    );
    let _ = writeln!(bar, "<text x=\"{:.1}\" y=\"{base:.1}\">{}</text>", at(all).max(to) + 6.0, label(page));
    bar
}

/// What httpd and the store do together for a page.
fn total(page: &Page) -> f64 {
    page.cost.median + page.store.map_or(0.0, |store| store.median)
}

fn label(page: &Page) -> String {
    let figure = |us: f64| match us {
        us if us < 0.05 => "less than the noise".into(),
        us if us < 10.0 => format!("{us:.1}"),
        us => format!("{us:.0}"),
    };
    let store = page.store.filter(|store| store.median >= 0.05);
    figure(page.cost.median)
        + &store.map_or(String::new(), |store| format!(" + {} at the store", figure(store.median)))
}

/// Where so many microseconds are. What is less than the scale shows is at its beginning.
fn at(us: f64) -> f64 {
    LEFT + (us.clamp(LEAST, MOST) / LEAST).ln() / (MOST / LEAST).ln() * (RIGHT - LEFT)
}

/// The plot in words.
fn description(run: &Run) -> String {
    let said = run.rows.iter().map(|row| match &row.page {
        Some(page) => format!("{}: {}", row.name, label(page)),
        None => format!("{}: {}", row.name, row.note.as_deref().unwrap_or("no figure")),
    });
    let said: Vec<String> = said.collect();
    format!("A bar for each system, in microseconds of processor time a page. {}.", said.join("; "))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
