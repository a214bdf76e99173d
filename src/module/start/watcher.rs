//! The thread of each child that keeps the table in step with the cluster's store, or stands by to.

use crate::ffi::apr_pools::Pool;
use crate::ffi::http_log::{self, Level};
use crate::ffi::httpd::Server;
use crate::ffi::threads::{self, Running};
use crate::module::SessionCluster;
use crate::module::host::HostStore;
use crate::store::watch::{Report, Watcher};
use std::sync::Arc;

/// Starts the thread, in a child of a server that is in a cluster.
pub(crate) fn start(main: Server<'_>, pchild: Pool<'_>, store: &Arc<HostStore>) {
    if store.cluster().is_none() {
        return;
    }
    let its = Arc::clone(store);
    threads::at_child_end(pchild, move || {
        if let Some(cluster) = its.cluster() {
            cluster.backend.stop();
        }
    });
    let store = Arc::clone(store);
    let watch = move |main: Server<'static>, running: &Running| watch(main, running, &store);
    if let Err(e) = threads::spawn::<SessionCluster>(main, pchild, "session-cluster", watch) {
        http_log::server::<SessionCluster>(main, Level::Error, || {
            format!("SC0403: this child has no thread to hear the cluster's store: {e}")
        });
    }
}

fn watch(main: Server<'_>, running: &Running, store: &HostStore) {
    let Some(mut watcher) = number().and_then(|me| Watcher::new(store, me)) else { return };
    while running.is_on() {
        let pause = watcher.step(&|report| log(main, report));
        running.sleep(pause);
    }
}

/// A number that no other process has: its own, and something random, as numbers of processes come again.
fn number() -> Option<u64> {
    let random = getrandom::u32().ok()?;
    Some(u64::from(std::process::id()) << 32 | u64::from(random) | 1)
}

fn log(main: Server<'_>, report: Report) {
    let (level, text) = match report {
        Report::Lost(error) => (
            Level::Error,
            format!(
                "SC0401: the cluster's store cannot be reached: {error}; sessions go on as SessionClusterOutage says, \
                 logins and logouts wait for it"
            ),
        ),
        Report::Regained => (Level::Notice, "SC0402: the cluster's store is heard again".into()),
        Report::OtherLog => (
            Level::Warning,
            "SC0404: the cluster's store was restarted or replaced and may have lost writes: every session is looked up \
             there anew, and it is told of the ends that are known here"
                .into(),
        ),
    };
    http_log::server::<SessionCluster>(main, level, || text);
}
