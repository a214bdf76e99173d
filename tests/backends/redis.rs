//! Redis, in each way in which it can be reached.

use super::store::Store;
use harness::redis::{Cluster, MASTER_NAME, Redis, Sentinels};
use mod_session_cluster::store::l2::Backend;
use mod_session_cluster::store::l2::redis::{RedisBackend, RedisConfig};
use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Parses words in which passwords are written out.
pub(crate) fn config(words: &[&str]) -> RedisConfig {
    RedisConfig::parse(words, &mut |source| Err(format!("{source:?} is not for tests"))).unwrap()
}

pub(crate) fn backend(words: &[&str]) -> RedisBackend {
    RedisBackend::new(&config(words)).unwrap()
}

/// The URL of all these.
pub(crate) fn hosts(ports: &[u16]) -> String {
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("redis://{}", hosts.join(","))
}

/// A part of a server that nobody else uses. The server stops with the last test that uses it.
pub(crate) struct InRedis {
    words: Vec<String>,
    _server: Arc<dyn Any + Send + Sync>,
}

impl InRedis {
    pub(crate) fn new<S: Any + Send + Sync>(server: &Arc<S>, words: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut words: Vec<String> = words.iter().map(ToString::to_string).collect();
        words.push(format!("prefix=t{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        InRedis { words, _server: server.clone() }
    }
}

/// The server that tests share, started by the first of them.
pub(crate) fn shared<S>(server: &Mutex<Weak<S>>, start: impl FnOnce() -> S) -> Arc<S> {
    let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
    server.upgrade().unwrap_or_else(|| {
        let started = Arc::new(start());
        *server = Arc::downgrade(&started);
        started
    })
}

impl Store for InRedis {
    fn client(&self) -> Box<dyn Backend> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        Box::new(backend(&words))
    }

    fn pass(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

mod single {
    use super::*;

    fn store() -> InRedis {
        static SERVER: Mutex<Weak<Redis>> = Mutex::new(Weak::new());
        let server = shared(&SERVER, Redis::start);
        InRedis::new(&server, &[&server.url()])
    }

    hold_to_the_laws!(store());
}

mod by_unix_socket {
    use super::*;

    fn store() -> InRedis {
        static SERVER: Mutex<Weak<Redis>> = Mutex::new(Weak::new());
        let server = shared(&SERVER, || Redis::builder().acl("sc", "p w").start());
        InRedis::new(
            &server,
            &[&format!("unix:{}", server.socket().display()), "user=sc", "password=p w", "db=3"],
        )
    }

    hold_to_the_laws!(store());
}

mod with_tls_and_a_user {
    use super::*;

    fn store() -> InRedis {
        static SERVER: Mutex<Weak<Redis>> = Mutex::new(Weak::new());
        let start = || Redis::builder().tls_with_client_cert().acl("sc", "p%w").start();
        let server = shared(&SERVER, start);
        let url = server.url().replace("://", "://sc:p%25w@");
        let file = |name: &str, path: std::path::PathBuf| format!("{name}={}", path.display());
        let (ca, cert) = (file("ca", server.ca()), file("cert", server.client_cert()));
        InRedis::new(&server, &[&url, &ca, &cert, &file("key", server.client_key())])
    }

    hold_to_the_laws!(store());
}

mod by_sentinels {
    use super::*;

    fn store() -> InRedis {
        static SERVERS: Mutex<Weak<Sentinels>> = Mutex::new(Weak::new());
        let servers = shared(&SERVERS, Sentinels::start);
        // With confirmation by a replica.
        InRedis::new(
            &servers,
            &[&hosts(&servers.sentinel_ports()), &format!("sentinel={MASTER_NAME}"), "wait=1"],
        )
    }

    hold_to_the_laws!(store());
}

mod in_a_cluster {
    use super::*;

    fn store() -> InRedis {
        static SERVERS: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let servers = shared(&SERVERS, Cluster::start);
        InRedis::new(&servers, &[&hosts(&servers.ports()), "cluster=on"])
    }

    hold_to_the_laws!(store());
}

/// Does nothing where Valkey is not installed.
mod valkey {
    use super::*;
    use harness::redis::valkey;

    #[test]
    fn keeps_a_few_of_the_laws() {
        let Some(binary) = valkey() else { return };
        let server = Arc::new(Redis::builder().binary(binary).start());
        let store = InRedis::new(&server, &[&server.url()]);
        crate::backends::laws::retire_moves_a_deadline_earlier_and_never_later(&store);
        crate::backends::laws::a_mark_only_rises(&store);
        crate::backends::logs::the_log_tells_what_happened_in_its_order(&store);
        crate::backends::logs::nodes_leave_word(&store);
    }
}
