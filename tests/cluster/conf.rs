//! The examples for clusters in `httpd-conf/`: each is loaded as it stands by two nodes over real servers of the kind
//! that it is for.

use super::nodes::Nodes;
use super::stores::Kind;
use super::stores::files::Directory;
use harness::databases::{Database, MariaDb, Postgres, Sqlite};
use harness::memcached::Memcached;
use harness::redis::{Cluster, MASTER_NAME, Redis, Sentinels};
use harness::{Httpd, Mpm, Site, eventually};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("httpd-conf").join(name)
}

/// Two nodes with that example, over the store at `url`. `defines` are further lines `Define NAME VALUE`.
fn nodes(name: &str, url: &str, defines: &str) -> Nodes {
    let node = |n: usize| -> Httpd {
        let conf = format!(
            "Define PASSWORDS passwords\nDefine STORE {url}\nDefine NODE node{n}\n{defines}\nInclude {}",
            example(name).display()
        );
        Site::bare(Mpm::Event).conf(&conf).start()
    };
    Nodes { httpds: (0..2).map(node).collect() }
}

/// A login on one node, pages on both, a logout on the other one.
fn works(nodes: &Nodes) {
    assert!(nodes.httpds[0].browser().get("/app/page.html").is_refused());
    let browser = nodes.login(0, "alice");
    for n in 0..2 {
        assert_eq!(nodes.at(n, &browser).get("/app/page.html").expect(200).user(), Some("alice"));
    }
    nodes.at(1, &browser).post("/logout", &[]).expect(200);
    for n in 0..2 {
        nodes.until_refused(n, &browser);
    }
}

fn urls(ports: &[u16]) -> String {
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("redis://{}", hosts.join(","))
}

#[test]
fn the_cluster_example_works() {
    let redis = Redis::start();
    let nodes = nodes("50-cluster.conf", &redis.url(), "");
    works(&nodes);
    let mut browser = nodes.login(1, "alice");
    assert_eq!(browser.get("/whoami").expect(200).json()["user"], "alice");
    assert!(browser.get("/server-status?auto").expect(200).body.contains("SessionClusterLive: 1"));
}

#[test]
fn the_tls_example_works_for_the_user_that_it_describes() {
    let redis = Redis::builder().tls_with_client_cert().acl("operator", "o").start();
    let text = fs::read_to_string(example("51-cluster-tls.conf")).unwrap();
    let rights = text.lines().find_map(|line| line.trim_start().strip_prefix("# user sessions "));
    let rights = rights.expect("the example says what the user may do").replace("SECRET", "p%w");
    let mut command = vec!["ACL", "SETUSER", "sessions"];
    command.extend(rights.split_whitespace());
    assert_eq!(redis.cli(&command), "OK");
    // What only root may read, if this test is root and httpd begins as root.
    let files = tempfile::tempdir().unwrap();
    let password = files.path().join("password");
    fs::write(&password, "p%w\n").unwrap();
    fs::copy(redis.ca(), files.path().join("ca.crt")).unwrap();
    fs::copy(redis.client_cert(), files.path().join("client.crt")).unwrap();
    let key = files.path().join("client.key");
    fs::copy(redis.client_key(), &key).unwrap();
    for secret in [password, key] {
        fs::set_permissions(secret, Permissions::from_mode(0o600)).unwrap();
    }
    let defines = format!("Define STORE_FILES {}", files.path().display());
    works(&nodes("51-cluster-tls.conf", &redis.url(), &defines));
    let denied = redis.cli(&["ACL", "LOG"]);
    assert_eq!(denied, "", "the user may do what the module needs");
}

#[test]
fn files_of_a_store_are_seen_from_the_server_root() {
    let redis = Redis::builder().tls_with_client_cert().acl("sessions", "p%w").start();
    let files =
        [("ca.crt", redis.ca()), ("client.crt", redis.client_cert()), ("client.key", redis.client_key())];
    let store = "user=sessions password=file:store/password ca=store/ca.crt cert=store/client.crt key=store/client.key";
    let site = Site::new(Mpm::Event).conf(&format!("SessionClusterStore {} {store}", redis.url()));
    let site = files
        .iter()
        .fold(site, |site, (name, path)| site.file(&format!("store/{name}"), fs::read(path).unwrap()));
    let httpd = site.file("store/password", "p%w\n").start();
    httpd.browser().login("alice").expect(303);
}

#[test]
fn the_sentinel_example_works_and_follows_the_master() {
    let servers = Sentinels::start();
    let defines = format!("Define MASTER {MASTER_NAME}");
    let nodes = nodes("52-sentinel.conf", &urls(&servers.sentinel_ports()), &defines);
    works(&nodes);
    let browser = nodes.login(0, "bob");
    (0..2).for_each(|n| drop(nodes.at(n, &browser).get("/app/page.html").expect(200)));
    for httpd in &nodes.httpds {
        httpd.log.allow("SC040");
        httpd.log.allow("SC0206");
    }
    servers.fail_over_by_kill();
    (0..2).for_each(|n| drop(nodes.at(n, &browser).get("/app/page.html").expect(200)));
    let mut there = nodes.at(1, &browser);
    eventually("a logout by way of the new master", Duration::from_secs(10), || {
        (there.post("/logout", &[]).status == 200).then_some(())
    });
    nodes.until_refused(0, &browser);
}

#[test]
fn the_redis_cluster_example_works() {
    let servers = Cluster::start();
    // Two of them: the nodes learn where the others are.
    works(&nodes("53-redis-cluster.conf", &urls(&servers.ports()[..2]), ""));
}

#[test]
fn the_files_example_works() {
    let directory = Directory::new();
    works(&nodes("56-files.conf", &directory.words(), ""));
}

#[test]
fn the_database_example_works() {
    let databases: [&dyn Database; 3] = [&MariaDb::start(), &Postgres::start(), &Sqlite::start()];
    for database in databases {
        database.furnish("sc");
        let defines = format!("Define DRIVER {}\nDefine PARAMS \"{}\"", database.driver(), database.params());
        works(&nodes("57-dbd.conf", "-", &defines));
    }
}

#[test]
fn the_memcached_example_works() {
    let memcached = Memcached::start(64);
    works(&nodes("58-socache.conf", &format!("socache:memcache:127.0.0.1:{}", memcached.port()), ""));
}

#[test]
fn the_example_of_another_store_works_and_finds_the_sessions_of_the_old_one() {
    let (redis, directory) = (Redis::start(), Directory::new());
    let before = nodes("56-files.conf", &directory.words(), "");
    let browser = before.login(0, "alice");
    let defines = format!("Define NEW_STORE {}\nDefine OLD_STORE {}", redis.url(), directory.words());
    let after = nodes("59-change-store.conf", "-", &defines);
    works(&after);
    assert_eq!(after.at(1, &browser).get("/app/page.html").expect(200).user(), Some("alice"));
    after.at(0, &browser).post("/logout", &[]).expect(200);
    after.until_refused(1, &browser);
    before.until_refused(0, &browser);
}
