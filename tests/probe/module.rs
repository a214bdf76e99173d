//! The probe: a module of its own that lets a test work on a store inside httpd, where some stores live only. One POST
//! is one operation (`protocol`); the store is opened by the words of `ProbeStore`, as `SessionClusterStore` would.
//!
//! Stores and readers of logs are kept in the process that serves, by numbers that the test draws: so there must be one
//! child process only.

#![allow(clippy::unwrap_used, clippy::expect_used)] // What goes wrong here is a panic, an answer 500 and a failed test.

#[allow(dead_code)] // The other side uses the rest.
mod protocol;

use mod_session_cluster::ffi::apr_pools::Pool;
use mod_session_cluster::ffi::hooks::{self, Hooked, Hooks, Lifecycle, Order, Phase, RequestHook};
use mod_session_cluster::ffi::http_config::{
    self, Args, Commands, Config, Context, Directive, Module, server_config,
};
use mod_session_cluster::ffi::http_protocol::{self, Form};
use mod_session_cluster::ffi::httpd::{Outcome, Request, Server};
use mod_session_cluster::ffi::sys;
use mod_session_cluster::module::start::{caches, stores};
use mod_session_cluster::store::key::Key;
use mod_session_cluster::store::l2::{Backend, Log, NodeReport, Unavailable, wire};
use mod_session_cluster::store::record::Record;
use mod_session_cluster::store::succession::{Succession, Successor};
use mod_session_cluster::store::tombstone::Reason;
use parking_lot::Mutex;
use protocol::{Answer, Ask, Op};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// The most that one operation may say.
const MOST: usize = 64 << 20;

/// The record that httpd looks for.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static mut session_cluster_probe_module: sys::module =
    http_config::record::<Probe>(c"mod_session_cluster_probe.c", COMMANDS.as_ptr(), hooks::register::<Probe>);

static COMMANDS: Commands<2> = Commands::new::<Probe>(&[Directive {
    name: c"ProbeStore",
    context: Context::Global,
    arity: (1, 32),
    help: c"WORD... : the words of SessionClusterStore",
    set: |server, _, args: &Args<'_>| {
        server.words = args.values().iter().map(ToString::to_string).collect();
        Ok(())
    },
}]);

struct Probe;

#[derive(Default)]
struct Words {
    words: Vec<String>,
}

impl Config for Words {
    fn merge(outer: &Self, _inner: &Self) -> Self {
        Words { words: outer.words.clone() }
    }
}

#[derive(Default)]
struct Nowhere;

impl Config for Nowhere {
    fn merge(_outer: &Self, _inner: &Self) -> Self {
        Nowhere
    }
}

impl Module for Probe {
    type Server = Words;
    type Dir = Nowhere;
    type State = ();
    type Connection = ();

    fn record() -> *mut sys::module {
        &raw mut session_cluster_probe_module
    }
}

impl Hooked for Probe {
    fn register(hooks: &Hooks<'_, Self>) {
        hooks.lifecycle::<Life>();
        hooks.handler::<Handler>(Order::Middle);
    }
}

struct Life;

impl Lifecycle for Life {
    fn pre_config(pconf: Pool<'_>) -> Result<(), String> {
        OPEN.lock().clear();
        caches::announce(pconf)
    }

    fn check_config(_server: Server<'_>, _: Phase) -> Result<(), String> {
        Ok(())
    }

    fn post_config(server: Server<'_>, _: Phase) -> Result<(), String> {
        match open(server, "") {
            Ok(backend) => {
                let first = Arc::new(Client { backend, logs: Mutex::default() });
                OPEN.lock().insert((String::new(), 0), first);
                Ok(())
            }
            Err(e) => Err(format!("ProbeStore: {e}")),
        }
    }

    fn child_init(_server: Server<'_>, pchild: Pool<'_>) {
        caches::child_init(pchild).unwrap();
    }
}

type Reader = Arc<Mutex<Box<dyn Log>>>;

/// The store object of one client, and its readers.
struct Client {
    backend: Arc<dyn Backend>,
    logs: Mutex<HashMap<u64, Reader>>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.backend.stop();
    }
}

/// By prefix and number.
static OPEN: Mutex<Clients> = Mutex::new(Clients::new());

/// A few at a time.
struct Clients(Vec<((String, u64), Arc<Client>)>);

impl Clients {
    const fn new() -> Self {
        Clients(Vec::new())
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn get(&self, name: &(String, u64)) -> Option<Arc<Client>> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, client)| Arc::clone(client))
    }

    fn insert(&mut self, name: (String, u64), client: Arc<Client>) {
        self.0.push((name, client));
    }

    fn remove(&mut self, name: &(String, u64)) -> Option<Arc<Client>> {
        let at = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(at).1)
    }
}

fn open(server: Server<'_>, prefix: &str) -> Result<Arc<dyn Backend>, String> {
    let words = &server_config::<Probe>(server).words;
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    let prefix = format!("prefix={prefix}");
    if prefix != "prefix=" {
        words.push(&prefix);
    }
    stores::open(server, &words)
}

struct Handler;

impl RequestHook for Handler {
    fn run(r: Request<'_>) -> Outcome {
        if r.handler() != c"session-cluster-probe" {
            return Outcome::Declined;
        }
        let form = match Form::read(r, 1, MOST) {
            Ok(form) => form,
            Err(status) => return Outcome::Answer(status),
        };
        let ask: Ask = protocol::read(form.get("ask").unwrap_or_default()).unwrap();
        let answer = client(r.server(), &ask)
            .and_then(|client| client.answer(ask))
            .unwrap_or_else(|Unavailable(why)| Answer::Unavailable(why));
        http_protocol::send(r, None, c"text/plain", &protocol::write(&answer));
        Outcome::Ok
    }
}

/// The store object of whoever asks, made when it is first asked for.
fn client(server: Server<'_>, ask: &Ask) -> Result<Arc<Client>, Unavailable> {
    let name = (ask.prefix.clone(), ask.client);
    let mut clients = OPEN.lock();
    if let Op::Leave = ask.op
        && let Some(client) = clients.remove(&name)
    {
        return Ok(client);
    }
    if let Some(client) = clients.get(&name) {
        return Ok(client);
    }
    let backend = open(server, &ask.prefix).map_err(Unavailable)?;
    let client = Arc::new(Client { backend, logs: Mutex::default() });
    clients.insert(name, Arc::clone(&client));
    Ok(client)
}

impl Client {
    fn answer(&self, Ask { op, left, .. }: Ask) -> Result<Answer, Unavailable> {
        let (backend, within) = (&*self.backend, Instant::now() + left);
        Ok(match op {
            Op::Create { key, created, deadline, last_seen, idle, sealed } => {
                let [created, deadline, last_seen] = [created, deadline, last_seen].map(protocol::time);
                let key = Key::new(key);
                let record = Record { key, created, deadline, last_seen, idle, sealed: &sealed };
                Answer::Truth(backend.create(&record, within)?)
            }
            Op::Load(key) => {
                let mut sealed = b"left over".to_vec();
                let stored = backend.load(&Key::new(key), &mut sealed, within)?;
                Answer::Stored(stored.into(), sealed)
            }
            Op::Retire { key, deadline, reason } => {
                let (deadline, reason) = (protocol::time(deadline), protocol::reason(reason));
                let stored = backend.retire(&Key::new(key), deadline, reason, within)?;
                Answer::Stored(stored.into(), Vec::new())
            }
            Op::Supersede { key, by, deadline } => {
                let by = Successor::from_number(by).ok_or_else(|| Unavailable("no successor".into()))?;
                match backend.supersede(&Key::new(key), by, protocol::time(deadline), within)? {
                    Succession::First(until) => Answer::Succession(true, Some(until.as_millis()), None),
                    Succession::Second(until) => Answer::Succession(false, Some(until.as_millis()), None),
                    Succession::Gone(reason) => Answer::Succession(false, None, reason.map(Reason::code)),
                }
            }
            Op::End { key, tombstone } => {
                let stored = backend.end(&Key::new(key), &protocol::tombstone(&tombstone), within)?;
                Answer::Stored(stored.into(), Vec::new())
            }
            Op::Touch(seen) => {
                let seen: Vec<_> =
                    seen.into_iter().map(|(key, at)| (Key::new(key), protocol::time(at))).collect();
                backend.touch(&seen, within)?;
                Answer::Done
            }
            Op::Mark { scope, cutoff, keep } => {
                let cutoff = backend.mark(&Key::new(scope), cutoff.map(protocol::time), keep, within)?;
                Answer::Cutoffs(vec![Some(cutoff.as_millis())])
            }
            Op::Cutoffs(scopes) => {
                let scopes: Vec<_> = scopes.into_iter().map(Key::new).collect();
                let cutoffs = backend.cutoffs(&scopes, within)?;
                Answer::Cutoffs(cutoffs.into_iter().map(|cutoff| cutoff.map(|at| at.as_millis())).collect())
            }
            Op::HasLog => Answer::Truth(backend.has_log()),
            Op::Revive => {
                backend.revive();
                Answer::Done
            }
            Op::Leave => Answer::Done,
            Op::Log(number) => {
                let log = backend.log(within)?;
                self.logs.lock().insert(number, Arc::new(Mutex::new(log)));
                Answer::Done
            }
            Op::Pulse { log, name, fingerprint, version } => {
                let node = NodeReport { name, fingerprint, version };
                protocol::plain_pulse(self.log(log).lock().pulse(&node, within)?)
            }
            Op::Read { log, position } => {
                let entries = self.log(log).lock().read(protocol::position(position), left)?;
                let plain = |(position, event)| (protocol::plain_position(position), wire::event(&event));
                Answer::Events(entries.into_iter().map(plain).collect())
            }
            Op::Marks(log) => {
                let marks = self.log(log).lock().marks(within)?;
                Answer::Marks(marks.iter().map(protocol::plain_mark).collect())
            }
            Op::Nodes(log) => {
                let nodes = self.log(log).lock().nodes(within)?;
                Answer::Nodes(nodes.into_iter().map(protocol::plain_node).collect())
            }
            Op::Purge { log, before } => {
                self.log(log).lock().purge(protocol::time(before), within)?;
                Answer::Done
            }
            Op::Close(log) => {
                self.logs.lock().remove(&log);
                Answer::Done
            }
        })
    }

    fn log(&self, number: u64) -> Reader {
        Arc::clone(self.logs.lock().get(&number).expect("a log that was opened"))
    }
}
