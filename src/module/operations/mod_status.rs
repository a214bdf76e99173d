//! The section in mod_status's page: what the table holds and what happened to it, and the nodes of the cluster.

use super::figures::{self, Figure};
use crate::clock::uptime;
use crate::ffi::hooks::StatusHook;
use crate::ffi::http_protocol::write;
use crate::ffi::httpd::Request;
use crate::module::conf;
use crate::module::host::VirtualHost;
use crate::store::l2::NodeWord;
use minijinja::HtmlEscape;
use std::fmt::Write;

pub(crate) struct Section;

impl StatusHook for Section {
    fn write(r: Request<'_>, short: bool) {
        let Some(host) = conf::server(r.server()).host.get() else { return };
        let nodes = figures::nodes(host);
        let mut text = String::new();
        if short {
            for Figure { name, value } in figures::all(host, &nodes) {
                let name: String = name.split(' ').map(capitalise).collect();
                let _ = writeln!(text, "SessionCluster{name}: {value}");
            }
        } else {
            text.push_str("<hr />\n<h2>Session cluster</h2>\n<dl>\n");
            for Figure { name, value } in figures::all(host, &nodes) {
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

/// A table of the nodes. One whose settings differ from this one's is named: sessions of one are then not as the other
/// expects.
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

fn capitalise(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect()
}
