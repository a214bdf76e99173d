//! What somebody with an old cookie, a slow request or many requests at once could gain: nothing.

use harness::{Browser, Httpd, Mpm, Page, Site, eventually};
use std::time::Duration;

/// Answers with the header that its query asks for, after a while if that mentions `slow`.
const APPLICATION: &str = r#"#!/usr/bin/perl
my ($kind, $order) = split /=/, $ENV{QUERY_STRING}, 2;
sleep 2 if $order =~ /slow/;
my %name = (replace => 'X-Session-Replace', update => 'X-Session-Update');
print "$name{$kind}: $order\r\n" if $name{$kind};
print "Content-Type: text/plain\r\n\r\nuser=$ENV{SESSION_USER} grants=$ENV{SESSION_GRANTS}\n";
"#;

fn start(more: &str) -> Httpd {
    let httpd = Site::new(Mpm::Event)
        .load(&["cgid"])
        .conf("ScriptSock cgid\nScriptAlias /run cgi/run.pl\nScriptAlias /app/run cgi/run.pl")
        .conf("SessionClusterExport env user grants")
        .conf("<LocationMatch ^/(app/)?run>\nSessionClusterBackend On\n</LocationMatch>")
        .conf(
            "SessionClusterSecret file:secret\n<Location /mine>\nSetHandler session-cluster-mine\nAuthType Session\n\
             Require valid-user\n</Location>",
        )
        .conf(more)
        .file("secret", "0123456789abcdef0123456789abcdef\n")
        .file("cgi/run.pl", APPLICATION)
        .start();
    eventually("cgid", Duration::from_secs(5), || (httpd.browser().get("/run").status == 200).then_some(()));
    for line in ["cgid", "SC0310", "AH0163"] {
        httpd.log.allow(line);
    }
    httpd
}

fn post(httpd: &Httpd, path: &str, user: &str, password: &str) -> Page {
    httpd.browser().post(path, &[("httpd_username", user), ("httpd_password", password)])
}

/// A browser of alice's from before her `admin` was revoked, and hers.
fn revoked(httpd: &Httpd) -> (Browser, Browser) {
    let mut browser = httpd.browser();
    browser.get("/run?replace=user=alice&grant=admin").expect(200);
    let old = browser.clone();
    browser.get("/run?update=revoke=admin").expect(200);
    assert_eq!(browser.get("/app/run").body, "user=alice grants=\n");
    (old, browser)
}

#[test]
fn what_was_revoked_does_not_come_back_by_a_slow_answer() {
    for grace in ["", "SessionClusterGrace 1s"] {
        let httpd = start(grace);
        let mut browser = httpd.browser();
        browser.get("/run?replace=user=alice&grant=admin").expect(200);
        let mut held = browser.clone();
        let slow = std::thread::spawn(move || {
            let page = held.get("/run?update=slow=1").expect(200);
            assert_eq!(page.header("Set-Cookie"), None, "the first change wins: {page:?}");
        });
        std::thread::sleep(Duration::from_millis(500));
        browser.get("/run?update=revoke=admin").expect(200);
        slow.join().unwrap();
        assert_eq!(browser.get("/app/run").body, "user=alice grants=\n");
    }
}

#[test]
fn what_was_revoked_does_not_come_back_by_ending_all_others() {
    let httpd = start("");
    let (mut old, mut browser) = revoked(&httpd);
    old.post("/mine", &[("others", "1")]).expect(503);
    assert_eq!(browser.get("/app/run").body, "user=alice grants=\n", "nor is anything ended by it");
}

#[test]
fn to_end_all_others_makes_no_session_live_longer() {
    let httpd = start("SessionClusterIdle 3s\nSessionClusterLifetime 3s");
    let mut browser = httpd.browser_of("alice");
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(1000));
        browser.post("/mine", &[("others", "1")]).expect(200);
    }
    std::thread::sleep(Duration::from_millis(1500));
    assert!(browser.get("/app/page.html").is_refused());
}

#[test]
fn nobody_chooses_where_their_rights_come_from() {
    let httpd = start(
        "<Location /other>\nSetHandler session-cluster-login\nSessionClusterAuthn file\nAuthUserFile passwords\n\
         SessionClusterGrant admin user alice\n</Location>\n\
         <Location /app>\nSessionClusterRightsAge 300ms\n</Location>",
    );
    let mut browser = httpd.browser();
    let form = [("httpd_username", "alice"), ("httpd_password", "wonderland")];
    browser.post("/login/%252e%252e/other", &form).expect(303);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(browser.get("/app/run").expect(200).body, "user=alice grants=\n");
}

#[test]
fn an_anonymous_session_is_no_recent_login() {
    let httpd = start("<Location /open>\nRequire session-age <15min\n</Location>");
    let mut browser = httpd.browser();
    browser.get("/open/page.html").expect(403);
    browser.get("/run?replace=grant=cart").expect(200);
    browser.get("/open/page.html").expect(403);
}

#[test]
fn rights_of_one_login_are_not_those_of_another_of_the_same_name() {
    let basic = |path: &str, name: &str, more: &str| {
        format!(
            "<Location {path}>\nAuthType Basic\nAuthName {name}\nAuthBasicProvider file\nAuthUserFile passwords\n\
             SessionClusterAdopt On\n{more}\n</Location>\n"
        )
    };
    let weak = basic("/weak", "A", "Require valid-user\nSessionClusterGrant admin user alice");
    let httpd = Site::new(Mpm::Event)
        .conf(&(weak + &basic("/strong", "B", "Require session-grant admin")))
        .file("htdocs/weak/page.html", "weak\n")
        .file("htdocs/strong/page.html", "strong\n")
        .start();
    httpd.log.allow("AH01631");
    let alice = ("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==");
    let mut browser = httpd.browser();
    browser.get_with("/strong/page.html", &[alice]).expect(401);
    browser.get_with("/weak/page.html", &[alice]).expect(200);
    browser.get_with("/strong/page.html", &[alice]).expect(401);
}

#[test]
fn many_guesses_at_once_are_no_more_than_one_after_the_other() {
    // A password that is slow to check.
    let hash = "alice:$2y$09$gZpxmTXEIBkeppZXAzcIZevGo8akk5panHDbyJI1g4VX/HOSBgemK\n";
    let httpd = Site::new(Mpm::Event)
        .conf("<Location /login>\nAuthUserFile slow\nSessionClusterThrottle 3 1h\n</Location>")
        .file("slow", hash)
        .start();
    let looked_at = std::thread::scope(|scope| {
        let httpd = &httpd;
        let guesses: Vec<_> = (0..40)
            .map(|n| scope.spawn(move || post(httpd, "/login", "alice", &format!("guess {n}")).status))
            .collect();
        guesses.into_iter().filter_map(|guess| guess.join().ok()).filter(|status| *status == 422).count()
    });
    assert_eq!(looked_at, 3);
    // As a directory takes them for one user, so does the counter.
    post(&httpd, "/login", "ALICE", "guess").expect(429);
    let page = post(&httpd, "/login", " alice ", "guess").expect(429);
    let wait: u64 = page.header("Retry-After").unwrap().parse().unwrap();
    assert!(wait <= 1200, "a third of an hour at most: {wait}");
}

#[test]
fn one_login_does_not_count_for_another() {
    let strict = "<Location /strict>\nSetHandler session-cluster-login\nSessionClusterAuthn file\n\
                  AuthUserFile passwords\nSessionClusterThrottle 1 1d\n</Location>";
    let httpd = start(strict);
    post(&httpd, "/strict", "alice", "guess").expect(422);
    post(&httpd, "/strict", "alice", "wonderland").expect(429);
    post(&httpd, "/login", "alice", "wonderland").expect(303);
    post(&httpd, "/strict", "alice", "wonderland").expect(429);
}

#[test]
fn a_backend_is_not_told_that_nobody_is_there_when_nobody_can_tell() {
    let id = Site::new(Mpm::Event).start().browser_of("alice").session().to_owned();
    let httpd = Site::new(Mpm::Event)
        .conf("SessionClusterStore redis://127.0.0.1:9")
        .conf("<Location /open/told>\nSessionClusterExport header user\n</Location>")
        .file("htdocs/open/told/page.html", "told\n")
        .start();
    ["SC0401", "SC0206"].iter().for_each(|line| httpd.log.allow(line));
    let mut browser = httpd.browser();
    browser.get("/open/told/page.html").expect(200);
    browser.cookies.insert("SCID".into(), id);
    let page = browser.get("/open/told/page.html").expect(503);
    assert!(page.header("Retry-After").is_some() && page.header("Set-Cookie").is_none(), "{page:?}");
    browser.get("/open/page.html").expect(200);
}
