//! mod_session over our provider, as its manual has it: what a CGI script reads and writes, how long a session lives,
//! where there is none; and mod_session_cookie and mod_session_dbd at other places of the same server.

use super::provider::live;
use harness::{Browser, Httpd, Mpm, Page, Site, eventually, on_each_mpm};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

on_each_mpm!(
    a_script_reads_and_replaces_the_session,
    a_session_dies_when_it_was_not_visited_for_its_maximum_age,
    cookies_and_a_database_keep_sessions_elsewhere_on_the_same_server,
);

/// Shows its environment. A query becomes its `X-Replace-Session`; `again` gives back what it was given.
const SCRIPT: &str = r#"#!/bin/sh
case "$QUERY_STRING" in
again) echo "X-Replace-Session: $HTTP_SESSION" ;;
none) echo "X-Replace-Session:" ;;
?*) echo "X-Replace-Session: $QUERY_STRING" ;;
esac
echo "Content-Type: text/plain"
echo
env
"#;

/// Directives for a place where scripts run and see what mod_session keeps.
fn place(path: &str, directives: &str) -> String {
    format!(
        "<Location {path}>\nOptions +ExecCGI\nSession On\nSessionEnv On\nSessionHeader X-Replace-Session\n\
         {directives}\n</Location>"
    )
}

/// `/shop/app.cgi`, with our provider and more directives.
fn shop(site: Site, directives: &str) -> Site {
    let cgi = site.mpm.cgi_module();
    site.load(&[cgi])
        .conf("<Location /status>\nSetHandler server-status\n</Location>\nAddHandler cgi-script .cgi")
        .conf(&place("/shop", &format!("SessionCluster On\n{directives}")))
        .file("htdocs/shop/app.cgi", SCRIPT)
}

/// The value of a variable in the environment that a script showed.
#[track_caller]
fn variable<'p>(page: &'p Page, name: &str) -> Option<&'p str> {
    assert!(page.status == 200 && page.body.contains("GATEWAY_INTERFACE="), "no script ran: {page:?}");
    page.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// What is in the session of a place, without the expiry that mod_session puts among it.
#[track_caller]
fn read(browser: &mut Browser, path: &str) -> String {
    entries(&browser.get(path))
}

#[track_caller]
fn entries(page: &Page) -> String {
    let all = variable(page, "HTTP_SESSION").unwrap_or_default().split('&');
    all.filter(|pair| !pair.starts_with("expiry=")).collect::<Vec<_>>().join("&")
}

/// How many sessions have begun, superseding ones included.
fn begun(httpd: &Httpd) -> u64 {
    let page = httpd.browser().get("/status?auto").expect(200);
    let line = page.body.lines().find_map(|line| line.strip_prefix("SessionClusterBegins: "));
    line.unwrap_or_else(|| panic!("{}", page.body)).parse().unwrap()
}

fn a_script_reads_and_replaces_the_session(mpm: Mpm) {
    let httpd = shop(Site::new(mpm).load(&["session"]), "").start();
    let mut browser = httpd.browser();
    let page = browser.get("/shop/app.cgi");
    assert_eq!(variable(&page, "HTTP_SESSION").unwrap_or_default(), "", "there is none yet");
    assert_eq!((page.header("Set-Cookie"), begun(&httpd)), (None, 0));

    // Begin. The header is for mod_session, which takes it out of the answer.
    let page = browser.get("/shop/app.cgi?key1=foo&key2=&key3=bar");
    assert_eq!(page.header("X-Replace-Session"), None);
    assert!(page.header("Set-Cookie").expect("a cookie").starts_with("SCID="), "{page:?}");
    assert_eq!(read(&mut browser, "/shop/app.cgi"), "key1=foo&key3=bar");
    assert_eq!(begun(&httpd), 1);

    // Unchanged: no write and no cookie.
    let first = browser.session().to_owned();
    for query in ["again", "none", "key2=", "key1=foo"] {
        let page = browser.get(&format!("/shop/app.cgi?{query}"));
        assert_eq!(page.header("Set-Cookie"), None, "{query}");
        assert_eq!(read(&mut browser, "/shop/app.cgi"), "key1=foo&key3=bar", "{query}");
    }
    assert_eq!((begun(&httpd), browser.session()), (1, first.as_str()));

    // Supersede. Keys that the header does not name stay, an empty one goes.
    browser.get("/shop/app.cgi?key1=&key3=baz&odd=a%26b%3Dc");
    assert_ne!(browser.session(), first);
    assert_eq!(read(&mut browser, "/shop/app.cgi"), "key3=baz&odd=a%26b%3dc");
    assert_eq!(begun(&httpd), 2);

    // End, for whoever kept the cookie too.
    let mut kept = browser.clone();
    browser.get("/shop/app.cgi?key3=&odd=");
    assert!(browser.cookies.is_empty(), "{:?}", browser.cookies.keys());
    for browser in [&mut browser, &mut kept] {
        assert_eq!(read(browser, "/shop/app.cgi"), "");
    }
    assert_eq!(live(&httpd), "0");
}

#[test]
fn a_page_made_of_a_session_is_for_one_person_and_names_the_session_in_the_log() {
    let httpd = shop(Site::new(Mpm::Event).load(&["session"]), "").start();
    let mut browser = httpd.browser();
    browser.get("/shop/app.cgi?cart=one");
    let page = browser.get("/shop/app.cgi");
    assert_eq!(entries(&page), "cart=one");
    let caches = page.all("Cache-Control").join(",");
    assert!(caches.contains("private") || caches.contains("no-store"), "for every cache: {page:?}");
    assert_ne!(page.header("X-Session"), Some("(null)"), "no SESSION_LOGID: {page:?}");
}

#[test]
fn nobody_can_put_words_into_the_session_or_see_its_id_in_a_script() {
    let httpd = shop(Site::new(Mpm::Event).load(&["session"]), "").start();
    let mut browser = httpd.browser();
    browser.get("/shop/app.cgi?cart=one");
    browser.cookies.insert("other".into(), "cookie".into());
    // `HTTP_SESSION` would also be the name of a request header.
    for mut browser in [browser, httpd.browser()] {
        let known = browser.cookies.contains_key("SCID");
        let forged = [("Session", "cart=forged"), ("X-Replace-Session", "cart=forged")];
        let page = browser.get_with("/shop/app.cgi", &forged);
        assert_eq!(entries(&page), if known { "cart=one" } else { "" });
        assert_eq!(variable(&page, "HTTP_COOKIE"), known.then_some("other=cookie"));
        assert!(browser.cookies.get("SCID").is_none_or(|id| !page.body.contains(id)), "{page:?}");
    }
}

#[test]
fn without_session_env_and_session_header_a_script_has_no_part_in_the_session() {
    let httpd = shop(Site::new(Mpm::Event).load(&["session"]), "")
        .conf("<Location /shop/closed>\nSessionEnv Off\nSessionHeader X-Unused\n</Location>")
        .file("htdocs/shop/closed/app.cgi", SCRIPT)
        .start();
    let mut browser = httpd.browser();
    browser.get("/shop/app.cgi?cart=one");
    let page = browser.get("/shop/closed/app.cgi?cart=two");
    assert_eq!(variable(&page, "HTTP_SESSION"), None);
    assert_eq!(page.header("X-Replace-Session"), Some("cart=two"));
    assert_eq!(read(&mut browser, "/shop/app.cgi"), "cart=one");
}

#[test]
fn an_application_behind_a_proxy_has_its_part_in_the_session_too() {
    let backend = Site::bare(Mpm::Event)
        .conf("AddHandler send-as-is asis\nHeader always set X-Got \"expr=%{req:X-Cart}\"")
        .file(
            "htdocs/keep.asis",
            "Status: 200 OK\nContent-Type: text/plain\nX-Replace-Session: cart=far\n\nkept\n",
        )
        .start();
    let httpd = shop(Site::new(Mpm::Event).load(&["session", "proxy", "proxy_http"]), "")
        .conf(&format!("ProxyPass /shop/far http://{}", backend.address()))
        .conf("<Location /shop>\nRequestHeader set X-Cart %{HTTP_SESSION}e\n</Location>")
        .start();
    let mut browser = httpd.browser();
    let page = browser.get("/shop/far/keep.asis").expect(200);
    assert_eq!(page.header("X-Replace-Session"), None);
    assert_eq!(read(&mut browser, "/shop/app.cgi"), "cart=far");
    let page = browser.get("/shop/far/keep.asis").expect(200);
    assert_eq!((page.header("X-Got"), page.header("Set-Cookie")), (Some("cart=far"), None));
    assert_eq!(begun(&httpd), 1);
}

fn a_session_dies_when_it_was_not_visited_for_its_maximum_age(mpm: Mpm) {
    let httpd = shop(Site::new(mpm).load(&["session"]), "SessionMaxAge 2").start();
    let mut browser = httpd.browser();
    browser.get("/shop/app.cgi?cart=one");
    assert_eq!(read(&mut browser, "/shop/app.cgi"), "cart=one");
    std::thread::sleep(Duration::from_millis(4500));
    assert_eq!(read(&mut browser, "/shop/app.cgi"), "", "alive 4.5 s after its last visit");
    // Another one can begin, and the old one does not come back.
    browser.get("/shop/app.cgi?cart=two");
    assert_eq!(read(&mut browser, "/shop/app.cgi"), "cart=two");
}

#[test]
fn visits_keep_a_session_alive_beyond_its_maximum_age_without_a_write() {
    for directives in ["SessionMaxAge 4", "SessionMaxAge 4\nSessionExpiryUpdateInterval 1"] {
        let httpd = shop(Site::new(Mpm::Event).load(&["session"]), directives).start();
        let mut browser = httpd.browser();
        browser.get("/shop/app.cgi?cart=one");
        let id = browser.session().to_owned();
        for query in ["", "?again", "", "?none", "", "?again"] {
            std::thread::sleep(Duration::from_secs(1));
            let page = browser.get(&format!("/shop/app.cgi{query}"));
            assert_eq!((entries(&page).as_str(), page.header("Set-Cookie")), ("cart=one", None), "{page:?}");
            assert!(variable(&page, "HTTP_SESSION").unwrap().contains("expiry="), "{page:?}");
        }
        assert_eq!((browser.session(), begun(&httpd)), (id.as_str(), 1), "{directives}");
    }
}

#[test]
fn a_session_without_a_maximum_age_lives_as_long_as_the_module_says() {
    let httpd = shop(Site::new(Mpm::Event).load(&["session"]), "SessionMaxAge 0")
        .conf("SessionClusterIdle 2s")
        .start();
    let mut browser = httpd.browser();
    browser.get("/shop/app.cgi?cart=one");
    assert_eq!(variable(&browser.get("/shop/app.cgi"), "HTTP_SESSION"), Some("cart=one"));
    std::thread::sleep(Duration::from_millis(4500));
    assert_eq!(read(&mut browser, "/shop/app.cgi"), "");
}

#[test]
fn no_session_is_loaded_in_excluded_paths() {
    let httpd = shop(
        Site::new(Mpm::Event).load(&["session"]),
        "SessionInclude /shop/app\nSessionInclude /shop/in\nSessionExclude /shop/in/out",
    )
    .file("htdocs/shop/in/app.cgi", SCRIPT)
    .file("htdocs/shop/in/out/app.cgi", SCRIPT)
    .file("htdocs/shop/else.cgi", SCRIPT)
    .start();
    let mut browser = httpd.browser();
    browser.get("/shop/app.cgi?cart=one");
    assert_eq!(read(&mut browser, "/shop/app.cgi"), "cart=one");
    assert_eq!(read(&mut browser, "/shop/in/app.cgi"), "cart=one");
    for path in ["/shop/in/out/app.cgi", "/shop/else.cgi"] {
        for mut visitor in [browser.clone(), httpd.browser()] {
            let page = visitor.get(&format!("{path}?cart=two"));
            assert_eq!(variable(&page, "HTTP_SESSION"), None, "{path}");
            assert_eq!(
                (page.header("Set-Cookie"), page.header("X-Session")),
                (None, Some("(null)")),
                "{path}"
            );
            assert_eq!(variable(&page, "HTTP_COOKIE"), None, "the id is taken out all the same");
        }
    }
    assert_eq!(read(&mut browser, "/shop/app.cgi"), "cart=one");
    assert_eq!(begun(&httpd), 1);
}

/// mod_session_dbd's statements, as its manual has them.
const DBD: &str = r#"
DBDPrepareSQL "delete from session where key = %s" deletesession
DBDPrepareSQL "update session set value = %s, expiry = %lld, key = %s where key = %s" updatesession
DBDPrepareSQL "insert into session (value, expiry, key) values (%s, %lld, %s)" insertsession
DBDPrepareSQL "select value from session where key = %s and (expiry = 0 or expiry > %lld)" selectsession
"#;

/// A server with our provider at `/ours` and `/both`, mod_session_cookie at `/cookie`, mod_session_dbd at `/dbd`.
fn family(site: Site) -> Httpd {
    let cgi = site.mpm.cgi_module();
    let mut site = site
        .load(&[cgi])
        .conf("<Location /status>\nSetHandler server-status\n</Location>\nAddHandler cgi-script .cgi")
        .conf(&place("/ours", "SessionCluster On"))
        .conf(&place(
            "/both",
            "SessionCluster On\nSessionCookieName both path=/\nSessionDBDCookieName both2 path=/",
        ))
        .conf(&place("/cookie", "SessionCookieName jar path=/"))
        .conf(&place("/dbd", "SessionDBDCookieName shelf path=/"));
    for place in ["ours", "both", "cookie", "dbd"] {
        site = site.file(&format!("htdocs/{place}/app.cgi"), SCRIPT);
    }
    let mut httpd = Httpd::new(site);
    let directory = httpd.path("db");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
    let params = format!("DBDriver sqlite3\nDBDParams {}/sessions.db", directory.display());
    let table = "create table if not exists session (key text primary key, value text, expiry bigint)";
    // mod_dbd prepares its statements first: they need a table from an earlier run.
    httpd.reconfigure(|site| site.conf(&params).conf(&format!("DBDInitSQL \"{table}\"")));
    httpd.start();
    eventually("a table", Duration::from_secs(10), || {
        database(&httpd).contains("CREATE TABLE").then_some(())
    });
    httpd.stop();
    httpd.reconfigure(|site| site.conf(DBD));
    httpd.start();
    httpd
}

/// What mod_session_dbd's database file holds, as far as it is text.
fn database(httpd: &Httpd) -> String {
    String::from_utf8_lossy(&fs::read(httpd.path("db/sessions.db")).unwrap_or_default()).into_owned()
}

fn cookies_and_a_database_keep_sessions_elsewhere_on_the_same_server(mpm: Mpm) {
    let orders: [fn(Site) -> Site; 3] = [
        |site| site.load_before(&["session", "dbd", "session_cookie", "session_dbd"]),
        |site| site.load(&["session", "dbd", "session_cookie", "session_dbd"]),
        |site| site.load_before(&["session", "dbd", "session_cookie"]).load(&["session_dbd"]),
    ];
    for order in orders {
        let httpd = family(order(Site::new(mpm)));
        let mut browser = httpd.browser();
        for place in ["ours", "cookie", "dbd"] {
            browser.get(&format!("/{place}/app.cgi?{place}=wine"));
        }
        assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), ["SCID", "jar", "shelf"]);
        // Twice, so that what each of them did on a page of another is seen.
        for place in ["ours", "cookie", "dbd", "dbd", "cookie", "ours"] {
            let page = browser.get(&format!("/{place}/app.cgi"));
            assert_eq!(entries(&page), format!("{place}=wine"));
            let cookie = variable(&page, "HTTP_COOKIE").unwrap_or_default();
            assert!(!cookie.contains("SCID"), "{place}: {cookie}");
        }
        assert_eq!((live(&httpd).as_str(), begun(&httpd)), ("1", 1));
        let database = database(&httpd);
        assert!(database.contains("dbd=wine"), "not in the database");
        assert!(!database.contains("ours=wine") && !database.contains("cookie=wine"));

        // Where several are configured, ours is in charge and the others are not asked.
        browser.get("/both/app.cgi?both=beer");
        assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), ["SCID", "jar", "shelf"]);
        assert_eq!(read(&mut browser, "/ours/app.cgi"), "ours=wine&both=beer");

        // What one place ends goes on at the others.
        browser.get("/ours/app.cgi?ours=&both=");
        assert_eq!(read(&mut browser, "/ours/app.cgi"), "");
        assert_eq!(read(&mut browser, "/cookie/app.cgi"), "cookie=wine");
        browser.get("/cookie/app.cgi?cookie=");
        assert_eq!(read(&mut browser, "/cookie/app.cgi"), "");
        assert_eq!(read(&mut browser, "/dbd/app.cgi"), "dbd=wine");
    }
}
