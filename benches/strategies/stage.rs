//! A row with everything that it needs running: two nodes if its store is shared, else one.

use crate::figures::Figures;
use crate::rows::{Of, Row};
use crate::scene::Scene;
use crate::stores::Store;
use crate::{acts, outage, pages};
use harness::{Httpd, Site};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

pub(crate) struct Stage {
    pub(crate) row: &'static Row,
    // Before the scene, which their files are in.
    pub(crate) nodes: Vec<Httpd>,
    pub(crate) scene: Scene,
}

/// How long everything is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: u32,
    pub(crate) seconds: u32,
    pub(crate) acts: usize,
}

/// All figures of a row. What goes wrong stands in its note.
pub(crate) fn play(row: &'static Row, effort: Effort) -> Figures {
    let named =
        Figures { key: row.key.into(), name: row.name.into(), ours: row.of == Of::Us, ..Figures::default() };
    if let Some(missing) = row.needs.iter().find_map(|need| need.missing()) {
        return Figures { note: Some(format!("not installed: {missing}")), ..named };
    }
    let (accepted, said) = (row.site)(&Scene::new(None)).check();
    if !accepted {
        let what = if row.of == Of::Us { "this build refuses the store" } else { "httpd refuses it" };
        return Figures { note: Some(format!("{what}: {}", reason(&said))), ..named };
    }
    let mut figures = named;
    let played = catch_unwind(AssertUnwindSafe(|| {
        let stage = Stage::set(row);
        figures.page = Some(pages::measure(&stage, effort.rounds, effort.seconds));
        let (begin, end) = acts::measure(&stage, effort.acts);
        (figures.begin, figures.end) = (Some(begin), Some(end));
        figures.elsewhere = Some(acts::elsewhere(&stage, effort.acts));
        if let Some(store) = stage.server() {
            figures.frozen = Some(outage::frozen(&stage, store));
            figures.killed = Some(outage::killed(&stage, store));
        }
    }));
    if let Err(panic) = played {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
        figures.note =
            Some(format!("failed: {}", said.unwrap_or_default().lines().next().unwrap_or_default()));
    }
    figures
}

impl Stage {
    fn set(row: &'static Row) -> Self {
        let scene = Scene::new(row.store.map(|start| start()));
        let nodes = (0..if row.shared { 2 } else { 1 }).map(|_| start((row.site)(&scene))).collect();
        // Until the nodes trust what they hear of the store.
        std::thread::sleep(Duration::from_millis(700));
        Stage { row, nodes, scene }
    }

    /// The roots of the trees of processes: httpd's, and the store's if it has a server.
    pub(crate) fn pids(&self, node: usize) -> Vec<i64> {
        let store = self.scene.store.iter().filter_map(|store| store.pid());
        [self.nodes[node].pid()].into_iter().chain(store).collect()
    }

    /// The server of the store, if it has one.
    pub(crate) fn server(&self) -> Option<&dyn Store> {
        self.scene.store.as_deref().filter(|store| store.pid().is_some())
    }

    pub(crate) fn operations(&self) -> Option<f64> {
        self.scene.store.as_ref()?.operations()
    }
}

fn start(site: Site) -> Httpd {
    let httpd = site.start();
    // Outages are made on purpose; what matters here is what visitors see.
    httpd.log.allow("");
    httpd
}

/// The line of `httpd -t` that says why.
fn reason(said: &str) -> String {
    let lines = || said.lines().filter(|line| !line.contains("AH00526") && !line.trim().is_empty());
    let line = lines().next().unwrap_or("it does not say why");
    // `[date] [module:level] [pid ...] CODE: message`, if it comes from a module.
    line.rsplit_once("] ").map_or(line, |(_, rest)| rest).trim().to_owned()
}
