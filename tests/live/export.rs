//! What programs and backends are told of a session, and that nobody else can tell them.

use harness::{Httpd, Mpm, Page, Site, eventually, exchange, on_each_mpm};
use std::time::Duration;

on_each_mpm!(programs_find_the_session_in_their_environment);

const ENVIRONMENT: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv\n";

/// `/env` shows its environment to anybody; `/app/env` to who logged in.
fn site(mpm: Mpm) -> Site {
    Site::new(mpm)
        .load(&["authz_host", "setenvif"])
        .conf(
            "<Location /login>\nSessionClusterGrant staff user alice\nSessionClusterGrant any ip 127.0.0.1\n\
             SetEnvIf Request_URI . \"NAME=Alice Ö. Liddell\"\n\
             SessionClusterAttribute name \"%{reqenv:NAME}\"\n\
             SessionClusterAttribute list \"a,b\" split=,\n\
             SessionClusterAttribute nasty \"%{unescape:a%0D%0AX-Forged: b}\"\n</Location>",
        )
        .conf("SessionClusterExport env user name list grants nasty auth-type user=WHO")
        .conf("SessionClusterExport header user list=X-List")
}

/// Starts a server with the script at `/env.cgi` and `/app/env.cgi`.
fn start(site: Site) -> Httpd {
    let httpd = site_with_script(site).start();
    eventually("cgid", Duration::from_secs(5), || {
        (httpd.browser().get("/env.cgi").status == 200).then_some(())
    });
    httpd.log.allow("AH02833"); // The first requests may come before cgid listens.
    httpd.log.allow("AH01252");
    httpd.log.allow("cgid");
    httpd
}

fn site_with_script(site: Site) -> Site {
    let module = site.mpm.cgi_module();
    site.load(&[module])
        .conf("ScriptAlias /env.cgi cgi/env.sh\nScriptAlias /app/env.cgi cgi/env.sh")
        .conf("<IfModule mod_cgid.c>\nScriptSock cgid\n</IfModule>")
        .file("cgi/env.sh", ENVIRONMENT)
}

fn value<'p>(page: &'p Page, name: &str) -> Option<&'p str> {
    page.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

fn programs_find_the_session_in_their_environment(mpm: Mpm) {
    let httpd = start(site(mpm));
    httpd.log.allow("SC0311");
    let mut alice = httpd.browser_of("alice");
    for path in ["/app/env.cgi", "/env.cgi"] {
        let page = alice.get(path).expect(200);
        assert_eq!(value(&page, "SESSION_USER"), Some("alice"));
        assert_eq!(value(&page, "WHO"), Some("alice"));
        assert_eq!(value(&page, "SESSION_NAME"), Some("Alice Ö. Liddell"));
        assert_eq!(value(&page, "SESSION_LIST"), Some("a;b"));
        assert_eq!(value(&page, "SESSION_GRANTS"), Some("staff;any"));
        assert_eq!(value(&page, "SESSION_AUTH_TYPE"), Some("Session"));
        assert_eq!(value(&page, "HTTP_X_SESSION_USER"), Some("alice"));
        assert_eq!(value(&page, "HTTP_X_LIST"), Some("a;b"));
        assert!(!page.body.contains("X-Forged"), "{page:?}");
        assert!(value(&page, "HTTP_COOKIE").is_none(), "{page:?}");
    }
    let lines = httpd.log.count("SC0311");
    assert!((1..=3).contains(&lines), "one a process: {lines}");
    assert_eq!(value(&httpd.browser_of("bob").get("/env.cgi"), "SESSION_GRANTS"), Some("any"));
}

#[test]
fn what_a_client_sends_by_an_exported_name_reaches_nobody() {
    let headers = "LogFormat \"%m %{X-Session-User}i\" headers\nCustomLog headers.log headers";
    let httpd = start(site(Mpm::Event).conf(headers));
    httpd.log.allow("SC0311");
    let forged = [
        ("X-Session-User", "root"),
        ("x-session-user", "root"),
        ("X_Session_User", "root"),
        ("X-Session_User", "root"),
        ("X-List", "root"),
        ("Session-User", "root"),
    ];
    let forgeries = |page: &Page| page.body.lines().filter(|line| line.contains("=root")).count();
    // Only the last is nobody's but the client's.
    let page = httpd.browser().get_with("/env.cgi", &forged).expect(200);
    assert_eq!(forgeries(&page), 1, "{page:?}");
    let mut alice = httpd.browser_of("alice");
    for method in ["GET", "PUT", "DELETE"] {
        let page = alice.send(method, "/env.cgi", &forged, "").unwrap().expect(200);
        assert_eq!(forgeries(&page), 1, "{method}: {page:?}");
        assert_eq!(value(&page, "HTTP_X_SESSION_USER"), Some("alice"), "{method}");
    }
    // Not even by requests that no handler looks at.
    for request in ["OPTIONS * HTTP/1.1", "OPTIONS /app/ HTTP/1.1", "TRACE / HTTP/1.1"] {
        let request = format!("{request}\r\nHost: x\r\nConnection: close\r\nX-Session-User: root\r\n\r\n");
        exchange(httpd.address(), request.as_bytes());
    }
    let seen = || std::fs::read_to_string(httpd.path("headers.log")).unwrap();
    eventually("the log", Duration::from_secs(5), || seen().contains("TRACE").then_some(()));
    assert!(seen().contains("OPTIONS") && !seen().contains("root"), "{}", seen());
    // With a cookie that is no session's, in a request that no browser would send.
    let request =
        "GET /env.cgi HTTP/1.0\r\nCookie: SCID=x\r\nX-Session-User: root\r\nX-Session-User: root\r\n\r\n";
    assert!(!exchange(httpd.address(), request.as_bytes()).contains("root"));
}

#[test]
fn no_client_takes_an_exported_header_away_from_a_backend() {
    let backend = start(Site::bare(Mpm::Event));
    let proxied = format!("ProxyPass /proxied http://{}/env.cgi", backend.address());
    let httpd = start(site(Mpm::Event).load(&["proxy", "proxy_http"]).conf(&proxied));
    httpd.log.allow("SC0311");
    let mut alice = httpd.browser_of("alice");
    for hops in [
        "X-Session-User",
        "close, X-Session-User",
        "close; X-Session-User",
        "close X-Session-User",
        "close\tx-session-user",
        ";;X-Session-User;close",
        "\"a b\" X-Session-User",
        "X_Session_User X-Session-User",
    ] {
        let page = alice.get_with("/proxied", &[("Connection", hops)]).expect(200);
        assert_eq!(value(&page, "HTTP_X_SESSION_USER"), Some("alice"), "{hops}");
    }
}

#[test]
fn a_backend_gets_headers_of_the_session_and_of_nothing_else() {
    let backend = start(Site::bare(Mpm::Event));
    let proxy = |path: &str| format!("ProxyPass {path} http://{}/env.cgi", backend.address());
    let httpd = start(
        site(Mpm::Event)
            .load(&["proxy", "proxy_http"])
            .conf(&proxy("/proxied"))
            .conf(&proxy("/plain"))
            .conf("<Location /plain>\nSessionClusterExport env user\n</Location>"),
    );
    httpd.log.allow("SC0311");
    let mut alice = httpd.browser_of("alice");
    let forged = [("X-Session-User", "root"), ("X-List", "root")];
    let page = alice.get_with("/proxied", &forged).expect(200);
    assert_eq!(
        (value(&page, "HTTP_X_SESSION_USER"), value(&page, "HTTP_X_LIST")),
        (Some("alice"), Some("a;b"))
    );
    assert!(value(&page, "HTTP_COOKIE").is_none(), "{page:?}");
    let page = alice.get_with("/plain", &forged).expect(200);
    assert_eq!((value(&page, "HTTP_X_SESSION_USER"), value(&page, "HTTP_X_LIST")), (None, None), "{page:?}");
    let page = httpd.browser().get_with("/proxied", &forged).expect(200);
    assert_eq!((value(&page, "HTTP_X_SESSION_USER"), value(&page, "HTTP_X_LIST")), (None, None), "{page:?}");
}
