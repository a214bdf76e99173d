//! The only list of what is counted: every figure of this server and its cluster, for all who show them.

use crate::clock::{Instant, uptime};
use crate::module::host::VirtualHost;
use crate::store::l1::Stats;
use crate::store::l2::{NodeWord, Unavailable};
use crate::store::tombstone::Reason;

/// A figure.
pub(super) struct Figure {
    /// Its name: words in lower case.
    pub(super) name: String,
    /// Its value: a number of things, or of what the name says.
    pub(super) value: u64,
}

impl Figure {
    fn named((name, value): (&str, u64)) -> Self {
        Figure { name: name.to_owned(), value }
    }
}

/// Every figure, as this node sees it; `nodes` is what [`nodes`] said.
pub(super) fn all(host: &VirtualHost, nodes: &Result<Vec<NodeWord>, Unavailable>) -> Vec<Figure> {
    let mut figures = of_table(&host.store().table().stats());
    figures.extend(of_cluster(host, nodes));
    figures
}

/// What the nodes of the cluster say of themselves; none where there is no cluster.
pub(super) fn nodes(host: &VirtualHost) -> Result<Vec<NodeWord>, Unavailable> {
    let Some(cluster) = host.store().cluster() else { return Ok(Vec::new()) };
    let within = Instant::now() + host.patience();
    cluster.backend.log(within)?.nodes(within)
}

/// The figures of the table.
fn of_table(stats: &Stats) -> Vec<Figure> {
    let named = [
        ("live", stats.live),
        ("tombstones", stats.tombstones),
        ("bytes", stats.bytes_used),
        ("bytes total", stats.bytes_arena),
        ("hits", stats.hits),
        ("misses", stats.misses + stats.gone),
        ("torn", stats.torn),
        ("touches", stats.touches),
        ("begins", stats.begins),
        ("retires", stats.retires),
        ("expired", stats.expired),
        ("evictions", stats.evicted_live),
        ("evicted tombstones", stats.evicted_tombstones),
        ("repairs", stats.repairs),
        ("dropped", stats.dropped),
    ];
    let ends = Reason::ALL.into_iter().zip(stats.ends);
    let ends = ends.map(|(reason, value)| Figure { name: format!("ends {}", reason.as_str()), value });
    named.into_iter().map(Figure::named).chain(ends).collect()
}

/// The figures of the cluster, as this node sees it.
fn of_cluster(host: &VirtualHost, nodes: &Result<Vec<NodeWord>, Unavailable>) -> Vec<Figure> {
    let Some(cluster) = host.store().cluster() else { return Vec::new() };
    let link = host.store().table().link();
    let mut rows = vec![
        ("store reachable", u64::from(nodes.is_ok())),
        ("lease ms", link.lease().saturating_sub(uptime())),
        ("generation", u64::from(link.generation())),
    ];
    if let Ok(nodes) = nodes {
        let differs = |word: &&NodeWord| word.report.fingerprint != cluster.report.fingerprint;
        rows.push(("nodes", nodes.len() as u64));
        rows.push(("nodes that differ", nodes.iter().filter(differs).count() as u64));
    }
    rows.into_iter().map(Figure::named).collect()
}
