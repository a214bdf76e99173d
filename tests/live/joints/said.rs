//! What an administrator sees at Debian's `LogLevel warn`: logins that fail, forms that are refused, mistakes of the
//! configuration, an outage and its end; each as often as it helps, and in a form that no visitor can make say
//! something else. What `httpd -t` can see of the mistakes, it refuses.

use harness::redis::Redis;
use harness::{Httpd, Mpm, Signal, Site, eventually, on_each_mpm};
use regex::Regex;
use std::time::Duration;

on_each_mpm!(too_many_failed_logins_are_said_once, a_mistake_is_said_once_for_each_place);

/// The patterns of the filter for fail2ban, as it reads them: it takes the time out of a line before.
fn filter() -> Vec<Regex> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/httpd-conf/fail2ban/session-cluster.conf");
    let text = std::fs::read_to_string(file).unwrap();
    let client = text.lines().find_map(|line| line.strip_prefix("_client = ")).unwrap();
    let client = client.replace("<HOST>", "(?P<host>[0-9A-Za-z:.]+?)");
    let rests = text.lines().filter_map(|line| Some(line.split_once("%(_client)s")?.1));
    rests.map(|rest| Regex::new(&format!("{client}{rest}")).unwrap()).collect()
}

/// Whom fail2ban would hold responsible, line by line.
fn culprits(log: &str) -> Vec<String> {
    let filter = filter();
    assert_eq!(filter.len(), 2);
    let without_time =
        |line: &str| line.split_once(']').map(|(_, rest)| format!("[]{rest}")).unwrap_or_default();
    let found = log.lines().map(without_time).filter_map(|line| {
        filter.iter().find_map(|pattern| Some(pattern.captures(&line)?["host"].to_owned()))
    });
    found.collect()
}

fn attempt(httpd: &Httpd, user: &str, headers: &[(&str, &str)]) -> u16 {
    let form = [("httpd_username", user), ("httpd_password", "wrong")];
    httpd.browser().post_with("/login", &form, headers).status
}

#[test]
fn a_failed_login_is_an_error_with_client_and_name_and_nobody_can_forge_one() {
    let httpd = Site::new(Mpm::Event).conf("LogLevel warn").start();
    let evil = "y' was refused [client 6.6.6.6:1] SC0301: login of 'x";
    let line = "[Sat Nov 28 12:00:00 2026] [session_cluster:error] [pid 1:tid 1] [client 6.6.6.6:1] SC0301: login of \
                'x' was refused";
    for (user, headers) in [
        ("alice", &[][..]),
        ("nobody", &[]),
        (evil, &[]),
        (line, &[]),
        ("bob", &[("Referer", line), ("User-Agent", line)]),
    ] {
        attempt(&httpd, user, headers);
    }
    let log = httpd.log.text();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("[session_cluster:error]")).collect();
    assert_eq!(said.len(), 5, "{said:#?}");
    assert!(
        said[0].contains("[client 127.0.0.1:") && said[0].contains("SC0301: login of 'alice' was refused")
    );
    assert!(said[1].contains("login of 'nobody' was refused"), "{}", said[1]);
    assert_eq!(culprits(&log), ["127.0.0.1"; 5], "{said:#?}");
    // What another module says of a visitor is not ours.
    httpd.log.allow("core:");
    httpd.browser().get(&format!("/{}", "x%0a".repeat(3)));
    assert_eq!(culprits(&httpd.log.text()).len(), 5);
}

fn too_many_failed_logins_are_said_once(mpm: Mpm) {
    let throttled = "<Location /login>\nSessionClusterThrottle 3 1h\n</Location>";
    let httpd = Site::new(mpm).conf("LogLevel warn").conf(throttled).start();
    for _ in 0..12 {
        attempt(&httpd, "alice", &[]);
    }
    assert_eq!((httpd.log.count("SC0301"), httpd.log.count("SC0313")), (3, 1), "{}", httpd.log.text());
    // Another counter is another matter.
    for _ in 0..12 {
        attempt(&httpd, "bob", &[]);
    }
    assert_eq!((httpd.log.count("SC0301"), httpd.log.count("SC0313")), (6, 2));
    assert_eq!(culprits(&httpd.log.text()), ["127.0.0.1"; 8]);
}

#[test]
fn the_filter_tells_an_address_from_a_port() {
    let line = |client: &str| {
        format!(
            "[Sat Nov 28 12:00:00.000000 2026] [session_cluster:error] [pid 1] [client {client}] SC0301: login of 'x' \
             was refused"
        )
    };
    for (client, address) in [("192.0.2.7:4711", "192.0.2.7"), ("2001:db8::7:4711", "2001:db8::7")] {
        assert_eq!(culprits(&line(client)), [address]);
    }
}

#[test]
fn a_form_that_another_site_sent_is_said() {
    let httpd = Site::new(Mpm::Event).conf("LogLevel warn").start();
    let evil = [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")];
    for _ in 0..3 {
        assert_eq!(attempt(&httpd, "alice", &evil), 403);
        httpd.browser().post_with("/logout", &[], &evil).expect(403);
    }
    let log = httpd.log.text();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("SC0321")).collect();
    // Of the few processes, each says it once in a while.
    assert!((1..=5).contains(&said.len()), "{said:#?}");
    assert!(
        said[0].contains("[session_cluster:warn]") && said[0].contains("https://evil.example"),
        "{}",
        said[0]
    );
    assert!(culprits(&log).is_empty());
}

fn a_mistake_is_said_once_for_each_place(mpm: Mpm) {
    let conf = "LogLevel warn\n\
         <LocationMatch ^/lax>\nSetHandler session-cluster-admin\nSessionClusterAdmin all\n</LocationMatch>\n\
         <LocationMatch ^/other>\nSetHandler session-cluster-admin\nSessionClusterAdmin all\nAuthName other\n\
         </LocationMatch>\n\
         SessionClusterSecret file:secret\n\
         <LocationMatch ^/mine>\nSetHandler session-cluster-mine\n</LocationMatch>";
    let httpd = Site::new(mpm).conf(conf).file("secret", "0123456789abcdef0123456789abcdef\n").start();
    for code in ["SC0303", "SC0315"] {
        httpd.log.allow(code);
    }
    let mut alice = httpd.browser_of("alice");
    let mut visit = || {
        for n in 0..8 {
            httpd.browser().get(&format!("/lax/{n}")).expect(403);
            alice.get(&format!("/mine/{n}")).expect(403);
        }
        httpd.browser().get("/other").expect(403);
    };
    visit();
    assert_eq!((httpd.log.count("SC0303"), httpd.log.count("SC0315")), (2, 1), "{}", httpd.log.text());
    assert!(httpd.log.text().contains("[session_cluster:warn]"));
    // A restart may have mended it: what is still so is said again.
    httpd.restart(Signal::Restart);
    visit();
    assert_eq!((httpd.log.count("SC0303"), httpd.log.count("SC0315")), (4, 2), "{}", httpd.log.text());
}

#[test]
fn an_outage_and_its_end_are_said() {
    let redis = Redis::start();
    let store = format!("LogLevel warn\nSessionClusterStore {}", redis.url());
    let httpd = Site::new(Mpm::Event).conf(&store).start();
    httpd.browser_of("alice");
    httpd.log.allow("SC040");
    redis.stop_hard();
    let patience = Duration::from_secs(10);
    eventually("the outage", patience, || (httpd.log.count("SC0401") == 1).then_some(()));
    redis.restart();
    eventually("its end", patience, || (httpd.log.count("SC0402") == 1).then_some(()));
}

#[test]
fn mistakes_that_can_be_seen_are_refused_beforehand() {
    let door = "<Location /door>\nAuthType Session\nAuthName A\nSessionClusterLogin /login\nRequire valid-user\n\
                </Location>";
    let all = "<Location />\nAuthType Session\nSessionClusterLogin /login\nRequire valid-user\n</Location>";
    let open =
        |handler: &str| format!("<Location /page>\nSetHandler {handler}\nRequire all granted\n</Location>");
    for (conf, code, wrong) in [
        (door, "SC0132", "AuthName 'A'"),
        (&format!("<VirtualHost *>\n{door}\n</VirtualHost>"), "SC0132", "/door"),
        (all, "SC0130", "/login"),
        (&open("session-cluster-admin"), "SC0131", "/page"),
        (&open("session-cluster-mine"), "SC0131", "/page"),
    ] {
        let (passed, said) = Site::new(Mpm::Event).conf(conf).check();
        assert!(!passed && said.contains(code) && said.contains(wrong), "{conf}: {said}");
    }
    // One that runs goes on, with the answers that it gave before.
    let mut httpd = Site::new(Mpm::Event).start();
    httpd.log.allow("SC0128");
    httpd.reconfigure(|_| Site::new(Mpm::Event).conf(door));
    httpd.restart(Signal::Graceful);
    assert_eq!(httpd.log.count("SC0128: SC0132"), 1, "{}", httpd.log.text());
    httpd.browser_of("alice").get("/app/page.html").expect(200);
}
