//! What was measured, as `docs/strategies.json` keeps it.

use serde::{Deserialize, Serialize};

/// A whole run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The machine, in words.
    pub(crate) machine: String,
    /// The versions of what was compared.
    pub(crate) versions: String,
    /// How busy the machine was when the run began and when it ended: processes that wanted to run, over a minute.
    pub(crate) busy: [f64; 2],
    pub(crate) rows: Vec<Figures>,
}

/// What was measured of one way to keep sessions.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) ours: bool,
    /// Why there are no figures, or fewer.
    pub(crate) note: Option<String>,
    pub(crate) page: Option<Page>,
    pub(crate) begin: Option<Act>,
    pub(crate) end: Option<Act>,
    pub(crate) elsewhere: Option<Elsewhere>,
    /// The store's server stopped by SIGSTOP.
    pub(crate) frozen: Option<Outage>,
    /// The store's server killed, and started again later.
    pub(crate) killed: Option<Outage>,
}

/// The median of some rounds, and the least and the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of these, of which there must be some.
    pub(crate) fn of(readings: impl IntoIterator<Item = f64>) -> Self {
        let sorted = Sorted::of(readings);
        Spread { median: sorted.at(0.5), least: sorted.at(0.0), most: sorted.at(1.0) }
    }
}

/// Readings in their order.
pub(crate) struct Sorted(Vec<f64>);

impl Sorted {
    pub(crate) fn of(readings: impl IntoIterator<Item = f64>) -> Self {
        let mut all: Vec<f64> =
            readings.into_iter().map(|reading| (reading * 100.0).round() / 100.0).collect();
        all.sort_by(f64::total_cmp);
        Sorted(all)
    }

    pub(crate) fn at(&self, quantile: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * quantile).round() as usize]
    }
}

/// The steady state, in microseconds of processor time a page.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Page {
    /// The same page without a session; for mod_python, by its handler without one.
    pub(crate) bare: Spread,
    /// The file without a handler, where `bare` has one.
    pub(crate) file: Option<Spread>,
    /// With a session: one browser's, on its own connections.
    pub(crate) session: Spread,
    /// What the session costs: the difference to the bare page of the same round.
    pub(crate) cost: Spread,
    /// `session` to `bare`, of the same round.
    pub(crate) ratio: Spread,
    /// What a session costs that is another one at each request, one of 64.
    pub(crate) cost_of_others: Spread,
    /// What the store's server does for a page; `None` without a server.
    pub(crate) store: Option<Spread>,
    /// What the store's server is asked for a page, if it counts; without what it is asked at all times.
    pub(crate) operations: Option<f64>,
    pub(crate) idle: Idle,
}

/// What goes on while no visitor asks for anything.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Idle {
    /// Processor time of one node, in milliseconds a second.
    pub(crate) httpd: f64,
    /// The same of the store's server, for all nodes.
    pub(crate) store: Option<f64>,
    /// What the store's server is asked a second by all nodes, if it counts.
    pub(crate) operations: f64,
}

/// Logins or logouts, one after the other.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Act {
    /// Microseconds of processor time each.
    pub(crate) httpd: f64,
    /// The same of the store's server.
    pub(crate) store: Option<f64>,
    /// How long the visitor waited, in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) count: usize,
    /// How often one was answered 503 and done again, because the store took longer than a request may wait.
    pub(crate) put_off: usize,
}

/// Another node's answer to a session that was logged out here.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Elsewhere {
    /// There is no other node.
    OneHost,
    /// It still opens the door after so many seconds.
    Never { seconds: f64 },
    /// How long until it was refused, in microseconds.
    After { p50: f64, p99: f64, max: f64, count: usize },
}

/// What visitors see while the store's server is away.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outage {
    /// A page with a session that this node knows: the first answer, and the slowest of the following.
    pub(crate) known: [Said; 2],
    /// A page with a session of another node.
    pub(crate) unknown: [Said; 2],
    pub(crate) login: [Said; 2],
    /// How many milliseconds after its server was back a login opened the door again; `None`: not in ten seconds.
    pub(crate) back: Option<f64>,
    /// A second later, the answers to the session that this node knows, and to the other node's.
    pub(crate) after: [Option<u16>; 2],
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Said {
    /// `None`: no answer in time.
    pub(crate) status: Option<u16>,
    pub(crate) ms: f64,
}
