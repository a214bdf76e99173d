//! The module's section in mod_status.

use harness::{Httpd, Mpm, Site, on_each_mpm};
use std::collections::BTreeMap;

on_each_mpm!(the_numbers_count_what_happens);

fn site(mpm: Mpm) -> Site {
    Site::new(mpm).conf("<Location /status>\nSetHandler server-status\n</Location>")
}

fn numbers(httpd: &Httpd) -> BTreeMap<String, u64> {
    let page = httpd.browser().get("/status?auto").expect(200);
    let ours = page.body.lines().filter_map(|line| line.strip_prefix("SessionCluster")?.split_once(": "));
    let number = |(name, value): (&str, &str)| {
        (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("SessionCluster{name}: {value}")))
    };
    ours.map(number).collect()
}

fn the_numbers_count_what_happens(mpm: Mpm) {
    let httpd = site(mpm).start();
    let before = numbers(&httpd);
    for name in ["Live", "Hits", "Misses", "Begins", "Bytes", "EndsLogout", "Evictions", "Repairs"] {
        assert!(before.contains_key(name), "no SessionCluster{name} in {before:?}");
    }
    let mut browsers: Vec<_> = ["alice", "bob", "carol"].map(|user| httpd.browser_of(user)).into();
    for _ in 0..10 {
        browsers[0].get("/app/page.html").expect(200);
    }
    let mut stranger = httpd.browser();
    stranger.cookies.insert("SCID".into(), "A".repeat(43));
    stranger.get("/app/page.html");
    let after = numbers(&httpd);
    assert_eq!((after["Live"], after["Begins"], after["EndsLogout"]), (3, 3, 0), "{after:?}");
    assert!(after["Hits"] >= before["Hits"] + 10, "{after:?}");
    assert!(after["Misses"] > before["Misses"], "{after:?}");
    assert!(after["Bytes"] > before["Bytes"], "{after:?}");

    browsers[1].post("/logout", &[]);
    let after = numbers(&httpd);
    assert_eq!((after["Live"], after["EndsLogout"]), (2, 1), "{after:?}");
    assert_eq!((after["Evictions"], after["Repairs"]), (0, 0), "{after:?}");
}

#[test]
fn people_get_a_section_with_a_heading() {
    let httpd = site(Mpm::Event).start();
    let page = httpd.browser_of("alice").get("/status").expect(200);
    assert!(page.body.contains("Session cluster"), "{}", page.body);
    assert!(!page.body.contains("alice"), "mod_status is not the place for user names");
}

#[test]
fn a_full_table_evicts_the_idle_and_spares_the_busy_and_says_so() {
    let httpd = site(Mpm::Event).conf("SessionClusterTable 1300K record=4K").start();
    httpd.log.allow("SC0205");
    let mut busy = httpd.browser_of("alice");
    let mut logins = 0;
    while numbers(&httpd)["Evictions"] < 50 {
        for _ in 0..100 {
            httpd.browser_of("bob");
        }
        busy.get("/app/page.html").expect(200);
        logins += 100;
        assert!(logins < 20_000, "{:?}", numbers(&httpd));
    }
    let mut last = httpd.browser_of("carol");
    last.get("/app/page.html").expect(200);
    assert!(httpd.log.count("SC0205") > 0, "the operator must be told");
    let numbers = numbers(&httpd);
    assert_eq!(numbers["Live"] + numbers["Evictions"], numbers["Begins"], "{numbers:?}");
}
