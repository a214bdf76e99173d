//! The idle and the absolute timeout, and that each is told from the other.

use harness::{Browser, Httpd, Mpm, Page, Site, eventually, on_each_mpm};
use std::time::{Duration, Instant};

on_each_mpm!(an_idle_session_ends, no_activity_prolongs_a_life);

const LIMIT: Duration = Duration::from_secs(10);

fn reason(browser: &mut Browser) -> String {
    let whoami = browser.get("/whoami").expect(200).json();
    assert_eq!(whoami["authenticated"], false, "{whoami}");
    whoami["reason"].as_str().unwrap_or_default().to_owned()
}

fn status_line(httpd: &Httpd, name: &str) -> String {
    let page: Page = httpd.browser().get("/status?auto").expect(200);
    let line = page.body.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("no {name}: {}", page.body)).to_owned()
}

fn an_idle_session_ends(mpm: Mpm) {
    let httpd = Site::new(mpm).conf("SessionClusterIdle 2s").start();
    let (mut idle, mut busy) = (httpd.browser_of("alice"), httpd.browser_of("bob"));
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(3500) {
        busy.get("/app/page.html").expect(200);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(idle.get("/app/page.html").is_refused());
    assert_eq!(reason(&mut idle), "idle");
    busy.get("/app/page.html").expect(200);
}

fn no_activity_prolongs_a_life(mpm: Mpm) {
    let httpd = Site::new(mpm).conf("SessionClusterLifetime 2s\nSessionClusterIdle 2s").start();
    let start = Instant::now();
    let mut browser = httpd.browser_of("alice");
    eventually("the end of the session", LIMIT, || browser.get("/app/page.html").is_refused().then_some(()));
    let lived = start.elapsed();
    assert!(lived > Duration::from_millis(1900) && lived < Duration::from_millis(3500), "{lived:?}");
    assert_eq!(reason(&mut browser), "lifetime");
    assert_eq!(reason(&mut browser), "lifetime", "and it stays so");
}

#[test]
fn a_login_after_a_timeout_works() {
    let httpd = Site::new(Mpm::Event).conf("SessionClusterLifetime 1s\nSessionClusterIdle 1s").start();
    let mut browser = httpd.browser_of("alice");
    let first = browser.session().to_owned();
    eventually("the end of the session", LIMIT, || browser.get("/app/page.html").is_refused().then_some(()));
    browser.login("alice");
    assert_ne!(browser.session(), first);
    browser.get("/app/page.html").expect(200);
}

#[test]
fn sessions_that_timed_out_are_not_counted_as_logouts() {
    let httpd = Site::new(Mpm::Event)
        .conf("SessionClusterLifetime 1s\nSessionClusterIdle 1s")
        .conf("<Location /status>\nSetHandler server-status\n</Location>")
        .start();
    let mut browser = httpd.browser_of("alice");
    eventually("the end of the session", LIMIT, || browser.get("/app/page.html").is_refused().then_some(()));
    assert_eq!(status_line(&httpd, "SessionClusterEndsLogout"), "0");
    assert_eq!(status_line(&httpd, "SessionClusterBegins"), "1");
}
