//! A cluster changes its store, node by node and under load, and nobody is logged out.

use super::nodes::{Nodes, figure};
use harness::redis::Redis;
use harness::{Browser, Mpm, Signal, eventually};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Those who have logged in, and those who have gone since.
struct People<'a> {
    nodes: &'a Nodes,
    here: Vec<(String, Browser)>,
    gone: Vec<Browser>,
}

impl People<'_> {
    fn come(&mut self, n: usize) {
        let user = format!("user{}", self.here.len() + self.gone.len());
        let browser = self.nodes.login(n, &user);
        self.here.push((user, browser));
    }

    fn go(&mut self, n: usize) {
        let (_, browser) = self.here.remove(0);
        self.nodes.at(n, &browser).post("/logout", &[]).expect(200);
        for n in 0..2 {
            self.nodes.until_refused(n, &browser);
        }
        self.gone.push(browser);
    }

    /// Whoever is here is known on every node, and whoever has gone is not.
    fn are_where_they_should_be(&self) {
        for n in 0..2 {
            for (user, browser) in &self.here {
                let page = self.nodes.at(n, browser).get("/app/page.html").expect(200);
                assert_eq!(page.user(), Some(user.as_str()), "node {n}");
            }
            for browser in &self.gone {
                assert!(self.nodes.at(n, browser).get("/app/page.html").is_refused(), "node {n}");
            }
        }
    }
}

fn turn(nodes: &mut Nodes, n: usize, store: &str, signal: Signal) {
    nodes.httpds[n].reconfigure(|site| site.conf(&format!("SessionClusterStore {store}")));
    nodes.httpds[n].restart(signal);
    // What a node knew of before it has heard the new store is asked about once more.
    eventually("the new store to be heard", Duration::from_secs(5), || {
        (figure(&nodes.httpds[n], "SessionClusterLeaseMs") > Some(0)).then_some(())
    });
}

#[test]
fn a_cluster_changes_its_store_node_by_node_and_logs_nobody_out() {
    let (old, new) = (Redis::start(), Redis::start());
    let (old, new) = (old.url(), new.url());
    let mut nodes = Nodes::with(Mpm::Event, 2, &[&old], "");
    let (forth, on) = (format!("{old} fallback {new}"), format!("{new} fallback {old}"));
    let (mut here, mut gone) = (Vec::new(), Vec::new());
    // Each step: who came before it is known after it, on both nodes, whatever store each of these uses by then.
    let steps = [(0, ""), (0, forth.as_str()), (1, &forth), (0, &on), (1, &on)];
    for (n, store) in steps {
        if !store.is_empty() {
            turn(&mut nodes, n, store, Signal::Graceful);
        }
        let mut people = People { nodes: &nodes, here, gone };
        people.are_where_they_should_be();
        (0..4).for_each(|i| people.come(i % 2));
        people.are_where_they_should_be();
        (0..2).for_each(|n| people.go(n));
        people.are_where_they_should_be();
        (here, gone) = (people.here, people.gone);
    }
    assert!(here.len() > 8);
    // What came last is in the new store, and goes on without the old one.
    let last = here.split_off(here.len() - 2);
    for n in 0..2 {
        turn(&mut nodes, n, &new, Signal::Restart);
    }
    for n in 0..2 {
        for (_, browser) in &last {
            nodes.at(n, browser).get("/app/page.html").expect(200);
        }
        for browser in &gone {
            assert!(nodes.at(n, browser).get("/app/page.html").is_refused());
        }
    }
}

#[test]
fn no_request_fails_while_the_store_is_changed() {
    let (old, new) = (Redis::start(), Redis::start());
    let nodes = Nodes::with(Mpm::Event, 1, &[&old.url()], "");
    let browser = nodes.login(0, "alice");
    let (pages, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut visitor = nodes.at(0, &browser);
    let store = format!("{} fallback {}", new.url(), old.url());
    let mut nodes = nodes;
    std::thread::scope(|scope| {
        let walk = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let page = visitor.get("/app/page.html").expect(200);
                assert_eq!(page.user(), Some("alice"));
                pages.fetch_add(1, Ordering::Relaxed);
            }
        });
        turn(&mut nodes, 0, &store, Signal::Graceful);
        std::thread::sleep(Duration::from_millis(700));
        over.store(true, Ordering::Relaxed);
        walk.join().unwrap();
    });
    let pages = pages.load(Ordering::Relaxed);
    assert!(pages > 3, "{pages}");
}

#[test]
fn while_sessions_move_either_store_may_be_away_as_one_alone_may() {
    let (old, new) = (Redis::start(), Redis::start());
    let mut nodes = Nodes::with(Mpm::Event, 2, &[&old.url()], "");
    let (before, unseen) = (nodes.login(0, "alice"), nodes.login(0, "bob"));
    for n in 0..2 {
        turn(&mut nodes, n, &format!("{} fallback {}", new.url(), old.url()), Signal::Graceful);
        nodes.httpds[n].log.allow("SC040");
        nodes.httpds[n].log.allow("SC0206");
    }
    let after = nodes.login(0, "carol");
    let known = [&before, &after];
    known.iter().for_each(|browser| drop(nodes.at(1, browser).get("/app/page.html").expect(200)));
    old.stop_hard();
    std::thread::sleep(Duration::from_millis(700));
    known.iter().for_each(|browser| drop(nodes.at(1, browser).get("/app/page.html").expect(200)));
    let page = nodes.at(1, &unseen).get("/app/page.html").expect(503);
    assert_eq!(page.header("Set-Cookie"), None, "the cookie is kept");
    // What is new needs the new one only.
    let late = nodes.login(0, "user0");
    nodes.at(1, &late).get("/app/page.html").expect(200);
}
