//! httpd's `Mutex` directive for `session-cluster`: every mechanism that survives the death of its holder.

use harness::{Mpm, Site, on_each_mpm};

on_each_mpm!(every_robust_mechanism_serves);

fn every_robust_mechanism_serves(mpm: Mpm) {
    for mechanism in ["default", "pthread", "fcntl:run", "flock:run", "file:run", "sysvsem"] {
        let httpd = Site::new(mpm).conf(&format!("Mutex {mechanism} session-cluster")).start();
        let mut browser = httpd.browser_of("alice");
        browser.get("/app/page.html").expect(200);
        let mut kept = browser.clone();
        browser.post("/logout", &[]);
        assert!(kept.get("/app/page.html").is_refused(), "{mechanism}");
    }
}

#[test]
fn a_mechanism_that_deadlocks_when_its_holder_dies_is_refused() {
    for mechanism in ["posixsem", "sem"] {
        let said = Site::new(Mpm::Event).conf(&format!("Mutex {mechanism} session-cluster")).refused();
        assert!(said.contains("posixsem") && said.contains("session-cluster"), "{said}");
    }
}

#[test]
fn a_mutex_for_everything_else_does_not_concern_the_module() {
    let httpd = Site::new(Mpm::Event).conf("Mutex posixsem default\nMutex pthread session-cluster").start();
    httpd.browser_of("alice").get("/app/page.html").expect(200);
}
