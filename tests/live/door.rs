//! A door: `AuthType Session`. Who comes in, who is sent where, and what the pages behind it are told.

use harness::{Mpm, Site, eventually, exchange, on_each_mpm};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

on_each_mpm!(
    people_are_sent_to_the_login_page_and_programs_get_401,
    an_application_sees_the_user_and_not_the_session_cookie,
    requests_within_requests_know_the_user_too,
);

fn people_are_sent_to_the_login_page_and_programs_get_401(mpm: Mpm) {
    let httpd = Site::new(mpm).start();
    let mut browser = httpd.browser();
    let to_login = |page: &harness::Page| {
        let location = page.location();
        let path = location.strip_prefix(&format!("http://{}", httpd.address())).unwrap_or(location);
        assert_eq!(path, "/login?to=%2Fapp%2Fpage.html%3Fx%3D1", "{page:?}");
        assert!(page.status == 302 || page.status == 303, "{page:?}");
    };
    to_login(&browser.get_with("/app/page.html?x=1", &[("Accept", "text/html,*/*;q=0.8")]));
    to_login(
        &browser.get_with("/app/page.html?x=1", &[("Sec-Fetch-Mode", "navigate"), ("Accept", "text/html")]),
    );

    let page = browser.get_with("/app/page.html", &[("Accept", "application/json")]).expect(401);
    assert!(page.header("WWW-Authenticate").is_some(), "{page:?}");
    assert!(!page.header("WWW-Authenticate").unwrap().starts_with("Basic"), "browsers would ask: {page:?}");
    browser.get_with("/app/page.html", &[("Sec-Fetch-Mode", "cors"), ("Accept", "text/html")]).expect(401);
    let xhr = [("X-Requested-With", "XMLHttpRequest"), ("Accept", "text/html")];
    browser.get_with("/app/page.html", &xhr).expect(401);
    browser.post("/app/page.html", &[("a", "b")]).expect(401);
    browser.get("/open/page.html").expect(200);
}

fn an_application_sees_the_user_and_not_the_session_cookie(mpm: Mpm) {
    let script = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nenv | sort\n";
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("ProxyPass /app/proxied http://{}/", backend.local_addr().unwrap());
    let httpd = Site::new(mpm)
        .load(&[mpm.cgi_module(), "proxy", "proxy_http"])
        .conf("ScriptAlias /app/env cgi/env.sh")
        .conf("<IfModule mod_cgid.c>\nScriptSock cgid\n</IfModule>")
        .conf(&proxy)
        .file("cgi/env.sh", script)
        .start();
    let mut browser = httpd.browser_of("alice");
    let id = browser.session().to_owned();
    browser.cookies.insert("A".into(), "1".into());
    browser.cookies.insert("Z".into(), "2".into());

    // The script's own process may still be on its way up.
    let page = eventually("cgid", Duration::from_secs(5), || {
        Some(browser.get("/app/env")).filter(|p| p.status == 200)
    });
    let line = |name: &str| page.body.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    assert_eq!((line("REMOTE_USER"), line("AUTH_TYPE")), (Some("alice"), Some("Session")), "{}", page.body);
    assert_eq!(line("HTTP_COOKIE"), Some("A=1; Z=2"));
    let log_id = line("SESSION_LOGID").expect("SESSION_LOGID");
    assert!(log_id.len() == 12 && log_id.bytes().all(|b| b.is_ascii_hexdigit()), "{log_id}");
    assert!(!page.body.contains(&id));

    let answering = std::thread::spawn(move || {
        let (mut stream, _) = backend.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").unwrap();
        String::from_utf8(head).unwrap()
    });
    browser.get("/app/proxied").expect(200);
    let head = answering.join().unwrap();
    assert!(head.to_lowercase().contains("\r\ncookie: a=1; z=2\r\n"), "{head}");
    assert!(!head.contains(&id), "{head}");

    // With no other cookie, there is no Cookie header left.
    browser.cookies.retain(|name, _| name == "SCID");
    assert!(!browser.get("/app/env").expect(200).body.contains("HTTP_COOKIE"));
}

fn requests_within_requests_know_the_user_too(mpm: Mpm) {
    let httpd = Site::new(mpm)
        .load(&["include", "filter"])
        .conf("<Location />\nOptions +Includes\n</Location>\nAddOutputFilter INCLUDES .shtml")
        .conf("ErrorDocument 404 /app/missing.shtml")
        .file("htdocs/app/part.shtml", "[part <!--#echo var=\"REMOTE_USER\" -->]\n")
        .file("htdocs/app/missing.shtml", "[missing <!--#echo var=\"REMOTE_USER\" -->]\n")
        .file(
            "htdocs/app/whole.shtml",
            "[whole <!--#echo var=\"REMOTE_USER\" -->]<!--#include virtual=\"part.shtml\" -->",
        )
        .start();
    let mut browser = httpd.browser_of("alice");
    let page = browser.get("/app/whole.shtml").expect(200);
    assert!(page.body.contains("[whole alice][part alice]"), "{}", page.body);
    let page = browser.get("/app/").expect(200);
    assert_eq!((page.user(), page.body.as_str()), (Some("alice"), "app/index\n"));
    let page = browser.get("/app/nowhere").expect(404);
    assert!(page.body.contains("[missing alice]"), "{}", page.body);
}

#[test]
fn every_session_has_a_log_id_of_its_own() {
    let httpd = Site::new(Mpm::Event).start();
    let log_id = |page: harness::Page| page.header("X-Session").unwrap().to_owned();
    let (mut one, mut two) = (httpd.browser_of("alice"), httpd.browser_of("alice"));
    let first = log_id(one.get("/app/page.html"));
    assert_eq!(first, log_id(one.get("/app/index.html")));
    assert_ne!(first, log_id(two.get("/app/page.html")));
    assert_eq!(log_id(httpd.browser().get("/open/page.html")), "(null)");
}

#[test]
fn a_login_page_behind_its_own_door_is_refused_and_not_a_loop() {
    let httpd = Site::new(Mpm::Event)
        .conf("<LocationMatch />\nAuthType Session\nSessionClusterLogin /login\nRequire valid-user\n</LocationMatch>")
        .start();
    httpd.log.allow("SC0210");
    for _ in 0..3 {
        httpd.browser().get("/login").expect(403);
    }
    assert_eq!(httpd.log.count("SC0210"), 1, "once for the place");
}

#[test]
fn a_user_who_may_not_come_in_is_not_sent_to_log_in_again_for_ever() {
    let httpd = Site::new(Mpm::Event)
        .conf("<Location /app/alice>\nRequire user alice\n</Location>")
        .file("htdocs/app/alice/page.html", "for alice\n")
        .start();
    httpd.log.allow("AH01631");
    httpd.browser_of("alice").get("/app/alice/page.html").expect(200);
    let page = httpd.browser_of("bob").get("/app/alice/page.html");
    assert!(page.status == 403 || page.status == 401, "{page:?}");
}

#[test]
fn a_closed_door_within_an_open_page_leaves_the_page_open() {
    let httpd = Site::new(Mpm::Event)
        .load(&["include", "autoindex"])
        .conf("<Location />\nOptions +Includes +Indexes\n</Location>\nAddOutputFilter INCLUDES .shtml")
        .file("htdocs/open/whole.shtml", "[open]<!--#include virtual=\"/app/page.html\" -->")
        .file("htdocs/list/page.html", "listed\n")
        .file("htdocs/list/inner/page.html", "listed\n")
        .conf("<Location /list/inner>\nAuthType Session\nSessionClusterLogin /login\nRequire valid-user\n</Location>")
        .start();
    // mod_include's own remark.
    httpd.log.allow("AH01372");
    httpd.log.allow("AH01373");
    httpd.log.allow("unable to include");
    let page = httpd.browser().get("/open/whole.shtml").expect(200);
    assert!(page.body.contains("[open]") && !page.body.contains("app/page"), "{page:?}");
    assert_eq!(page.header("Location"), None);
    let page = httpd.browser_of("alice").get("/open/whole.shtml").expect(200);
    assert!(page.body.contains("[open]app/page"), "{page:?}");
    let page = httpd.browser().get("/list/").expect(200);
    assert!(page.body.contains("page.html") && !page.body.contains("inner"), "{page:?}");
    assert_eq!(page.header("Location"), None);
}

#[test]
fn the_login_form_may_be_the_error_page() {
    let httpd = Site::new(Mpm::Event)
        .conf("ErrorDocument 401 /login\n<Location /door>\nAuthType Session\nRequire valid-user\n</Location>")
        .start();
    let browser = [("Accept", "text/html")];
    let mut visitor = httpd.browser();
    let page = visitor.get_with("/open/nothing.html", &browser).expect(404);
    assert!(!page.body.contains("httpd_password"), "{page:?}");
    // A door without an address of a login leaves the answer to httpd.
    let page = visitor.get_with("/door/page.html", &browser).expect(401);
    assert!(page.body.contains("httpd_password"), "{page:?}");
    assert!(page.header("WWW-Authenticate").is_some(), "{page:?}");
    let page = httpd.browser().post("/app/page.html", &[("a", "b")]).expect(401);
    assert_eq!(page.header("Set-Cookie"), None);
}

#[test]
fn the_login_page_may_be_on_another_host() {
    let httpd = Site::new(Mpm::Event)
        .conf("<Location /app>\nSessionClusterLogin https://login.example/in?site=1\n</Location>")
        .start();
    let page = httpd.browser().get("/app/page.html?a=b&c").expect(303);
    assert_eq!(page.location(), "https://login.example/in?site=1&to=%2Fapp%2Fpage.html%3Fa%3Db%26c");
}

#[test]
fn other_ways_in_still_work_beside_a_session() {
    let httpd = Site::new(Mpm::Event)
        .load(&["authz_host"])
        .conf("<Location /app>\n<RequireAny>\nRequire valid-user\nRequire ip 127.0.0.2\n</RequireAny>\n</Location>")
        .conf("<Location /open>\nAuthType Session\nRequire all granted\n</Location>")
        .start();
    assert!(httpd.browser().get("/app/page.html").is_refused());
    httpd.browser_of("alice").get("/app/page.html").expect(200);
    httpd.browser().get("/open/page.html").expect(200);
}

#[test]
fn virtual_hosts_share_sessions_only_in_a_common_realm() {
    let hosts = |realm: &str| {
        let host = |name: &str| {
            let door = "<Location /app>\nAuthType Session\nRequire valid-user\n</Location>";
            let login = "<Location /login>\nSetHandler session-cluster-login\nSessionClusterAuthn file\n\
                         AuthUserFile passwords\n</Location>";
            format!("<VirtualHost *:*>\nServerName {name}\n{realm}\n{login}\n{door}\n</VirtualHost>\n")
        };
        Site::bare(Mpm::Event).conf(&(host("one.example") + &host("two.example"))).start()
    };
    let visit = |realm: &str| {
        let httpd = hosts(realm);
        let mut browser = httpd.browser();
        browser.host = Some("one.example".into());
        browser.login("alice");
        browser.get("/app/page.html").expect(200);
        browser.host = Some("two.example".into());
        browser.get("/app/page.html").status
    };
    assert_eq!(visit(""), 401);
    assert_eq!(visit("SessionClusterRealm both"), 200);
}

#[test]
fn old_and_terse_clients_are_served() {
    let httpd = Site::new(Mpm::Event).start();
    let id = httpd.browser_of("alice").session().to_owned();
    let answer = exchange(
        httpd.address(),
        format!("GET /app/page.html HTTP/1.0\r\nCookie: SCID={id}\r\n\r\n").as_bytes(),
    );
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = exchange(httpd.address(), b"GET /app/page.html HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[test]
fn a_login_for_one_name_does_not_open_the_door_of_another() {
    let httpd = Site::new(Mpm::Event)
        .conf("<Location /login>\nAuthName Front\n</Location>\n<LocationMatch ^/app>\nAuthName Back\n</LocationMatch>")
        .start();
    assert!(httpd.browser().get("/app/page.html").is_refused());
    // Who has just logged in is not sent to log in again.
    let page = httpd.browser_of("alice").get("/app/page.html").expect(403);
    assert_eq!(page.header("Location"), None);
    let log = httpd.log.text();
    let said: Vec<_> = log.lines().filter(|line| line.contains("SC0211")).collect();
    assert!(matches!(said[..], [line] if line.contains("[session_cluster:warn]")), "{said:?}");
    httpd.log.allow("SC0211");
}

#[test]
fn names_that_are_not_utf8_are_told_apart() {
    let doors = b"<Location /login>\nAuthName \"B\xfcro A\"\n</Location>\n\
                  <Location /app>\nAuthName \"B\xfcro A\"\n</Location>\n\
                  <Location /open>\nAuthType Session\nAuthName \"B\xfcro B\"\nRequire valid-user\n</Location>\n";
    let httpd = Site::new(Mpm::Event).file("doors.conf", doors).conf("Include doors.conf").start();
    httpd.log.allow("SC0211");
    let mut browser = httpd.browser_of("alice");
    browser.get("/app/page.html").expect(200);
    browser.get("/open/page.html").expect(403);
}

#[test]
fn a_shared_cache_keeps_no_page_behind_a_door() {
    let backend = Site::bare(Mpm::Event)
        .conf("Header always unset X-User\nHeader set Cache-Control \"public, max-age=600\"")
        .start();
    let proxy = |path: &str| format!("ProxyPass {path}/shared http://{}/open", backend.address());
    let httpd = Site::new(Mpm::Event)
        .load(&["proxy", "proxy_http", "cache", "cache_socache", "socache_shmcb"])
        .conf("CacheSocache shmcb\nCacheEnable socache /\nCacheHeader On")
        .conf(&proxy("/app"))
        .conf(&proxy("/open"))
        .start();
    let hit = |page: &harness::Page| page.header("X-Cache").is_some_and(|x| x.starts_with("HIT"));
    httpd.browser().get("/open/shared/page.html").expect(200);
    assert!(hit(&httpd.browser().get("/open/shared/page.html").expect(200)), "the cache does not work");

    let mut alice = httpd.browser_of("alice");
    for _ in 0..3 {
        let page = alice.get("/app/shared/page.html").expect(200);
        assert_eq!(page.user(), Some("alice"));
        assert!(page.all("Cache-Control").join(", ").contains("private"), "{page:?}");
        assert!(!hit(&page), "{page:?}");
    }
    for mut stranger in [httpd.browser(), httpd.browser_of("bob")] {
        let page = stranger.get("/app/shared/page.html");
        assert!(page.is_refused() || page.user() == Some("bob"), "{page:?}");
        assert!(!hit(&page), "{page:?}");
    }
}

#[test]
fn virtual_hosts_without_a_directive_of_their_own_share_no_sessions() {
    let host = |name: &str| format!("<VirtualHost *:*>\nServerName {name}\n</VirtualHost>\n");
    let httpd = Site::new(Mpm::Event).conf(&(host("one.example") + &host("two.example"))).start();
    let mut browser = httpd.browser();
    browser.host = Some("one.example".into());
    browser.login("alice");
    browser.get("/app/page.html").expect(200);
    browser.host = Some("two.example".into());
    assert!(browser.get("/app/page.html").is_refused());
}
