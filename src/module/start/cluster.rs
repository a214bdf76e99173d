//! The store of the cluster, as the directives describe it: opened (not yet connected), and what this node says of
//! itself.

use super::good::{Good, GoodStore};
use super::stores::{self, Parts};
use crate::ffi::hooks::Phase;
use crate::ffi::httpd::Server;
use crate::ffi::shared_memory;
use crate::module::conf::settings::{ClusterSpec, ServerConfig};
use crate::module::log;
use crate::store::cluster::Cluster;
use crate::store::confirmed::Confirmed;
use crate::store::l2::{Away, Backend, NodeReport, wire};
use crate::store::visits;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicU16;

/// The cluster that `spec` describes, and what its store is made of, to be kept; `None` when it names no store.
/// `hosts`: the virtual hosts whose sessions it keeps. In a restart, `before` is what the server had.
///
/// # Errors
/// What is wrong and what to do, for the error log; the server then does not start. In a restart, only when there is no
/// memory.
pub(super) fn open(
    main: Server<'_>,
    spec: &ClusterSpec,
    hosts: &[(Server<'_>, &ServerConfig)],
    phase: Phase,
    before: Option<&Good>,
) -> Result<(Option<Cluster>, GoodStore), String> {
    let Some(words) = spec.store.get() else { return Ok((None, GoodStore::Alone)) };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (backend, good) = match fresh(main, &words) {
        Ok((backend, parts)) => (backend, GoodStore::Shared(id(&words), parts)),
        Err(e) if phase == Phase::Restart => match last(main, &e, before) {
            (Some(backend), good) => (backend, good),
            (None, good) => return Ok((None, good)),
        },
        Err(e) => return Err(e),
    };
    let confirmed = if backend.has_log() {
        None
    } else {
        let words = shared_memory::words(main, c"mod_session_cluster.confirmed", Confirmed::WORDS);
        Some(Confirmed::new(words.map_err(|e| format!("SC0117: {e}"))?))
    };
    let name = match spec.node.get() {
        Some(name) => name.clone(),
        None => format!("{}:{}", host_name(), main.port()),
    };
    let shortest = hosts.iter().map(|(_, config)| config.policy().idle).min().unwrap_or_default();
    let cluster = Cluster {
        backend,
        id: if let GoodStore::Shared(id, _) = &good { *id } else { id(&words) },
        bound: spec.bound(),
        outage: spec.outage.get().copied().unwrap_or_default(),
        node: number(&name),
        confirmed,
        revived: AtomicU16::new(0),
        flush_every: visits::flush_every(shortest),
        report: NodeReport {
            name,
            fingerprint: fingerprint(spec, hosts),
            version: env!("CARGO_PKG_VERSION").into(),
        },
    };
    Ok((Some(cluster), good))
}

/// The store of these words.
fn fresh(main: Server<'_>, words: &[&str]) -> Result<(Arc<dyn Backend>, Parts), String> {
    let opened = stores::prepare(main, words).and_then(|parts| Ok((parts.open(main)?, parts)));
    opened.map_err(|e| format!("SC0121: SessionClusterStore: {e}"))
}

/// In the place of a store that a running server cannot open, as `why` says: the one that it had. `None`: it had none.
/// Where that cannot be opened either, one that is away, so that nobody is taken for absent.
fn last(main: Server<'_>, why: &str, before: Option<&Good>) -> (Option<Arc<dyn Backend>>, GoodStore) {
    let good = before.map_or(GoodStore::Never, |good| good.store.clone());
    let opened = match &good {
        GoodStore::Alone => {
            log::LAST_GOOD.say_of_server(main, || {
                format!("{why}; until a restart that can, sessions stay on this server alone, as before")
            });
            return (None, good);
        }
        GoodStore::Shared(_, parts) => parts.open(main),
        GoodStore::Never => Err(why.to_owned()),
    };
    let backend = match opened {
        Ok(backend) => {
            log::LAST_GOOD.say_of_server(main, || {
                format!("{why}; until a restart that can, the store goes on as it was read before")
            });
            backend
        }
        Err(e) => {
            log::LAST_GOOD.say_of_server(main, || {
                format!(
                    "{why}; until a restart that can, the store counts as away, and logins are answered 503"
                )
            });
            Arc::new(Away::new(e))
        }
    };
    (Some(backend), good)
}

/// Tells stores apart: by all words but those that say how to get in.
fn id(words: &[&str]) -> u64 {
    const ACCESS: [&str; 7] = ["user", "password", "sentinel-password", "ca", "cert", "key", "wait"];
    let mut hasher = blake3::Hasher::new();
    for word in words {
        if word.split_once('=').is_none_or(|(name, _)| !ACCESS.contains(&name)) {
            hasher.update(word.as_bytes()).update(b" ");
        }
    }
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h]) | 1
}

fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "node".into(),
        name => name.into(),
    }
}

/// A number for a node that its name gives, so that no list of them is needed. It is only told, and decides nothing.
fn number(name: &str) -> u16 {
    let [a, b, ..] = *blake3::hash(name.as_bytes()).as_bytes();
    u16::from_le_bytes([a, b])
}

/// Tells the settings that all nodes must share from others: twelve hex digits.
fn fingerprint(spec: &ClusterSpec, hosts: &[(Server<'_>, &ServerConfig)]) -> String {
    let realm = |(server, config): &(Server<'_>, &ServerConfig)| {
        // Each node has a route of its own.
        let cookie = config.cookie().map(|cookie| cookie.common());
        format!("{} {:?} {:?}", config.realm_name(*server), config.policy(), cookie)
    };
    let mut realms: Vec<String> = hosts.iter().map(realm).collect();
    realms.sort();
    realms.dedup();
    let all = format!("{} {:?} {:?}", wire::VERSION, spec.bound(), realms);
    blake3::hash(all.as_bytes()).to_hex().chars().take(12).collect()
}
