//! Real Redis servers (or Valkey ones): each in a temporary directory, on a free port of the loopback, run in the
//! foreground so that its pid is known, killed by that pid. Whatever happens, nothing of it outlives the test.

mod builder;
mod cluster;
mod sentinels;
mod tls;

pub use builder::Builder;
pub use cluster::Cluster;
pub use sentinels::{MASTER_NAME, Sentinels};
pub use tls::Tls;

use super::{eventually, free_port};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// How long anything but an answer to a client may take: a start, a copy to a replica, a fail-over.
const PATIENCE: Duration = Duration::from_secs(15);

/// A server, running or not.
pub struct Redis {
    root: TempDir,
    port: u16,
    child: Mutex<Option<Child>>,
    tls: Option<Tls>,
    plan: Builder,
}

impl Redis {
    /// A plain server that keeps everything in memory.
    #[track_caller]
    pub fn start() -> Redis {
        Redis::builder().start()
    }

    /// A server to be described further.
    pub fn builder() -> Builder {
        Builder::new()
    }

    #[track_caller]
    fn begin(plan: Builder) -> Redis {
        let root = tempfile::Builder::new().prefix("msc-redis-").tempdir().unwrap();
        // A server under test runs as `www-data`: it must get at the socket and at the certificates.
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        let tls = plan.tls.then(|| Tls::make(root.path()));
        let mut redis = Redis { root, port: 0, child: Mutex::new(None), tls, plan };
        for _ in 0..5 {
            redis.configure(free_port());
            let Err(said) = redis.launch() else {
                if redis.plan.replica {
                    redis.await_copy();
                }
                return redis;
            };
            assert!(said.contains("Address already in use"), "{said}");
        }
        panic!("no port to be had");
    }

    /// Its port on 127.0.0.1: the one for TLS, if it speaks TLS.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT`, or `rediss:` with TLS. The user is not in it.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Its Unix socket, on which everybody may speak to it, without TLS. A sentinel has none.
    pub fn socket(&self) -> PathBuf {
        self.root.path().join("redis.sock")
    }

    /// The certificate of the authority that signed its own one and the client's.
    #[track_caller]
    pub fn ca(&self) -> PathBuf {
        self.tls().ca()
    }

    /// A certificate for clients.
    #[track_caller]
    pub fn client_cert(&self) -> PathBuf {
        self.tls().client_cert()
    }

    /// The key of [`Redis::client_cert`].
    #[track_caller]
    pub fn client_key(&self) -> PathBuf {
        self.tls().client_key()
    }

    #[track_caller]
    fn tls(&self) -> &Tls {
        self.tls.as_ref().expect("it has no TLS")
    }

    /// Its pid.
    #[track_caller]
    pub fn pid(&self) -> i64 {
        i64::from(self.child().as_ref().expect("it is not running").id())
    }

    /// Whether it was started and not stopped. A frozen one counts as running.
    pub fn is_running(&self) -> bool {
        self.child().is_some()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.root.path().join("redis.log")).unwrap_or_default()
    }

    /// `kill -9`. Does nothing if it is not running.
    pub fn stop_hard(&self) {
        if let Some(mut child) = self.child().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Kills it if it runs, and starts it on the same port in the same directory; returns once it serves.
    #[track_caller]
    pub fn restart(&self) {
        self.stop_hard();
        self.launch().unwrap_or_else(|said| panic!("{said}"));
    }

    /// Stops it from running on (SIGSTOP): connections stay open, and new ones are made, but nothing answers.
    #[track_caller]
    pub fn freeze(&self) {
        self.signal("-STOP");
        let stat = format!("/proc/{}/stat", self.pid());
        eventually("a server to freeze", PATIENCE, || {
            // `pid (name) state ...`
            fs::read_to_string(&stat).unwrap().contains(") T ").then_some(())
        });
    }

    /// Lets it run on.
    #[track_caller]
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    #[track_caller]
    fn signal(&self, option: &str) {
        let status = Command::new("kill").args([option, &self.pid().to_string()]).status();
        assert!(status.expect("kill(1) is needed").success(), "{option}");
    }

    /// What redis-cli prints for this command, without the last line's end: an answer, or an error in words. Empty
    /// if there is no answer in 20 seconds.
    pub fn cli(&self, command: &[&str]) -> String {
        let mut cli = Command::new("timeout");
        cli.args(["20", "redis-cli", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if let Some(tls) = &self.tls {
            cli.arg("--tls").arg("--cacert").arg(tls.ca());
            cli.arg("--cert").arg(tls.client_cert()).arg("--key").arg(tls.client_key());
        }
        if let Some((user, password)) = &self.plan.user {
            cli.args(["--no-auth-warning", "--user", user, "--pass", password]);
        }
        let output = cli.args(command).stdin(Stdio::null()).output().expect("timeout(1) is needed");
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).trim_end().to_owned()
    }

    /// The value of `field` in what `INFO` says about `section`.
    pub fn info(&self, section: &str, field: &str) -> Option<String> {
        let said = self.cli(&["INFO", section]);
        let mut fields = said.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(name, _)| *name == field).map(|(_, value)| value.trim_end().to_owned())
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    /// Writes `redis.conf`. Fail-overs make the server rewrite it, so this is done before the first start only.
    fn configure(&mut self, port: u16) {
        self.port = port;
        let root = self.root.path().display();
        let mut conf = format!("bind 127.0.0.1\nprotected-mode no\ndir {root}\nlogfile {root}/redis.log\n");
        match &self.tls {
            None => conf += &format!("port {port}\n"),
            Some(tls) => conf += &format!("port 0\ntls-port {port}\n{}", tls.conf()),
        }
        if !self.plan.sentinel {
            conf += &format!("unixsocket {}\nunixsocketperm 777\n", self.socket().display());
            // A master would wait five seconds for more replicas before it sends a copy.
            conf += "save \"\"\nrepl-diskless-sync-delay 0\n";
        }
        if self.plan.cluster {
            conf += &format!("cluster-enabled yes\ncluster-port {}\n", free_port());
        }
        fs::write(self.path("redis.conf"), conf + &self.plan.conf).unwrap();
    }

    /// Starts it, and returns once it serves. The error is what it said instead.
    fn launch(&self) -> Result<(), String> {
        let said = File::create(self.path("said")).unwrap();
        let mut command = Command::new(&self.plan.binary);
        command.arg(self.path("redis.conf")).args(self.plan.sentinel.then_some("--sentinel"));
        command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
        let child = command.spawn().unwrap_or_else(|e| panic!("{}: {e}", self.plan.binary.display()));
        let pid = child.id().to_string();
        // Kept at once: whatever happens below, it will be killed.
        *self.child() = Some(child);
        eventually("redis to start", PATIENCE, || {
            let ended = self.child().as_mut()?.try_wait().unwrap();
            if let Some(status) = ended {
                *self.child() = None;
                let said = fs::read_to_string(self.path("said")).unwrap_or_default();
                return Some(Err(format!("{status}\n{said}\n{}", self.log())));
            }
            // Somebody else may have been quicker to take the port.
            let is_this = self.info("server", "process_id").as_ref() == Some(&pid);
            (is_this && self.cli(&["PING"]) == "PONG").then_some(Ok(()))
        })
    }

    /// Waits until a replica has its master's data and hears of changes.
    #[track_caller]
    fn await_copy(&self) {
        eventually("a replica to have its copy", PATIENCE, || {
            (self.info("replication", "master_link_status")? == "up").then_some(())
        });
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop_hard();
    }
}

/// The path of `valkey-server`, if it is installed.
pub fn valkey() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join("valkey-server")).find(|path| path.is_file())
}
