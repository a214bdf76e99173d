//! Cookies of every kind that a stranger may send: never a server error, never a line in the log, never a session.

use harness::{Browser, Httpd, Mpm, Site, eventually, exchange, on_each_mpm};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

on_each_mpm!(
    strange_cookies_are_no_sessions_and_no_news,
    a_living_session_is_found_among_strange_cookies,
    a_cookie_that_leads_elsewhere_is_led_here_once,
);

fn ask(httpd: &Httpd, path: &str, cookie: &[u8]) -> String {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n").into_bytes();
    request.extend_from_slice(b"Cookie: ");
    request.extend_from_slice(cookie);
    request.extend_from_slice(b"\r\n\r\n");
    exchange(httpd.address(), &request)
}

/// Each in the place of a session cookie.
fn strange() -> Vec<Vec<u8>> {
    let mut cookies: Vec<Vec<u8>> = [
        "",
        "SCID",
        "SCID=",
        "SCID=;",
        "=",
        ";",
        ";;;;",
        "SCID==",
        "SCID=\"\"",
        "SCID=A",
        "SCID=%00",
        "SCID=../../etc",
        "SCID = x",
        "scid=x",
        "__Host-SCID=x",
        "__Secure-SCID=x",
        "SCID=x; SCID=y",
        "SCID=.route",
        "$Version=1; SCID=x",
    ]
    .map(|cookie| cookie.as_bytes().to_vec())
    .to_vec();
    let id = "A".repeat(43);
    for value in [
        id.clone(),                // unknown
        format!("\"{id}\""),       // quoted
        format!("{id}="),          // padded
        format!("{id}A"),          // too long
        format!("{}B", &id[..42]), // another spelling of the same bits
        format!("{}+", &id[..42]), // not of this alphabet
        format!("{id}.node1"),     // with a route
        format!("{id}.{}", "r".repeat(3000)),
        "A".repeat(7000),
    ] {
        cookies.push(format!("SCID={value}").into_bytes());
    }
    cookies.push([b"SCID=".as_slice(), &[0x80, 0xff, 0xfe], b"; a=b"].concat());
    cookies.push([b"SCID=".as_slice(), &[0xc3; 43]].concat());
    cookies.push(vec!["SCID=x"; 500].join("; ").into_bytes());
    cookies.push(vec![format!("SCID={id}"); 100].join("; ").into_bytes());
    cookies
}

fn strange_cookies_are_no_sessions_and_no_news(mpm: Mpm) {
    let httpd = Site::new(mpm).start();
    let mut former = httpd.browser_of("alice");
    let ended = format!("SCID={}", former.session()).into_bytes();
    former.post("/logout", &[]);
    let log = httpd.log.text();
    for cookie in strange().into_iter().chain([ended]) {
        let shown = String::from_utf8_lossy(&cookie);
        let answer = ask(&httpd, "/open/page.html", &cookie);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("open/page"), "{shown}: {answer}");
        let answer = ask(&httpd, "/app/page.html", &cookie);
        assert!(answer.starts_with("HTTP/1.1 401"), "{shown}: {answer}");
        let answer = ask(&httpd, "/whoami", &cookie);
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("\"authenticated\":false"),
            "{shown}: {answer}"
        );
    }
    let news: String = httpd.log.text().replacen(&log, "", 1);
    assert_eq!(news, "", "strangers must not be able to fill the log");
}

fn a_living_session_is_found_among_strange_cookies(mpm: Mpm) {
    let httpd = Site::new(mpm).start();
    let browser = httpd.browser_of("alice");
    let id = browser.session();
    let unknown = "B".repeat(42) + "A";
    for cookie in [
        format!("SCID={id}"),
        format!("a=b; SCID={id}"),
        format!("SCID={id};a=b"),
        format!("  SCID={id}  "),
        format!("SCID=x; SCID={id}"),
        format!("SCID={unknown}; SCID={id}"),
        format!("SCID={id}; SCID={unknown}"),
        format!("SCIDX={unknown}; SCID={id}"),
        format!("SCID={id}.node1"),
        format!("SCID={id}."),
        format!("SCID={id}.{}", "r".repeat(3000)),
        // Two Cookie headers.
        format!("a=b\r\nCookie: SCID={id}"),
        format!("SCID={id}\r\nCookie: a=b"),
    ] {
        let answer = ask(&httpd, "/app/page.html", cookie.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200"), "{cookie}: {answer}");
        assert!(answer.contains("X-User: alice"), "{cookie}: {answer}");
    }
}

#[test]
fn the_name_and_the_attributes_of_the_cookie_are_configurable() {
    let httpd = Site::new(Mpm::Event).conf("SessionClusterCookie MYID Path=/app SameSite=Strict").start();
    let mut browser = httpd.browser();
    let page = browser.login("alice");
    let cookie = page.header("Set-Cookie").unwrap();
    assert!(
        cookie.starts_with("MYID=") && cookie.contains("Path=/app") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    assert!(!cookie.contains("Secure"), "{cookie}");
    browser.get("/app/page.html").expect(200);
}

#[test]
fn a_secure_cookie_has_the_prefix_that_browsers_protect() {
    // As behind a proxy that ends TLS.
    let httpd = Site::new(Mpm::Event).conf("SessionClusterCookie SCID Secure").start();
    let mut browser = httpd.browser();
    let page = browser.login("alice");
    let cookie = page.header("Set-Cookie").unwrap();
    assert!(cookie.starts_with("__Host-SCID=") && cookie.contains("; Secure"), "{cookie}");
    browser.get("/app/page.html").expect(200);
    // The bare name, which a neighbouring host could plant, is not listened to.
    let id = browser.cookies.remove("__Host-SCID").unwrap();
    browser.cookies.insert("SCID".into(), id);
    assert!(browser.get("/app/page.html").is_refused());
}

#[test]
fn over_tls_the_cookie_is_secure_and_prefixed() {
    let httpd = Site::new(Mpm::Event)
        .load(&["ssl"])
        .conf("SSLEngine On\nSSLCertificateFile certificate.pem\nSSLCertificateKeyFile certificate.pem")
        .file("certificate.pem", certificate())
        .start();
    // What mod_ssl thinks of a certificate that signed itself.
    httpd.log.allow("[ssl:warn]");
    let ask = |cookie: &str, arguments: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["-sik", "-H", "Accept: text/html", "-H", &format!("Cookie: {cookie}")]).args(arguments);
        String::from_utf8(curl.output().expect("curl is needed").stdout).unwrap()
    };
    let (login, page) =
        (format!("https://{}/login", httpd.address()), format!("https://{}/app/page.html", httpd.address()));
    let answer = ask("a=b", &["--data", "httpd_username=alice&httpd_password=wonderland", &login]);
    let cookie = answer
        .lines()
        .find_map(|line| line.strip_prefix("Set-Cookie: "))
        .unwrap_or_else(|| panic!("{answer}"));
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    let id = cookie
        .strip_prefix("__Host-SCID=")
        .and_then(|rest| rest.get(..43))
        .unwrap_or_else(|| panic!("{cookie}"));
    assert!(ask(&format!("__Host-SCID={id}"), &[&page]).starts_with("HTTP/1.1 200"));
    assert!(ask(&format!("SCID={id}"), &[&page]).starts_with("HTTP/1.1 303"));
}

/// A key and a certificate that it signed itself.
fn certificate() -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-newkey", "ec"]);
    openssl.args([
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-keyout",
        "/dev/stdout",
        "-out",
        "/dev/stdout",
    ]);
    String::from_utf8(openssl.output().expect("openssl is needed").stdout).unwrap()
}

#[test]
fn a_table_alone_is_enough_to_keep_the_cookie_from_open_pages() {
    let httpd = Site::bare(Mpm::Event)
        .load(&["include", "filter"])
        .conf("SessionClusterTable 16M")
        .conf("<Location /login>\nSetHandler session-cluster-login\n</Location>")
        .conf("<Location /logout>\nSetHandler session-cluster-logout\n</Location>")
        .conf("<Location /app>\nAuthType Session\nRequire valid-user\n</Location>")
        .conf("<Location />\nOptions +Includes\n</Location>\nAddOutputFilter INCLUDES .shtml")
        .conf("LogFormat \"%{Cookie}i %{SCID}C\" cookies\nCustomLog cookies.log cookies")
        .file("htdocs/open/cookie.shtml", "[<!--#echo var=\"HTTP_COOKIE\" -->]\n")
        .start();
    let id = "A".repeat(43);
    let answer = ask(&httpd, "/open/cookie.shtml", format!("a=b; SCID={id}").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("a=b"), "{answer}");
    assert!(!answer.contains(&id), "{answer}");
    let log = eventually("the log", Duration::from_secs(5), || {
        std::fs::read_to_string(httpd.path("cookies.log")).ok().filter(|log| log.contains("a=b"))
    });
    assert!(!log.contains(&id), "{log}");
}

#[test]
fn an_expired_cookie_is_no_news_either() {
    let httpd = Site::new(Mpm::Event).conf("SessionClusterLifetime 1s\nSessionClusterIdle 1s").start();
    let mut browser = httpd.browser_of("alice");
    eventually("the end of the session", Duration::from_secs(10), || {
        browser.get("/app/page.html").is_refused().then_some(())
    });
    let log = httpd.log.text();
    for _ in 0..5 {
        browser.get("/app/page.html");
        browser.get("/open/page.html").expect(200);
    }
    assert_eq!(httpd.log.text(), log);
}

/// The site of node `web1`.
fn web1(mpm: Mpm) -> Site {
    Site::new(mpm).conf("SessionClusterCookie SCID Route=web1 SameSite=Strict")
}

/// The same browser as after a stay at another node; `route` with its dot.
fn stray(browser: &Browser, route: &str) -> Browser {
    let mut stray = browser.clone();
    let id = stray.session().split('.').next().unwrap().to_owned();
    stray.cookies.insert("SCID".into(), format!("{id}{route}"));
    stray
}

fn a_cookie_that_leads_elsewhere_is_led_here_once(mpm: Mpm) {
    let httpd = web1(mpm).start();
    let mut browser = httpd.browser();
    let given = browser.login("alice").header("Set-Cookie").unwrap().to_owned();
    assert!(given.contains(".web1; Path=/; HttpOnly; SameSite=Strict"), "{given}");
    for route in ["", ".", ".web2", ".web", ".web11", ".web1.web1", ".WEB1"] {
        let mut stray = stray(&browser, route);
        // Where nobody asks for the session, nobody looks at it.
        assert_eq!(stray.get("/open/page.html").expect(200).header("Set-Cookie"), None);
        let page = stray.get("/app/page.html").expect(200);
        assert_eq!(page.user(), Some("alice"));
        assert_eq!(page.header("Set-Cookie"), Some(given.as_str()), "{route:?}");
        assert_eq!(page.header("Cache-Control"), Some("no-store"));
        let page = stray.get("/app/page.html").expect(200);
        assert_eq!(
            (page.header("Set-Cookie"), page.header("Cache-Control")),
            (None, Some("private, no-cache"))
        );
    }
    // A handler that looks at the session by itself; one cookie, whatever else it does.
    let page = stray(&browser, ".web2").get("/whoami").expect(200);
    assert_eq!(page.header("Set-Cookie"), Some(given.as_str()));
    assert_eq!(page.header("Cache-Control"), Some("no-store"));
    let head = stray(&browser, ".web2").send("HEAD", "/app/page.html", &[], "").unwrap().expect(200);
    assert_eq!((head.header("Set-Cookie"), head.body.as_str()), (Some(given.as_str()), ""));
    // Cached by the browser, and still what it was.
    let page = browser.get("/app/page.html");
    let known = [("If-None-Match", page.header("ETag").unwrap())];
    let page = stray(&browser, ".web2").get_with("/app/page.html", &known).expect(304);
    assert_eq!(page.header("Set-Cookie"), Some(given.as_str()));
}

#[test]
fn a_login_and_a_logout_go_before_the_route() {
    let httpd = web1(Mpm::Event).start();
    let browser = httpd.browser_of("alice");
    let mut relogin = stray(&browser, ".web2");
    let set = relogin.login("bob").header("Set-Cookie").unwrap().to_owned();
    assert!(set.contains(".web1;") && !set.contains(browser.session()), "{set}");
    let mut leaver = stray(&relogin, ".web2");
    let set = leaver.post("/logout", &[]).expect(200).header("Set-Cookie").unwrap().to_owned();
    assert!(set.starts_with("SCID=; ") && set.contains("Max-Age=0"), "{set}");
    // What is over is led nowhere.
    let page = stray(&relogin, ".web2").get("/app/page.html");
    assert!(page.is_refused() && page.header("Set-Cookie").is_none(), "{page:?}");
}

#[test]
fn error_pages_and_included_pages_lead_here_once() {
    let httpd = web1(Mpm::Event)
        .load(&["include", "filter"])
        .conf("<Location />\nOptions +Includes\n</Location>\nAddOutputFilter INCLUDES .shtml")
        .conf("<Location /app/own>\nErrorDocument 404 /app/sorry.html\n</Location>")
        .conf("<Location /app/closed>\nAuthzSendForbiddenOnFailure On\nRequire user carol\n</Location>")
        .file("htdocs/app/sorry.html", "sorry\n")
        .file(
            "htdocs/app/all.shtml",
            "<!--#include virtual=\"/app/page.html\" -->[<!--#include virtual=\"/whoami\" -->]\n",
        )
        .start();
    httpd.log.allow("AH01631"); // httpd's word for a refusal
    let browser = httpd.browser_of("alice");
    let ours = format!("SCID={}; Path=/; HttpOnly; SameSite=Strict", browser.session());
    for (path, status, part) in [
        ("/app/none.html", 404, "Not Found"),
        ("/app/own/none.html", 404, "sorry"),
        ("/app/closed/page.html", 403, "Forbidden"),
        ("/app/all.shtml", 200, "alice"),
        ("/app/", 200, "app/index"),
    ] {
        let mut stray = stray(&browser, ".web2");
        let page = stray.get(path).expect(status);
        assert!(page.body.contains(part), "{page:?}");
        assert_eq!(page.header("Set-Cookie"), Some(ours.as_str()), "{path}");
        // Error pages say beside it what the page would have said.
        assert!(page.all("Cache-Control").contains(&"no-store"), "{page:?}");
        assert_eq!(stray.get(path).expect(status).header("Set-Cookie"), None, "{path}");
    }
}

#[test]
fn a_superseded_session_is_never_led_here() {
    let httpd = web1(Mpm::Event)
        .conf("<Location /login>\nSessionClusterAttribute role \"tutor\"\n</Location>")
        .conf("<Location /app/fresh>\nSessionClusterRightsAge 300ms\n</Location>")
        .file("htdocs/app/fresh/page.html", "fresh\n")
        .start();
    let browser = httpd.browser_of("alice");
    std::thread::sleep(Duration::from_millis(400));
    let mut first = stray(&browser, ".web2");
    let page = first.get("/app/fresh/page.html").expect(200);
    // The rights are evaluated anew: another session, and its cookie leads here.
    let set = page.header("Set-Cookie").unwrap();
    assert!(set.contains(".web1;") && first.session() != browser.session(), "{set}");
    // A request that was on its way with the old cookie: that must not come back in the place of the new one.
    for path in ["/app/page.html", "/app/fresh/page.html", "/whoami"] {
        let page = stray(&browser, ".web2").get(path).expect(200);
        assert_eq!(page.header("Set-Cookie"), None, "{path}");
    }
    assert_eq!(first.get("/app/page.html").expect(200).header("Set-Cookie"), None);
}

#[test]
fn a_session_that_is_superseded_while_a_page_is_made_is_not_led_here() {
    let mpm = Mpm::Event;
    let httpd = web1(mpm)
        .load(&[mpm.cgi_module()])
        .conf("<Location /login>\nSessionClusterAttribute role \"tutor\"\n</Location>")
        .conf("<Location /app/fresh>\nSessionClusterRightsAge 300ms\n</Location>")
        .conf("<Location /app/slow>\nSetHandler cgi-script\nOptions +ExecCGI\n</Location>")
        .file("htdocs/app/fresh/page.html", "fresh\n")
        .file("htdocs/app/slow/page", SLOW)
        .start();
    let browser = httpd.browser_of("alice");
    std::thread::sleep(Duration::from_millis(400));
    // Where a program may write that runs as httpd's user.
    let signals = httpd.path("signals");
    std::fs::create_dir(&signals).unwrap();
    std::fs::set_permissions(&signals, Permissions::from_mode(0o777)).unwrap();
    let go = signals.join("go");
    let ask_slowly = || {
        let mut slow = stray(&browser, ".web2");
        let begun = signals.join("begun");
        let query = format!("/app/slow/page?{}", signals.display());
        let answer = std::thread::spawn(move || slow.get(&query));
        eventually("the program to begin", Duration::from_secs(10), || std::fs::remove_file(&begun).ok());
        answer
    };
    let undisturbed = ask_slowly();
    std::fs::write(&go, "").unwrap();
    assert!(undisturbed.join().unwrap().expect(200).header("Set-Cookie").unwrap().contains(".web1;"));
    std::fs::remove_file(&go).unwrap();

    let overtaken = ask_slowly();
    stray(&browser, ".web2").get("/app/fresh/page.html").expect(200).header("Set-Cookie").unwrap();
    std::fs::write(&go, "").unwrap();
    let page = overtaken.join().unwrap().expect(200);
    assert_eq!(page.user(), Some("alice"), "it still answers for the grace");
    assert_eq!(page.header("Set-Cookie"), None);
}

/// Says that it has begun, and answers when it is told to, by files in the directory of its query.
const SLOW: &str = "#!/bin/sh\n: >\"$QUERY_STRING/begun\"\nwhile [ ! -e \"$QUERY_STRING/go\" ]; do sleep 0.01; done\n\
    printf 'Content-Type: text/plain\\n\\nslow\\n'\n";

#[test]
fn without_a_route_of_its_own_a_server_leaves_every_cookie_alone() {
    let httpd = Site::new(Mpm::Event).start();
    let browser = httpd.browser_of("alice");
    assert_eq!(browser.session().len(), 43);
    for route in ["", ".web1", ".web2", "."] {
        let page = stray(&browser, route).get("/app/page.html").expect(200);
        assert_eq!((page.user(), page.header("Set-Cookie")), (Some("alice"), None), "{route:?}");
        assert_eq!(page.header("Cache-Control"), Some("private, no-cache"));
    }
}

#[test]
fn one_of_two_cookies_that_leads_here_is_enough() {
    let httpd = web1(Mpm::Event).start();
    let browser = httpd.browser_of("alice");
    let id = browser.session().split('.').next().unwrap();
    let unknown = "A".repeat(43);
    for (cookies, led) in [
        (format!("SCID={id}; SCID={id}.web1"), false),
        (format!("SCID={id}.web1; SCID={unknown}.web2"), false),
        (format!("SCID={id}.web2; SCID={unknown}.web1"), true),
        (format!("SCID={id}.web2; SCID={id}"), true),
    ] {
        let answer = ask(&httpd, "/app/page.html", cookies.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200"), "{cookies}: {answer}");
        assert_eq!(answer.contains("Set-Cookie: "), led, "{cookies}: {answer}");
    }
}
