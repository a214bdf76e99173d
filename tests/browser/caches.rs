//! What a browser shows after the end, out of what it has kept: nothing that it could have asked for.

use super::driver::{Chrome, Options};
use super::tour::{PASSWORD, PRIVATE, sign_in, submit};
use harness::{Httpd, Mpm, Site};
use std::fs::File;
use std::time::{Duration, SystemTime};

/// On plain http, by a name, browsers do not heed what a logout tells them to forget.
const PLAIN: Options =
    Options { width: 1280, dark: false, scripts: true, by_name: true, back_from_memory: true };

/// A site whose page behind the door has not changed for so long that a browser would show it for weeks unasked.
fn start(site: Site) -> Httpd {
    let httpd = site.start();
    let page = File::options().write(true).open(httpd.path(&format!("htdocs{PRIVATE}"))).unwrap();
    page.set_modified(SystemTime::now() - Duration::from_secs(2 * 365 * 86_400)).unwrap();
    httpd
}

fn is_inside(chrome: &Chrome) -> bool {
    chrome.text().contains("app/page")
}

/// Signed in, at the page behind the door.
fn inside(httpd: &Httpd, options: Options) -> Chrome {
    let chrome = Chrome::with(httpd, options);
    chrome.open(PRIVATE);
    sign_in(&chrome, "alice", PASSWORD);
    chrome.arrive(PRIVATE);
    assert!(is_inside(&chrome));
    chrome
}

fn log_out(chrome: &Chrome) {
    chrome.open("/logout");
    submit(chrome);
    chrome.arrive("/logout");
}

#[test]
fn after_a_logout_on_plain_http_a_page_is_not_shown_out_of_the_cache() {
    let httpd = start(Site::new(Mpm::Event));
    let chrome = inside(&httpd, PLAIN);
    log_out(&chrome);
    chrome.open(PRIVATE);
    assert!(!is_inside(&chrome), "{}: {}", chrome.address(), chrome.text());
}

#[test]
fn after_an_idle_end_a_page_is_not_shown_out_of_the_cache() {
    let httpd = start(Site::new(Mpm::Event).conf("SessionClusterIdle 300ms"));
    for options in [PLAIN, Options::default()] {
        let chrome = inside(&httpd, options);
        chrome.open("/open/page.html");
        std::thread::sleep(Duration::from_millis(1_600));
        chrome.open(PRIVATE);
        assert!(!is_inside(&chrome), "{}: {}", chrome.address(), chrome.text());
    }
}

#[test]
fn a_page_that_has_not_changed_is_asked_for_again_and_not_sent_again() {
    let httpd = start(Site::new(Mpm::Event).conf("CustomLog status.log \"%>s %U\""));
    let chrome = inside(&httpd, PLAIN);
    chrome.open("/open/page.html");
    chrome.open(PRIVATE);
    assert!(is_inside(&chrome));
    let log = std::fs::read_to_string(httpd.path("status.log")).unwrap();
    assert!(log.contains(&format!("304 {PRIVATE}")), "{log}");
}

#[test]
fn where_nothing_may_be_kept_the_way_back_asks_again_unless_the_window_still_has_the_page() {
    let httpd = start(
        Site::new(Mpm::Event).conf("<Location /app>\nSessionClusterCacheControl no-store\n</Location>"),
    );
    let chrome = inside(&httpd, Options { back_from_memory: false, ..PLAIN });
    log_out(&chrome);
    for _ in 0..3 {
        chrome.back();
        assert!(!is_inside(&chrome), "{}: {}", chrome.address(), chrome.text());
    }
}
