//! The examples in `httpd-conf/`, and the first one of the README: each is loaded as it stands, and what it shows
//! works.

use harness::{Mpm, Site};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("httpd-conf").join(name)
}

fn site(name: &str) -> Site {
    let include = format!(
        "Define PASSWORDS passwords\nDefine TABLE sessions\nDefine SECRET secret\nInclude {}",
        example(name).display()
    );
    Site::bare(Mpm::Event)
        .conf(&include)
        .file("htdocs/login.html", "please log in\n")
        .file("secret", "0123456789abcdef\n")
}

#[test]
fn every_example_has_a_test_and_says_what_it_shows() {
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(example("")).unwrap() {
        let entry = entry.unwrap();
        // The programs for 60-applications.conf, the tables for 57-dbd.conf, and a filter that is not httpd's.
        if ["apps", "sql", "fail2ban"].iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        names.push(entry.file_name().into_string().unwrap());
        assert!(std::fs::read_to_string(entry.path()).unwrap().starts_with("# "), "{entry:?}");
    }
    names.sort();
    let tested = [
        "00-reference.conf",
        "10-minimal.conf",
        "20-login.conf",
        "30-adopt-basic.conf",
        "40-mod-auth-form.conf",
        // In tests/cluster/conf.rs.
        "50-cluster.conf",
        "51-cluster-tls.conf",
        "52-sentinel.conf",
        "53-redis-cluster.conf",
        // In tests/cluster/sticky.rs.
        "55-sticky.conf",
        // In tests/cluster/conf.rs.
        "56-files.conf",
        "57-dbd.conf",
        "58-socache.conf",
        "59-change-store.conf",
        // In tests/doors/applications.rs.
        "60-applications.conf",
    ];
    assert_eq!(names, tested);
}

#[test]
fn the_reference_has_every_directive_of_the_module_and_no_other() {
    let httpd = site("00-reference.conf")
        .load(&["info"])
        .conf("<Location /info>\nSetHandler server-info\n</Location>")
        .start();
    let page = httpd.browser().get("/info?mod_session_cluster.c").expect(200);
    let words = |text: &str| -> BTreeSet<String> {
        let all = text.split(|c: char| !c.is_ascii_alphanumeric());
        all.filter(|word| word.starts_with("SessionCluster")).map(str::to_owned).collect()
    };
    // mod_info lists what the module has, before what the configuration says.
    let (registered, _) = page.body.split_once("Current Configuration").expect("mod_info's page");
    let registered = words(registered);
    assert!(registered.contains("SessionClusterTable"), "{}", page.body);
    let text = std::fs::read_to_string(example("00-reference.conf")).unwrap();
    let written: String =
        text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
    assert_eq!(words(&written), registered);
}

#[test]
fn the_reference_works() {
    let httpd = site("00-reference.conf")
        .file("htdocs/basic/page.html", "basic\n")
        .file("htdocs/app/staff/page.html", "staff\n")
        .file("htdocs/app/safe/page.html", "safe\n")
        .start();
    let mut alice = httpd.browser_of("alice");
    for path in ["/app/page.html", "/app/staff/page.html", "/app/safe/page.html", "/mine"] {
        alice.get(path).expect(200);
    }
    httpd.log.allow("AH01631"); // httpd's word for a refusal
    httpd.browser_of("bob").get("/app/staff/page.html").expect(403);
    let mut browser = httpd.browser();
    browser.get_with("/basic/page.html", &[("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")]).expect(200);
    browser.get_with("/basic/page.html", &[]).expect(200);
}

#[test]
fn the_first_example_of_the_readme_works() {
    let readme = std::fs::read_to_string(example("../README.md")).unwrap();
    let (_, rest) = readme.split_once("```apache\n").expect("an example");
    let (block, _) = rest.split_once("```").unwrap();
    // On Debian the password file is where the README says; tests/checks/bare tries it there.
    let block = block.replace("/etc/apache2/session-users", "passwords");
    let httpd = Site::bare(Mpm::Event).conf(&block).start();
    assert!(httpd.browser().get("/app/page.html").is_refused());
    let mut browser = httpd.browser_of("alice");
    assert_eq!(browser.get("/app/page.html").expect(200).user(), Some("alice"));
    browser.post("/logout", &[]);
    assert!(browser.get("/app/page.html").is_refused());
}

#[test]
fn the_minimal_example_works() {
    let httpd = site("10-minimal.conf").start();
    assert!(httpd.browser().get("/app/page.html").is_refused());
    let mut browser = httpd.browser_of("alice");
    assert_eq!(browser.get("/app/page.html").expect(200).user(), Some("alice"));
}

#[test]
fn the_login_example_works_and_survives_a_stop() {
    let mut httpd = site("20-login.conf").start();
    let mut browser = httpd.browser_of("alice");
    httpd.stop();
    httpd.start();
    browser.get("/app/page.html").expect(200);
    assert_eq!(browser.get("/whoami").expect(200).json()["user"], "alice");
    assert!(browser.get("/server-status?auto").expect(200).body.contains("SessionClusterLive: 1"));
    browser.post("/logout", &[]);
    assert!(browser.get("/app/page.html").is_refused());
}

#[test]
fn the_adopting_example_works() {
    let httpd = site("30-adopt-basic.conf").start();
    let mut browser = httpd.browser();
    browser.get_with("/app/page.html", &[]).expect(401);
    browser.get_with("/app/page.html", &[("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")]).expect(200);
    assert_eq!(browser.get_with("/app/page.html", &[]).expect(200).user(), Some("alice"));
    browser.post("/logout", &[]);
    browser.get_with("/app/page.html", &[]).expect(401);
}

#[test]
fn the_mod_auth_form_example_works() {
    let httpd = site("40-mod-auth-form.conf").start();
    let mut browser = httpd.browser();
    assert!(browser.get("/app/page.html").location().ends_with("/login.html"));
    let page = browser.post("/dologin", &[("httpd_username", "alice"), ("httpd_password", "wonderland")]);
    assert!(page.location().ends_with("/app/"), "{page:?}");
    assert_eq!(browser.get("/app/page.html").expect(200).user(), Some("alice"));
    let mut kept = browser.clone();
    browser.get("/dologout");
    assert_ne!(kept.get("/app/page.html").status, 200);
}
