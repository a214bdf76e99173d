//! Changes of one session that come at the same moment, and changes that leave no grace: one of them wins, what it took
//! is gone at once, and nobody who got its cookie is logged out.

use harness::{Browser, Httpd, Mpm, Page, Site, eventually};
use std::sync::Barrier;
use std::time::Duration;

/// Orders what its query asks for. It takes a moment, so that two requests are at work at once.
const APPLICATION: &str = r#"#!/usr/bin/perl
my ($kind, $order) = split /=/, $ENV{QUERY_STRING}, 2;
my %name = (replace => 'X-Session-Replace', update => 'X-Session-Update');
print "$name{$kind}: $order\r\nContent-Type: text/plain\r\n\r\nordered\n";
"#;

const CONF: &str = "ScriptSock cgid\nScriptAlias /orders cgi/orders.pl\nSessionClusterExport env grants\n\
    Header always set X-Grants \"%{SESSION_GRANTS}e\"\n<Location /orders>\nSessionClusterBackend On\n</Location>";

fn start(more: &str) -> Httpd {
    let site = Site::new(Mpm::Event).load(&["cgid"]).conf(CONF).conf(more);
    let httpd =
        site.file("cgi/orders.pl", APPLICATION).file("secret", "0123456789abcdef0123456789abcdef\n").start();
    eventually("cgid", Duration::from_secs(5), || {
        (httpd.browser().get("/orders?update=x=1").status == 200).then_some(())
    });
    for line in ["cgid", "SC0310"] {
        httpd.log.allow(line);
    }
    httpd
}

fn order(browser: &mut Browser, query: &str) -> Page {
    browser.get(&format!("/orders?{query}")).expect(200)
}

fn grants(browser: &mut Browser) -> String {
    let page = browser.get("/open/page.html").expect(200);
    page.header("X-Grants").filter(|grants| *grants != "(null)").unwrap_or_default().to_owned()
}

#[test]
fn of_two_orders_at_the_same_moment_one_wins() {
    for (grace, pairs) in [("", 60), ("SessionClusterGrace 0s", 40)] {
        let httpd = start(grace);
        for pair in 0..pairs {
            let mut browser = httpd.browser();
            order(&mut browser, "replace=user=alice&grant=staff");
            let before = browser.clone();
            let barrier = Barrier::new(2);
            let [(revoked, mut one), (coloured, mut other)] = std::thread::scope(|scope| {
                let at_once = |name: &'static str| {
                    let (mut browser, barrier) = (browser.clone(), &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        (order(&mut browser, name).header("Set-Cookie").is_some(), browser)
                    })
                };
                [at_once("update=revoke=staff"), at_once("update=colour=red")]
                    .map(|thread| thread.join().unwrap())
            });
            assert!(revoked != coloured, "pair {pair}, {grace}: revoked {revoked}, coloured {coloured}");
            let (winner, expected) = if revoked { (&mut one, "") } else { (&mut other, "staff") };
            assert_eq!(grants(winner), expected, "pair {pair}, {grace}");
            assert_eq!(winner.get("/app/page.html").expect(200).user(), Some("alice"));
            let old = httpd.visit(&before).get("/app/page.html");
            assert_eq!(old.is_refused(), !grace.is_empty(), "pair {pair}, {grace}: {old:?}");
        }
    }
}

#[test]
fn to_end_all_others_at_the_same_moment_brings_no_right_back() {
    let httpd = start(
        "SessionClusterSecret file:secret\n<Location /mine>\nSetHandler session-cluster-mine\nAuthType Session\n\
         Require valid-user\n</Location>",
    );
    for pair in 0..40 {
        let mut browser = httpd.browser();
        order(&mut browser, "replace=user=alice&grant=staff");
        let (mut one, mut other) = (browser.clone(), browser.clone());
        let barrier = Barrier::new(2);
        let is_revoked = std::thread::scope(|scope| {
            let revoking = scope.spawn(|| {
                barrier.wait();
                order(&mut one, "update=revoke=staff").header("Set-Cookie").is_some()
            });
            barrier.wait();
            // The program takes a few milliseconds.
            std::thread::sleep(Duration::from_micros(200 * pair));
            let ended = other.post("/mine", &[("others", "1")]);
            let is_revoked = revoking.join().unwrap();
            assert_eq!(ended.status, if is_revoked { 503 } else { 200 }, "pair {pair}: {ended:?}");
            is_revoked
        });
        let (winner, expected) = if is_revoked { (&mut one, "") } else { (&mut other, "staff") };
        assert_eq!(grants(winner), expected, "pair {pair}");
        assert_eq!(winner.get("/app/page.html").expect(200).user(), Some("alice"));
    }
}

#[test]
fn without_a_grace_new_rights_hold_at_once_and_nobody_is_logged_out() {
    let httpd = Site::new(Mpm::Event)
        .load(&["authz_groupfile"])
        .conf("SessionClusterGrace 0s\n<Location /login>\nAuthGroupFile groups")
        .conf("SessionClusterGrant staff group staff\n</Location>")
        .conf("<Location /app>\nSessionClusterRightsAge 200ms\n</Location>")
        .conf(
            "<Location /app/staff>\nAuthzSendForbiddenOnFailure On\nRequire session-grant staff\n</Location>",
        )
        .file("groups", "staff: alice\n")
        .file("htdocs/app/staff/index.html", "staff\n")
        .start();
    httpd.log.allow("AH0163"); // httpd logs each refusal
    let mut alice = httpd.browser_of("alice");
    let mut is_staff = true;
    for _ in 0..4 {
        is_staff = !is_staff;
        httpd.write("groups", if is_staff { "staff: alice\n" } else { "staff: bob\n" });
        let before = alice.clone();
        std::thread::sleep(Duration::from_millis(250));
        // The request that has the rights evaluated is judged by them, and goes on with the new session.
        let page = alice.get("/app/staff/").expect(if is_staff { 200 } else { 403 });
        assert_eq!(page.user(), Some("alice"), "{page:?}");
        assert_ne!(alice.session(), before.session());
        let mut late = httpd.visit(&before);
        assert!(late.get("/app/page.html").is_refused());
        assert_eq!(late.get("/whoami").expect(200).json()["reason"], "superseded");
        assert_eq!(alice.get("/app/page.html").expect(200).user(), Some("alice"));
    }
    alice.post("/logout", &[]).expect(200);
    assert!(alice.get("/app/page.html").is_refused());
}

#[test]
fn without_a_grace_a_browser_that_sends_many_requests_at_once_stays_logged_in() {
    let httpd = Site::new(Mpm::Event)
        .conf("SessionClusterGrace 0s\n<Location /login>\nSessionClusterGrant login valid-user\n</Location>")
        .conf("<Location /app>\nSessionClusterRightsAge 100ms\n</Location>")
        .start();
    let mut alice = httpd.browser_of("alice");
    for round in 0..10 {
        std::thread::sleep(Duration::from_millis(120));
        let barrier = Barrier::new(4);
        let asked: Vec<(Page, Browser)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let (mut browser, barrier) = (alice.clone(), &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        (browser.get("/app/page.html"), browser)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut new = Vec::new();
        for (page, browser) in &asked {
            assert!(page.status == 200 || page.is_refused(), "round {round}: {page:?}");
            match page.header("Set-Cookie") {
                Some(_) => new.push(browser.session().to_owned()),
                // Nothing takes the cookie of the first away.
                None => assert_eq!(browser.session(), alice.session()),
            }
        }
        assert_eq!(new.len(), 1, "round {round}: cookies that were given");
        alice.cookies.insert("SCID".into(), new.remove(0));
        assert_eq!(alice.get("/app/page.html").expect(200).user(), Some("alice"));
    }
}
