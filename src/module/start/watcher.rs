//! The thread of each child that keeps the table in step with the cluster's store, or stands by to.

use crate::chance;
use crate::ffi::apr_pools::Pool;
use crate::ffi::httpd::Server;
use crate::ffi::threads::{self, Running};
use crate::module::host::HostStore;
use crate::module::log;
use crate::module::session_cluster::SessionCluster;
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
        log::NO_WATCHER
            .say_of_server(main, || format!("this child has no thread to hear the cluster's store: {e}"));
    }
}

fn watch(main: Server<'_>, running: &Running, store: &HostStore) {
    let Some(mut watcher) = number().and_then(|me| Watcher::new(store, me)) else { return };
    while running.is_on() {
        let pause = watcher.step(&|report| say(main, &report));
        running.sleep(pause);
    }
}

/// A number that no other process has: its own, and something random, as numbers of processes come again.
fn number() -> Option<u64> {
    let random = chance::u32().ok()?;
    Some(u64::from(std::process::id()) << 32 | u64::from(random) | 1)
}

fn say(main: Server<'_>, report: &Report) {
    match report {
        Report::Lost(error) => log::STORE_LOST.say_of_server(main, || {
            format!(
                "the cluster's store cannot be reached: {error}; sessions go on as SessionClusterOutage says, \
                 logins and logouts wait for it"
            )
        }),
        Report::Regained => {
            log::STORE_REGAINED.say_of_server(main, || "the cluster's store is heard again".into());
        }
        Report::OtherLog => log::OTHER_STORE.say_of_server(main, || {
            "the cluster's store was restarted or replaced and may have lost writes: every session is looked up \
             there anew, and it is told of the ends that are known here"
                .into()
        }),
    }
}
