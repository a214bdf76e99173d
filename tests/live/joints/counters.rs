//! Counters of failed logins, against clients that choose what they are counted under.

use harness::{Httpd, Mpm, Page, Site};
use std::time::Instant;

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
    for name in ["alice smith", "Alice  Smith", "ＡＬＩＣＥ smith"] {
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

#[test]
fn how_long_a_refusal_takes_says_nothing_of_the_name() {
    // What htpasswd -B -C 10 makes of "wonderland": some 50 ms of work, where an unknown name costs none.
    let bcrypt =
        std::process::Command::new("htpasswd").args(["-nbBC", "10", "alice", "wonderland"]).output().unwrap();
    let httpd =
        Site::new(Mpm::Event).conf("<Location /login>\nSessionClusterThrottle Off\n</Location>").start();
    httpd.write("passwords", bcrypt.stdout);
    let fastest = |name: &str| {
        let one = || {
            let begun = Instant::now();
            guess(&httpd, "/login", name).expect(422);
            begun.elapsed()
        };
        (0..5).map(|_| one()).min().unwrap()
    };
    let (known, unknown) = (fastest("alice"), fastest("nobody"));
    assert!(unknown * 2 > known, "{unknown:?} for a name that nobody has, {known:?} for alice");
}
