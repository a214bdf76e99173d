//! httpd's object caches that nodes can share.

use super::super::chaos::Torment;
use super::{Kind, hold_to_the_laws_of_a_cluster};
use crate::harness::memcached::Memcached;
use crate::harness::redis::Redis;

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
