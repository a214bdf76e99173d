//! Cookies of every kind that a stranger may send: never a server error, never a line in the log, never a session.

use crate::harness::{Httpd, Mpm, Site, eventually, exchange, on_each_mpm};
use std::process::Command;
use std::time::Duration;

on_each_mpm!(strange_cookies_are_no_sessions_and_no_news, a_living_session_is_found_among_strange_cookies);

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
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("a=b]"), "{answer}");
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
