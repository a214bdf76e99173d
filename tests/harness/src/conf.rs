//! The configuration of a server under test: a common base, the module, a small site with one door, and what the
//! test adds.

use super::Mpm;
use super::httpd::Httpd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The password of every user of the site.
pub(crate) const PASSWORD: &str = "wonderland";
/// The same as `htpasswd -s` writes it: quick to check, so that tests measure the module and not bcrypt.
const HASH: &str = "{SHA}tiY7sUhYKUwI5L3866kDY+ENcrQ=";

/// `/login`, `/logout` and `/whoami`; `/app` behind a door; `/open` without one.
const LOGIN_SITE: &str = r"
<Location /login>
    SetHandler session-cluster-login
    SessionClusterAuthn file
    AuthUserFile passwords
</Location>
<Location /logout>
    SetHandler session-cluster-logout
</Location>
<Location /whoami>
    SetHandler session-cluster-whoami
</Location>
<Location /app>
    AuthType Session
    SessionClusterLogin /login
    Require valid-user
</Location>
";

const MEASURED: &str = r"
LogLevel notice
MaxKeepAliveRequests 0
KeepAliveTimeout 60
Timeout 20
TypesConfig /dev/null
AddType text/html .html
<Directory />
    AllowOverride None
    Require all granted
</Directory>
<Location /open>
    Require all granted
</Location>
<IfModule mpm_event_module>
    StartServers 1
    ServerLimit 1
    ThreadsPerChild 16
    MaxRequestWorkers 16
    MinSpareThreads 1
    MaxSpareThreads 16
</IfModule>
<IfModule mpm_prefork_module>
    StartServers 8
    ServerLimit 8
    MinSpareServers 1
    MaxSpareServers 8
    MaxRequestWorkers 8
</IfModule>
";

/// A configuration being put together.
pub struct Site {
    /// How it spreads requests.
    pub mpm: Mpm,
    pub(crate) one_process: bool,
    /// What runs httpd, and its arguments.
    pub(crate) under: Vec<String>,
    furnished: bool,
    before: String,
    conf: String,
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

impl Site {
    /// The site with a login and a door.
    pub fn new(mpm: Mpm) -> Self {
        Site::bare(mpm).conf(LOGIN_SITE)
    }

    /// The module is loaded; nothing more.
    pub fn bare(mpm: Mpm) -> Self {
        let (before, conf) = (String::new(), String::new());
        Site { mpm, one_process: false, under: Vec::new(), furnished: true, before, conf, files: Vec::new() }
    }

    /// Not even the module, and no access log: what benchmarks compare has only what they load.
    pub fn empty(mpm: Mpm) -> Self {
        Site { furnished: false, ..Site::bare(mpm) }
    }

    /// What everything measured has in common: only the modules that a login by a password file needs, an open door
    /// at `/open`, kept-alive connections, and as many processes as serve all of a load. The module is not loaded.
    pub fn measured(mpm: Mpm) -> Self {
        Site::empty(mpm)
            .load(&["authn_core", "authn_file", "authz_core", "authz_user", "mime"])
            .conf(MEASURED)
    }

    /// Puts a page of 1 KiB into each of these directories: `/NAME/page.html`.
    pub fn pages(self, names: &[&str]) -> Self {
        names.iter().fold(self, |site, name| site.file(&format!("htdocs/{name}/page.html"), [b'x'; 1024]))
    }

    /// Adds directives.
    pub fn conf(mut self, directives: &str) -> Self {
        self.conf.push_str(directives);
        self.conf.push('\n');
        self
    }

    /// Loads httpd's modules of these names ahead of the module under test.
    pub fn load_before(mut self, modules: &[&str]) -> Self {
        self.before.push_str(&load(modules));
        self
    }

    /// Loads httpd's modules of these names after the module under test.
    pub fn load(self, modules: &[&str]) -> Self {
        let lines = load(modules);
        self.conf(&lines)
    }

    /// Puts a file into the server root; scripts (`#!`) become executable.
    pub fn file(mut self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        self.files.push((path.to_owned(), contents.as_ref().to_owned()));
        self
    }

    /// Runs everything in one process (`-X`), so that it can be traced.
    pub fn one_process(mut self) -> Self {
        self.one_process = true;
        self
    }

    /// Lets another program run httpd. It and httpd are `www-data` from the start, because what is run so writes files
    /// when httpd has given up root.
    pub(crate) fn under(mut self, program: &str, arguments: &[&str]) -> Self {
        self.under = [&[program], arguments].concat().into_iter().map(str::to_owned).collect();
        self
    }

    /// Starts the server.
    #[track_caller]
    pub fn start(self) -> Httpd {
        let mut httpd = Httpd::new(self);
        httpd.start();
        httpd
    }

    /// What httpd says when it refuses to start with this.
    #[track_caller]
    pub fn refused(self) -> String {
        Httpd::new(self).start_refused()
    }

    /// `httpd -t`: whether it accepts this, and what it says.
    pub fn check(self) -> (bool, String) {
        Httpd::new(self).check()
    }

    /// The whole `httpd.conf` for a server that listens on `port`.
    pub(crate) fn text(&self, root: &Path, port: u16) -> String {
        let mut text = format!(
            "ServerRoot {root}\nListen 127.0.0.1:{port}\nServerName localhost\n\
             DefaultRuntimeDir run\nPidFile run/httpd.pid\nErrorLog error.log\nDocumentRoot {root}/htdocs\n\
             LoadModule mpm_{mpm}_module modules/mod_mpm_{mpm}.so\n",
            root = root.display(),
            mpm = self.mpm.name(),
        );
        if is_root() {
            text += "User www-data\nGroup www-data\n";
        }
        if !self.furnished {
            return text + &self.conf;
        }
        let ours = format!("LoadModule session_cluster_module {}\n", module().display());
        if is_everything_loaded() {
            text += &everything(self.mpm, root, &ours);
            text += &self.before;
        } else {
            text += &load(&USUAL);
            text += &self.before;
            text += &ours;
        }
        text += "LogLevel notice session_cluster:info\nKeepAliveTimeout 2\nTimeout 20\nGracefulShutdownTimeout 5\n";
        text += match self.mpm {
            Mpm::Prefork => "StartServers 3\nMinSpareServers 3\nMaxSpareServers 8\nMaxRequestWorkers 12\n",
            Mpm::Event | Mpm::Worker => {
                "StartServers 2\nServerLimit 5\nThreadsPerChild 5\nMinSpareThreads 10\nMaxSpareThreads 20\n\
                 MaxRequestWorkers 20\n"
            }
        };
        // What a page knows of its visitor, for the tests to see.
        text += "<Directory />\nAllowOverride None\n</Directory>\n\
                 TypesConfig /dev/null\nAddType text/html .html\nDirectoryIndex index.html\n\
                 LogFormat \"%P %u %s %r\" short\nCustomLog access.log short\n\
                 Header always set X-User \"expr=%{REMOTE_USER}\"\n\
                 Header always set X-Auth-Type \"expr=%{AUTH_TYPE}\"\n\
                 Header always set X-Session \"%{SESSION_LOGID}e\"\n";
        text + &self.conf
    }
}

/// What the site needs.
const USUAL: [&str; 12] = [
    "authn_core",
    "authn_file",
    "authz_core",
    "authz_user",
    "auth_basic",
    "mime",
    "dir",
    "alias",
    "env",
    "headers",
    "status",
    "asis",
];

/// Whether each site has all of httpd's own modules beside ours, as on a server where somebody enabled them all
/// (`MSC_EVERYTHING`).
pub(crate) fn is_everything_loaded() -> bool {
    std::env::var_os("MSC_EVERYTHING").is_some()
}

/// All modules that httpd's package has, in the order of the alphabet, as Debian loads them; `ours` at its place. Those
/// that do nothing unless they are told to are told: a cache that answers before anybody else, a log of all headers.
fn everything(mpm: Mpm, root: &Path, ours: &str) -> String {
    // Others' modules, and one of two that are each other's stead.
    let left_out = match mpm {
        Mpm::Prefork => "cgid",
        Mpm::Event | Mpm::Worker => "cgi",
    };
    let package = Command::new("dpkg").args(["-L", "apache2-bin"]).output().expect("dpkg is needed");
    let files = String::from_utf8(package.stdout).unwrap();
    let mut names: Vec<&str> = files
        .lines()
        .filter_map(|file| file.rsplit_once("/modules/mod_")?.1.strip_suffix(".so"))
        .filter(|name| !name.starts_with("mpm_") && *name != left_out)
        .collect();
    assert!(names.len() > 80, "{names:?}");
    names.sort_unstable();
    let (before, after): (Vec<&str>, Vec<&str>) = names.iter().partition(|&&name| name < "session_cluster");
    let told = format!(
        "CacheRoot {}/cache\nCacheEnable disk /\nCacheHeader On\nForensicLog forensic.log\n",
        root.display()
    );
    [&load(&before), ours, &load(&after), &told].concat()
}

/// The password file: `alice`, `bob`, `carol`, and `user0` to `user63`.
pub(crate) fn passwords() -> String {
    let names = ["alice", "bob", "carol"].map(str::to_owned).into_iter();
    names.chain((0..64).map(|n| format!("user{n}"))).map(|name| format!("{name}:{HASH}\n")).collect()
}

/// Whether this test runs as root, and the server can therefore run as `www-data`.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

fn load(modules: &[&str]) -> String {
    modules.iter().map(|name| format!("LoadModule {name}_module modules/mod_{name}.so\n")).collect()
}

/// The module under test: the one that this very build made, or `MSC_MODULE`.
pub fn module() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| {
        let named = std::env::var_os("MSC_MODULE").map(PathBuf::from);
        let built = || std::env::current_exe().unwrap().with_file_name("libmod_session_cluster.so");
        let module = named.unwrap_or_else(built);
        assert!(module.exists(), "{} is not there: run cargo build first", module.display());
        module
    })
}

/// What `apxs -q` says.
pub fn apxs(name: &str) -> String {
    let apxs = std::env::var("APXS").unwrap_or_else(|_| "apxs".into());
    let output = Command::new(apxs).args(["-q", name]).output().expect("apxs is needed");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
