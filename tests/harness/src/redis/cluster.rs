//! A Redis Cluster: three masters which share the keys, and a replica of each.

use super::{PATIENCE, Redis};
use crate::eventually;
use std::process::{Command, Stdio};

/// Six servers. One that does not answer for a second counts as down, and its replica takes over.
pub struct Cluster {
    nodes: Vec<Redis>,
}

impl Cluster {
    /// Starts all six, and returns once each says that all is well and each replica has its copy.
    #[track_caller]
    pub fn start() -> Cluster {
        let nodes = [0; 6].map(|_| {
            let mut builder = Redis::builder().conf("cluster-node-timeout 1000");
            builder.cluster = true;
            builder.start()
        });
        let cluster = Cluster { nodes: nodes.into() };
        let addresses = cluster.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port()));
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(addresses);
        create.args(["--cluster-replicas", "1", "--cluster-yes"]).stdin(Stdio::null());
        let output = create.output().expect("redis-cli is needed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        cluster.await_health();
        for node in &cluster.nodes {
            eventually("each master to have a replica with its copy", PATIENCE, || {
                let role = node.info("replication", "role")?;
                let (field, wanted) =
                    if role == "master" { ("connected_slaves", "1") } else { ("master_link_status", "up") };
                (node.info("replication", field)? == wanted).then_some(())
            });
        }
        cluster
    }

    /// The ports of all, also of those that do not run.
    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(Redis::port).collect()
    }

    /// All servers.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The server on that port.
    #[track_caller]
    pub fn node(&self, port: u16) -> &Redis {
        self.nodes.iter().find(|node| node.port() == port).expect("no such server")
    }

    /// The port of the master that has this key's slot.
    #[track_caller]
    pub fn master_of(&self, key: &str) -> u16 {
        let node = self.running().next().expect("no server runs");
        let slot = node.cli(&["CLUSTER", "KEYSLOT", key]).parse().expect("a number");
        master_by(node, slot).expect("every slot has a master")
    }

    /// Kills the master that has this key's slot, and waits until its replica has the slot and all is well on all
    /// servers that run. Returns the port of the killed one.
    #[track_caller]
    pub fn kill_master_of(&self, key: &str) -> u16 {
        let old = self.master_of(key);
        let slot = self.node(old).cli(&["CLUSTER", "KEYSLOT", key]).parse().expect("a number");
        self.node(old).stop_hard();
        for node in self.running() {
            eventually("the replica to take over", PATIENCE, || {
                master_by(node, slot).filter(|new| *new != old)
            });
        }
        self.await_health();
        old
    }

    fn running(&self) -> impl Iterator<Item = &Redis> {
        self.nodes.iter().filter(|node| node.is_running())
    }

    #[track_caller]
    fn await_health(&self) {
        for node in self.running() {
            eventually("the cluster to be well", PATIENCE, || {
                let info = node.cli(&["CLUSTER", "INFO"]);
                (info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6")).then_some(())
            });
        }
    }
}

/// The port of the living master that has the slot, as this server sees it.
fn master_by(node: &Redis, slot: u16) -> Option<u16> {
    // `id ip:port@bus flags its-master ping pong epoch link slots...`
    node.cli(&["CLUSTER", "NODES"]).lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let mut flags = fields.get(2)?.split(',');
        let is_down = flags.clone().any(|flag| flag == "fail" || flag == "fail?");
        let has_slot = fields.iter().skip(8).any(|slots| covers(slots, slot));
        let (_, port) = fields.get(1)?.split('@').next()?.rsplit_once(':')?;
        (flags.any(|flag| flag == "master") && !is_down && has_slot).then(|| port.parse().ok())?
    })
}

/// Whether `slots`, which is `FIRST-LAST` or one slot, has this one.
fn covers(slots: &str, slot: u16) -> bool {
    let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
    matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(first), Ok(last)) if (first..=last).contains(&slot))
}
