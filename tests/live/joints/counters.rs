//! Counters of failed logins, against clients that choose what they are counted under.

use harness::{Httpd, Mpm, Page, Site};

fn guess(httpd: &Httpd, path: &str, user: &str) -> Page {
    httpd.browser().post(path, &[("httpd_username", user), ("httpd_password", "wrong")])
}

#[test]
fn a_longer_path_is_the_same_login() {
    let httpd =
        Site::new(Mpm::Event).conf("<Location /login>\nSessionClusterThrottle 3 1m\n</Location>").start();
    for n in 0..3 {
        guess(&httpd, &format!("/login/{n}"), "alice").expect(422);
    }
    for path in ["/login/4", "/login", "/login/", "//login/5", "/login?x=1"] {
        guess(&httpd, path, "alice").expect(429);
    }
}

#[test]
fn spellings_that_a_directory_takes_for_one_name_share_a_counter() {
    let httpd =
        Site::new(Mpm::Event).conf("<Location /login>\nSessionClusterThrottle 3 1m\n</Location>").start();
    for name in ["alice smith", "Alice  Smith", " ALICE SMITH"] {
        guess(&httpd, "/login", name).expect(422);
    }
    guess(&httpd, "/login", "alice   smith ").expect(429);
}

#[test]
fn another_login_counts_for_itself() {
    let other = "<Location /other>\nSetHandler session-cluster-login\nSessionClusterAuthn file\n\
                 AuthUserFile passwords\nAuthName other\nSessionClusterThrottle 3 1m\n</Location>";
    let httpd = Site::new(Mpm::Event)
        .conf("<Location /login>\nSessionClusterThrottle 3 1m\n</Location>")
        .conf(other)
        .start();
    for _ in 0..3 {
        guess(&httpd, "/login", "alice").expect(422);
    }
    guess(&httpd, "/login", "alice").expect(429);
    guess(&httpd, "/other", "alice").expect(422);
}
