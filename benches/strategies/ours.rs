//! httpd with mod_session_cluster.

use crate::harness::{Mpm, Site, module};
use crate::scene::Scene;
use std::process::Command;

/// What every httpd here has, whatever keeps its sessions: the modules, two pages of 1 KiB, kept-alive connections, and as
/// many processes as serve all of the load.
pub(crate) fn common(mpm: Mpm) -> Site {
    let page = [b'x'; 1024];
    let site = Site::empty(mpm)
        .load(&["authn_core", "authn_file", "authz_core", "authz_user", "mime"])
        .conf(
            "LogLevel notice\nMaxKeepAliveRequests 0\nKeepAliveTimeout 60\nTimeout 20\nGracefulShutdownTimeout 2\n\
             TypesConfig /dev/null\nAddType text/html .html\n\
             <Directory />\nAllowOverride None\nRequire all granted\n</Directory>\n\
             <Location /open>\nRequire all granted\n</Location>\n\
             <Location /static>\nRequire all granted\n</Location>\n\
             <IfModule mpm_event_module>\nStartServers 1\nServerLimit 1\nThreadsPerChild 16\nMaxRequestWorkers 16\n</IfModule>\n\
             <IfModule mpm_prefork_module>\nStartServers 8\nServerLimit 8\n\
             MinSpareServers 1\nMaxSpareServers 8\nMaxRequestWorkers 8\n</IfModule>",
        );
    ["open", "closed", "static"]
        .iter()
        .fold(site, |site, name| site.file(&format!("htdocs/{name}/page.html"), page))
}

/// A node with these lines about its table or store.
pub(crate) fn ours(lines: &str) -> Site {
    common(Mpm::Event).conf(&format!(
        "LoadModule session_cluster_module {}\n{lines}\nSessionClusterRealm bench\n\
         <Location /closed>\nAuthType Session\nRequire valid-user\n</Location>\n\
         <Location /login>\nSetHandler session-cluster-login\nSessionClusterAuthn file\nAuthUserFile passwords\n\
         Require all granted\n</Location>\n\
         <Location /logout>\nSetHandler session-cluster-logout\nRequire all granted\n</Location>",
        module().display()
    ))
}

/// The same with its sessions in a database.
pub(crate) fn dbd(scene: &Scene, driver: &str) -> Site {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/httpd-conf/sql");
    let parameters = match &scene.server {
        Some(server) => server.address(),
        None => {
            let file = format!("{}/sessions.sqlite", scene.own("database"));
            sqlite(&file, &std::fs::read_to_string(format!("{schema}/{driver}.sql")).unwrap_or_default());
            file
        }
    };
    let lines =
        format!("LoadModule dbd_module modules/mod_dbd.so\nDBDriver {driver}\nDBDParams \"{parameters}\"");
    ours(&format!("{lines}\nSessionClusterStore dbd"))
}

/// Makes a database of SQLite by these statements, once, and gives it to httpd's user.
pub(crate) fn sqlite(file: &str, statements: &str) {
    if std::path::Path::new(file).exists() {
        return;
    }
    let mut sqlite = Command::new("sqlite3");
    let made = sqlite.arg(file).arg(format!("pragma journal_mode=wal;{statements}")).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    if crate::harness::is_root() {
        let directory = std::path::Path::new(file).parent().unwrap();
        assert!(Command::new("chown").args(["-R", "www-data"]).arg(directory).status().unwrap().success());
    }
}
