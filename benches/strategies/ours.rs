//! httpd with mod_session_cluster.

use crate::scene::Scene;
use harness::{Mpm, Site, module};

/// What every httpd here has, whatever keeps its sessions.
pub(crate) fn common(mpm: Mpm) -> Site {
    Site::measured(mpm)
        .pages(&["open", "closed", "static"])
        .conf("GracefulShutdownTimeout 2\n<Location /static>\nRequire all granted\n</Location>")
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
