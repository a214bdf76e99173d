//! A Redis Cluster: which server has which slot. The map is asked for when it is needed first, and again after a server
//! has sent us on or could not be reached, at most every 100 ms; a server that sends us on is followed at once.

use super::config::Address;
use super::connect::{Connector, Place, address, items, share, text};
use super::link::{Fault, Link, Refusal, command};
use super::pool::{Pool, Work};
use crate::clock::{Instant, sleep};
use ::redis::Value;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const SLOTS: u16 = 16384;
const REFRESH: Duration = Duration::from_millis(100);
/// How often one is sent on for one command.
const HOPS: usize = 4;

/// The servers of a cluster.
pub(super) struct Cluster {
    connector: Arc<Connector>,
    seeds: Vec<Address>,
    pools: Mutex<HashMap<Address, Arc<Pool>>>,
    map: Mutex<Map>,
}

#[derive(Default)]
struct Map {
    shards: Arc<[Shard]>,
    /// When it was asked for last.
    asked: Option<Instant>,
    stale: bool,
}

/// A range of slots and their master.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shard {
    first: u16,
    last: u16,
    /// The server's own name for itself, which it keeps for ever.
    id: String,
    host: String,
    port: u16,
}

impl Shard {
    fn address(&self) -> Address {
        Address::Tcp { host: self.host.clone(), port: self.port }
    }
}

impl Cluster {
    pub(super) fn new(connector: Arc<Connector>, seeds: Vec<Address>) -> Self {
        Cluster { connector, seeds, pools: Mutex::default(), map: Mutex::default() }
    }

    /// Does the work on the server that has the key.
    pub(super) fn run<R>(&self, key: &[u8], within: Instant, work: Work<'_, R>) -> Result<R, Fault> {
        let mut pool = self.pool_of(key, within)?;
        let mut asking = false;
        let mut hops = 0;
        loop {
            let result = pool.run(within, &mut |link: &mut Link| {
                link.asking = asking;
                let result = settled(within, || work(link));
                link.asking = false;
                result
            });
            match result {
                Err(Fault::Refused(refusal)) if hops < HOPS && is_redirect(&refusal.code) => {
                    hops += 1;
                    asking = refusal.code == "ASK";
                    self.suspect();
                    pool = self.pool(&redirect(&refusal)?);
                }
                Err(fault) => {
                    if fault.breaks() {
                        self.suspect();
                    }
                    return Err(fault);
                }
                done => return done,
            }
        }
    }

    /// Makes a connection of its own to the server that has the key.
    pub(super) fn open(&self, key: &[u8], within: Instant) -> Result<Link, Fault> {
        self.pool_of(key, within)?.open(within).inspect_err(|_| self.suspect())
    }

    /// Tells the server of one key from that of another.
    pub(super) fn shard(&self, key: &[u8], within: Instant) -> Result<usize, Fault> {
        let slot = slot(key);
        let shards = self.shards(within)?;
        Ok(shards.iter().position(|shard| (shard.first..=shard.last).contains(&slot)).unwrap_or(usize::MAX))
    }

    /// All ranges of slots in their order, with the pools of their masters.
    pub(super) fn masters(&self, within: Instant) -> Result<Vec<(Shard, Arc<Pool>)>, Fault> {
        let shards = self.shards(within)?;
        Ok(shards.iter().map(|shard| (shard.clone(), self.pool(&shard.address()))).collect())
    }

    /// Lets the next callers try at once, with a new map.
    pub(super) fn revive(&self) {
        let mut map = self.map.lock();
        (map.asked, map.stale) = (None, true);
        drop(map);
        self.pools.lock().values().for_each(|pool| pool.revive());
    }

    /// The map may be wrong.
    pub(super) fn suspect(&self) {
        self.map.lock().stale = true;
    }

    fn pool_of(&self, key: &[u8], within: Instant) -> Result<Arc<Pool>, Fault> {
        let slot = slot(key);
        let shards = self.shards(within)?;
        let shard = shards.iter().find(|shard| (shard.first..=shard.last).contains(&slot));
        let shard =
            shard.ok_or_else(|| Fault::Unreachable("no server of the cluster has the key's slot".into()))?;
        Ok(self.pool(&shard.address()))
    }

    fn pool(&self, address: &Address) -> Arc<Pool> {
        let mut pools = self.pools.lock();
        let new = || Arc::new(Pool::new(Place::one(self.connector.clone(), address.clone())));
        pools.entry(address.clone()).or_insert_with(new).clone()
    }

    fn shards(&self, within: Instant) -> Result<Arc<[Shard]>, Fault> {
        let known = {
            let mut map = self.map.lock();
            let due = map.asked.is_none_or(|asked| asked.elapsed() >= REFRESH);
            if !(map.shards.is_empty() || map.stale && due) {
                return Ok(map.shards.clone());
            }
            (map.asked, map.stale) = (Some(Instant::now()), false);
            map.shards.clone()
        };
        match self.ask(&known, within) {
            Ok(shards) => {
                let shards: Arc<[Shard]> = shards.into();
                self.map.lock().shards = shards.clone();
                Ok(shards)
            }
            Err(fault) => {
                self.suspect();
                if known.is_empty() { Err(fault) } else { Ok(known) }
            }
        }
    }

    /// Asks one server after the other, those that are known to be dead being quick to say so.
    fn ask(&self, known: &[Shard], within: Instant) -> Result<Vec<Shard>, Fault> {
        let mut candidates: Vec<Address> = known.iter().map(Shard::address).collect();
        candidates.extend(self.seeds.iter().cloned());
        let mut seen = std::collections::HashSet::new();
        candidates.retain(|address| seen.insert(address.clone()));
        let mut last = Fault::Unreachable("the cluster has no servers".into());
        for (at, candidate) in candidates.iter().enumerate() {
            let until = share(within, candidates.len() - at + 1);
            let answer = self.pool(candidate).run(until, &mut |link: &mut Link| {
                let answer = link.ask(&command("CLUSTER", &[b"SLOTS"]), until)?;
                shards(&answer, candidate).ok_or_else(|| link.odd("CLUSTER SLOTS"))
            });
            match answer {
                Ok(shards) if !shards.is_empty() => return Ok(shards),
                Ok(_) => last = Fault::Unreachable(format!("{candidate} says that no server has any slots")),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }
}

/// Reads the answer of `asked` to `CLUSTER SLOTS`, and sorts it. A server that does not know its own address gives
/// none.
fn shards(answer: &Value, asked: &Address) -> Option<Vec<Shard>> {
    let number = |value: &Value| if let Value::Int(n) = value { u16::try_from(*n).ok() } else { None };
    let mut shards = Vec::new();
    for range in items(answer) {
        let [first, last, master, ..] = items(range) else { return None };
        let [host, port, id, ..] = items(master) else { return None };
        let (first, last) = (number(first)?, number(last)?);
        let Address::Tcp { host: asked, .. } = asked else { return None };
        let host = text(host).filter(|host| !host.is_empty()).unwrap_or(asked).to_owned();
        shards.push(Shard { first, last, id: text(id)?.to_owned(), host, port: number(port)? });
    }
    shards.sort();
    Some(shards)
}

/// Asks again while a server says that the cluster is down: for some milliseconds after a fail-over, each of them says
/// so in its turn.
fn settled<R>(within: Instant, mut ask: impl FnMut() -> Result<R, Fault>) -> Result<R, Fault> {
    const PAUSE: Duration = Duration::from_millis(3);
    loop {
        match ask() {
            Err(Fault::Refused(refusal))
                if refusal.code == "CLUSTERDOWN" && Instant::now() + PAUSE * 2 < within =>
            {
                sleep(PAUSE);
            }
            result => return result,
        }
    }
}

/// Whether a server sends us on to another.
pub(super) fn is_redirect(code: &str) -> bool {
    code == "MOVED" || code == "ASK"
}

/// `SLOT HOST:PORT`; without a host, the one that says so.
fn redirect(refusal: &Refusal) -> Result<Address, Fault> {
    let parse = || {
        let (_, target) = refusal.text.split_once(' ')?;
        let (host, port) = target.rsplit_once(':')?;
        let host = if host.is_empty() { refusal.server.rsplit_once(':')?.0 } else { host };
        let host = Value::BulkString(host.trim_matches(['[', ']']).into());
        address(&host, &Value::BulkString(port.into()))
    };
    parse().ok_or_else(|| Fault::Odd(format!("{} sends us on to nowhere", refusal.server)))
}

/// The slot of a key: of what stands in its first braces, if anything does.
fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|&byte| byte == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        let close = rest.iter().position(|&byte| byte == b'}').filter(|&length| length > 0)?;
        rest.get(..close)
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot(b"foo"), 12182);
        assert_eq!(slot(b"{foo}:log"), 12182);
        assert_eq!(slot(b"bar{foo}{x}"), 12182);
        assert_eq!(slot(b"{}x"), crc16(b"{}x") % SLOTS);
    }

    #[test]
    fn a_redirect_without_a_host_means_the_same_host() {
        let to = |text: &str| {
            let refusal = Refusal { server: "[::1]:7000".into(), code: "MOVED".into(), text: text.into() };
            redirect(&refusal).map(|address| address.to_string())
        };
        assert_eq!(to("1 10.0.0.1:7001"), Ok("10.0.0.1:7001".into()));
        assert_eq!(to("1 ::2:7001"), Ok("[::2]:7001".into()));
        assert_eq!(to("1 :7001"), Ok("[::1]:7001".into()));
        assert!(to("1 nowhere").is_err());
    }
}
