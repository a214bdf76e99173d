//! What applications and their clients could get wrong on purpose: old cookies, hop-by-hop headers, error statuses,
//! orders where a session does not count.

use harness::{Browser, Httpd, Mpm, Page, Site, eventually};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

/// `?replace=ORDER` or `?update=ORDER`, percent-encoded once more.
const APPLICATION: &str = r#"#!/usr/bin/perl
my ($kind, $order) = split /=/, $ENV{QUERY_STRING}, 2;
$order =~ s/%([0-9A-F]{2})/chr(hex($1))/ge;
my %name = (replace => 'X-Session-Replace', update => 'X-Session-Update');
print "$name{$kind}: $order\r\n" if $name{$kind};
print "Content-Type: text/plain\r\n\r\nuser=$ENV{SESSION_USER} terms=$ENV{SESSION_TERMS} grants=$ENV{SESSION_GRANTS}\n";
"#;

fn start(more: &str) -> Httpd {
    let httpd = Site::new(Mpm::Event)
        .load(&["cgid", "authz_groupfile"])
        .conf("ScriptSock cgid\nScriptAliasMatch ^/(run|app/run|own/run) cgi/run.pl")
        .conf("SessionClusterExport env user terms grants\nSessionClusterBackend On")
        .conf(more)
        .file("cgi/run.pl", APPLICATION)
        .file("groups", "active: alice carol\n")
        .start();
    eventually("cgid", Duration::from_secs(5), || (httpd.browser().get("/run").status == 200).then_some(()));
    for line in ["cgid", "AH01631", "SC0304", "SC0308"] {
        httpd.log.allow(line);
    }
    httpd
}

#[track_caller]
fn order(browser: &mut Browser, path: &str, order: &str) -> Page {
    browser.get(&format!("{path}?{order}")).expect(200)
}

#[test]
fn a_cookie_in_its_grace_does_not_bring_back_what_was_revoked() {
    let httpd = start("SessionClusterGrace 1s");
    httpd.log.allow("SC0310");
    let mut alice = httpd.browser();
    order(&mut alice, "/run", "replace=user=alice&grant=staff");
    let mut old = alice.clone();
    order(&mut alice, "/run", "update=revoke=staff&terms=accepted");
    assert_eq!(alice.get("/app/run").body, "user=alice terms=accepted grants=\n");
    // Any other change, in a request with the cookie from before: perhaps one that was on its way, perhaps not.
    let page = order(&mut old, "/run", "update=theme=dark");
    assert_eq!(page.header("Set-Cookie"), None);
    std::thread::sleep(Duration::from_secs(2));
    assert!(old.get("/app/run").is_refused(), "its grace is over");
    assert_eq!(alice.get("/app/run").body, "user=alice terms=accepted grants=\n");
}

#[test]
fn a_client_cannot_take_an_exported_header_away_from_a_backend() {
    let files = tempfile::tempdir().unwrap();
    fs::set_permissions(files.path(), Permissions::from_mode(0o755)).unwrap();
    let program = files.path().join("b.py");
    fs::write(
        &program,
        "import sys\nfrom http.server import BaseHTTPRequestHandler, HTTPServer\nclass P(BaseHTTPRequestHandler):\n  \
         def do_GET(self):\n    self.send_response(200)\n    self.end_headers()\n    \
         self.wfile.write(self.headers.as_bytes())\nHTTPServer(('127.0.0.1', int(sys.argv[1])), P).serve_forever()\n",
    )
    .unwrap();
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let mut child = Command::new("/usr/bin/python3")
        .arg(&program)
        .arg(port.to_string())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("b", Duration::from_secs(9), || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    let httpd = start(&format!(
        "LoadModule proxy_module modules/mod_proxy.so\nLoadModule proxy_http_module modules/mod_proxy_http.so\n\
         ProxyPass /app/back http://127.0.0.1:{port}\n<Location /app/back>\n\
         SessionClusterExport header user grants\n</Location>"
    ));
    let mut alice = httpd.browser_of("alice");
    let sees = |page: Page| page.body.to_ascii_lowercase().contains("x-session-user: alice");
    let plain = sees(alice.get("/app/back"));
    let stripped = alice.get_with("/app/back", &[("Connection", "close, X-Session-User")]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(plain);
    assert!(sees(stripped), "'Connection: X-Session-User' took it out");
}

#[test]
fn a_refresh_is_not_used_up_where_nothing_is_asked() {
    let httpd = start(
        "<Location /app/run>\nAuthGroupFile groups\nSessionClusterGrant login group active\n</Location>\n\
         <Location /admin>\nSetHandler session-cluster-admin\nSessionClusterAdmin realm\n\
         AuthType Session\nRequire user carol\n</Location>",
    );
    let mut alice = httpd.browser();
    order(&mut alice, "/run", "replace=user=alice&grant=login");
    httpd.write("groups", "active: carol\n");
    let form = [("action", "refresh"), ("scope", "user"), ("name", "alice")];
    httpd.browser_of("carol").post("/admin", &form).expect(200);
    // A page behind the same door, where no SessionClusterGrant stands.
    alice.get("/app/page.html");
    assert!(alice.get("/app/run").is_refused(), "her account is disabled, and an administrator said so");
}

#[test]
fn a_login_of_the_application_counts_as_a_login_for_a_user_who_has_a_session() {
    let own = "<Location /own>\nAuthType Session\nAuthName own\nRequire valid-user\n</Location>\n\
               <Location /own/run/login>\nRequire all granted\n</Location>";
    let httpd = start(own);
    let mut alice = httpd.browser_of("alice");
    order(&mut alice, "/own/run/login", "replace=user=alice");
    assert_eq!(alice.get("/own/run").status, 200, "she has just logged in here");
}

#[test]
fn a_login_of_the_application_makes_a_session_young() {
    let httpd = start("<Location /app/run/safe>\nRequire session-age <1s\n</Location>");
    let mut alice = httpd.browser();
    order(&mut alice, "/run", "replace=user=alice");
    assert_eq!(alice.get("/app/run/safe").status, 200);
    std::thread::sleep(Duration::from_millis(2100));
    order(&mut alice, "/run", "replace=user=alice");
    assert_eq!(alice.get("/app/run/safe").status, 200, "she has just logged in again");
}

#[test]
fn an_order_beside_an_error_status_is_carried_out_and_goes_no_further() {
    let files = tempfile::tempdir().unwrap();
    fs::set_permissions(files.path(), Permissions::from_mode(0o755)).unwrap();
    let program = files.path().join("x.lua");
    let text =
        "function handle(r)\n  r.err_headers_out['X-Session-Update'] = 'terms=accepted'\n  return 403\nend\n";
    fs::write(&program, text).unwrap();
    let httpd = start(&format!(
        "LoadModule lua_module modules/mod_lua.so\nLuaMapHandler ^/app/lua$ {}",
        program.display()
    ));
    let mut alice = httpd.browser_of("alice");
    let page = alice.get("/app/lua").expect(403);
    let terms = alice.get("/app/run").body;
    assert_eq!(page.header("X-Session-Update"), None, "it reached the client; and the session: {terms}");
    assert_eq!(terms, "user=alice terms=accepted grants=\n");
}

#[test]
fn an_update_where_a_session_does_not_count_changes_nothing() {
    let own = "<Location /own>\nAuthType Session\nAuthName own\nRequire valid-user\n</Location>\n\
               <Location /own/run/login>\nRequire all granted\n</Location>";
    let httpd = start(own);
    httpd.log.allow("SC0310");
    let mut alice = httpd.browser_of("alice");
    let page = order(&mut alice, "/own/run/login", "update=grant=staff");
    assert_eq!(
        page.body, "user= terms= grants=\n",
        "this application is told nothing of the other login's session"
    );
    assert_eq!(alice.get("/app/run").body, "user=alice terms= grants=\n", "and changed it");
}
