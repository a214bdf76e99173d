//! What holds for every store that nodes can share, in real httpds.

mod caches;
pub(super) mod databases;
pub(super) mod files;

use super::chaos::{self, Torment};
use super::nodes::Nodes;
use harness::{Browser, Mpm, Signal, eventually, rounds};
use std::time::{Duration, Instant};

/// A store of some kind, which this test has for itself. Its first torment takes it away until all is well again.
pub(super) trait Kind: Torment {
    /// The words of `SessionClusterStore`.
    fn words(&self) -> String;

    /// What else httpd needs to use it.
    fn conf(&self) -> String {
        String::new()
    }

    /// Whether it can still be read while its first torment lasts.
    fn is_readable(&self) -> bool {
        false
    }

    /// What other modules than this one may say to the error log while it is away, beside what every store makes of it.
    fn noise(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it keeps what it was told when it is gone for a while.
    fn lasts(&self) -> bool {
        true
    }
}

/// The default of `SessionClusterLogoutBound`.
const BOUND: Duration = Duration::from_millis(500);
/// By when all is well after the store has come back: a circuit breaker lets the next one try after 1.5 s at most.
const RECOVERY: Duration = Duration::from_secs(4);

/// Makes a test of each law, of a kind that `$begin` gives.
macro_rules! hold_to_the_laws_of_a_cluster {
    ($begin:expr) => {
        hold_to_the_laws_of_a_cluster! { $begin;
            a_login_is_one_everywhere_and_so_is_a_logout, a_logout_is_heard_of_within_the_bound,
            all_sessions_of_a_user_end_everywhere, pages_need_no_store_within_the_bound,
            without_the_store_nobody_is_logged_out, nothing_is_lost_when_nodes_are_restarted,
            ended_sessions_stay_ended_whatever_fails
        }
    };
    ($begin:expr; $($law:ident),+) => {$(
        #[test]
        fn $law() {
            crate::cluster::stores::$law(&$begin);
        }
    )+};
}
use hold_to_the_laws_of_a_cluster;

fn nodes(kind: &dyn Kind, count: usize, conf: &str) -> Nodes {
    let nodes = Nodes::with(Mpm::Event, count, &[&kind.words()], &format!("{}\n{conf}", kind.conf()));
    for httpd in &nodes.httpds {
        kind.noise().iter().for_each(|part| httpd.log.allow(part));
    }
    nodes
}

fn a_login_is_one_everywhere_and_so_is_a_logout(kind: &dyn Kind) {
    let nodes = nodes(kind, 2, "");
    for (user, n) in [("alice", 0), ("bob", 1)] {
        let browser = nodes.login(n, user);
        for round in 0..6 {
            let page = nodes.at(round % 2, &browser).get("/app/page.html").expect(200);
            assert_eq!(page.user(), Some(user));
        }
        nodes.at(1 - n, &browser).post("/logout", &[]).expect(200);
        assert!(nodes.at(1 - n, &browser).get("/app/page.html").is_refused());
        nodes.until_refused(n, &browser);
        assert_eq!(nodes.at(n, &browser).get("/whoami").expect(200).json()["reason"], "logout");
    }
}

fn a_logout_is_heard_of_within_the_bound(kind: &dyn Kind) {
    let nodes = nodes(kind, 2, "");
    let logout = |i: usize| {
        let browser = nodes.login(i % 2, "alice");
        nodes.at(1 - i % 2, &browser).get("/app/page.html").expect(200);
        nodes.at(i % 2, &browser).post("/logout", &[]).expect(200);
        nodes.until_refused(1 - i % 2, &browser)
    };
    let mut times: Vec<Duration> = (0..rounds(20, 300)).map(logout).collect();
    times.sort();
    let at = |q: usize| times[(times.len() - 1) * q / 100];
    println!("{}: logout elsewhere: p50 {:?}, p99 {:?}, max {:?}", kind.words(), at(50), at(99), at(100));
    assert!(at(99) <= BOUND + Duration::from_millis(100), "{:?}", at(99));
}

fn all_sessions_of_a_user_end_everywhere(kind: &dyn Kind) {
    let nodes = nodes(kind, 2, "");
    nodes.httpds[0].log.allow("SC0304");
    let (one, other, bob) = (nodes.login(0, "alice"), nodes.login(1, "alice"), nodes.login(1, "bob"));
    let seen = |browser| (0..2).for_each(|n| drop(nodes.at(n, browser).get("/app/page.html").expect(200)));
    [&one, &other, &bob].into_iter().for_each(seen);
    let form = [("action", "end"), ("scope", "user"), ("name", "alice")];
    nodes.login(0, "carol").post("/admin", &form).expect(200);
    for n in 0..2 {
        nodes.until_refused(n, &one);
        nodes.until_refused(n, &other);
    }
    // Whoever comes after it is not meant, wherever that is.
    [&nodes.login(1, "alice"), &nodes.login(0, "alice"), &bob].into_iter().for_each(seen);
}

fn pages_need_no_store_within_the_bound(kind: &dyn Kind) {
    let nodes = nodes(kind, 2, "SessionClusterOutage refuse\nSessionClusterLogoutBound 10s");
    nodes.httpds.iter().for_each(|httpd| httpd.log.allow("SC040"));
    let browser = nodes.login(0, "alice");
    let mut there = nodes.at(1, &browser);
    there.get("/app/page.html").expect(200);
    kind.begin(0);
    let start = Instant::now();
    for _ in 0..100 {
        assert_eq!(there.get("/app/page.html").expect(200).user(), Some("alice"));
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    kind.end();
}

fn without_the_store_nobody_is_logged_out(kind: &dyn Kind) {
    let nodes = nodes(kind, 2, "");
    for httpd in &nodes.httpds {
        httpd.log.allow("SC040");
        httpd.log.allow("SC0206");
    }
    let (known, unknown) = (nodes.login(0, "alice"), nodes.login(0, "bob"));
    nodes.at(1, &known).get("/app/page.html").expect(200);
    kind.begin(0);
    std::thread::sleep(BOUND + Duration::from_millis(300));
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let start = Instant::now();
        assert_eq!(nodes.at(1, &known).get("/app/page.html").expect(200).user(), Some("alice"));
        let page = nodes.at(1, &unknown).get("/app/page.html");
        if !kind.is_readable() {
            assert_eq!(page.status, 503, "{page:?}");
            assert_eq!((page.header("Retry-After"), page.header("Set-Cookie")), (Some("2"), None));
        }
        longest = longest.max(start.elapsed());
    }
    assert!(longest < Duration::from_secs(1), "nobody waits for the store for long: {longest:?}");
    let page = nodes.at(1, &known).post("/logout", &[]).expect(503);
    assert!(page.body.contains("Nothing has changed"), "{page:?}");
    let mut visitor = nodes.httpds[0].browser();
    visitor.post("/login", &[("httpd_username", "carol"), ("httpd_password", "wonderland")]).expect(503);
    visitor.get("/open/page.html").expect(200);
    kind.end();
    if kind.lasts() {
        eventually("the unknown to be known", RECOVERY, || {
            (nodes.at(1, &unknown).get("/app/page.html").status == 200).then_some(())
        });
    }
    eventually("a logout", RECOVERY, || {
        (nodes.at(1, &known).post("/logout", &[]).status == 200).then_some(())
    });
    nodes.until_refused(0, &known);
    for part in kind.noise() {
        let lines = nodes.httpds[1].log.count(part);
        assert!(lines < 40, "no flood of the log: {lines} lines with {part}");
    }
}

fn nothing_is_lost_when_nodes_are_restarted(kind: &dyn Kind) {
    let mut nodes = nodes(kind, 2, "");
    let (stays, goes) = (nodes.login(0, "alice"), nodes.login(0, "bob"));
    nodes.at(1, &goes).post("/logout", &[]).expect(200);
    nodes.until_refused(0, &goes);
    for signal in [Signal::Graceful, Signal::Restart, Signal::Graceful] {
        nodes.httpds[0].restart(signal);
        eventually("the store to be heard", RECOVERY, || {
            (nodes.at(0, &stays).get("/app/page.html").status == 200).then_some(())
        });
        stays_out(&nodes, 0, &goes);
    }
    // The table goes with the server, and the store stays.
    nodes.httpds[0].stop();
    nodes.httpds[0].start();
    eventually("the store to be heard", RECOVERY, || {
        (nodes.at(0, &stays).get("/app/page.html").status == 200).then_some(())
    });
    stays_out(&nodes, 0, &goes);
    nodes.httpds[1].kill_everything();
    nodes.httpds[1].start();
    eventually("the store to be heard", RECOVERY, || {
        (nodes.at(1, &stays).get("/app/page.html").status == 200).then_some(())
    });
    stays_out(&nodes, 1, &goes);
}

/// Refused, or asked to try again until the store is heard; never served.
fn stays_out(nodes: &Nodes, n: usize, browser: &Browser) {
    eventually("a refusal", RECOVERY, || {
        let page = nodes.at(n, browser).get("/app/page.html");
        assert_ne!(page.status, 200, "{page:?}");
        page.is_refused().then_some(())
    });
}

fn ended_sessions_stay_ended_whatever_fails(kind: &dyn Kind) {
    let nodes = nodes(kind, chaos::NODES, "SessionClusterOutage refuse");
    chaos::nobody_comes_back(&nodes, kind, Duration::from_secs(rounds(6, 120) as u64));
}
