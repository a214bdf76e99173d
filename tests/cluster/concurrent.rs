//! Changes of one session that two nodes make at the same moment: the store says which came first.

use super::nodes::Nodes;
use harness::redis::Redis;
use harness::{Browser, Mpm, Page};
use std::sync::Barrier;

const ORDERS: [(&str, &str); 3] = [
    ("login", "X-Session-Replace: user=alice&grant=staff"),
    ("revoke", "X-Session-Update: revoke=staff"),
    ("colour", "X-Session-Update: colour=red"),
];

/// A request may wait longer for the store than it usually does: the machine is busy with these very tests.
const CONF: &str = "SessionClusterStoreTimeout 400ms\nAddHandler send-as-is asis\nSessionClusterExport env grants\n\
    Header always set X-Grants \"%{SESSION_GRANTS}e\"\n<Location /orders>\nSessionClusterBackend On\n</Location>";

fn order(browser: &mut Browser, name: &str) -> Page {
    browser.get(&format!("/orders/{name}.asis")).expect(200)
}

#[test]
fn of_two_orders_on_two_nodes_at_the_same_moment_one_wins() {
    let redis = Redis::start();
    for (grace, pairs) in [("", 100), ("SessionClusterGrace 0s", 50)] {
        let nodes = Nodes::with(Mpm::Event, 2, &[&redis.url()], &format!("{CONF}\n{grace}"));
        for httpd in &nodes.httpds {
            httpd.log.allow("SC0310");
            for (name, order) in ORDERS {
                let text = format!("Status: 200 OK\nContent-Type: text/plain\n{order}\n\nordered\n");
                httpd.write(&format!("htdocs/orders/{name}.asis"), text);
            }
        }
        for pair in 0..pairs {
            let mut browser = nodes.httpds[0].browser();
            order(&mut browser, "login");
            // Both nodes know it well.
            let mut browsers = [0, 1].map(|n| nodes.at(n, &browser));
            browsers.iter_mut().for_each(|there| drop(there.get("/app/page.html").expect(200)));
            let barrier = Barrier::new(2);
            let [(revoked, one), (coloured, other)] = std::thread::scope(|scope| {
                let at_once = |name: &'static str, mut browser: Browser| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        barrier.wait();
                        (order(&mut browser, name).header("Set-Cookie").is_some(), browser)
                    })
                };
                let [one, other] = browsers;
                [at_once("revoke", one), at_once("colour", other)].map(|thread| thread.join().unwrap())
            });
            assert!(revoked != coloured, "pair {pair}, {grace}: revoked {revoked}, coloured {coloured}");
            let (winner, loser, expected) = if revoked { (one, other, "") } else { (other, one, "staff") };
            for n in 0..2 {
                let page = nodes.at(n, &winner).get("/open/page.html").expect(200);
                let grants = page.header("X-Grants").filter(|grants| *grants != "(null)").unwrap_or_default();
                assert_eq!(grants, expected, "pair {pair}, {grace}, node {n}");
                assert_eq!(nodes.at(n, &winner).get("/app/page.html").expect(200).user(), Some("alice"));
            }
            // The node that came second knows at once that it did.
            let second = usize::from(revoked);
            let old = nodes.at(second, &loser).get("/app/page.html");
            assert_eq!(old.is_refused(), !grace.is_empty(), "pair {pair}, {grace}: {old:?}");
        }
    }
}
