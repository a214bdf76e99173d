//! The nodes of a cluster under test, and what holds while nothing fails.

use harness::redis::Redis;
use harness::{Browser, Httpd, Mpm, Site, eventually, on_each_mpm, rounds};
use std::time::{Duration, Instant};

/// Nodes over one store.
pub(super) struct Nodes {
    pub(super) httpds: Vec<Httpd>,
}

impl Nodes {
    /// Three nodes under the event MPM, over the store at `url`.
    pub(super) fn over(url: &str) -> Self {
        Nodes::with(Mpm::Event, 3, &[url], "")
    }

    /// A node over the store at `url` for each `conf`.
    pub(super) fn with_each(url: &str, confs: &[&str]) -> Self {
        let one = |(n, conf): (usize, &&str)| Nodes::start(Mpm::Event, n, url, conf);
        Nodes { httpds: confs.iter().enumerate().map(one).collect() }
    }

    /// `count` nodes; each has the store at its URL, or at the last one given, and `conf`.
    pub(super) fn with(mpm: Mpm, count: usize, urls: &[&str], conf: &str) -> Self {
        let one = |n: usize| Nodes::start(mpm, n, urls.get(n).or(urls.last()).unwrap(), conf);
        Nodes { httpds: (0..count).map(one).collect() }
    }

    fn start(mpm: Mpm, n: usize, url: &str, conf: &str) -> Httpd {
        let cluster = format!("SessionClusterStore {url}\nSessionClusterNode node{n}\nSessionClusterRealm r");
        let httpd = Site::new(mpm).conf(&cluster).conf(conf).conf(ADMIN).start();
        // Until it trusts its table; where the store is not there, not for ever.
        let start = Instant::now();
        while figure(&httpd, "SessionClusterLeaseMs") == Some(0) && start.elapsed() < Duration::from_secs(1) {
            std::thread::sleep(Duration::from_millis(5));
        }
        httpd
    }

    /// The same browser at another node.
    pub(super) fn at(&self, n: usize, browser: &Browser) -> Browser {
        self.httpds[n].visit(browser)
    }

    /// A browser that has logged in at node `n`.
    pub(super) fn login(&self, n: usize, user: &str) -> Browser {
        self.httpds[n].browser_of(user)
    }

    /// How long until node `n` turns away a browser that was just logged out elsewhere.
    pub(super) fn until_refused(&self, n: usize, browser: &Browser) -> Duration {
        let mut there = self.at(n, browser);
        let start = Instant::now();
        while !there.get("/app/page.html").is_refused() {
            assert!(start.elapsed() < Duration::from_secs(10), "node {n} never heard of the logout");
        }
        start.elapsed()
    }
}

/// A figure of mod_status's short page.
pub(super) fn figure(httpd: &Httpd, name: &str) -> Option<u64> {
    let page = httpd.browser().get("/status?auto").expect(200);
    page.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok())
}

const ADMIN: &str = "<Location /status>\nSetHandler server-status\n</Location>\n\
    <Location /admin>\nSetHandler session-cluster-admin\nSessionClusterAdmin all\n\
    AuthType Session\nSessionClusterLogin /login\n\
    Require user carol\n</Location>";

on_each_mpm!(a_login_on_one_node_is_one_on_all);

fn a_login_on_one_node_is_one_on_all(mpm: Mpm) {
    let redis = Redis::start();
    let nodes = Nodes::with(mpm, 2, &[&redis.url()], "");
    let browser = nodes.login(0, "alice");
    for round in 0..20 {
        let page = nodes.at(round % 2, &browser).get("/app/page.html").expect(200);
        assert_eq!(page.user(), Some("alice"));
    }
    nodes.at(1, &browser).post("/logout", &[]).expect(200);
    assert!(nodes.at(1, &browser).get("/app/page.html").is_refused());
    nodes.until_refused(0, &browser);
    let whoami = nodes.at(0, &browser).get("/whoami").expect(200).json();
    assert_eq!(whoami["reason"], "logout");
}

#[test]
fn pages_cost_the_store_nothing() {
    let redis = Redis::start();
    let nodes = Nodes::over(&redis.url());
    let mut browsers: Vec<Browser> = (0..3).map(|n| nodes.login(n, &format!("user{n}"))).collect();
    let mut pages = || {
        for (i, browser) in browsers.iter_mut().enumerate() {
            for n in 0..3 {
                let page = nodes.at(n, browser).get("/app/page.html").expect(200);
                assert_eq!(page.user(), Some(format!("user{i}").as_str()));
            }
        }
    };
    // Until every node knows all of them, and has heard the log.
    let before = eventually("pages cost nothing", Duration::from_secs(2), || {
        let before = commands(&redis);
        pages();
        (commands(&redis) == before).then_some(before)
    });
    (0..rounds(50, 100_000 / 9)).for_each(|_| pages());
    assert_eq!(commands(&redis), before, "no page asks the store");
    println!("{} pages asked the store nothing", 9 * rounds(50, 100_000 / 9));
}

/// How often sessions were asked for or changed. The watchers' own commands, whose number goes by time, are not among
/// them.
fn commands(redis: &Redis) -> Vec<String> {
    let stats = redis.cli(&["INFO", "commandstats"]);
    let counts = |line: &str| Some(line.split_once(",usec=")?.0.to_owned());
    stats
        .lines()
        .filter(|line| line.starts_with("cmdstat_get:") || line.starts_with("cmdstat_set:"))
        .filter_map(counts)
        .collect()
}

#[test]
fn nodes_start_without_the_store_and_anonymous_visitors_notice_nothing() {
    let redis = Redis::start();
    redis.stop_hard();
    let nodes = Nodes::over(&redis.url());
    nodes.httpds.iter().for_each(|httpd| httpd.log.allow("SC040"));
    let mut visitor = nodes.httpds[0].browser();
    visitor.get("/open/page.html").expect(200);
    assert!(visitor.get("/app/page.html").is_refused());
    let login = visitor.post("/login", &[("httpd_username", "alice"), ("httpd_password", "wonderland")]);
    assert_eq!(login.expect(503).header("Retry-After"), Some("2"));
    nodes.httpds[0].log.allow("SC0206");
    redis.restart();
    let start = Instant::now();
    loop {
        let page = visitor.post("/login", &[("httpd_username", "alice"), ("httpd_password", "wonderland")]);
        if page.status == 303 {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(2), "{page:?}");
    }
    nodes.at(2, &visitor).get("/app/page.html").expect(200);
}
