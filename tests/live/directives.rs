//! Each mistake in a directive is refused by `httpd -t`, with the directive, the file and the line.

use harness::{Mpm, Site};

/// Refused, and the message names the directive `of`, the file, and what is `wrong` with it.
#[track_caller]
fn refuses(snippet: &str, of: &str, wrong: &[&str]) {
    let (accepted, said) = Site::bare(Mpm::Event).conf("# the line before").conf(snippet).check();
    assert!(!accepted, "accepted: {snippet}");
    assert!(said.contains(of), "{snippet}: the message does not name {of}: {said}");
    assert!(
        said.contains("httpd.conf") && said.to_lowercase().contains("line "),
        "{snippet}: no file, no line: {said}"
    );
    for part in wrong {
        assert!(said.contains(part), "{snippet}: nothing of {part:?} in: {said}");
    }
    assert!(said.lines().filter(|line| !line.is_empty()).count() <= 4, "{snippet}: {said}");
}

#[track_caller]
fn accepts(snippet: &str) {
    let (accepted, said) = Site::bare(Mpm::Event).conf(snippet).check();
    assert!(accepted, "{snippet}: {said}");
}

/// Understood as it is written, though files are missing here that it names.
#[track_caller]
fn understands(snippet: &str) {
    let (accepted, said) = Site::bare(Mpm::Event).conf(snippet).check();
    assert!(accepted || said.contains("No such file or directory"), "{snippet}: {said}");
}

fn in_location(directive: &str) -> String {
    format!("<Location /x>\n{directive}\n</Location>")
}

#[test]
fn table_sizes_are_numbers_of_bytes_within_bounds() {
    for size in ["16M", "33554432", "1G", "65536K"] {
        accepts(&format!("SessionClusterTable {size}"));
    }
    for size in ["lots", "16X", "-1", "0", "1K", "16 M", "\"\"", "99999999999999999999"] {
        refuses(&format!("SessionClusterTable {size}"), "SessionClusterTable", &[]);
    }
    refuses("SessionClusterTable", "SessionClusterTable", &[]);
    accepts("SessionClusterTable 16M sessions record=4K");
    for arguments in ["16M sessions others", "16M record=1G", "16M record=none", "1M record=64K"] {
        refuses(&format!("SessionClusterTable {arguments}"), "SessionClusterTable", &[]);
    }
}

#[test]
fn times_are_times_and_not_nothing() {
    for directive in ["SessionClusterIdle", "SessionClusterLifetime", "SessionClusterGrace"] {
        refuses(&format!("{directive} forever"), directive, &["forever"]);
        refuses(&format!("{directive} -1"), directive, &[]);
        refuses(&format!("{directive} 5parsecs"), directive, &[]);
        refuses(directive, directive, &[]);
    }
    refuses("SessionClusterIdle 0", "SessionClusterIdle", &[]);
    refuses("SessionClusterLifetime 0", "SessionClusterLifetime", &[]);
    accepts("SessionClusterIdle 30m\nSessionClusterLifetime 12h\nSessionClusterGrace 10s");
    accepts("SessionClusterIdle 90\nSessionClusterLifetime 1d\nSessionClusterGrace 500ms");
}

#[test]
fn cookie_names_and_attributes_are_checked() {
    accepts("SessionClusterCookie MYID");
    accepts("SessionClusterCookie MYID Path=/app Domain=example.com SameSite=Strict Secure Route=web-1_a");
    for (arguments, wrong) in [
        ("\"MY ID\"", ""),
        ("MY=ID", ""),
        ("\"\"", ""),
        ("__Host-MYID", "__Host-"),
        ("MYID SameSite=None", "Secure"),
        ("MYID SameSite=Sometimes", "SameSite"),
        ("MYID Path=app", "Path"),
        ("MYID Colour=red", "Colour"),
        ("MYID Route=", "Route=web1"),
        ("MYID Route=web.1", "Route=web1"),
        ("MYID \"Route=web 1\"", "Route=web1"),
        ("MYID Route=web1 Route=web2", "Route"),
        ("MYID Domain=", "Domain"),
    ] {
        refuses(&format!("SessionClusterCookie {arguments}"), "SessionClusterCookie", &[wrong]);
    }
}

#[test]
fn switches_are_on_or_off() {
    for directive in ["SessionCluster", "SessionClusterAdopt"] {
        accepts(&in_location(&format!("{directive} On")));
        accepts(&in_location(&format!("{directive} off")));
        refuses(&in_location(&format!("{directive} maybe")), directive, &["On"]);
    }
}

#[test]
fn addresses_are_paths_of_this_site() {
    accepts(&in_location("SessionClusterLogin /login"));
    refuses(&in_location("SessionClusterLogin login"), "SessionClusterLogin", &[]);
    refuses(&in_location("SessionClusterLogin //evil.example/login"), "SessionClusterLogin", &[]);
    accepts(&in_location("SessionClusterReturnTo /app /shop"));
    refuses(&in_location("SessionClusterReturnTo app"), "SessionClusterReturnTo", &[]);
    refuses(&in_location("SessionClusterReturnTo http://evil.example/"), "SessionClusterReturnTo", &[]);
}

#[test]
fn a_store_is_described_right_or_refused() {
    for store in [
        "redis://127.0.0.1:6379",
        "redis://10.0.0.1,10.0.0.2 cluster=on",
        "redis://10.0.0.1:26379,10.0.0.2:26379 sentinel=mymaster wait=1",
        "rediss://redis.example:6380 user=web password=file:/etc/secret ca=/etc/ca.pem",
        "unix:/run/redis.sock db=3 prefix=www",
        "file:/srv/sessions fsync=off",
        "redis://127.0.0.1 db=2 fallback file:/srv/sessions",
    ] {
        understands(&format!("SessionClusterStore {store}"));
    }
    for (store, wrong) in [
        ("memcached://127.0.0.1", "redis://"),
        ("redis://10.0.0.1,10.0.0.2", "cluster=on"),
        ("redis://127.0.0.1 colour=red", "colour"),
        ("redis://127.0.0.1 db=many", "db"),
        ("redis://127.0.0.1 ca=/etc/ca.pem", "rediss://"),
        ("redis://", ""),
        ("file:sessions", "file:/DIRECTORY"),
        ("file:/srv/sessions sync=yes", "sync=yes"),
        ("dbd table=x", "prefix"),
        ("socache:", "provider"),
        ("socache:memcache", "server"),
        ("redis://127.0.0.1 fallback", "fallback"),
        ("fallback redis://127.0.0.1", "no store is named"),
        ("file:/a fallback file:/b fallback file:/c", "fallback"),
    ] {
        refuses(&format!("SessionClusterStore {store}"), "SessionClusterStore", &[wrong]);
    }
    for (store, wrong) in [
        ("dbd", "mod_dbd"),
        ("socache:memcache:10.0.0.5:11211", "mod_socache_memcache.so"),
        ("file:/srv/sessions fallback dbd", "mod_dbd"),
    ] {
        let (fine, said) = Site::new(Mpm::Event).conf(&format!("SessionClusterStore {store}")).check();
        assert!(!fine && said.contains("SC0121") && said.contains(wrong), "{said}");
    }
    let with_store = |directive: &str| format!("SessionClusterStore redis://127.0.0.1\n{directive}");
    for directive in [
        "SessionClusterStoreTimeout 20ms",
        "SessionClusterLogoutBound 2s",
        "SessionClusterOutage refuse",
        "SessionClusterOutage serve 2h",
        "SessionClusterNode web1",
    ] {
        accepts(&with_store(directive));
        let name = directive.split(' ').next().unwrap();
        refuses(&with_store(&format!("{name} \"\"")), name, &[]);
        let (fine, said) = Site::new(Mpm::Event).conf(directive).check();
        assert!(!fine && said.contains("SC0122") && said.contains(name), "{said}");
    }
    let slow = with_store("SessionClusterStoreTimeout 1s");
    let (fine, said) = Site::new(Mpm::Event).conf(&slow).check();
    assert!(!fine && said.contains("SC0123"), "{said}");
}

#[test]
fn an_authn_provider_must_be_there() {
    accepts(&in_location("SessionClusterAuthn file\nAuthUserFile passwords"));
    refuses(&in_location("SessionClusterAuthn telepathy"), "SessionClusterAuthn", &["telepathy"]);
}

#[test]
fn server_wide_directives_stay_out_of_virtual_hosts_and_directories() {
    let in_host = |directive: &str| format!("<VirtualHost *:*>\n{directive}\n</VirtualHost>");
    refuses(&in_host("SessionClusterTable 16M"), "SessionClusterTable", &["VirtualHost"]);
    for directive in ["SessionClusterRealm x", "SessionClusterIdle 1m", "SessionClusterCookie x"] {
        accepts(&in_host(directive));
        let name = directive.split(' ').next().unwrap();
        refuses(&in_location(directive), name, &["Location"]);
    }
    refuses("SessionClusterRealm \"\"", "SessionClusterRealm", &[]);
}

#[test]
fn an_idle_timeout_longer_than_the_life_is_a_mistake() {
    let (accepted, said) =
        Site::bare(Mpm::Event).conf("SessionClusterIdle 2h\nSessionClusterLifetime 1h").check();
    assert!(!accepted, "accepted: {said}");
    assert!(said.contains("SessionClusterIdle") && said.contains("SessionClusterLifetime"), "{said}");
}

#[test]
fn a_login_handler_without_a_provider_is_a_mistake_or_refuses_everybody() {
    let site = || Site::bare(Mpm::Event).conf(&in_location("SetHandler session-cluster-login"));
    let (accepted, said) = site().check();
    if !accepted {
        assert!(said.contains("SessionClusterAuthn"), "{said}");
        return;
    }
    let httpd = site().start();
    httpd.log.allow("SessionClusterAuthn");
    let page = httpd.browser().post("/x", &[("httpd_username", "alice"), ("httpd_password", "")]);
    assert!(page.status >= 400 && page.header("Set-Cookie").is_none(), "{page:?}");
}

#[test]
fn nothing_needs_to_be_configured() {
    let httpd = Site::bare(Mpm::Event).start();
    httpd.browser().get("/open/page.html").expect(200);
}

#[test]
fn no_directive_is_for_htaccess_whatever_the_site_allows() {
    let mut site = Site::new(Mpm::Event).conf(
        "<Directory />\nAllowOverride All\nAllowOverrideList SessionCluster SessionClusterAdopt SessionClusterLogin \
         SessionClusterAuthn SessionClusterReturnTo\n</Directory>",
    );
    let directives = [
        "SessionClusterTable 16M",
        "SessionClusterRealm x",
        "SessionClusterCookie x",
        "SessionClusterIdle 1m",
        "SessionClusterLifetime 1h",
        "SessionClusterGrace 1s",
        "SessionCluster On",
        "SessionClusterAdopt On",
        "SessionClusterLogin /login",
        "SessionClusterAuthn file",
        "SessionClusterReturnTo /app",
    ];
    for (n, directive) in directives.iter().enumerate() {
        site = site
            .file(&format!("htdocs/open/{n}/.htaccess"), format!("{directive}\n"))
            .file(&format!("htdocs/open/{n}/page.html"), "closed\n");
    }
    let httpd = site.start();
    httpd.log.allow(".htaccess: ");
    for (n, directive) in directives.iter().enumerate() {
        let page = httpd.browser().get(&format!("/open/{n}/page.html"));
        assert_eq!(page.status, 500, "{directive}: {page:?}");
        let name = directive.split(' ').next().unwrap();
        assert_eq!(httpd.log.count(&format!(".htaccess: {name} ")), 1, "{directive}");
    }
    httpd.browser().get("/open/page.html").expect(200);
}

#[test]
fn a_long_line_counts_to_its_last_word() {
    let users: String = (0..64).map(|n| format!(" user{n}")).collect();
    let exports: String = (0..100).map(|n| format!(" user=USER_{n}")).collect();
    let httpd = Site::new(Mpm::Event)
        .conf(&format!("<Location /login>\nSessionClusterGrant staff user{users} alice\n</Location>"))
        .conf(&format!("<Location /app>\nSessionClusterExport env{exports}\nRequire session-grant staff\n"))
        .conf("Header set X-Last \"%{USER_99}e\"\n</Location>")
        .start();
    let page = httpd.browser_of("alice").get("/app/page.html").expect(200);
    assert_eq!(page.header("X-Last"), Some("alice"));
    let (ok, said) =
        Site::bare(Mpm::Event).conf(&format!("SessionClusterReturnTo{}", " /x".repeat(17))).check();
    assert!(!ok && said.contains("wrong number of arguments (17)"), "{said}");
}
