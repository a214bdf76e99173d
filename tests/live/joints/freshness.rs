//! Rights are as young as a place wants them, and an administrator's refresh is heeded, whichever way a session is used
//! and wherever else it was used before.

use harness::{Browser, Httpd, Mpm, Page, Site, eventually, on_each_mpm};
use std::thread::sleep;
use std::time::{Duration, Instant};

on_each_mpm!(whatever_looks_at_a_session_without_a_door_has_old_rights_asked_anew);

/// `alice:wonderland`.
const ALICE: (&str, &str) = ("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==");
/// Longer than rights may be old in these tests.
const AGE: Duration = Duration::from_millis(450);

/// What the groups' file says while alice is in all groups, and when she is staff no longer.
const ALL: &str = "staff: alice\nguests: alice\nenrolled: alice carol\n";
const NO_STAFF: &str = "staff: nobody\nguests: alice\nenrolled: alice carol\n";
/// When her account is disabled.
const GONE: &str = "staff: nobody\nguests: nobody\nenrolled: carol\n";

/// The site, with rights from a file that changes, and an administrator, carol.
fn site(mpm: Mpm) -> Site {
    Site::new(mpm)
        .load(&["authz_groupfile", "rewrite", "setenvif", "include"])
        .conf("<Location />\nAuthGroupFile groups\nAuthzSendForbiddenOnFailure On\n</Location>")
        .conf(
            "<Location /admin>\nSetHandler session-cluster-admin\nSessionClusterAdmin realm\nAuthType Session\n\
             Require user carol\n</Location>",
        )
        .file("groups", ALL)
}

fn start(site: Site) -> Httpd {
    let httpd = site.start();
    httpd.log.allow("AH0163"); // httpd logs each refusal
    httpd.log.allow("SC0322");
    httpd
}

/// The site with a Basic login that is adopted, and two places of it that ask different questions.
fn two_places(more: &str) -> Site {
    let place = |path: &str, grant: &str, more: &str| {
        format!("<Location /basic/{path}>\nSessionClusterGrant {grant} group {grant}\n{more}\n</Location>\n")
    };
    site(Mpm::Event)
        .conf(
            "<Location /basic>\nAuthType Basic\nAuthName A\nAuthBasicProvider file\nAuthUserFile passwords\n\
             Require valid-user\nSessionClusterAdopt On\n</Location>",
        )
        .conf(
            &(place("a", "staff", &format!("Require session-grant staff\n{more}"))
                + &place("b", "guests", more)),
        )
        .file("htdocs/basic/page.html", "basic\n")
        .file("htdocs/basic/a/page.html", "a\n")
        .file("htdocs/basic/b/page.html", "b\n")
}

fn refresh(httpd: &Httpd, scope: &str, name: &str) {
    let mut carol = httpd.browser_of("carol");
    carol.post("/admin", &[("action", "refresh"), ("scope", scope), ("name", name)]).expect(200);
}

#[test]
fn rights_that_one_place_asks_for_keep_no_others_alive() {
    let httpd = start(two_places("SessionClusterRightsAge 400ms"));
    let mut alice = httpd.browser();
    alice.get_with("/basic/a/page.html", &[ALICE]).expect(200);
    alice.get("/basic/b/page.html").expect(200);
    httpd.write("groups", NO_STAFF);
    // She goes on to visit the other place, which asks for what she still has.
    let (start, mut status) = (Instant::now(), 200);
    while status == 200 && start.elapsed() < Duration::from_secs(3) {
        sleep(Duration::from_millis(150));
        alice.get("/basic/b/page.html").expect(200);
        status = alice.get("/basic/a/page.html").status;
    }
    assert_eq!(status, 403, "what was revoked lives on");
    alice.get("/basic/b/page.html").expect(200);
}

#[test]
fn a_place_with_questions_of_its_own_has_them_answered() {
    let httpd = start(two_places("").conf("<Location /basic/b>\nRequire session-grant guests\n</Location>"));
    let mut alice = httpd.browser();
    alice.get_with("/basic/a/page.html", &[ALICE]).expect(200);
    assert_eq!(alice.get("/basic/b/page.html").status, 200, "it was answered other questions only");
    // Both places again: nothing is asked twice.
    for path in ["/basic/a/page.html", "/basic/b/page.html"] {
        assert_eq!(alice.get(path).expect(200).header("Set-Cookie"), None, "{path}");
    }
}

#[test]
fn a_refresh_is_not_used_up_by_the_place_that_is_visited_first() {
    for (scope, name) in [("user", "alice"), ("group", "staff")] {
        let httpd = start(two_places(""));
        let mut alice = httpd.browser();
        alice.get_with("/basic/a/page.html", &[ALICE]).expect(200);
        alice.get("/basic/b/page.html").expect(200);
        httpd.write("groups", NO_STAFF);
        refresh(&httpd, scope, name);
        alice.get_with("/basic/b/page.html", &[ALICE]).expect(200);
        assert_eq!(alice.get("/basic/a/page.html").status, 403, "{scope}");
        alice.get("/basic/b/page.html").expect(200);
    }
}

/// An application's login, as mod_asis sends it.
const ORDER: &str = "Status: 200 OK\nX-Session-Replace: user=alice\nContent-Type: text/plain\n\nin\n";

#[test]
fn a_refresh_of_an_applications_login_is_not_used_up_either() {
    let httpd = start(
        site(Mpm::Event)
            .conf("<Location /orders>\nSetHandler send-as-is\nSessionClusterBackend On\n</Location>")
            .conf("<Location /app/a>\nSessionClusterGrant staff group staff\nRequire session-grant staff\n</Location>")
            .conf("<Location /app/b>\nSessionClusterGrant guests group guests\n</Location>")
            .file("htdocs/app/a/page.html", "a\n")
            .file("htdocs/app/b/page.html", "b\n")
            .file("htdocs/orders/login", ORDER),
    );
    let mut alice = httpd.browser();
    alice.get("/orders/login").expect(200);
    refresh(&httpd, "user", "alice");
    for path in ["/app/a/page.html", "/app/b/page.html"] {
        assert_eq!(alice.get(path).status, 200, "{path}");
    }
    httpd.write("groups", NO_STAFF);
    refresh(&httpd, "user", "alice");
    alice.get("/app/b/page.html").expect(200);
    assert_eq!(alice.get("/app/a/page.html").status, 403);
}

/// Two virtual hosts of one realm: at `strict` a login asks for `login`, at `lax` not.
fn two_hosts(more: &str) -> Httpd {
    let host = |name: &str, lines: &str| {
        format!(
            "<VirtualHost *:*>\nServerName {name}\nSessionClusterRealm one\n<Location /login>\n{lines}\n</Location>\n\
             </VirtualHost>\n"
        )
    };
    let hosts = host("strict", "SessionClusterGrant login group enrolled") + &host("lax", "");
    start(site(Mpm::Event).conf(&hosts).conf(&format!("<Location /app>\n{more}\n</Location>")))
}

fn at(browser: &mut Browser, host: &str, path: &str) -> Page {
    browser.host = Some(host.into());
    browser.get(path)
}

#[test]
fn a_virtual_host_that_does_not_ask_keeps_no_disabled_account_in_at_one_that_does() {
    for age in ["SessionClusterRightsAge 400ms", ""] {
        let httpd = two_hosts(age);
        let mut alice = httpd.browser();
        alice.host = Some("strict".into());
        alice.login("alice");
        assert_eq!(at(&mut alice, "lax", "/app/page.html").expect(200).user(), Some("alice"));
        httpd.write("groups", GONE);
        if age.is_empty() {
            let mut carol = httpd.browser();
            carol.host = Some("strict".into());
            carol.login("carol");
            carol.post("/admin", &[("action", "refresh"), ("scope", "user"), ("name", "alice")]).expect(200);
        } else {
            sleep(AGE);
        }
        // Here nobody can be asked whether she may stay.
        let lax = at(&mut alice, "lax", "/app/page.html");
        let strict = at(&mut alice, "strict", "/app/page.html");
        assert!(strict.is_refused(), "she is kept in: {strict:?}");
        assert!(lax.is_refused(), "by what is too old: {lax:?}");
        httpd.log.allow("SC0307");
    }
}

/// The role that a browser says its user has, which the login believes.
const TUTOR: (&str, &str) = ("X-Role", "tutor");

fn whatever_looks_at_a_session_without_a_door_has_old_rights_asked_anew(mpm: Mpm) {
    let uses = [
        ("grant", "Require session-grant staff"),
        ("attribute", "Require session-attribute role tutor"),
        ("expr", "Require expr \"'staff' -in SESSION('grants')\""),
        ("value", "Require expr \"%{SESSION:role} == 'tutor'\""),
        ("if", "Require all denied\n<If \"%{SESSION:role} == 'tutor'\">\nRequire all granted\n</If>"),
        ("header", "Header set X-Seen \"expr=%{SESSION:grants}\""),
        ("export", "SessionClusterExport env grants\nHeader set X-Seen \"%{SESSION_GRANTS}e\""),
        ("rewritten", "RewriteEngine On\nRewriteCond expr \"! -n %{SESSION:role}\"\nRewriteRule . - [F]"),
    ];
    let mut site = site(mpm).conf(
        "<Location /login>\nSessionClusterGrant staff group staff\n\
         SessionClusterAttribute role \"%{HTTP:X-Role}\"\n</Location>",
    );
    for (name, lines) in uses {
        let lines = format!(
            "<Location /open/{name}>\nSessionClusterRightsAge 400ms\nOptions +FollowSymLinks\n{lines}\n</Location>"
        );
        site = site.conf(&lines).file(&format!("htdocs/open/{name}/page.html"), name);
    }
    let httpd = start(site);
    let shows = |browser: &mut Browser, name: &str, headers: &[(&str, &str)]| {
        let page = browser.get_with(&format!("/open/{name}/page.html"), headers);
        match name {
            "header" | "export" => page.header("X-Seen").is_some_and(|seen| seen.contains("staff")),
            _ => page.status == 200,
        }
    };
    // Each with a session of its own, so that none is asked anew for another.
    let mut browsers = uses.map(|(name, _)| {
        let mut alice = httpd.browser();
        let form = [("httpd_username", "alice"), ("httpd_password", "wonderland")];
        alice.post_with("/login", &form, &[TUTOR, ("Accept", "text/html")]).expect(303);
        assert!(shows(&mut alice, name, &[TUTOR]), "{name}");
        (name, alice)
    });
    httpd.write("groups", NO_STAFF);
    sleep(AGE);
    for (name, alice) in &mut browsers {
        let before = alice.session().to_owned();
        assert!(!shows(alice, name, &[]), "old rights count: {name}");
        assert_ne!(alice.session(), before, "a session with other rights: {name}");
    }
    httpd.write("groups", ALL);
    sleep(AGE);
    for (name, alice) in &mut browsers {
        assert!(shows(alice, name, &[TUTOR]), "new rights count too: {name}");
    }
}

#[test]
fn a_refresh_is_heeded_where_there_is_no_door() {
    let httpd = start(
        site(Mpm::Event)
            .conf("<Location /login>\nSessionClusterGrant staff group staff\n</Location>")
            .conf("<Location /open>\nRequire session-grant staff\n</Location>"),
    );
    let mut alice = httpd.browser_of("alice");
    alice.get("/open/page.html").expect(200);
    httpd.write("groups", NO_STAFF);
    alice.get("/open/page.html").expect(200);
    refresh(&httpd, "group", "staff");
    assert_eq!(alice.get("/open/page.html").status, 403);
}

#[test]
fn rights_that_cannot_be_asked_do_not_count_and_are_not_lost() {
    let httpd =
        start(two_places("").conf(
            "<Location /open>\nRequire session-grant staff\nSessionClusterRightsAge 400ms\n</Location>",
        ));
    let mut alice = httpd.browser();
    alice.get_with("/basic/a/page.html", &[ALICE]).expect(200);
    alice.get("/open/page.html").expect(200);
    sleep(AGE);
    let page = alice.get("/open/page.html").expect(403);
    assert_eq!(page.header("Set-Cookie"), None, "{page:?}");
    assert!(httpd.log.count("SC0322") > 0);
    // Where they may be of any age, they count.
    let page = alice.get("/basic/a/page.html").expect(200);
    assert_eq!(page.header("Set-Cookie"), None, "{page:?}");
}

#[test]
fn what_is_included_in_a_page_sees_no_old_rights_and_begins_no_session() {
    let httpd = start(
        site(Mpm::Event)
            .conf("SessionClusterGrace 200ms\n<Location /login>\nSessionClusterGrant staff group staff\n</Location>")
            .conf("<Location /open/staff>\nRequire session-grant staff\nSessionClusterRightsAge 400ms\n</Location>")
            .conf("<Location /open/ssi>\nOptions +Includes\nSetOutputFilter INCLUDES\n</Location>")
            .file("htdocs/open/staff/page.html", "for staff only\n")
            .file("htdocs/open/ssi/page.html", "<!--#include virtual=\"/open/staff/page.html\" -->\n"),
    );
    httpd.log.allow("unable to include");
    let mut alice = httpd.browser_of("alice");
    let sees = |alice: &mut Browser| {
        let page = alice.get("/open/ssi/page.html").expect(200);
        assert_eq!(page.header("Set-Cookie"), None, "{page:?}");
        page.body.contains("for staff only")
    };
    assert!(sees(&mut alice));
    httpd.write("groups", NO_STAFF);
    sleep(AGE);
    assert!(!sees(&mut alice), "old rights count");
    // Nor was its session superseded by one whose cookie nobody got.
    sleep(Duration::from_millis(400));
    alice.get("/app/page.html").expect(200);
    httpd.write("groups", ALL);
    assert!(alice.get("/open/staff/page.html").expect(200).header("Set-Cookie").is_some());
    assert!(sees(&mut alice));
}

#[test]
fn a_log_that_asks_for_rights_sees_no_old_ones_and_takes_no_session_from_its_browser() {
    let httpd = start(
        site(Mpm::Event)
            .conf("SessionClusterGrace 200ms\nLogFormat \"%m %U %>s\" staff")
            .conf("CustomLog staff.log staff \"expr=%{SESSION:grants} == 'staff'\"")
            .conf("<Location /login>\nSessionClusterGrant staff group staff\n</Location>")
            .conf("<Location /open>\nSessionClusterRightsAge 400ms\n</Location>"),
    );
    let mut alice = httpd.browser_of("alice");
    let asked = |alice: &mut Browser, method: &str| {
        let page = alice.send(method, "/open/page.html", &[], "").unwrap();
        assert_eq!(page.header("Set-Cookie"), None, "{page:?}");
        page
    };
    let etag = asked(&mut alice, "GET").expect(200).header("ETag").unwrap().to_owned();
    let log = || std::fs::read_to_string(httpd.path("staff.log")).unwrap();
    eventually("a line of the log", Duration::from_secs(5), || {
        log().contains("GET /open/page").then_some(())
    });
    sleep(AGE);
    let before = log();
    asked(&mut alice, "GET").expect(200);
    asked(&mut alice, "HEAD").expect(200);
    alice.get_with("/open/page.html", &[("If-None-Match", &etag)]).expect(304);
    alice.get("/open/nowhere").expect(404);
    // None of them has taken the session's place, with a cookie that nobody got.
    sleep(Duration::from_millis(400));
    alice.get("/app/page.html").expect(200);
    eventually("another line", Duration::from_secs(5), || log().contains("/app/page").then_some(()));
    let lines = log().replacen(&before, "", 1);
    assert!(!lines.contains("/open"), "old rights count: {lines}");
}

#[test]
fn when_nobody_can_tell_somebodys_rights_nothing_is_shown_and_nothing_ends() {
    let place = "SessionClusterRightsAge 400ms";
    let mut httpd = Httpd::new(
        site(Mpm::Event)
            .conf(&format!("<Location /app>\n{place}\n</Location>"))
            .conf(&format!("<Location /open>\n{place}\nSessionClusterExport env role\n</Location>"))
            .conf(&format!(
                "<Location /open/staff>\n{place}\nRequire session-attribute role tutor\n</Location>"
            ))
            .file("htdocs/open/staff/page.html", "for staff only\n")
            .file("role", "tutor"),
    );
    let role = httpd.path("role");
    httpd.reconfigure(|site| {
        let role = role.display();
        site.conf(&format!(
            "<Location /login>\nSessionClusterAttribute role \"%{{file:{role}}}\"\n</Location>"
        ))
    });
    httpd.start();
    let mut alice = httpd.browser_of("alice");
    let before = alice.session().to_owned();
    let pages = ["/app/page.html", "/open/page.html", "/open/staff/page.html"];
    let statuses = |alice: &mut Browser| pages.map(|path| alice.get(path).status);
    assert_eq!(statuses(&mut alice), [200; 3]);
    std::fs::rename(&role, httpd.path("away")).unwrap();
    sleep(AGE);
    ["SC0306", "AH0163", "Cannot open file"].iter().for_each(|line| httpd.log.allow(line));
    // httpd has no other word for a Require line that cannot tell.
    assert_eq!(statuses(&mut alice), [503, 503, 500]);
    assert_eq!(alice.session(), before);
    std::fs::rename(httpd.path("away"), &role).unwrap();
    assert_eq!(statuses(&mut alice), [200; 3]);
}

#[test]
fn questions_about_the_session_itself_are_answered_and_end() {
    let httpd = start(
        site(Mpm::Event)
            .conf(
                "<Location /login>\nSessionClusterGrant staff group staff\n\
                 SessionClusterGrant again session-grant staff\nSessionClusterAttribute role \"%{SESSION:role}x\"\n\
                 Require expr \"-z %{SESSION:nobody}\"\n\
                 SessionClusterAttribute nobody \"%{reqenv:NOBODY}\"\n</Location>",
            )
            .conf(
                "<Location /app>\nSessionClusterRightsAge 400ms\nHeader set X-Role \"expr=%{SESSION:role}\"\n\
                 </Location>",
            ),
    );
    let mut alice = httpd.browser_of("alice");
    for _ in 0..2 {
        sleep(AGE);
        let page = alice.get("/app/page.html").expect(200);
        assert!(page.header("Set-Cookie").is_some(), "{page:?}");
        assert_eq!(page.header("X-Role"), Some("x"), "what is asked is no answer to itself: {page:?}");
    }
}

#[test]
fn a_session_that_is_superseded_for_the_sake_of_something_else_keeps_no_old_rights() {
    let order =
        "#!/bin/sh\nprintf 'X-Session-Update: colour=%s\\r\\nContent-Type: text/plain\\r\\n\\r\\nx\\n' $$\n";
    let conf = "ScriptSock cgid\nScriptAlias /order cgi/order.sh\n<Location /order>\nSessionClusterBackend On\n\
                </Location>\n\
                <Location /login>\nSessionClusterGrant staff group staff\n</Location>\n\
                <Location /app/bank>\nSessionClusterRightsAge 400ms\nRequire session-grant staff\n</Location>";
    let httpd = site(Mpm::Event)
        .load(&["cgid"])
        .conf(conf)
        .file("cgi/order.sh", order)
        .file("htdocs/app/bank/page.html", "bank\n");
    let httpd = start(httpd);
    ["cgid", "SC0310"].iter().for_each(|line| httpd.log.allow(line));
    eventually("cgid", Duration::from_secs(5), || {
        (httpd.browser().get("/order").status == 200).then_some(())
    });
    let mut alice = httpd.browser_of("alice");
    alice.get("/app/bank/page.html").expect(200);
    httpd.write("groups", NO_STAFF);
    sleep(AGE);
    // What has superseded it was made of the same rights.
    let mut before = alice.clone();
    alice.get("/order").expect(200);
    assert_ne!(alice.session(), before.session());
    before.get("/app/bank/page.html").expect(403);
    before.get("/app/page.html").expect(200);
    httpd.write("groups", ALL);
    before.get("/app/bank/page.html").expect(200);
}
