//! Sticky sessions: `httpd-conf/55-sticky.conf` as it stands, with mod_proxy_balancer before three nodes. Each browser
//! stays with its node; one node dies, one is drained, and some cookies carry routes that nobody gave them.

use super::nodes::{Nodes, figure};
use harness::redis::Redis;
use harness::{Browser, Httpd, Mpm, Page, Signal, Site, eventually};
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The nodes `web1` to `web3`, and what balances them.
struct Balanced {
    balancer: Httpd,
    nodes: Vec<Httpd>,
}

impl Balanced {
    /// Nodes over the store at `url`, or without one.
    fn over(url: Option<&str>) -> Self {
        let store = match url {
            // The example asks for nothing here; a machine that runs many tests at a time is slow to connect.
            Some(url) => format!("Define STORE {url}\nSessionClusterStoreTimeout 400ms"),
            None => "Define ALONE".into(),
        };
        let node = |n: usize| {
            let conf = format!("Define PASSWORDS passwords\n{store}\nDefine NODE web{n}\n{}", include());
            // Which node answered, also where it answered with an error.
            let which = format!("Header always set X-Node web{n}\n{STATUS}");
            Site::bare(Mpm::Event).conf(&conf).conf(&which).start()
        };
        let nodes: Vec<Httpd> = (1..=3).map(node).collect();
        if url.is_some() {
            nodes.iter().for_each(until_it_hears);
        }
        Balanced::before(nodes, &include())
    }

    /// With a balancer as `conf` says.
    fn before(nodes: Vec<Httpd>, conf: &str) -> Self {
        let balancer = Site::bare(Mpm::Event).conf(&balancing(&nodes, conf)).start();
        // What mod_proxy says of nodes that are away.
        balancer.log.allow("[proxy");
        Balanced { balancer, nodes }
    }

    fn login(&self, user: &str) -> Browser {
        let browser = self.balancer.browser_of(user);
        // So that no node's log may tell its session either.
        self.nodes.iter().for_each(|node| drop(node.visit(&browser)));
        browser
    }

    /// Browsers that are logged in, `count` or a few more, until each node has one of them.
    fn logins(&self, count: usize) -> Vec<Browser> {
        let mut browsers: Vec<Browser> = Vec::new();
        let mut spread = 0;
        while browsers.len() < count || spread < 3 {
            assert!(browsers.len() < count + 9, "new browsers are not spread");
            browsers.push(self.login(&format!("user{}", browsers.len())));
            spread = tally(&browsers).len();
        }
        browsers
    }

    fn node(&mut self, name: &str) -> &mut Httpd {
        let n: usize = name.trim_start_matches("web").parse().unwrap();
        &mut self.nodes[n - 1]
    }

    /// Kills a node at one blow, and waits until its last process is gone: a request that such a one still took is lost
    /// with it, and mod_proxy answers 502.
    fn kill(&mut self, name: &str) {
        let node = self.node(name);
        let address = node.address();
        node.kill_everything();
        eventually("nobody listens there", Duration::from_secs(10), || TcpStream::connect(address).err());
        std::thread::sleep(Duration::from_millis(20));
    }

    /// Has balancer-manager drain a node, as an operator does by its page.
    fn drain(&self, name: &str) {
        let n: usize = name.trim_start_matches("web").parse().unwrap();
        let worker = format!("http://{}", self.nodes[n - 1].address());
        let mut operator = self.balancer.browser();
        let page = operator.get("/balancer-manager").expect(200);
        let (_, rest) = page.body.split_once("nonce=").expect("a nonce");
        let nonce: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        let form = [("w", worker.as_str()), ("b", "nodes"), ("nonce", &nonce), ("w_status_N", "1")];
        let referer = format!("http://{}/balancer-manager", self.balancer.address());
        let page = operator.post_with("/balancer-manager", &form, &[("Referer", &referer)]).expect(200);
        assert!(page.body.contains("Init Drn"), "{page:?}");
    }
}

const STATUS: &str = "<Location /status>\nSetHandler server-status\n</Location>";

/// Waits until a node hears the store.
fn until_it_hears(node: &Httpd) {
    eventually("a lease", Duration::from_secs(10), || {
        figure(node, "SessionClusterLeaseMs").filter(|&left| left > 0).map(drop)
    });
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("httpd-conf/55-sticky.conf")
}

fn include() -> String {
    format!("Include {}", example().display())
}

/// The example with one thing changed.
fn example_but(old: &str, new: &str) -> String {
    let text = std::fs::read_to_string(example()).unwrap();
    assert_eq!(text.matches(old).count(), 1, "{old}");
    text.replace(old, new)
}

fn balancing(nodes: &[Httpd], conf: &str) -> String {
    let defines: String = nodes
        .iter()
        .enumerate()
        .map(|(n, node)| format!("Define WEB{} http://{}\n", n + 1, node.address()))
        .collect();
    // What the nodes say of their visitors comes through; the balancer has nothing to add.
    let mute: String =
        ["X-User", "X-Auth-Type", "X-Session"].map(|name| format!("Header always unset {name}\n")).concat();
    format!("Define BALANCER\n{defines}{mute}{conf}")
}

/// The session id and the route in a browser's cookie.
fn cookie(browser: &Browser) -> (&str, &str) {
    browser.session().split_once('.').expect("a cookie with a route")
}

fn node_of(page: &Page) -> &str {
    page.header("X-Node").unwrap_or_else(|| panic!("no node answered: {page:?}"))
}

/// How many browsers belong to each node.
fn tally(browsers: &[Browser]) -> BTreeMap<&str, usize> {
    let mut tally = BTreeMap::new();
    for browser in browsers {
        *tally.entry(cookie(browser).1).or_default() += 1;
    }
    tally
}

/// Looks at a page, which comes from the node of the cookie and leaves the cookie alone.
#[track_caller]
fn stays(browser: &mut Browser, user: &str) {
    let route = cookie(browser).1.to_owned();
    let page = browser.get("/app/page.html").expect(200);
    assert_eq!(page.user(), Some(user));
    assert_eq!(node_of(&page), route);
    assert_eq!(page.header("Set-Cookie"), None);
}

#[test]
fn each_browser_stays_with_its_node_and_many_browsers_are_spread() {
    let redis = Redis::start();
    let all = Balanced::over(Some(&redis.url()));
    let mut browsers = all.logins(12);
    let tally: Vec<usize> = tally(&browsers).into_values().collect();
    assert!(tally.iter().all(|&count| count >= 2), "{tally:?}");
    for _ in 0..10 {
        for (n, browser) in browsers.iter_mut().enumerate() {
            stays(browser, &format!("user{n}"));
        }
    }
    // A logout leaves nothing to be led by.
    let mut browser = browsers.remove(0);
    let page = browser.post("/logout", &[]).expect(200);
    assert!(page.header("Set-Cookie").unwrap().starts_with("SCID=; "), "{page:?}");
    assert!(browser.cookies.is_empty());
    assert!(browser.get("/app/page.html").is_refused());
}

#[test]
fn with_a_store_nobody_notices_that_a_node_dies_and_nobody_goes_back_to_it() {
    let redis = Redis::start();
    let mut all = Balanced::over(Some(&redis.url()));
    let mut browsers = all.logins(9);
    let (mut moved, mut untouched) = (Vec::new(), Vec::new());
    for (n, browser) in browsers.iter_mut().enumerate() {
        let session = browser.get("/app/page.html").expect(200).header("X-Session").unwrap().to_owned();
        let list = if cookie(browser).1 == "web1" { &mut moved } else { &mut untouched };
        list.push((format!("user{n}"), session, browser.clone()));
    }
    let login = all.login("alice");
    let given = {
        let mut browser = login.clone();
        browser.login("alice").header("Set-Cookie").unwrap().to_owned()
    };
    all.kill("web1");
    for (user, session, browser) in &mut moved {
        let id = cookie(browser).0.to_owned();
        let page = browser.get("/app/page.html").expect(200);
        assert_eq!((page.user(), page.header("X-Session")), (Some(user.as_str()), Some(session.as_str())));
        // Once, and as at a login: the same id, the same attributes.
        let set = page.header("Set-Cookie").expect("the cookie leads elsewhere now");
        let (_, attributes) = given.split_once("; ").unwrap();
        assert_eq!(set, format!("SCID={id}.{}; {attributes}", node_of(&page)));
        assert_eq!(page.header("Cache-Control"), Some("no-store"));
        assert_ne!(node_of(&page), "web1");
        (0..5).for_each(|_| stays(browser, user));
    }
    untouched.iter_mut().for_each(|(user, _, browser)| stays(browser, user));

    all.node("web1").start();
    until_it_hears(&all.nodes[0]);
    eventually("the node is given new browsers again", Duration::from_secs(20), || {
        (cookie(&all.login("bob")).1 == "web1").then_some(())
    });
    for (user, _, browser) in moved.iter_mut().chain(&mut untouched) {
        (0..5).for_each(|_| stays(browser, user));
        assert_ne!(cookie(browser).1, "web1");
    }
}

#[test]
fn requests_at_the_same_time_agree_on_the_session_and_then_on_a_node() {
    let redis = Redis::start();
    let mut all = Balanced::over(Some(&redis.url()));
    let browser = led_to(&all.login("alice"), "web3");
    let id = cookie(&browser).0.to_owned();
    all.kill("web3");
    let pages = (0..8).map(|_| {
        let mut one = browser.clone();
        std::thread::spawn(move || (one.get("/app/page.html").expect(200), one))
    });
    let pages: Vec<_> = pages.collect();
    for page in pages {
        let (page, mut browser) = page.join().unwrap();
        assert_eq!(page.user(), Some("alice"));
        // Whichever of them comes last.
        assert_eq!(cookie(&browser), (id.as_str(), node_of(&page)));
        (0..3).for_each(|_| stays(&mut browser, "alice"));
    }
}

#[test]
fn a_drained_node_keeps_its_browsers_and_gets_no_new_ones() {
    let redis = Redis::start();
    let mut all = Balanced::over(Some(&redis.url()));
    let browsers = all.logins(6).into_iter().enumerate();
    let mut browsers: Vec<_> = browsers.map(|(n, browser)| (format!("user{n}"), browser)).collect();
    all.drain("web2");
    for n in 0..9 {
        let mut new = all.login(&format!("user{n}"));
        assert_ne!(cookie(&new).1, "web2");
        stays(&mut new, &format!("user{n}"));
    }
    browsers.iter_mut().for_each(|(user, browser)| (0..3).for_each(|_| stays(browser, user)));
    // Who logs out and in again leaves it.
    let there = browsers.iter().position(|(_, browser)| cookie(browser).1 == "web2").unwrap();
    let (user, mut leaver) = browsers.remove(there);
    leaver.post("/logout", &[]).expect(200);
    leaver.login(&user);
    assert_ne!(cookie(&leaver).1, "web2");
    let late = all.login("alice");
    browsers.push(("alice".into(), led_to(&late, "web2")));
    // It is stopped at last, and those who were still there go on elsewhere.
    all.node("web2").stop();
    for (user, browser) in &mut browsers {
        assert_eq!(browser.get("/app/page.html").expect(200).user(), Some(user.as_str()));
        assert_ne!(cookie(browser).1, "web2");
    }
}

/// A browser with the same session, at that node.
fn led_to(browser: &Browser, route: &str) -> Browser {
    let mut led = browser.clone();
    led.cookies.insert("SCID".into(), format!("{}.{route}", cookie(browser).0));
    led
}

#[test]
fn a_node_is_drained_by_a_graceful_restart_of_the_balancer_too() {
    let redis = Redis::start();
    let mut all = Balanced::over(Some(&redis.url()));
    let mut browsers = all.logins(6);
    let conf = balancing(&all.nodes, &example_but("route=web2 retry", "route=web2 status=+N retry"));
    all.balancer.reconfigure(|_| Site::bare(Mpm::Event).conf(&conf));
    all.balancer.restart(Signal::Graceful);
    for n in 0..9 {
        assert_ne!(cookie(&all.login(&format!("user{n}"))).1, "web2");
    }
    for (n, browser) in browsers.iter_mut().enumerate() {
        (0..3).for_each(|_| stays(browser, &format!("user{n}")));
    }
}

#[test]
fn a_secure_cookie_is_balanced_by_the_name_that_browsers_see() {
    let redis = Redis::start();
    let node = |n: usize| {
        let conf = format!(
            "SessionClusterCookie SCID Secure Route=web{n}\nSessionClusterStore {}\nSessionClusterRealm r\n\
             SessionClusterStoreTimeout 400ms\nHeader always set X-Node web{n}\n{STATUS}",
            redis.url()
        );
        Site::new(Mpm::Event).conf(&conf).start()
    };
    let nodes: Vec<Httpd> = (1..=3).map(node).collect();
    nodes.iter().for_each(until_it_hears);
    let all = Balanced::before(nodes, &example_but("stickysession=SCID", "stickysession=__Host-SCID"));
    let mut seen = BTreeSet::new();
    for n in 0..6 {
        let user = format!("user{n}");
        let mut browser = all.balancer.browser_of(&user);
        let route = browser.cookies["__Host-SCID"].split_once('.').unwrap().1.to_owned();
        for _ in 0..6 {
            let page = browser.get("/app/page.html").expect(200);
            assert_eq!((page.user(), node_of(&page)), (Some(user.as_str()), route.as_str()));
            assert_eq!(page.header("Set-Cookie"), None);
        }
        seen.insert(route);
    }
    assert!(seen.len() > 1, "all by chance at {seen:?}");
}

#[test]
fn a_forged_route_is_harmless() {
    let redis = Redis::start();
    let all = Balanced::over(Some(&redis.url()));
    let browser = all.login("alice");
    let id = cookie(&browser).0.to_owned();
    let forged = |route: &str| {
        let mut forger = browser.clone();
        forger.cookies.insert("SCID".into(), format!("{id}{route}"));
        forger
    };
    let long = format!(".evil{}", "r".repeat(3000));
    for route in
        ["", ".", ".evil4", ".evil web1", ".WEB1", ".web1.evil", "..web1", ".\"evil\"", ".evil=web1", &long]
    {
        let mut forger = forged(route);
        let page = forger.get("/app/page.html").expect(200);
        assert_eq!(page.user(), Some("alice"), "{route:?}");
        // It is led to the node that answered.
        assert_eq!(cookie(&forger), (id.as_str(), node_of(&page)), "{route:?}");
        stays(&mut forger, "alice");
    }
    // Whoever writes the name of another node goes there.
    for route in ["web1", "web2", "web3"] {
        let mut forger = forged(&format!(".{route}"));
        stays(&mut forger, "alice");
        assert_eq!(cookie(&forger).1, route);
    }
    for httpd in all.nodes.iter().chain([&all.balancer]) {
        for file in ["error.log", "access.log", "stderr"] {
            let text = std::fs::read_to_string(httpd.path(file)).unwrap_or_default();
            assert!(!text.contains("evil"), "{file} tells a route: {text}");
        }
    }
}

#[test]
fn without_a_store_the_browsers_of_a_dead_node_log_in_again_and_the_others_notice_nothing() {
    let mut all = Balanced::over(None);
    let mut browsers = all.logins(6);
    for (n, browser) in browsers.iter_mut().enumerate() {
        (0..3).for_each(|_| stays(browser, &format!("user{n}")));
    }
    all.kill("web1");
    for (n, browser) in browsers.iter_mut().enumerate() {
        let user = format!("user{n}");
        if cookie(browser).1 == "web1" {
            let page = browser.get("/app/page.html");
            assert!(page.is_refused() && page.status == 303, "{page:?}");
            browser.get(page.location()).expect(200);
            browser.login(&user);
            assert_ne!(cookie(browser).1, "web1");
        }
        (0..3).for_each(|_| stays(browser, &user));
    }
}

#[test]
fn a_cluster_does_not_call_its_nodes_different_for_their_routes() {
    let redis = Redis::start();
    let confs = [
        "SessionClusterCookie SCID Route=web1",
        "SessionClusterCookie SCID Route=web2",
        "",
        "SessionClusterCookie SCID Route=web4 SameSite=Strict",
    ];
    let nodes = Nodes::with_each(&redis.url(), &confs);
    let one = &nodes.httpds[0];
    eventually("all nodes to leave word", Duration::from_secs(10), || {
        (figure(one, "SessionClusterNodes") == Some(4)).then_some(())
    });
    assert_eq!(figure(one, "SessionClusterNodesThatDiffer"), Some(1));
    let page = one.browser().get("/status").expect(200).body;
    let marked: Vec<&str> = page.lines().filter(|line| line.contains("DIFFER")).collect();
    assert!(marked.len() == 1 && marked[0].contains("<td>node3</td>"), "{page}");
}
