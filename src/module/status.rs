//! The section in mod_status's page: what the table holds and what happened to it.

use super::SessionCluster;
use crate::ffi::hooks::StatusHook;
use crate::ffi::http_config::server_config;
use crate::ffi::http_protocol::write;
use crate::ffi::httpd::Request;
use crate::store::l1::Stats;
use crate::store::tombstone::Reason;
use std::fmt::Write;

pub(super) struct Section;

impl StatusHook for Section {
    fn write(r: Request<'_>, short: bool) {
        let Some(host) = server_config::<SessionCluster>(r.server()).host.get() else { return };
        let rows = rows(&host.store().table().stats());
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
        }
        write(r, &text);
    }
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
