//! The servers of the stores, as the tests run them, and what else is asked of them here: to stop and go on, and how much
//! they were asked to do.

use crate::harness::redis::Redis;

/// The server of a store.
pub(crate) trait Server {
    /// `redis://HOST:PORT`, `HOST:PORT`, or the words of `DBDParams`.
    fn address(&self) -> String;
    /// The process whose tree does the work.
    fn pid(&self) -> i64;
    /// SIGSTOP.
    fn freeze(&self);
    /// SIGCONT.
    fn thaw(&self);
    /// SIGKILL.
    fn kill(&self);
    /// Starts it again, with what it has kept.
    fn restart(&self);
    /// How many operations it has done since it was started, if it says.
    fn operations(&self) -> Option<f64>;
}

impl Server for Redis {
    fn address(&self) -> String {
        self.url()
    }

    fn pid(&self) -> i64 {
        Redis::pid(self)
    }

    fn freeze(&self) {
        Redis::freeze(self);
    }

    fn thaw(&self) {
        Redis::thaw(self);
    }

    fn kill(&self) {
        self.stop_hard();
    }

    fn restart(&self) {
        Redis::restart(self);
    }

    /// Commands, without the INFO that asks for them.
    fn operations(&self) -> Option<f64> {
        let stats = self.cli(&["INFO", "commandstats"]);
        let calls = stats.lines().filter(|line| !line.starts_with("cmdstat_info"));
        let calls =
            calls.filter_map(|line| line.split_once("calls=")?.1.split(',').next()?.parse::<f64>().ok());
        Some(calls.sum())
    }
}

/// As `httpd-conf/50-cluster.conf` says that it should be.
pub(crate) fn redis() -> Box<dyn Server> {
    Box::new(Redis::builder().conf("appendonly yes\nmaxmemory-policy noeviction").start())
}
