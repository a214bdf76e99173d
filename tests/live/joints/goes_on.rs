//! A restart never ends a running server: what cannot be read any more is what it was before, and the log says so. A
//! start refuses the same.

use harness::redis::Redis;
use harness::{Browser, Httpd, Mpm, Signal, Site, eventually, on_each_mpm};
use std::fs;
use std::time::Duration;

on_each_mpm!(a_secret_that_is_gone_stays_in_force_over_restarts);

const MINE: &str = "<Location /mine>\nSetHandler session-cluster-mine\nAuthType Session\nSessionClusterLogin /login\n\
                    Require valid-user\n</Location>";
const SECRET: &str = "0123456789abcdef0123456789abcdef\n";

/// How many logins the page of one's own sessions shows beside this one.
fn others(browser: &mut Browser) -> usize {
    browser.get("/mine").expect(200).body.matches("name=\"session\" value=\"").count()
}

/// Restarts with something amiss; the log says each of `parts` in a line of SC0128.
#[track_caller]
fn goes_on(httpd: &Httpd, signal: Signal, parts: &[&str]) {
    httpd.log.allow("SC0128");
    let before = httpd.log.count("SC0128");
    httpd.restart(signal);
    let text = httpd.log.text();
    let said: Vec<&str> = text.lines().filter(|line| line.contains("SC0128")).skip(before).collect();
    for part in parts {
        assert!(said.iter().any(|line| line.contains(part)), "nothing of {part:?} in {said:#?}");
    }
    httpd.browser().get("/open/page.html").expect(200);
}

fn a_secret_that_is_gone_stays_in_force_over_restarts(mpm: Mpm) {
    let conf = format!("SessionClusterSecret file:secret\n{MINE}");
    let mut httpd = Site::new(mpm).conf(&conf).file("secret", SECRET).start();
    let (mut one, _other) = (httpd.browser_of("alice"), httpd.browser_of("alice"));
    assert_eq!(others(&mut one), 1);
    fs::remove_file(httpd.path("secret")).unwrap();
    goes_on(&httpd, Signal::Graceful, &["SC0118", "read before"]);
    assert_eq!(others(&mut one), 1);
    // Not only once, and whatever is wrong with it.
    httpd.write("secret", SECRET);
    httpd.set_mode("secret", 0o644);
    goes_on(&httpd, Signal::Restart, &["chmod", "read before"]);
    assert_eq!(others(&mut one), 1);
    // Another one is another list, once it can be read.
    httpd.write("secret", "fedcba9876543210fedcba9876543210\n");
    httpd.restart(Signal::Restart);
    assert_eq!(others(&mut one), 0);
    // What was not wanted for a while is not kept for later.
    httpd.reconfigure(|_| Site::new(mpm).conf(MINE));
    httpd.restart(Signal::Restart);
    fs::remove_file(httpd.path("secret")).unwrap();
    httpd.reconfigure(|_| Site::new(mpm).conf(&conf));
    goes_on(&httpd, Signal::Restart, &["no list"]);
    httpd.log.allow("SC0314");
    one.get("/mine").expect(500);
    // A start has nothing that was before.
    httpd.stop();
    let said = httpd.try_start().expect_err("it starts");
    httpd.log.allow("SC0118");
    httpd.log.allow("AH00020");
    assert!(said.contains("SC0118"), "{said}");
}

#[test]
fn a_secret_that_cannot_be_read_from_the_first_ends_no_server_that_ran_without() {
    let mut httpd = Site::new(Mpm::Event).conf(MINE).start();
    let mut browser = httpd.browser_of("alice");
    httpd.write("hangs", "#!/bin/sh\nsleep 300\n");
    let hangs = format!("exec:{}", httpd.path("hangs").display());
    for (source, wrong) in [("file:nowhere", "No such file"), (hangs.as_str(), "did not end")] {
        httpd.reconfigure(|_| Site::new(Mpm::Event).conf(&format!("SessionClusterSecret {source}\n{MINE}")));
        goes_on(&httpd, Signal::Graceful, &[wrong, "no list"]);
        browser.get("/app/page.html").expect(200);
    }
}

#[test]
fn a_store_whose_files_are_gone_goes_on_with_what_was_read_from_them() {
    let redis = Redis::builder().tls_with_client_cert().acl("sessions", "p%w").start();
    let files =
        [("ca.crt", redis.ca()), ("client.crt", redis.client_cert()), ("client.key", redis.client_key())];
    let store = format!(
        "SessionClusterStore {} user=sessions password=file:store/password ca=store/ca.crt cert=store/client.crt \
         key=store/client.key",
        redis.url()
    );
    let site = files.iter().fold(Site::new(Mpm::Event).conf(&store), |site, (name, path)| {
        site.file(&format!("store/{name}"), fs::read(path).unwrap())
    });
    let mut httpd = site.file("store/password", "p%w\n").start();
    let mut alice = httpd.browser_of("alice");
    for name in ["password", "ca.crt", "client.crt", "client.key"] {
        let (from, to) = (httpd.path(&format!("store/{name}")), httpd.path(name));
        fs::rename(&from, &to).unwrap();
        goes_on(&httpd, Signal::Restart, &["SC0121", name, "read before"]);
        alice.get("/app/page.html").expect(200);
        httpd.browser_of("bob").get("/app/page.html").expect(200);
        fs::rename(&to, &from).unwrap();
    }
    assert_eq!(httpd.log.count("SC0401"), 0);
    // A store that it has not used goes not before the one that it has.
    httpd.reconfigure(|_| {
        Site::new(Mpm::Event).conf("SessionClusterStore rediss://127.0.0.1:1 ca=nowhere.pem")
    });
    goes_on(&httpd, Signal::Restart, &["nowhere.pem", "read before"]);
    alice.get("/app/page.html").expect(200);
}

#[test]
fn a_server_without_a_store_stays_without_when_the_new_one_cannot_be_opened() {
    let mut httpd = Site::new(Mpm::Event).start();
    let mut alice = httpd.browser_of("alice");
    for (store, wrong) in [
        ("redis://127.0.0.1:1 user=x password=file:nowhere", "nowhere"),
        ("dbd", "mod_dbd"),
        ("socache:memcache:127.0.0.1:1", "LoadModule"),
    ] {
        httpd.reconfigure(|_| Site::new(Mpm::Event).conf(&format!("SessionClusterStore {store}")));
        goes_on(&httpd, Signal::Restart, &[wrong, "alone"]);
        alice.get("/app/page.html").expect(200);
        httpd.browser_of("bob").get("/app/page.html").expect(200);
    }
}

#[test]
fn a_store_whose_module_is_gone_is_away_and_nobody_is_taken_for_absent() {
    let cache = "LoadModule socache_shmcb_module modules/mod_socache_shmcb.so\n";
    let store = "SessionClusterStore socache:shmcb:cache(512000)";
    let mut httpd = Site::new(Mpm::Event).conf(&format!("{cache}{store}")).start();
    httpd.browser_of("alice");
    httpd.reconfigure(|_| Site::new(Mpm::Event).conf(store));
    httpd.log.allow("SC0401");
    httpd.log.allow("SC0206");
    goes_on(&httpd, Signal::Restart, &["LoadModule", "away"]);
    httpd
        .browser()
        .post("/login", &[("httpd_username", "alice"), ("httpd_password", "wonderland")])
        .expect(503);
}

#[test]
fn a_table_or_mutex_that_could_not_be_made_leaves_the_one_that_there_is() {
    let mut httpd = Site::new(Mpm::Event).start();
    let mut alice = httpd.browser_of("alice");
    httpd.log.allow("SC0102");
    for (conf, code) in [
        ("SessionClusterTable 8M nowhere/table", "SC0107"),
        ("SessionClusterTable 900G", "SC0106"),
        ("Mutex posixsem session-cluster", "SC0105"),
        ("SessionClusterIdle 24h", "SC0120"),
        ("SessionClusterNode web1", "SC0122"),
        ("MergeTrailers On", "SC0129"),
        ("<Location /x>\nRequire session-grant nobody-gives\n</Location>", "SC0124"),
    ] {
        httpd.reconfigure(|_| Site::new(Mpm::Event).conf(conf));
        goes_on(&httpd, Signal::Graceful, &[code, "goes on"]);
        alice.get("/app/page.html").expect(200);
    }
}

#[test]
fn a_module_that_is_new_in_a_running_server_does_not_end_it() {
    let page = "<Location /open>\nRequire all granted\n</Location>";
    for (conf, said) in [
        ("SessionClusterTable 8M nowhere/table", "in memory"),
        ("Mutex posixsem session-cluster", "in memory"),
        ("SessionClusterStore redis://127.0.0.1:1 user=x password=file:nowhere", "away"),
    ] {
        let mut httpd = Site::bare(Mpm::Event).conf(page).start();
        httpd.reconfigure(|_| Site::new(Mpm::Event).conf(conf));
        httpd.log.allow("SC0401");
        goes_on(&httpd, Signal::Graceful, &[said]);
        if said == "in memory" {
            // Children of the old generation may still take a connection or two.
            eventually("the login", Duration::from_secs(5), || {
                let form = [("httpd_username", "alice"), ("httpd_password", "wonderland")];
                (httpd.browser().post("/login", &form).status == 303).then_some(())
            });
        }
    }
}
