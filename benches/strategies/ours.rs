//! httpd with mod_session_cluster.

use crate::scene::Scene;
use harness::{Mpm, Site, module};

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
             <IfModule mpm_event_module>\nStartServers 1\nServerLimit 1\nThreadsPerChild 16\nMaxRequestWorkers 16\n\
             MinSpareThreads 1\nMaxSpareThreads 16\n</IfModule>\n\
             <IfModule mpm_prefork_module>\nStartServers 8\nServerLimit 8\n\
             MinSpareServers 1\nMaxSpareServers 8\nMaxRequestWorkers 8\n</IfModule>",
        );
    ["open", "closed", "static"]
        .iter()
        .fold(site, |site, name| site.file(&format!("htdocs/{name}/page.html"), page))
}

/// A node with these lines about its table or store.
pub(crate) fn ours(lines: &str) -> Site {
    with(&[], lines)
}

/// The same with these modules of httpd's, which the store needs.
pub(crate) fn with(modules: &[&str], lines: &str) -> Site {
    common(Mpm::Event).load(modules).conf(&format!(
        "LoadModule session_cluster_module {}\n{lines}\nSessionClusterRealm bench\n\
         <Location /closed>\nAuthType Session\nRequire valid-user\n</Location>\n\
         <Location /login>\nSetHandler session-cluster-login\nSessionClusterAuthn file\nAuthUserFile passwords\n\
         Require all granted\n</Location>\n\
         <Location /logout>\nSetHandler session-cluster-logout\nRequire all granted\n</Location>",
        module().display()
    ))
}

/// The same with its sessions in a database.
pub(crate) fn dbd(scene: &Scene) -> Site {
    with(&["dbd"], &format!("{}\nSessionClusterStore dbd", connection(scene)))
}

/// How mod_dbd gets at the database. While a configuration is only looked at, there is none.
pub(crate) fn connection(scene: &Scene) -> String {
    scene.store.as_ref().map_or("DBDriver sqlite3\nDBDParams /nowhere".to_owned(), |store| store.address())
}
