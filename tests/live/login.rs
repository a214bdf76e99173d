//! The login form and what a login gives: one cookie, a way back, and nothing for strangers.

use super::provider::{kept, shop_all_over};
use harness::{Browser, Mpm, Page, Site, exchange, on_each_mpm};

on_each_mpm!(
    a_login_gives_exactly_one_cookie_and_opens_the_door,
    a_failed_login_gives_no_cookie_and_tells_no_more_than_that,
    posts_from_other_sites_are_refused,
);

fn form<'a>(user: &'a str, password: &'a str) -> [(&'static str, &'a str); 2] {
    [("httpd_username", user), ("httpd_password", password)]
}

fn is_session_id(value: &str) -> bool {
    value.len() == 43 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn a_login_gives_exactly_one_cookie_and_opens_the_door(mpm: Mpm) {
    let httpd = Site::new(mpm).start();
    let mut browser = httpd.browser();
    assert!(browser.get("/app/page.html").is_refused());

    let page = browser.login("alice");
    let cookie = page.header("Set-Cookie").expect("a cookie");
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert!(is_session_id(pair.strip_prefix("SCID=").unwrap()), "{cookie}");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
    assert_eq!(page.location(), "/");

    let page = browser.get("/app/page.html").expect(200);
    assert_eq!((page.user(), page.header("X-Auth-Type")), (Some("alice"), Some("Session")));
    assert_eq!(page.header("Set-Cookie"), None, "a page view is no reason for a new cookie");
}

fn a_failed_login_gives_no_cookie_and_tells_no_more_than_that(mpm: Mpm) {
    let httpd = Site::new(mpm).start();
    let mut browser = httpd.browser();
    let attempt = |browser: &mut Browser, user: &str, password: &str| {
        let page = browser.post("/login", &form(user, password)).expect(422);
        assert_eq!(page.header("Set-Cookie"), None);
        assert!(page.body.contains("httpd_password"), "the form again: {page:?}");
        assert!(!page.body.contains(password) || password.is_empty(), "the password comes back: {page:?}");
        page.body.replace(user, "USER")
    };
    let wrong_password = attempt(&mut browser, "alice", "looking-glass");
    let unknown_user = attempt(&mut browser, "mallo", "looking-glass");
    assert_eq!(wrong_password, unknown_user);
    attempt(&mut browser, "alice", "");
    assert!(browser.get("/app/page.html").is_refused());
    assert_eq!(httpd.log.count("looking-glass"), 0, "a password in the log");
}

fn posts_from_other_sites_are_refused(mpm: Mpm) {
    let httpd = Site::new(mpm).start();
    let own = format!("http://{}", httpd.address());
    let other_port = format!("http://127.0.0.1:{}", httpd.address().port() - 1);
    let post = |headers: &[(&str, &str)]| -> Page {
        httpd.browser().post_with("/login", &form("alice", "wonderland"), headers)
    };
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Origin", &other_port),
    ] {
        let page = post(&[(name, value)]).expect(403);
        assert_eq!(page.header("Set-Cookie"), None, "{name}: {value}");
    }
    // The browser's own word counts for more than an Origin; scripts and old forms send neither.
    post(&[("Sec-Fetch-Site", "cross-site"), ("Origin", &own)]).expect(403);
    for headers in
        [&[("Sec-Fetch-Site", "same-origin")][..], &[("Sec-Fetch-Site", "none")], &[("Origin", &own)], &[]]
    {
        post(headers).expect(303);
    }
}

#[test]
fn the_form_has_the_field_names_that_login_pages_know() {
    let httpd = Site::new(Mpm::Event).start();
    let page = httpd.browser().get("/login?to=%2Fapp%2Fpage.html").expect(200);
    assert!(page.header("Content-Type").unwrap().starts_with("text/html"), "{page:?}");
    assert!(page.header("Cache-Control").is_some_and(|value| value.contains("no-store")), "{page:?}");
    for field in ["httpd_username", "httpd_password", "httpd_location"] {
        assert!(page.body.contains(&format!("name=\"{field}\"")), "{field}: {}", page.body);
    }
    assert!(page.text().contains("/app/page.html"), "{}", page.body);
    assert!(page.body.to_lowercase().contains("method=\"post\""), "{}", page.body);
    httpd.browser().send("HEAD", "/login", &[], "").unwrap().expect(200);
}

#[test]
fn a_login_leads_back_to_where_the_visitor_wanted_to_go() {
    let httpd = Site::new(Mpm::Event).start();
    let mut browser = httpd.browser();
    let login = browser.get("/app/page.html?a=1&b=%2F").location().to_owned();
    let path = login.strip_prefix(&format!("http://{}", httpd.address())).unwrap_or(&login).to_owned();
    let page = browser.get(&path).expect(200);
    assert!(page.text().contains("/app/page.html?a=1&amp;b=%2F"), "{}", page.body);

    let mut fields = form("alice", "wonderland").to_vec();
    fields.push(("httpd_location", "/app/page.html?a=1&b=%2F"));
    assert_eq!(browser.post("/login", &fields).expect(303).location(), "/app/page.html?a=1&b=%2F");
}

#[test]
fn a_login_never_leads_to_another_host() {
    let httpd = Site::new(Mpm::Event).start();
    for target in [
        "http://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "/%09/evil.example/",
        "/%2f/evil.example/",
        "/%5cevil.example/",
        "https:evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/app/../../evil",
        "@evil.example",
    ] {
        let mut fields = form("alice", "wonderland").to_vec();
        fields.push(("httpd_location", target));
        let page = httpd.browser().post("/login", &fields);
        assert_eq!(page.expect(303).location(), "/", "{target}");
    }
}

#[test]
fn return_addresses_may_be_confined() {
    let httpd = Site::new(Mpm::Event)
        .conf("<Location /login>\nSessionClusterReturnTo /app /open\n</Location>")
        .start();
    for (target, reached) in
        [("/app/page.html", true), ("/open", true), ("/apparel", false), ("/elsewhere", false)]
    {
        let mut fields = form("alice", "wonderland").to_vec();
        fields.push(("httpd_location", target));
        let page = httpd.browser().post("/login", &fields).expect(303);
        assert_eq!(page.location() == target, reached, "{target}: {page:?}");
    }
}

#[test]
fn what_a_visitor_typed_is_text_and_never_markup() {
    let httpd = Site::new(Mpm::Event).start();
    let mut browser = httpd.browser();
    let page = browser.post("/login", &form("\"><script>alert(1)</script>", "x")).expect(422);
    assert!(!page.body.contains("<script>alert"), "{}", page.body);
    let page = browser.get("/login?to=%2F%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E").expect(200);
    assert!(!page.body.contains("<script>alert"), "{}", page.body);
}

#[test]
fn odd_forms_are_refused() {
    let httpd = Site::new(Mpm::Event).start();
    for user in ["", "alice\0", "alice\nbob", "\talice", "al\x7fice"] {
        httpd.browser().post("/login", &form(user, "wonderland")).expect(400);
    }
    let mut fields = form("alice", "wonderland").to_vec();
    fields.push(("httpd_location", "/app\r\nSet-Cookie: a=b"));
    let page = httpd.browser().post("/login", &fields);
    assert!(page.status == 400 || page.location() == "/", "{page:?}");
    assert!(page.all("Set-Cookie").iter().all(|cookie| cookie.starts_with("SCID=")), "{page:?}");

    let huge = "x".repeat(200_000);
    httpd.browser().post("/login", &form("alice", &huge)).expect(413);
    httpd.browser().post("/login", &[]).expect(400);
    httpd.browser().send("PUT", "/login", &[("Content-Type", "text/plain")], "x").unwrap().expect(405);
    httpd
        .browser()
        .send("POST", "/login", &[("Content-Type", "application/json")], "{}")
        .unwrap()
        .expect(415);
    let raw = |body: &str| {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let page = httpd.browser().send("POST", "/login", &form, body).unwrap();
        assert!(page.status >= 400 && page.status < 500, "{body}: {page:?}");
        assert_eq!(page.header("Set-Cookie"), None, "{body}");
    };
    raw("httpd_username=%FF%FE&httpd_password=wonderland");
    raw("httpd_username=alice%&httpd_password=wonderland");
    raw("httpd_username=alice");
    raw("&&&===&&&");
    raw(&"a=b&".repeat(1000));
    // None of it did harm.
    httpd.browser_of("alice").get("/app/page.html").expect(200);
}

#[test]
fn a_form_may_arrive_in_chunks_or_break_off() {
    let httpd = Site::new(Mpm::Event).start();
    let head = "POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n";
    let chunks = "f\r\nhttpd_username=\r\n6\r\nalice&\r\n19\r\nhttpd_password=wonderland\r\n0\r\n\r\n";
    let answer =
        exchange(httpd.address(), format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");

    use std::io::Write as _;
    let mut broken = std::net::TcpStream::connect(httpd.address()).unwrap();
    write!(broken, "{head}Content-Length: 100\r\n\r\nhttpd_username=alice").unwrap();
    drop(broken);
    httpd.browser_of("alice").get("/app/page.html").expect(200);
}

#[test]
fn a_login_ends_the_session_that_came_with_it() {
    let httpd = Site::new(Mpm::Event).start();
    let mut browser = httpd.browser_of("alice");
    let mut stolen = browser.clone();
    let first = browser.session().to_owned();
    browser.login("bob");
    assert_ne!(browser.session(), first);
    assert_eq!(browser.get("/app/page.html").user(), Some("bob"));
    assert!(stolen.get("/app/page.html").is_refused());
}

#[test]
fn what_was_kept_for_one_user_does_not_pass_on_to_the_next() {
    let httpd = shop_all_over(Mpm::Event).start();
    let mut browser = httpd.browser_of("alice");
    browser.get("/shop/keep-one.asis").expect(200);
    let mut stolen = browser.clone();
    assert!(kept(&stolen.get("/shop/page.html")).contains("cart=one"));
    let page = browser.login("bob");
    assert!(page.header("Set-Cookie").is_some_and(|cookie| cookie.starts_with("SCID=")), "{page:?}");
    assert_eq!(browser.get("/app/page.html").expect(200).user(), Some("bob"));
    assert!(!kept(&browser.get("/shop/page.html")).contains("cart"), "alice's");
    assert!(stolen.get("/app/page.html").is_refused());
    assert!(!kept(&stolen.get("/shop/page.html")).contains("cart"));
}

#[test]
fn a_planted_session_id_is_not_taken_over() {
    let httpd = Site::new(Mpm::Event).start();
    let planted = "A".repeat(43);
    let mut browser = httpd.browser();
    browser.cookies.insert("SCID".into(), planted.clone());
    let mut attacker = browser.clone();
    browser.login("alice");
    assert_ne!(browser.session(), planted);
    assert!(attacker.get("/app/page.html").is_refused());
}

#[test]
fn a_password_file_that_cannot_be_read_is_not_a_wrong_password() {
    let httpd = Site::new(Mpm::Event).conf("<Location /login>\nAuthUserFile nowhere\n</Location>").start();
    httpd.log.allow("nowhere");
    let page = httpd.browser().post("/login", &form("alice", "wonderland"));
    assert!(page.status >= 500, "{page:?}");
    assert_eq!(page.header("Set-Cookie"), None);
}

#[test]
fn a_login_that_nothing_checks_is_a_mistake_of_the_site_and_not_of_the_visitor() {
    let httpd = Site::new(Mpm::Event)
        .conf("<Location /unchecked>\nSetHandler session-cluster-login\n</Location>")
        .start();
    httpd.log.allow("SC0302");
    let mut browser = httpd.browser();
    let page = browser.post("/unchecked", &form("alice", "wonderland")).expect(500);
    assert_eq!(page.header("Set-Cookie"), None);
    assert_eq!(httpd.log.count("SC0302"), 1);
    assert!(browser.get("/app/page.html").is_refused());
}
