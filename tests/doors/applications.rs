//! Applications in every language behind one login, as `httpd-conf/60-applications.conf` shows it: the programs of
//! `httpd-conf/apps`, and by the side of each a probe of the same kind that tells all that it was told.

use harness::free_port;
use harness::{Browser, Httpd, Mpm, Page, Signal, Site, eventually, on_each_mpm};
use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

on_each_mpm!(
    a_cgi_program_knows_the_visitor_and_changes_the_session,
    a_wsgi_application_knows_the_visitor_and_changes_the_session,
    a_mod_python_handler_knows_the_visitor_and_changes_the_session,
    a_php_program_behind_fpm_knows_the_visitor_and_changes_the_session,
    a_lua_handler_knows_the_visitor_and_changes_the_session,
    a_proxied_server_knows_the_visitor_and_changes_the_session,
    a_login_of_the_application_opens_its_own_door_and_no_other,
);

const PATIENCE: Duration = Duration::from_secs(20);
/// What a client claims to be.
const FORGED: &str = "forged-by-the-client";

/// The example with its programs, in a directory where the server's user may read them.
struct Example {
    site: Site,
    helpers: Vec<Helper>,
    apps: TempDir,
}

/// An example that runs. What it needs stops after it.
struct Running {
    httpd: Httpd,
    _helpers: Vec<Helper>,
    _apps: TempDir,
}

/// A server that an application needs, in a process group of its own.
struct Helper(Child);

impl Drop for Helper {
    fn drop(&mut self) {
        Signal::Kill.send(-i64::from(self.0.id()));
        let _ = self.0.wait();
    }
}

impl Helper {
    /// Starts it, and returns once it is `up`; `None` if it ended instead.
    fn start(command: &mut Command, up: impl Fn() -> bool) -> Option<Helper> {
        let quiet = command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let name = format!("{:?} is needed", quiet.get_program());
        let mut helper = Helper(quiet.spawn().expect(&name));
        eventually("a helper to start", PATIENCE, || {
            let ended = helper.0.try_wait().unwrap().is_some();
            (ended || up()).then_some(!ended)
        })
        .then_some(helper)
    }
}

impl Example {
    /// Loads `modules`, then the example.
    fn new(mpm: Mpm, modules: &[&str]) -> Self {
        let apps = tempfile::Builder::new().prefix("msc-apps-").tempdir().unwrap();
        fs::set_permissions(apps.path(), Permissions::from_mode(0o755)).unwrap();
        for entry in fs::read_dir(example("apps")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), apps.path().join(entry.file_name())).unwrap();
        }
        let site = Site::bare(mpm)
            .load(modules)
            .conf("<IfModule mod_cgid.c>\nScriptSock cgid\n</IfModule>")
            .conf("<IfModule mod_wsgi.c>\nWSGISocketPrefix run/wsgi\n</IfModule>")
            .conf(&format!("Define PASSWORDS passwords\nDefine APPS {}", apps.path().display()));
        Example { site, helpers: Vec::new(), apps }
    }

    fn conf(mut self, directives: &str) -> Self {
        self.site = self.site.conf(directives);
        self
    }

    /// A program of the test's own.
    fn program(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.apps.path().join(name)
    }

    /// Runs a server in Python, and defines `name` as its address.
    fn python(mut self, name: &str, program: &str) -> Self {
        let (helper, port) = eventually("a port for a backend", PATIENCE, || {
            let port = free_port();
            let mut python = Command::new("/usr/bin/python3");
            python.arg(self.path(program)).arg(port.to_string());
            Some((Helper::start(&mut python, || TcpStream::connect(("127.0.0.1", port)).is_ok())?, port))
        });
        self.helpers.push(helper);
        self.conf(&format!("Define {name} http://127.0.0.1:{port}"))
    }

    /// Runs php-fpm, and defines its socket.
    fn php_fpm(mut self) -> Self {
        let (socket, conf) = (self.path("php.sock"), self.path("php-fpm.conf"));
        // Only root has to say, and can, as whom it runs.
        let root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let user = if root { "user = www-data\ngroup = www-data\n" } else { "" };
        let text = format!(
            "[global]\nerror_log = {log}\ndaemonize = no\n[www]\nlisten = {socket}\nlisten.mode = 0666\n{user}\
             pm = static\npm.max_children = 2\n",
            log = self.path("php-fpm.log").display(),
            socket = socket.display(),
        );
        fs::write(&conf, text).unwrap();
        let names = fs::read_dir("/usr/sbin").unwrap().map(|entry| entry.unwrap().path());
        let is_fpm = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("php-fpm");
        let program = names.filter(is_fpm).max().expect("php-fpm is needed");
        let mut fpm = Command::new(program);
        fpm.arg("--nodaemonize").arg("--fpm-config").arg(&conf);
        let helper = Helper::start(&mut fpm, || UnixStream::connect(&socket).is_ok());
        let log = || fs::read_to_string(self.path("php-fpm.log"));
        self.helpers.push(helper.unwrap_or_else(|| panic!("{:?}", log())));
        self.conf(&format!("Define PHP_FPM {}", socket.display()))
    }

    /// Starts the server with the example, and then `more`. The role that the login fetches is nasty.
    fn start(self, more: &str) -> Running {
        let Example { site, helpers, apps } = self;
        let httpd = site
            .conf(&format!("Include {}", example("60-applications.conf").display()))
            .conf(
                "<Location /login>\nSessionClusterGrant staff user alice\n\
                 SessionClusterAttribute role \"<b>R\u{f6}le</b> & \\\"co\\\"\"\n</Location>",
            )
            .conf(more)
            .start();
        Running { httpd, _helpers: helpers, _apps: apps }
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("httpd-conf").join(name)
}

/// `httpd -t` accepts the example as it stands, with these modules and `more`.
fn is_accepted(modules: &[&str], more: &str) {
    let include = format!("Include {}", example("60-applications.conf").display());
    let (ok, said) = Site::bare(Mpm::Prefork).load(modules).conf(more).conf(&include).check();
    assert!(ok, "{modules:?}: {said}");
}

#[test]
fn the_example_is_accepted_as_it_stands_with_and_without_each_module() {
    is_accepted(&[], "");
    is_accepted(&["cgi", "wsgi", "lua", "proxy", "proxy_http", "proxy_fcgi"], "");
    is_accepted(&["cgi", "lua"], &format!("LoadModule php_module modules/{}", mod_php()));
}

/// By itself, because tests/run leaves out what has mod_python in its name where there is none.
#[test]
fn the_example_is_accepted_with_mod_python() {
    is_accepted(&["cgi", "python", "lua"], &format!("LoadModule php_module modules/{}", mod_php()));
}

#[test]
fn a_program_that_nothing_runs_is_shown_to_nobody() {
    let running = Example::new(Mpm::Event, &[]).start("");
    running.httpd.log.allow("AH01630"); // httpd logs each refusal
    let mut alice = running.httpd.browser_of("alice");
    for kind in ["php", "wsgi", "python", "lua", "proxied"] {
        let page = alice.get(&format!("/app/{kind}"));
        assert!(matches!(page.status, 403 | 404) && !page.body.contains("SESSION"), "{page:?}");
    }
}

#[test]
fn mod_wsgi_and_mod_python_do_not_go_into_one_httpd() {
    let said = Example::new(Mpm::Event, &["wsgi", "python"]).site.refused();
    assert!(said.contains("mod_python module can not be used"), "{said}");
}

/// What holds for an application of any kind at `path`, with a probe of the same kind at `/app/probe`.
fn holds(httpd: &Httpd, path: &str) {
    httpd.log.allow("cgid"); // The first requests may come before it listens.
    let mut stranger = httpd.browser();
    for page in [stranger.get(path), stranger.post(path, &[]), stranger.get("/app/probe")] {
        assert!(page.is_refused(), "{page:?}");
    }

    // It knows the visitor, and what the login fetched.
    let mut alice = httpd.browser_of("alice");
    let page = eventually("the application", PATIENCE, || {
        Some(alice.get(path)).filter(|page| !matches!(page.status, 502 | 503))
    });
    let page = page.expect(200);
    assert!(page.body.contains("<h1>Hello, alice</h1>"), "{page:?}");
    assert!(page.body.contains("<p>Grants: staff. Role: &lt;b&gt;R\u{f6}le&lt;/b&gt; &amp; "), "{page:?}");
    assert!(!has_accepted(&page));
    let page = httpd.browser_of("bob").get(path).expect(200);
    assert!(page.body.contains("Hello, bob") && page.body.contains("Grants: ."), "{page:?}");

    it_is_told_nothing_else(&mut alice);
    terms_accepted_in_mid_session_are_seen_at_once(&mut alice, path);
    // Another session of hers is another one, and the probe may not have what the first has.
    assert!(!has_accepted(&httpd.browser_of("alice").get(path).expect(200)));

    let mut kept = alice.clone();
    alice.post("/logout", &[]).expect(200);
    for page in [alice.get(path), kept.get(path), kept.post(path, &[])] {
        assert!(page.is_refused(), "{page:?}");
    }
}

fn it_is_told_nothing_else(alice: &mut Browser) {
    let id = alice.session().to_owned();
    alice.cookies.insert("theme".into(), "dark".into());
    let forged = [
        ("X-Session-User", FORGED),
        ("X_Session_User", FORGED),
        ("X-Session-Grants", FORGED),
        ("X-Session.Role", FORGED),
        ("x-session-terms", FORGED),
    ];
    for page in [alice.get_with("/app/probe", &forged), alice.post_with("/app/probe", &[], &forged)] {
        let page = page.expect(200);
        for told in ["alice", "staff", "theme=dark"] {
            assert!(page.body.contains(told), "{told}: {page:?}");
        }
        for untold in [FORGED, id.as_str(), "SCID"] {
            assert!(!page.body.contains(untold), "{untold}: {page:?}");
        }
    }
    // What a client says is no order.
    let orders = [("X-Session-Update", "terms=accepted"), ("X-Session-Replace", "user=bob")];
    let page = alice.get_with("/app/probe", &orders).expect(200);
    assert_eq!((page.header("Set-Cookie"), alice.session()), (None, id.as_str()));
}

fn terms_accepted_in_mid_session_are_seen_at_once(browser: &mut Browser, path: &str) {
    let before = browser.session().to_owned();
    let page = browser.post(path, &[("terms", "yes")]).expect(303);
    assert!(page.location().ends_with(path), "{page:?}");
    assert_eq!(page.header("X-Session-Update"), None, "it goes no further: {page:?}");
    assert_ne!(browser.session(), before);
    assert!(has_accepted(&browser.get(path).expect(200)));
    // Again is nothing new.
    let after = browser.session().to_owned();
    browser.post(path, &[]).expect(303);
    assert_eq!(browser.session(), after);
    assert!(has_accepted(&browser.get(path).expect(200)));
}

#[track_caller]
fn has_accepted(page: &Page) -> bool {
    let (says, asks) = (page.body.contains("You accepted the terms"), page.body.contains("<button>"));
    assert_ne!(says, asks, "{page:?}");
    says
}

const CGI_PROBE: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv\n";

fn cgi(mpm: Mpm) -> Example {
    Example::new(mpm, &[mpm.cgi_module()]).program("probe.sh", CGI_PROBE)
}

fn a_cgi_program_knows_the_visitor_and_changes_the_session(mpm: Mpm) {
    let running = cgi(mpm).start("ScriptAlias /app/probe ${APPS}/probe.sh");
    holds(&running.httpd, "/app/cgi");
}

const WSGI_PROBE: &str = "\
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [repr(environ).encode()]
";

fn a_wsgi_application_knows_the_visitor_and_changes_the_session(mpm: Mpm) {
    // The example's application is in a process of its own; the probe is in httpd's.
    let running = Example::new(mpm, &["wsgi"])
        .program("probe.py", WSGI_PROBE)
        .start("WSGIScriptAlias /app/probe ${APPS}/probe.py\nWSGIApplicationGroup %{GLOBAL}");
    holds(&running.httpd, "/app/wsgi");
}

const MOD_PYTHON_PROBE: &str = "\
from mod_python import apache

def handler(req):
    req.add_common_vars()
    req.write(repr(list(req.headers_in.items())) + repr(list(req.subprocess_env.items())) + req.user)
    return apache.OK
";

/// mod_wsgi refuses to be in one httpd with mod_python.
fn a_mod_python_handler_knows_the_visitor_and_changes_the_session(mpm: Mpm) {
    let running = Example::new(mpm, &["python"]).program("probe.py", MOD_PYTHON_PROBE).start(
        "<Location /app/probe>\nSetHandler mod_python\nPythonHandler probe\nPythonPath \"sys.path + ['${APPS}']\"\n\
         </Location>",
    );
    holds(&running.httpd, "/app/python");
}

const PHP_PROBE: &str = "<?php print_r($_SERVER); print_r($_COOKIE); print_r(getenv()); print_r($_REQUEST);";

fn a_php_program_behind_fpm_knows_the_visitor_and_changes_the_session(mpm: Mpm) {
    let running =
        Example::new(mpm, &["proxy", "proxy_fcgi"]).program("probe.php", PHP_PROBE).php_fpm().start(
            "Alias /app/probe ${APPS}/probe.php\n<Location /app/probe>\n\
         SetHandler \"proxy:unix:${PHP_FPM}|fcgi://localhost\"\n</Location>",
        );
    holds(&running.httpd, "/app/php");
}

#[test]
fn a_php_program_in_httpd_knows_the_visitor_and_changes_the_session() {
    // It is built without threads, for prefork only.
    let running = Example::new(Mpm::Prefork, &[])
        .conf(&format!("LoadModule php_module modules/{}", mod_php()))
        .program("probe.php", PHP_PROBE)
        .start(
            "Alias /app/probe ${APPS}/probe.php\n<Location /app/probe>\nSetHandler application/x-httpd-php\n\
             </Location>",
        );
    holds(&running.httpd, "/app/php");
}

/// `libphp8.2.so`, or whatever the version is.
fn mod_php() -> String {
    let apxs = std::env::var("APXS").unwrap_or_else(|_| "apxs".into());
    let output = Command::new(apxs).args(["-q", "LIBEXECDIR"]).output().expect("apxs is needed");
    let directory = String::from_utf8(output.stdout).unwrap();
    let entries = fs::read_dir(directory.trim()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("libphp")).max().expect("mod_php is needed")
}

const LUA_PROBE: &str = "\
function handle(r)
    local function show(all)
        for name, value in pairs(all) do r:puts(name, '=', value, '\\n') end
    end
    show((r:headers_in_table()))
    show((r:subprocess_env_table()))
    return apache2.OK
end
";

fn a_lua_handler_knows_the_visitor_and_changes_the_session(mpm: Mpm) {
    let running = Example::new(mpm, &["lua"])
        .program("probe.lua", LUA_PROBE)
        .start("LuaMapHandler ^/app/probe$ ${APPS}/probe.lua");
    holds(&running.httpd, "/app/lua");
}

const BACKEND_PROBE: &str = "\
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Probe(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.headers.as_bytes())

    do_POST = do_GET

ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Probe).serve_forever()
";

fn a_proxied_server_knows_the_visitor_and_changes_the_session(mpm: Mpm) {
    let running = Example::new(mpm, &["proxy", "proxy_http"])
        .program("probe.py", BACKEND_PROBE)
        .python("BACKEND", "hello_backend.py")
        .python("PROBE", "probe.py")
        .start(
            "ProxyPass /app/probe ${PROBE}\n<Location /app/probe>\nSessionClusterExport header user grants role\n\
             </Location>",
        );
    holds(&running.httpd, "/app/proxied");
}

fn a_login_of_the_application_opens_its_own_door_and_no_other(mpm: Mpm) {
    let running = cgi(mpm).start("");
    let httpd = &running.httpd;
    httpd.log.allow("cgid");
    httpd.log.allow("SC0211");
    let mut browser = httpd.browser();
    let form =
        eventually("cgid", PATIENCE, || Some(browser.get("/own/login")).filter(|page| page.status != 503));
    assert!(form.expect(200).body.contains("type=\"password\""));
    let page = browser.get("/own/hello").expect(303);
    assert!(page.location().starts_with("/own/login"), "{page:?}");

    let credentials = |user, password| [("user", user), ("password", password)];
    for wrong in [credentials("alice", "wrong"), credentials("bob", "wonderland"), credentials("", "")] {
        assert_eq!(browser.post("/own/login", &wrong).expect(200).header("Set-Cookie"), None);
    }
    let right = credentials("alice", "wonderland");
    let page = browser.post_with("/own/login", &right, &[("Sec-Fetch-Site", "cross-site")]).expect(200);
    assert_eq!(page.header("Set-Cookie"), None, "another site logs nobody in");

    let page = browser.post("/own/login", &right).expect(303);
    assert_eq!((page.location(), page.header("X-Session-Replace")), ("/own/hello", None));
    let page = browser.get("/own/hello").expect(200);
    assert!(page.body.contains("Hello, alice") && page.body.contains("staff. Role: tutor."), "{page:?}");
    terms_accepted_in_mid_session_are_seen_at_once(&mut browser, "/own/hello");

    // Neither login opens the other's door.
    assert_ne!(browser.clone().get("/app/cgi").status, 200);
    assert_ne!(httpd.browser_of("alice").get("/own/hello").status, 200);

    let mut kept = browser.clone();
    let page = browser.post("/own/login", &[("logout", "yes")]).expect(303);
    assert!(page.header("Set-Cookie").unwrap().contains("Max-Age=0"), "{page:?}");
    assert!(kept.get("/own/hello").is_refused() && browser.get("/own/hello").is_refused());
}
