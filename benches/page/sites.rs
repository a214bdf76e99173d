//! The httpds that are measured. Each has the same `<Location>` sections, whatever is in them: httpd looks at all of
//! them for each request.

use harness::{Httpd, Mpm, Site, module};

/// `alice:wonderland`, as browsers send it.
pub(crate) const ALICE: (&str, &str) = ("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==");

/// Who may see what: sections of the site, and what is in them.
const DOORS: [(&str, &str); 6] = [
    ("/closed", "AuthType Session\nRequire valid-user"),
    (
        "/rights",
        "AuthType Session\nSessionClusterExport env a b c d e\n\
         <RequireAll>\nRequire session-grant staff\nRequire session-attribute a alpha\n</RequireAll>",
    ),
    ("/grant", "AuthType Session\nSessionClusterExport env a b c d e\nRequire session-grant staff"),
    (
        "/basic",
        "AuthType Basic\nAuthName bench\nAuthBasicProvider file\nAuthUserFile passwords\nRequire valid-user\n\
         SessionClusterAdopt On",
    ),
    (
        "/login",
        "SetHandler session-cluster-login\nSessionClusterAuthn file\nAuthUserFile passwords\nRequire all granted",
    ),
    (
        "/login/rights",
        "SessionClusterGrant staff user alice\nSessionClusterAttribute a alpha\nSessionClusterAttribute b beta\n\
         SessionClusterAttribute c gamma\nSessionClusterAttribute d delta\nSessionClusterAttribute e epsilon",
    ),
];

/// With the module, and these lines about its table or store.
pub(crate) fn with_module(mpm: Mpm, lines: &str) -> Site {
    // A copy: under callgrind httpd is never root, and www-data may not go where the build is.
    let copy = std::fs::read(module()).expect("the module can be read");
    let load = "LoadModule session_cluster_module mod_session_cluster.so\nSessionClusterRealm bench";
    let lines = format!("{load}\n{lines}\n{}", sections(|lines| lines));
    site(mpm).file("mod_session_cluster.so", copy).conf(&lines)
}

/// Without it: no page here is closed to anybody.
pub(crate) fn without_module(mpm: Mpm) -> Site {
    site(mpm).conf(&sections(|_| "Require all granted"))
}

fn site(mpm: Mpm) -> Site {
    Site::measured(mpm).load(&["auth_basic"]).pages(&["open", "closed", "rights", "grant", "basic"])
}

fn sections(lines: impl Fn(&'static str) -> &'static str) -> String {
    DOORS.iter().map(|(path, door)| format!("<Location {path}>\n{}\n</Location>\n", lines(door))).collect()
}

/// The `Cookie` header of a new session of alice's, begun at that form.
pub(crate) fn log_in(httpd: &Httpd, form: &str) -> String {
    let mut browser = httpd.browser();
    browser.login_at(form, "alice");
    format!("SCID={}", browser.session())
}
