//! Stores that live only inside httpd, as any other: each operation is a request to the probe (`tests/probe`), a module
//! that does it on a store in the process of a real httpd.

#[allow(dead_code)] // The other side uses the rest.
#[path = "../probe/protocol.rs"]
mod protocol;

use super::store::Store;
use harness::{Httpd, Mpm, Site};
use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::store::key::Key;
use mod_session_cluster::store::l2::{
    Backend, Event, Log, Mark, NodeReport, NodeWord, Position, Pulse, Stored, Unavailable, wire,
};
use mod_session_cluster::store::record::Record;
use mod_session_cluster::store::succession::{Succession, Successor};
use mod_session_cluster::store::tombstone::{Reason, Tombstone};
use protocol::{Answer, Ask, Op};
use std::any::Any;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The probe of this very build. `cargo test --test ...` makes no examples, so that it is made here.
fn module() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| {
        // target/PROFILE/deps/THIS
        let this = std::env::current_exe().unwrap();
        let directory = this.parent().unwrap().parent().unwrap();
        let profile = match directory.file_name().unwrap().to_str().unwrap() {
            "debug" => "dev",
            other => other,
        };
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args([
            "build",
            "--quiet",
            "--locked",
            "--example",
            "probe",
            "--profile",
            profile,
            "--target-dir",
        ]);
        // What cargo tells this test of its own package would make it build everything anew: build scripts look at it.
        let told = |name: &str| {
            ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_CRATE_", "OUT_DIR"]
                .iter()
                .any(|own| name.starts_with(own))
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(told)) {
            cargo.env_remove(name);
        }
        cargo.arg(directory.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(cargo.status().expect("cargo is needed").success(), "the probe cannot be built");
        directory.join("examples/libprobe.so")
    })
}

/// An httpd whose probe works on one store.
pub(crate) struct Probe {
    httpd: Httpd,
    agent: ureq::Agent,
}

impl Probe {
    /// `words`: those of `SessionClusterStore`; `furnish` adds what they need.
    #[track_caller]
    pub(crate) fn start(words: &[&str], furnish: impl FnOnce(Site) -> Site) -> Probe {
        Probe { httpd: Probe::site(words, furnish).start(), agent: agent() }
    }

    /// What httpd says when it refuses to start with such a store.
    #[track_caller]
    pub(crate) fn refused(words: &[&str]) -> String {
        Probe::site(words, |site| site).refused()
    }

    fn site(words: &[&str], furnish: impl FnOnce(Site) -> Site) -> Site {
        // One process, because stores and readers are kept in it. Threads for all tests of a binary at once.
        let mut conf = String::from(
            "ServerLimit 1\nStartServers 1\nThreadLimit 96\nThreadsPerChild 96\nMaxRequestWorkers 96\n\
             MinSpareThreads 1\nMaxSpareThreads 96\nMaxConnectionsPerChild 0\nKeepAliveTimeout 60\n\
             MaxKeepAliveRequests 0\nLogLevel notice\n",
        );
        let _ = writeln!(conf, "LoadModule session_cluster_probe_module {}", module().display());
        conf += "<Location /probe>\nSetHandler session-cluster-probe\n</Location>\nProbeStore";
        for word in words {
            let _ = write!(conf, " \"{word}\"");
        }
        furnish(Site::bare(Mpm::Event)).conf(&conf)
    }

    /// The server.
    pub(crate) fn httpd(&self) -> &Httpd {
        &self.httpd
    }

    /// One more store object in the server; `prefix`: with this word more, if it is not empty.
    pub(crate) fn client(&self, prefix: &str) -> ViaHttpd {
        let wire = Wire {
            url: format!("http://{}/probe", self.httpd.address()),
            agent: self.agent.clone(),
            prefix: prefix.to_owned(),
            client: number(),
        };
        ViaHttpd(Arc::new(wire))
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_idle_connections_per_host(96)
        .max_idle_connections(96)
        .timeout_global(Some(Duration::from_secs(30)));
    config.build().into()
}

/// Drawn anew for each client and each log.
fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A part of the probe's store that nobody else uses. The probe stops with the last test that uses it.
pub(crate) struct InProbe {
    probe: Arc<Probe>,
    prefix: String,
    _needs: Arc<dyn Any + Send + Sync>,
}

impl InProbe {
    /// `needs`: the server behind the store, if there is one.
    pub(crate) fn new<S: Any + Send + Sync>(probe: &Arc<Probe>, needs: &Arc<S>) -> Self {
        InProbe::with_prefix(probe, needs, format!("t{}", number()))
    }

    pub(crate) fn with_prefix<S: Any + Send + Sync>(
        probe: &Arc<Probe>,
        needs: &Arc<S>,
        prefix: String,
    ) -> Self {
        InProbe { probe: Arc::clone(probe), prefix, _needs: needs.clone() }
    }
}

impl Store for InProbe {
    fn client(&self) -> Box<dyn Backend> {
        Box::new(self.probe.client(&self.prefix))
    }

    fn pass(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// A store object in the server, seen from here.
pub(crate) struct ViaHttpd(Arc<Wire>);

struct Wire {
    url: String,
    agent: ureq::Agent,
    prefix: String,
    client: u64,
}

impl Wire {
    fn ask(&self, op: Op, within: Instant) -> Result<Answer, Unavailable> {
        self.ask_for(op, within.saturating_duration_since(Instant::now()))
    }

    fn ask_for(&self, op: Op, left: Duration) -> Result<Answer, Unavailable> {
        let ask = Ask { prefix: self.prefix.clone(), client: self.client, left, op };
        let said = |e: ureq::Error| Unavailable(format!("the probe: {e}"));
        let mut answer =
            self.agent.post(&self.url).send_form([("ask", protocol::write(&ask))]).map_err(said)?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(128 << 20).read_to_string().map_err(said)?;
        if status != 200 {
            return Err(Unavailable(format!("the probe: {status} {body}")));
        }
        match protocol::read(&body).map_err(|e| Unavailable(format!("the probe: {e}")))? {
            Answer::Unavailable(why) => Err(Unavailable(why)),
            answer => Ok(answer),
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // A server that was stopped has forgotten it anyway.
        let _ = self.ask_for(Op::Leave, Duration::from_secs(1));
    }
}

/// The answer to an operation is of one kind.
macro_rules! answer {
    ($answer:expr, $kind:pat => $value:expr) => {
        match $answer? {
            $kind => Ok($value),
            other => panic!("an answer to something else: {other:?}"),
        }
    };
}

impl Backend for ViaHttpd {
    fn create(&self, record: &Record<'_>, within: Instant) -> Result<bool, Unavailable> {
        answer!(self.0.ask(protocol::plain_record(record), within), Answer::Truth(truth) => truth)
    }

    fn load(&self, key: &Key, sealed: &mut Vec<u8>, within: Instant) -> Result<Stored, Unavailable> {
        answer!(self.0.ask(Op::Load(*key.as_bytes()), within), Answer::Stored(stored, bytes) => {
            *sealed = bytes;
            stored.into()
        })
    }

    fn retire(
        &self,
        key: &Key,
        deadline: Timestamp,
        reason: Reason,
        within: Instant,
    ) -> Result<Stored, Unavailable> {
        let op = Op::Retire { key: *key.as_bytes(), deadline: deadline.as_millis(), reason: reason.code() };
        answer!(self.0.ask(op, within), Answer::Stored(stored, _) => stored.into())
    }

    fn supersede(
        &self,
        key: &Key,
        by: Successor,
        deadline: Timestamp,
        within: Instant,
    ) -> Result<Succession, Unavailable> {
        let (key, by, deadline) = (*key.as_bytes(), by.number(), deadline.as_millis());
        answer!(self.0.ask(Op::Supersede { key, by, deadline }, within), Answer::Succession(first, at, reason) => {
            match (first, at) {
                (true, Some(until)) => Succession::First(protocol::time(until)),
                (false, Some(until)) => Succession::Second(protocol::time(until)),
                (_, None) => Succession::Gone(reason.map(protocol::reason)),
            }
        })
    }

    fn end(&self, key: &Key, tombstone: &Tombstone, within: Instant) -> Result<Stored, Unavailable> {
        let op = Op::End { key: *key.as_bytes(), tombstone: wire::tombstone(tombstone) };
        answer!(self.0.ask(op, within), Answer::Stored(stored, _) => stored.into())
    }

    fn touch(&self, seen: &[(Key, Timestamp)], within: Instant) -> Result<(), Unavailable> {
        let seen = seen.iter().map(|(key, at)| (*key.as_bytes(), at.as_millis())).collect();
        answer!(self.0.ask(Op::Touch(seen), within), Answer::Done => ())
    }

    fn mark(
        &self,
        scope: &Key,
        cutoff: Option<Timestamp>,
        keep: Duration,
        within: Instant,
    ) -> Result<Timestamp, Unavailable> {
        let op = Op::Mark { scope: *scope.as_bytes(), cutoff: cutoff.map(Timestamp::as_millis), keep };
        answer!(self.0.ask(op, within), Answer::Cutoffs(cutoffs) => protocol::time(cutoffs[0].unwrap()))
    }

    fn cutoffs(&self, scopes: &[Key], within: Instant) -> Result<Vec<Option<Timestamp>>, Unavailable> {
        let scopes = scopes.iter().map(|scope| *scope.as_bytes()).collect();
        answer!(self.0.ask(Op::Cutoffs(scopes), within), Answer::Cutoffs(cutoffs) => {
            cutoffs.into_iter().map(|cutoff| cutoff.map(protocol::time)).collect()
        })
    }

    fn has_log(&self) -> bool {
        match self.0.ask_for(Op::HasLog, Duration::from_secs(5)) {
            Ok(Answer::Truth(truth)) => truth,
            other => panic!("{other:?}"),
        }
    }

    fn revive(&self) {
        self.0.ask_for(Op::Revive, Duration::from_secs(5)).unwrap();
    }

    fn log(&self, within: Instant) -> Result<Box<dyn Log>, Unavailable> {
        let log = number();
        answer!(self.0.ask(Op::Log(log), within), Answer::Done => {
            Box::new(LogViaHttpd { wire: Arc::clone(&self.0), log })
        })
    }
}

struct LogViaHttpd {
    wire: Arc<Wire>,
    log: u64,
}

impl Drop for LogViaHttpd {
    fn drop(&mut self) {
        let _ = self.wire.ask_for(Op::Close(self.log), Duration::from_secs(1));
    }
}

impl Log for LogViaHttpd {
    fn pulse(&mut self, node: &NodeReport, within: Instant) -> Result<Pulse, Unavailable> {
        let NodeReport { name, fingerprint, version } = node.clone();
        let op = Op::Pulse { log: self.log, name, fingerprint, version };
        answer!(self.wire.ask(op, within), Answer::Pulse { now, identity, trimmed, last } => Pulse {
            now: protocol::time(now),
            identity,
            trimmed: protocol::position(trimmed),
            last: protocol::position(last),
        })
    }

    fn read(
        &mut self,
        position: Position,
        patience: Duration,
    ) -> Result<Vec<(Position, Event)>, Unavailable> {
        let op = Op::Read { log: self.log, position: protocol::plain_position(position) };
        answer!(self.wire.ask_for(op, patience), Answer::Events(events) => {
            let event = |(at, bytes): (_, Vec<u8>)| (protocol::position(at), wire::read_event(&bytes));
            events.into_iter().map(event).collect()
        })
    }

    fn marks(&mut self, within: Instant) -> Result<Vec<Mark>, Unavailable> {
        answer!(self.wire.ask(Op::Marks(self.log), within), Answer::Marks(marks) => {
            marks.into_iter().map(protocol::mark).collect()
        })
    }

    fn nodes(&mut self, within: Instant) -> Result<Vec<NodeWord>, Unavailable> {
        answer!(self.wire.ask(Op::Nodes(self.log), within), Answer::Nodes(nodes) => {
            nodes.into_iter().map(protocol::node).collect()
        })
    }

    fn purge(&mut self, before: Timestamp, within: Instant) -> Result<(), Unavailable> {
        let op = Op::Purge { log: self.log, before: before.as_millis() };
        answer!(self.wire.ask(op, within), Answer::Done => ())
    }
}

/// That the probe tells the truth: what is known to keep the laws keeps them when it is seen through the probe.
mod redis_seen_through_it {
    use super::*;
    use crate::backends::redis::shared;
    use harness::redis::Redis;
    use std::sync::{Mutex, Weak};

    fn store() -> InProbe {
        static SERVER: Mutex<Weak<Redis>> = Mutex::new(Weak::new());
        static PROBE: Mutex<Weak<Probe>> = Mutex::new(Weak::new());
        let server = shared(&SERVER, Redis::start);
        let probe = shared(&PROBE, || Probe::start(&[&server.url()], |site| site));
        InProbe::new(&probe, &server)
    }

    hold_to_the_laws!(store());

    #[test]
    fn a_store_that_is_away_is_unavailable_through_it() {
        let redis = Redis::start();
        let probe = Probe::start(&[&redis.url()], |site| site);
        assert_eq!(
            probe.httpd().children().len(),
            1,
            "or it would not be one and the same process that answers"
        );
        let client = probe.client("");
        let key = crate::backends::store::key();
        assert_eq!(client.load(&key, &mut Vec::new(), crate::backends::store::soon()), Ok(Stored::Nothing));
        redis.stop_hard();
        let away = client.load(&key, &mut Vec::new(), crate::backends::store::soon());
        assert!(away.as_ref().is_err_and(|e| !e.0.contains("the probe")), "{away:?}");
    }

    #[test]
    fn words_that_name_no_store_are_refused_at_the_start() {
        let said = Probe::refused(&["nowhere:"]);
        assert!(said.contains("ProbeStore: the address is of no known form"), "{said}");
    }
}
