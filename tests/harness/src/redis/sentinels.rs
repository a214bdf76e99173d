//! A master with two replicas, and three sentinels that watch them and make a replica the master when it dies.

use super::{PATIENCE, Redis};
use crate::eventually;

/// The name under which sentinels know the master.
pub const MASTER_NAME: &str = "mymaster";

/// Servers and their sentinels, of which two must agree (quorum). A master counts as down after half a second.
pub struct Sentinels {
    sentinels: Vec<Redis>,
    nodes: Vec<Redis>,
}

impl Sentinels {
    /// Starts all six, and returns once each sentinel knows all others and both replicas.
    #[track_caller]
    pub fn start() -> Sentinels {
        let master = Redis::start();
        let port = master.port();
        let replicas = [0, 1].map(|_| Redis::builder().replica_of(&master).start());
        let sentinels = [0, 1, 2].map(|_| {
            let mut builder = Redis::builder().conf(&format!(
                "sentinel monitor {MASTER_NAME} 127.0.0.1 {port} 2\n\
                 sentinel down-after-milliseconds {MASTER_NAME} 500\n\
                 sentinel failover-timeout {MASTER_NAME} 2000"
            ));
            builder.sentinel = true;
            builder.start()
        });
        let nodes = [master].into_iter().chain(replicas).collect();
        let all = Sentinels { sentinels: sentinels.into(), nodes };
        for sentinel in &all.sentinels {
            eventually("the sentinels to know each other", PATIENCE, || {
                sentinel.info("sentinel", "master0")?.ends_with("slaves=2,sentinels=3").then_some(())
            });
        }
        all
    }

    /// The ports of the sentinels.
    pub fn sentinel_ports(&self) -> Vec<u16> {
        self.sentinels.iter().map(Redis::port).collect()
    }

    /// The sentinels.
    pub fn sentinels(&self) -> &[Redis] {
        &self.sentinels
    }

    /// The servers: at first the master, then its replicas.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The server on that port.
    #[track_caller]
    pub fn node(&self, port: u16) -> &Redis {
        self.nodes.iter().find(|node| node.port() == port).expect("no such server")
    }

    /// The port of the master, as the first sentinel that runs tells it.
    #[track_caller]
    pub fn master(&self) -> u16 {
        let sentinel = self.sentinels.iter().find(|sentinel| sentinel.is_running());
        master_by(sentinel.expect("no sentinel runs")).expect("a sentinel knows the master")
    }

    /// Kills the master and waits until all sentinels that run name another, which knows that it is one. Returns
    /// the port of the killed one. The next fail-over may come four seconds later.
    #[track_caller]
    pub fn fail_over_by_kill(&self) -> u16 {
        let old = self.master();
        self.node(old).stop_hard();
        eventually("another master", PATIENCE, || {
            let new = self.master();
            let mut running = self.sentinels.iter().filter(|sentinel| sentinel.is_running());
            let agreed = new != old && running.all(|sentinel| master_by(sentinel) == Some(new));
            (agreed && self.node(new).info("replication", "role")? == "master").then_some(())
        });
        old
    }
}

fn master_by(sentinel: &Redis) -> Option<u16> {
    let address = sentinel.cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME]);
    address.lines().nth(1)?.parse().ok()
}
