//! Real databases for httpd's mod_dbd: a MariaDB or PostgreSQL server in a temporary directory, on a free port of the
//! loopback, or a file of SQLite. Servers run in the foreground so that their pids are known, as `nobody` where the
//! test is root, which they refuse to be. Whatever happens, nothing of them outlives the test.
//!
//! Nothing is flushed to the disk: what was committed outlives a server that is killed, but not a machine.

mod mariadb;
mod postgres;
mod sqlite;

pub use mariadb::MariaDb;
pub use postgres::Postgres;
pub use sqlite::Sqlite;

use super::conf::is_root;
use super::{eventually, free_port};
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// How long anything but an answer to a client may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Debian's `nobody` and `nogroup`.
const NOBODY: u32 = 65534;

/// A database that httpd can use.
pub trait Database: Send + Sync {
    /// apr_dbd's name of the driver, and that of the schema's file.
    fn driver(&self) -> &'static str;

    /// The words of `DBDParams`.
    fn params(&self) -> String;

    /// Runs statements as an administrator. Gives what they print, or the error in words.
    fn run(&self, sql: &str) -> Result<String, String>;

    /// Creates the tables of that prefix, by the very file that administrators get.
    #[track_caller]
    fn furnish(&self, prefix: &str) {
        let file = format!("{}/../../httpd-conf/sql/{}.sql", env!("CARGO_MANIFEST_DIR"), self.driver());
        let schema = fs::read_to_string(file).unwrap().replace("sc_", &format!("{prefix}_"));
        self.run(&schema).unwrap_or_else(|said| panic!("{said}"));
    }

    /// How mod_dbd gets at it.
    fn conf(&self) -> String {
        format!("DBDriver {}\nDBDParams \"{}\"\nDBDMin 0\nDBDMax 16\n", self.driver(), self.params())
    }
}

/// A server that can be stopped and started again.
pub trait Server: Database {
    /// `kill -9`, of all its processes. Does nothing if it is not running.
    fn stop_hard(&self) {
        self.process().stop_hard();
    }

    /// Kills it if it runs, and starts it on the same port with the same data; returns once it serves.
    #[track_caller]
    fn restart(&self);

    /// Stops it from running on (SIGSTOP): connections stay open, and new ones are made, but nothing answers.
    #[track_caller]
    fn freeze(&self) {
        self.process().signal("-STOP");
        self.process().await_standstill();
    }

    /// Lets it run on.
    #[track_caller]
    fn thaw(&self) {
        self.process().signal("-CONT");
    }

    /// Its directory and its processes.
    fn process(&self) -> &Process;

    /// The client that administrators use.
    fn cli(&self) -> Command;

    /// Another client that has begun to write, and keeps all others from it until what is returned is dropped.
    #[track_caller]
    fn lock(&self) -> Locked {
        Locked::by(self.cli(), "BEGIN;\nUPDATE sc_state SET last = last;\nSELECT 'locked';\n")
    }
}

/// A client in the middle of a transaction.
pub struct Locked(Child);

impl Locked {
    #[track_caller]
    fn by(mut cli: Command, sql: &str) -> Self {
        let mut child = cli.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(sql.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), "locked");
        Locked(child)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The directory of a server, and its processes.
pub struct Process {
    root: TempDir,
    port: u16,
    child: Mutex<Option<Child>>,
}

impl Process {
    fn new(name: &str) -> Self {
        let root = tempfile::Builder::new().prefix(&format!("msc-{name}-")).tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        if is_root() {
            chown(root.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Process { root, port: free_port(), child: Mutex::new(None) }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    /// A program that runs as `nobody` if this test is root, in the server's directory.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.current_dir(self.root.path()).env("HOME", self.root.path()).stdin(Stdio::null());
        // A MariaDB that starts removes what it takes for its own temporary tables.
        command.env("TMPDIR", self.root.path());
        command
    }

    /// Runs a program to its end.
    #[track_caller]
    fn prepare(&self, mut command: Command) {
        let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}: run apxs/setup tests"));
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {said}");
    }

    /// Starts the server, and returns once `serves` says so.
    #[track_caller]
    fn launch(&self, mut command: Command, serves: impl Fn() -> bool) {
        let said = File::options().create(true).append(true).open(self.path("said")).unwrap();
        command.stdout(said.try_clone().unwrap()).stderr(said);
        let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}: run apxs/setup tests"));
        // Kept at once: whatever happens below, it will be killed.
        *self.child() = Some(child);
        eventually("a database to start", PATIENCE, || {
            if let Some(status) = self.child().as_mut()?.try_wait().unwrap() {
                panic!("{status}\n{}", self.said());
            }
            serves().then_some(())
        });
    }

    /// Returns once its first process has stopped.
    #[track_caller]
    fn await_standstill(&self) {
        let Some(pid) = self.child().as_ref().map(Child::id) else { return };
        eventually("a database to stand still", PATIENCE, || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')).then_some(())
        });
        // Threads of a process stop one after the other.
        std::thread::sleep(Duration::from_millis(10));
    }

    /// What it wrote to its log.
    fn said(&self) -> String {
        fs::read_to_string(self.path("said")).unwrap_or_default()
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its pid, and those of its children, which PostgreSQL has one of for each connection.
    pub fn pids(&self) -> Vec<u32> {
        let Some(pid) = self.child().as_ref().map(Child::id) else { return Vec::new() };
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        std::iter::once(pid).chain(children).collect()
    }

    fn stop_hard(&self) {
        let pids = self.pids();
        if let Some(mut child) = self.child().take() {
            let _ = child.kill();
            for pid in pids.iter().skip(1) {
                let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
            }
            let _ = child.wait();
            eventually("the processes of a server to go", PATIENCE, || {
                // Reaped by whoever adopted them; a zombie counts as gone.
                let gone = |pid: &u32| {
                    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
                };
                pids.iter().skip(1).all(gone).then_some(())
            });
        }
    }

    /// To all its processes.
    #[track_caller]
    fn signal(&self, option: &str) {
        // One that ended meanwhile is none to be stopped.
        for pid in self.pids() {
            let _ = Command::new("kill").args([option, &pid.to_string()]).stderr(Stdio::null()).status();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop_hard();
    }
}

/// Runs a client with `sql` as its input.
fn client(mut command: Command, sql: &str) -> Result<String, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}: run apxs/setup tests"));
    // It may end early, and says why.
    let _ = child.stdin.take().unwrap().write_all(sql.as_bytes());
    let output = child.wait_with_output().unwrap();
    let [said, complained] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).trim_end().to_owned());
    if output.status.success() { Ok(said) } else { Err(format!("{said}\n{complained}")) }
}
