//! User instructions of each kind of page, more than the bare page has in the same process. What the module costs a
//! page without a session is measured against an httpd that has not loaded it.

use crate::sites::{ALICE, log_in, with_module, without_module};
use harness::callgrind::Counted;
use harness::redis::Redis;
use harness::{Mpm, eventually};
use std::thread::sleep;
use std::time::Duration;

/// Of each kind of page. The mean of so many hardly differs from one run to the next.
const REQUESTS: u32 = 1000;
/// How often a page that the store was asked for is measured again.
const TRIES: usize = 10;
const BARE: &str = "/open/page.html";
const CLOSED: &str = "/closed/page.html";

/// What was counted.
pub(crate) struct Figures {
    /// The bare page, with the module.
    pub(crate) bare: f64,
    /// What others have more, by their names in the budget.
    pub(crate) each: [(&'static str, f64); 5],
}

/// Counts all of them.
pub(crate) fn measure() -> Figures {
    let unloaded = Counted::start(without_module(Mpm::Prefork)).instructions(BARE, &[], REQUESTS);

    let mut httpd = Counted::start(with_module(Mpm::Prefork, "SessionClusterTable 64M"));
    let [session, staff] = ["/login", "/login/rights"].map(|form| httpd.visit(|httpd| log_in(httpd, form)));
    let adopted = httpd.visit(|httpd| {
        let mut browser = httpd.browser();
        browser.get_with("/basic/page.html", &[ALICE]).expect(200);
        format!("SCID={}", browser.session())
    });
    let bare = httpd.instructions(BARE, &[], REQUESTS);
    let table = httpd.instructions(CLOSED, &[("Cookie", &session)], REQUESTS);
    let grant = httpd.instructions("/grant/page.html", &[("Cookie", &staff)], REQUESTS);
    let basic = httpd.instructions("/basic/page.html", &[ALICE, ("Cookie", &adopted)], REQUESTS);
    drop(httpd);

    let (redis, bare_before_redis) = behind_the_table();
    let each = [
        ("no-session", bare - unloaded),
        ("table", table - bare),
        ("redis", redis - bare_before_redis),
        ("grant", grant - bare),
        ("basic", basic - bare),
    ];
    Figures { bare, each }
}

/// A page with a session that is in Redis as well, and the bare page of the same server.
fn behind_the_table() -> (f64, f64) {
    let redis = Redis::builder().conf("appendonly yes\nmaxmemory-policy noeviction").start();
    // Under callgrind all takes 50 times as long, and its first words to the store may take too long. What is measured
    // is a node that heard of its store not longer than a minute ago.
    let lines = "SessionClusterStoreTimeout 5s\nSessionClusterLogoutBound 60s\nSessionClusterStore";
    let mut httpd = Counted::start(with_module(Mpm::Prefork, &format!("{lines} {}", redis.url())));
    let session = httpd.visit(|httpd| {
        httpd.log.allow("SC0401");
        eventually("the node to speak to its store", Duration::from_secs(30), || {
            (!redis.cli(&["KEYS", "*"]).is_empty()).then_some(())
        });
        sleep(Duration::from_secs(1));
        log_in(httpd, "/login")
    });
    // A node that has not heard of its store for a while asks it for each page, until it hears again.
    let asked = || redis.info("commandstats", "cmdstat_get").unwrap_or_default();
    let page = (0..TRIES).find_map(|_| {
        let before = asked();
        let page = httpd.instructions(CLOSED, &[("Cookie", &session)], REQUESTS);
        (asked() == before).then_some(page)
    });
    let page = page.expect("a node that hears of its store: measure on a machine that has time");
    (page, httpd.instructions(BARE, &[], REQUESTS))
}
