//! The section in mod_status's page: what the table holds and what happened to it, and the nodes of the cluster.

use crate::clock::uptime;
use crate::ffi::hooks::StatusHook;
use crate::ffi::http_protocol::write;
use crate::ffi::httpd::Request;
use crate::module::conf;
use crate::module::host::VirtualHost;
use crate::store::l1::Stats;
use crate::store::l2::{NodeWord, Unavailable};
use crate::store::tombstone::Reason;
use minijinja::HtmlEscape;
use std::fmt::Write;
use std::time::Instant;

pub(crate) struct Section;

impl StatusHook for Section {
    fn write(r: Request<'_>, short: bool) {
        let Some(host) = conf::server(r.server()).host.get() else { return };
        let mut rows = rows(&host.store().table().stats());
        let nodes = nodes(host);
        rows.extend(cluster_rows(host, &nodes));
        let mut text = String::new();
        if short {
            for (name, value) in rows {
                let name: String = name.split(' ').map(capitalise).collect();
                let _ = writeln!(text, "SessionCluster{name}: {value}");
            }
        } else {
            text.push_str("<hr />\n<h2>Session cluster</h2>\n<dl>\n");
            for (name, value) in rows {
                let _ = writeln!(text, "<dt>{}: {value}</dt>", capitalise(&name));
            }
            text.push_str("</dl>\n");
            if let Ok(nodes) = &nodes
                && !nodes.is_empty()
            {
                write_nodes(&mut text, host, nodes);
            }
        }
        write(r, &text);
    }
}

/// What the nodes of the cluster say of themselves; none where there is no cluster.
fn nodes(host: &VirtualHost) -> Result<Vec<NodeWord>, Unavailable> {
    let Some(cluster) = host.store().cluster() else { return Ok(Vec::new()) };
    let within = Instant::now() + host.patience();
    cluster.backend.log(within)?.nodes(within)
}

/// The figures of the cluster, as this node sees it.
fn cluster_rows(host: &VirtualHost, nodes: &Result<Vec<NodeWord>, Unavailable>) -> Vec<(String, u64)> {
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
    rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A table of the nodes. One whose settings differ from this one's is named: sessions of one are then not as the other expects.
fn write_nodes(text: &mut String, host: &VirtualHost, nodes: &[NodeWord]) {
    let Some(cluster) = host.store().cluster() else { return };
    let now = host.store().table().link().now(uptime());
    text.push_str("<table><tr><th>Node</th><th>Version</th><th>Heard</th><th>Settings</th></tr>\n");
    for NodeWord { report, at } in nodes {
        let settings = if report.fingerprint == cluster.report.fingerprint { "the same" } else { "DIFFER" };
        let (name, version) = (HtmlEscape(&report.name), HtmlEscape(&report.version));
        let heard = now.since(*at).as_secs();
        let _ = writeln!(
            text,
            "<tr><td>{name}</td><td>{version}</td><td>{heard} s ago</td><td>{settings}</td></tr>"
        );
    }
    text.push_str("</table>\n");
}

/// Every figure with its name.
fn rows(stats: &Stats) -> Vec<(String, u64)> {
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
    let ends =
        Reason::ALL.into_iter().zip(stats.ends).map(|(reason, n)| (format!("ends {}", reason.as_str()), n));
    named.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(ends).collect()
}

fn capitalise(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect()
}
