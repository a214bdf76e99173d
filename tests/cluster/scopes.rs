//! All sessions of a user, or of all users, ended or refreshed at once, on every node.

use super::nodes::Nodes;
use harness::Mpm;
use harness::redis::Redis;

const AUTH: &[(&str, &str)] = &[("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")];

#[test]
fn an_administrator_ends_all_sessions_of_a_user() {
    let redis = Redis::start();
    let nodes = Nodes::over(&redis.url());
    let browsers: Vec<_> = (0..3).map(|n| nodes.login(n, "alice")).collect();
    let bob = nodes.login(0, "bob");
    let mut carol = nodes.login(1, "carol");
    nodes.httpds[0].log.allow("AH01631"); // httpd's own word on it
    assert_eq!(nodes.at(0, &bob).get("/admin").status, 401, "not everybody's");
    let form = [("action", "end"), ("scope", "user"), ("name", "alice")];
    let done = carol.post("/admin", &form).expect(200);
    assert!(done.body.contains("the sessions of user alice: done"), "{done:?}");
    nodes.httpds[1].log.allow("SC0304");
    for (i, browser) in browsers.iter().enumerate() {
        for n in 0..3 {
            nodes.until_refused(n, browser);
        }
        assert_eq!(nodes.at(i, browser).get("/whoami").json()["reason"], "epoch");
        nodes.at(i, &bob).get("/app/page.html").expect(200);
        nodes.login(i, "alice");
    }
    let mut again = nodes.login(2, "alice");
    again.get("/app/page.html").expect(200);
    carol.post("/admin", &[("action", "end"), ("scope", "all")]).expect(200);
    for browser in [&again, &bob, &carol] {
        for n in 0..3 {
            nodes.until_refused(n, browser);
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let redis = Redis::start();
    let nodes = Nodes::with(
        Mpm::Event,
        1,
        &[&redis.url()],
        "<LocationMatch ^/lax>\nSetHandler session-cluster-admin\nSessionClusterAdmin all\n</LocationMatch>",
    );
    let mut carol = nodes.login(0, "carol");
    for form in [
        &[("action", "end"), ("scope", "user")][..],
        &[("action", "end"), ("scope", "user"), ("name", "a\nb")],
        &[("action", "stop"), ("scope", "all")],
        &[("action", "end"), ("scope", "world")],
        &[("scope", "all")],
    ] {
        carol.post("/admin", form).expect(400);
    }
    carol
        .post_with("/admin", &[("action", "end"), ("scope", "all")], &[("Sec-Fetch-Site", "cross-site")])
        .expect(403);
    carol.get("/app/page.html").expect(200);
    let mut nobody = nodes.httpds[0].browser();
    nobody.post("/lax", &[("action", "end"), ("scope", "all")]).expect(403);
    nodes.httpds[0].log.allow("SC0303");
    carol.get("/app/page.html").expect(200);
}

#[test]
fn a_refresh_has_an_adopted_user_vouched_for_again_on_every_node() {
    let redis = Redis::start();
    let adopt = "<Location /open>\nAuthType Basic\nAuthName Basic\nAuthBasicProvider file\nAuthUserFile passwords\n\
                 Require valid-user\nSessionClusterAdopt On\n</Location>";
    let nodes = Nodes::with(Mpm::Event, 2, &[&redis.url()], adopt);
    let mut alice = nodes.httpds[0].browser();
    alice.get_with("/open/page.html", AUTH).expect(200);
    assert_eq!(nodes.at(1, &alice).get("/open/page.html").expect(200).user(), Some("alice"));
    let mut carol = nodes.login(0, "carol");
    carol.post("/admin", &[("action", "refresh"), ("scope", "user"), ("name", "alice")]).expect(200);
    nodes.httpds[0].log.allow("SC0304");
    let mut there = nodes.at(1, &alice);
    harness::eventually("the refresh", std::time::Duration::from_secs(2), || {
        (there.get("/open/page.html").status == 401).then_some(())
    });
    let old = there.session().to_owned();
    there.get_with("/open/page.html", AUTH).expect(200);
    assert_ne!(there.session(), old, "a new session");
    there.get("/open/page.html").expect(200);
    nodes.at(0, &there).get("/open/page.html").expect(200);
}
