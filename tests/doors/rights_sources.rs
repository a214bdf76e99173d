//! Rights from where people keep them: an LDAP directory, a database, DBM files. Fetched at the own login, used from
//! the session, and asked anew when they are too old: who is gone from there is gone here.

use super::basic::PASSWORD;
use super::database::Database;
use super::slapd::Slapd;
use harness::{Browser, Httpd, Mpm, Site, eventually};
use std::process::Command;
use std::time::Duration;

/// The login of the site over another provider, and doors for what it grants.
fn start(site: Site, login: &str) -> Httpd {
    let httpd = site
        .conf(&format!("<Location /login>\n{login}\n</Location>"))
        .conf(
            "<Location /app>\nAuthzSendForbiddenOnFailure On\nSessionClusterRightsAge 300ms\n</Location>\n\
             <Location /app/staff>\nRequire session-grant staff\n</Location>\n\
             SessionClusterExport header note=X-Note\nHeader set X-Note \"expr=%{SESSION:note}\"",
        )
        .file("htdocs/app/staff/page.html", "staff\n")
        .start();
    httpd.log.allow("AH01631"); // httpd's word for a refusal
    httpd
}

fn log_in(httpd: &Httpd, user: &str) -> Browser {
    let mut browser = httpd.browser();
    let form = [("httpd_username", user), ("httpd_password", PASSWORD)];
    browser.post("/login", &form).expect(303);
    browser
}

/// The user's next page, once rights are evaluated anew, has this status.
#[track_caller]
fn becomes(browser: &mut Browser, path: &str, what: &str, fits: impl Fn(u16) -> bool) {
    eventually(what, Duration::from_secs(5), || fits(browser.get(path).status).then_some(()));
}

#[test]
fn a_directory_says_who_is_staff_and_what_is_noted_of_them() {
    let mut slapd = Slapd::start(&["alice", "bob"]);
    let provider = slapd.provider().replace("AuthBasicProvider", "SessionClusterAuthn");
    let httpd = start(
        Site::new(Mpm::Event).load(&["ldap", "authnz_ldap"]).conf(Slapd::cache_off()),
        &format!(
            "{provider}?description\nSessionClusterGrant login ldap-filter !(description=disabled)\n\
             SessionClusterGrant staff ldap-group cn=staff,dc=test\n\
             SessionClusterGrant noted ldap-attribute \"description=bob of the directory\"\n\
             SessionClusterAttribute note \"%{{reqenv:AUTHENTICATE_DESCRIPTION}}\""
        )
        .replace("?uid?description", "?uid,description"),
    );
    httpd.log.allow("auth_ldap");
    let (mut alice, mut bob) = (log_in(&httpd, "alice"), log_in(&httpd, "bob"));
    assert_eq!(
        alice.get("/app/staff/page.html").expect(200).header("X-Note"),
        Some("alice of the directory")
    );
    assert_eq!(bob.get("/app/page.html").expect(200).header("X-Note"), Some("bob of the directory"));
    bob.get("/app/staff/page.html").expect(403);

    slapd.modify("bob", "description: disabled");
    let mut kept = bob.clone();
    becomes(&mut bob, "/app/page.html", "bob's end", |status| status == 303);
    assert!(kept.get("/app/page.html").is_refused());
    let form = [("httpd_username", "bob"), ("httpd_password", PASSWORD)];
    assert!(bob.post("/login", &form).expect(422).body.contains("cannot sign in here"));
    // What only a password check tells stays as it was.
    alice.get("/app/page.html").expect(200);
    assert_eq!(
        alice.get("/app/staff/page.html").expect(200).header("X-Note"),
        Some("alice of the directory")
    );
    slapd.stop();
}

#[test]
fn a_database_says_who_is_staff_and_what_is_noted_of_them() {
    let database = Database::with(&["alice", "bob"]);
    database.run("CREATE TABLE groups (name TEXT, grp TEXT)");
    database.run("INSERT INTO groups VALUES ('alice', 'staff'), ('alice', 'active'), ('bob', 'active')");
    let httpd = start(
        Site::new(Mpm::Event).load(&["dbd", "authn_dbd", "authz_dbd"]).conf(&database.conf()),
        "SessionClusterAuthn dbd\n\
         AuthDBDUserPWQuery \"SELECT password, name || ' of the database' AS note FROM users WHERE name = %s\"\n\
         AuthzDBDQuery \"SELECT grp FROM groups WHERE name = %s\"\n\
         SessionClusterGrant login dbd-group active\nSessionClusterGrant staff dbd-group staff\n\
         SessionClusterAttribute note \"%{reqenv:AUTHENTICATE_NOTE}\"",
    );
    let (mut alice, mut bob) = (log_in(&httpd, "alice"), log_in(&httpd, "bob"));
    assert_eq!(alice.get("/app/staff/page.html").expect(200).header("X-Note"), Some("alice of the database"));
    bob.get("/app/staff/page.html").expect(403);
    database.run("INSERT INTO groups VALUES ('bob', 'staff')");
    becomes(&mut bob, "/app/staff/page.html", "bob to be staff", |status| status == 200);
    database.run("DELETE FROM groups WHERE name = 'alice'");
    becomes(&mut alice, "/app/page.html", "alice's end", |status| status == 303);
}

#[test]
fn a_dbm_file_says_who_is_staff() {
    let httpd = start(
        Site::new(Mpm::Event).load(&["authz_dbm"]),
        "SessionClusterGrant staff dbm-group staff\nAuthDBMGroupFile groups\nAuthzDBMType SDBM\n\
         SessionClusterAttribute note \"%{tolower:NONE}\"",
    );
    httpd.log.allow("authz_dbm");
    // Before there is a file, nobody is staff; or there is no telling, and nobody comes in.
    let file = httpd.path("groups");
    let output = Command::new("httxt2dbm")
        .args(["-f", "SDBM", "-i"])
        .arg({
            httpd.write("groups.txt", "alice staff,others\nbob others\n");
            httpd.path("groups.txt")
        })
        .arg("-o")
        .arg(&file)
        .output()
        .expect("httxt2dbm of apache2-utils is needed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for part in ["groups.dir", "groups.pag"] {
        httpd.write(part, std::fs::read(httpd.path(part)).unwrap());
    }
    let (mut alice, mut bob) = (log_in(&httpd, "alice"), log_in(&httpd, "bob"));
    assert_eq!(alice.get("/app/staff/page.html").expect(200).header("X-Note"), Some("none"));
    bob.get("/app/staff/page.html").expect(403);
}
