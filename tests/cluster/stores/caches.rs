//! httpd's object caches that nodes can share.

use super::super::chaos::Torment;
use super::super::nodes::Nodes;
use super::{Kind, hold_to_the_laws_of_a_cluster};
use harness::Mpm;
use harness::memcached::Memcached;
use harness::redis::Redis;
use std::time::Duration;

impl Torment for Memcached {
    fn ways(&self) -> usize {
        1
    }

    fn begin(&self, _: usize) {
        self.freeze(true);
    }

    fn end(&self) {
        self.freeze(false);
    }
}

impl Kind for Memcached {
    fn words(&self) -> String {
        format!("socache:memcache:127.0.0.1:{}", self.port())
    }

    fn conf(&self) -> String {
        "LoadModule socache_memcache_module modules/mod_socache_memcache.so".into()
    }
}

/// By httpd's provider, which knows nothing of the commands that the store of `redis://` uses.
struct AsACache(Redis);

impl Torment for AsACache {
    fn ways(&self) -> usize {
        1
    }

    fn begin(&self, _: usize) {
        self.0.freeze();
    }

    fn end(&self) {
        self.0.thaw();
    }
}

impl Kind for AsACache {
    fn words(&self) -> String {
        format!("socache:redis:127.0.0.1:{}", self.0.port())
    }

    fn conf(&self) -> String {
        "LoadModule socache_redis_module modules/mod_socache_redis.so".into()
    }
}

mod memcache {
    use super::*;
    hold_to_the_laws_of_a_cluster!(Memcached::start(64));
}

mod redis {
    use super::*;
    hold_to_the_laws_of_a_cluster!(AsACache(Redis::start()));
}

/// What one server has for itself.
fn works_on_one_server(provider: &str, words: &str) {
    let conf = format!("LoadModule socache_{provider}_module modules/mod_socache_{provider}.so");
    let nodes = Nodes::with(Mpm::Event, 1, &[words], &conf);
    let (stays, goes) = (nodes.login(0, "alice"), nodes.login(0, "bob"));
    for browser in [&stays, &goes] {
        nodes.at(0, browser).get("/app/page.html").expect(200);
    }
    nodes.at(0, &goes).post("/logout", &[]).expect(200);
    std::thread::sleep(Duration::from_millis(600));
    for _ in 0..20 {
        assert_eq!(nodes.at(0, &stays).get("/app/page.html").expect(200).user(), Some("alice"));
        assert!(nodes.at(0, &goes).get("/app/page.html").is_refused());
    }
    assert_eq!(nodes.httpds[0].log.count("SC0126"), 1, "httpd says what such a store is not");
}

#[test]
fn a_file_of_dbm_works_on_one_server() {
    works_on_one_server("dbm", "socache:dbm:run/sessions");
}

#[test]
fn a_segment_of_shared_memory_works_on_one_server() {
    works_on_one_server("shmcb", "\"socache:shmcb:run/sessions(4194304)\"");
}
