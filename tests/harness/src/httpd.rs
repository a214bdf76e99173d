//! One httpd of its own: server root in a temporary directory, a free port, started in the foreground so that its
//! pid is known, stopped by that pid. Whatever happens, nothing of it outlives the test.

use super::browser::Browser;
use super::conf::{self, Site};
use super::error_log::{ErrorLog, Secrets};
use super::{eventually, ports};
use std::fs::{self, File, Permissions};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

/// How long starting, restarting or stopping may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a running httpd can be told.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// Restart, and let requests finish.
    Graceful,
    /// Restart at once.
    Restart,
    /// Stop.
    Stop,
    /// `kill -9`.
    Kill,
}

impl Signal {
    fn option(self) -> &'static str {
        match self {
            Signal::Graceful => "-USR1",
            Signal::Restart => "-HUP",
            Signal::Stop => "-TERM",
            Signal::Kill => "-KILL",
        }
    }

    /// Sends it to a process, or to the process group `-pid`. A process that is gone is no error.
    pub fn send(self, pid: i64) {
        let mut kill = Command::new("kill");
        kill.args([self.option(), "--", &pid.to_string()]).stderr(Stdio::null());
        kill.status().expect("kill(1) is needed");
    }
}

/// A server, running or stopped.
pub struct Httpd {
    root: TempDir,
    site: Site,
    port: u16,
    child: Option<Child>,
    /// What it logs; a test announces here which grave lines it expects.
    pub log: ErrorLog,
    secrets: Secrets,
}

impl Httpd {
    /// A stopped one, with everything in its server root.
    pub fn new(site: Site) -> Self {
        let root = tempfile::Builder::new().prefix("msc-live-").tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        let log = ErrorLog::new(root.path().join("error.log"));
        let httpd =
            Httpd { root, site, port: ports::for_httpd(), child: None, log, secrets: Secrets::default() };
        httpd.furnish();
        httpd
    }

    fn furnish(&self) {
        for directory in ["run", "cache", "htdocs/app", "htdocs/open"] {
            fs::create_dir_all(self.path(directory)).unwrap();
        }
        // httpd's children are somebody else.
        fs::set_permissions(self.path("cache"), Permissions::from_mode(0o777)).unwrap();
        static MODULES: OnceLock<String> = OnceLock::new();
        symlink(MODULES.get_or_init(|| conf::apxs("LIBEXECDIR")), self.path("modules")).unwrap();
        self.write("passwords", conf::passwords());
        self.write("htdocs/index.html", "front page\n");
        for page in ["app/index", "app/page", "open/page"] {
            self.write(&format!("htdocs/{page}.html"), format!("{page}\n"));
        }
        for (path, contents) in &self.site.files {
            self.write(path, contents);
        }
        self.configure();
    }

    fn configure(&self) {
        self.write("httpd.conf", self.site.text(self.root.path(), self.port));
    }

    /// Adds directives for the next start or restart.
    pub fn reconfigure(&mut self, change: impl FnOnce(Site) -> Site) {
        let mpm = self.site.mpm;
        let site = std::mem::replace(&mut self.site, Site::bare(mpm));
        self.site = change(site);
        self.configure();
    }

    /// A path inside the server root.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    /// Writes a file below the server root; scripts (`#!`) become executable, and what is called a secret is for its
    /// owner only: `secret`, `password`, `*.key`.
    pub fn write(&self, relative: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &contents).unwrap();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mode = match () {
            () if contents.as_ref().starts_with(b"#!") => 0o755,
            () if ["secret", "password"].contains(&name) || name.ends_with(".key") => 0o600,
            () => 0o644,
        };
        self.set_mode(relative, mode);
    }

    /// Sets the mode of a file or directory below the server root.
    pub fn set_mode(&self, relative: &str, mode: u32) {
        fs::set_permissions(self.path(relative), Permissions::from_mode(mode)).unwrap();
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// A browser that has never been here.
    pub fn browser(&self) -> Browser {
        Browser::new(self.address(), self.secrets.clone())
    }

    /// The browser of another node, come here with its cookies.
    pub fn visit(&self, other: &Browser) -> Browser {
        let mut browser = self.browser();
        browser.cookies.clone_from(&other.cookies);
        browser.cookies.values().for_each(|value| self.secrets.add(value));
        browser
    }

    /// A browser that is logged in.
    #[track_caller]
    pub fn browser_of(&self, user: &str) -> Browser {
        let mut browser = self.browser();
        browser.login(user);
        browser
    }

    /// Starts, and returns once it serves.
    #[track_caller]
    pub fn start(&mut self) {
        for _ in 0..5 {
            let Err(said) = self.try_start() else { return };
            assert!(said.contains("could not bind") || said.contains("no listening sockets"), "{said}");
            self.port = ports::for_httpd();
            self.configure();
        }
        panic!("no port to be had");
    }

    /// What it says when it refuses to start.
    #[track_caller]
    pub(crate) fn start_refused(mut self) -> String {
        let said = self.try_start().expect_err("it starts");
        self.log.allow("");
        said
    }

    /// Starts; the error is what httpd said instead.
    pub fn try_start(&mut self) -> Result<(), String> {
        assert!(self.child.is_none(), "it is running");
        let generations = self.generations();
        let stderr = File::create(self.path("stderr")).unwrap();
        let mut command = self.command();
        command.arg(if self.site.one_process { "-X" } else { "-DFOREGROUND" });
        // Kept at once: whatever happens below, it will be stopped.
        self.child = Some(command.stdout(Stdio::null()).stderr(stderr).spawn().unwrap());
        eventually("httpd to start", self.patience(), || {
            if let Some(status) = self.child.as_mut()?.try_wait().unwrap() {
                self.child = None;
                let said = fs::read_to_string(self.path("stderr")).unwrap_or_default();
                return Some(Err(format!("{status}\n{said}\n{}", self.log.text())));
            }
            self.is_up(generations).then_some(Ok(()))
        })
    }

    fn patience(&self) -> Duration {
        // Another program that runs it makes it slow.
        if self.site.under.is_empty() { PATIENCE } else { PATIENCE * 4 }
    }

    /// Whether it serves, when it had `generations` before it was started.
    fn is_up(&self, generations: usize) -> bool {
        // With one process, httpd does not say so.
        let listens = || TcpStream::connect(self.address()).is_ok();
        if self.site.one_process { listens() } else { self.generations() > generations }
    }

    /// `httpd -t`.
    pub fn check(&self) -> (bool, String) {
        let output = self.command().arg("-t").output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn command(&self) -> Command {
        let program = program();
        let mut command = match self.site.under.split_first() {
            None => Command::new(program),
            Some((under, arguments)) => {
                let mut command = Command::new(under);
                command.args(arguments).arg(program).current_dir(self.root.path());
                self.give_away(&mut command);
                command
            }
        };
        // Its own process group: what it leaves behind can be killed without knowing each pid.
        command.arg("-f").arg(self.path("httpd.conf")).process_group(0).stdin(Stdio::null());
        // As the system would start it: cargo's library path is not for servers.
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    /// Gives the server root to httpd's user, who is to run this; without root there is nobody else to be.
    fn give_away(&self, command: &mut Command) {
        if !conf::is_root() {
            return;
        }
        let mut chown = Command::new("chown");
        let done = chown.arg("-R").arg("www-data:www-data").arg(self.root.path()).status().unwrap();
        assert!(done.success(), "{chown:?}");
        let owner = fs::metadata(self.root.path()).unwrap();
        command.uid(owner.uid()).gid(owner.gid());
    }

    /// How often it began to serve: once for the start and once for each restart.
    fn generations(&self) -> usize {
        self.log.count("resuming normal operations")
    }

    /// The pid of the parent.
    #[track_caller]
    pub fn pid(&self) -> i64 {
        i64::from(self.child.as_ref().expect("it is not running").id())
    }

    /// The pids of its children: the processes that serve.
    pub fn children(&self) -> Vec<i64> {
        let pid = self.pid();
        let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Restarts it, and returns once the new generation serves.
    #[track_caller]
    pub fn restart(&self, signal: Signal) {
        let before = self.generations();
        signal.send(self.pid());
        eventually("httpd to restart", PATIENCE, || (self.generations() > before).then_some(()));
    }

    /// Stops it as an operator does, once it is quiet: a child of the event MPM that is told to stop while one of its
    /// threads is closing a connection may crash, with this module and without.
    #[track_caller]
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        std::thread::sleep(Duration::from_millis(20));
        let pid = i64::from(child.id());
        // Also if it does not stop, which fails the test.
        let _rest = Rest(pid);
        Signal::Stop.send(pid);
        eventually("httpd to stop", self.patience(), || child.try_wait().unwrap());
    }

    /// Kills all of it at one blow.
    pub fn kill_everything(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        Signal::Kill.send(-i64::from(child.id()));
        let _ = child.wait();
        // httpd says so at the next start.
        self.log.allow("AH00098");
    }

    /// Session ids that the browsers hold and that occur in this file of the server root.
    pub fn secrets_in(&self, relative: &str) -> Vec<String> {
        let bytes = fs::read(self.path(relative)).unwrap_or_default();
        self.secrets.found_in(&String::from_utf8_lossy(&bytes))
    }

    fn inspect(&mut self) {
        self.stop();
        let surprises = self.log.surprises();
        assert!(surprises.is_empty(), "unexpected in the error log:\n{}", surprises.join("\n"));
        for file in ["error.log", "access.log", "forensic.log", "stderr"] {
            assert!(self.secrets_in(file).is_empty(), "{file} tells session ids");
        }
    }
}

impl Drop for Httpd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- error log ({:?})\n{}----", self.site.mpm, tail(&self.log.text(), 60));
            self.kill_everything();
        } else {
            self.inspect();
        }
    }
}

/// What is left of a process group, which is killed when this goes.
struct Rest(i64);

impl Drop for Rest {
    fn drop(&mut self) {
        Signal::Kill.send(-self.0);
    }
}

/// The httpd that apxs belongs to.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| Path::new(&conf::apxs("SBINDIR")).join(conf::apxs("PROGNAME")))
}

fn tail(text: &str, lines: usize) -> String {
    let skip = text.lines().count().saturating_sub(lines);
    text.lines().skip(skip).map(|line| format!("{line}\n")).collect()
}
