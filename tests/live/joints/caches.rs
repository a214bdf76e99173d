//! What a session was asked for is for one person: no cache gives it to another, however the page came to ask, and
//! however the cache is set up.

use harness::{Httpd, Mpm, Page, Site};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// Pages that ask for the session in another way each. To alice each says her name, or the secret.
const ASKING: [&str; 16] = [
    "/header/page.html",
    "/header/",
    "/proxied/page.html",
    "/forced/page.html",
    "/env/page.html",
    "/request/page.html",
    "/rewritten/page.html",
    "/here/page.html",
    "/error/missing.html",
    "/required/page.html",
    "/include/page.shtml",
    "/include/after.shtml",
    "/include/long.shtml",
    "/if/page.shtml",
    "/list/",
    "/app/deep.html",
];

const SESSION_HEADER: &str = r#"Header set X-Who "expr=%{SESSION:user}""#;

/// The pages, all of which say of themselves that they may be kept, and mod_cache with these directives.
fn site(cache: &str) -> Site {
    let fragment = "<!--#include virtual=\"/app/deep.html\" -->";
    let long = "<p>".repeat(20_000);
    Site::new(Mpm::Event)
        .load(&["cache", "cache_socache", "socache_shmcb", "cache_disk"])
        .load(&["include", "autoindex", "setenvif", "rewrite", "filter"])
        .conf("CacheSocache shmcb\nCacheHeader On\nCacheIgnoreNoLastMod On")
        .conf(cache)
        .conf("Header set Cache-Control max-age=600")
        .conf(&format!("<Location /header>\n{SESSION_HEADER}\n</Location>"))
        .conf(&format!(
            "<Location /forced>\n{SESSION_HEADER}\nHeader always set Cache-Control \"public, max-age=600\"\n</Location>"
        ))
        .conf(
            "<Location /env>\nSetEnvIfExpr \"%{SESSION:user} =~ /(.+)/\" WHO=$1\nHeader set X-Who %{WHO}e\n\
             </Location>",
        )
        .conf(
            "<Location /request>\nRequestHeader set X-Asked \"expr=%{SESSION:user}\"\n\
             Header set X-Who \"expr=%{HTTP:X-Asked}\"\n</Location>",
        )
        .conf(
            "RewriteEngine On\nRewriteCond expr \"%{SESSION:user} == 'alice'\"\n\
             RewriteRule ^/rewritten/page.html$ /rewritten/secret.html",
        )
        .conf(
            "<Location /here/>\nRewriteEngine On\nRewriteCond expr \"%{SESSION:user} == 'alice'\"\n\
             RewriteRule page.html$ /here/secret.html [END]\n</Location>",
        )
        .conf("<Location /error>\nErrorDocument 404 /header/page.html\n</Location>")
        .conf("<Location /required>\nRequire expr \"%{SESSION:user} == 'alice'\"\n</Location>")
        .conf("<Location /app/deep.html>\nRequire user alice\n</Location>")
        .conf("AddType text/html .shtml\nAddOutputFilter INCLUDES .shtml")
        .conf("<LocationMatch ^/(include|if|hidden)/>\nOptions +Includes\nSSILastModified On\n</LocationMatch>")
        .conf(
            "<Location /list>\nOptions +Indexes\nIndexOptions FancyIndexing TrackModified\nHeaderName head.html\n\
             </Location>\n<Files listed-secret.html>\nAuthType Session\nSessionClusterLogin /login\n\
             Require user alice\n</Files>",
        )
        .file("htdocs/header/page.html", "page\n")
        .file("htdocs/header/index.html", "index\n")
        .file("htdocs/forced/page.html", "page\n")
        .file("htdocs/env/page.html", "page\n")
        .file("htdocs/request/page.html", "page\n")
        .file("htdocs/rewritten/page.html", "page\n")
        .file("htdocs/rewritten/secret.html", "the secret\n")
        .file("htdocs/here/page.html", "page\n")
        .file("htdocs/here/secret.html", "the secret\n")
        .file("htdocs/required/page.html", "the secret\n")
        .file("htdocs/app/deep.html", "the secret\n")
        .file("htdocs/part.html", "a part for all\n")
        .file("htdocs/include/page.shtml", format!("{fragment}\n"))
        .file("htdocs/include/after.shtml", format!("<!--#include virtual=\"/part.html\" -->{fragment}\n"))
        .file("htdocs/include/long.shtml", format!("{long}{fragment}\n"))
        .file("htdocs/if/page.shtml", "<p>for<!--#if expr=\"%{SESSION:user} == 'alice'\" -->alice<!--#endif -->\n")
        .file("htdocs/hidden/page.ssi", format!("<p>{fragment}\n"))
        .file("htdocs/list/page.html", "page\n")
        .file("htdocs/list/listed-secret.html", "page\n")
        .file("htdocs/list/head.html", "<p>a list\n")
}

fn start(site: Site) -> Httpd {
    let httpd = site.start();
    // Who may not see a part of a page, or a page.
    ["AH01630", "AH01631", "unable to include"].iter().for_each(|sign| httpd.log.allow(sign));
    httpd
}

fn is_hit(page: &Page) -> bool {
    page.header("X-Cache").is_some_and(|x| x.starts_with("HIT"))
}

fn is_alices(page: &Page) -> bool {
    let mut said = page.headers.iter().map(|(_, value)| value.as_str()).chain([page.body.as_str()]);
    said.any(|text| text.contains("alice") || text.contains("secret"))
}

fn cache_control(page: &Page) -> String {
    page.all("Cache-Control").join(", ")
}

/// Alice's pages are hers alone, and she gets none that was made for others.
fn nobody_gets_a_page_of_alices(cache: &str) {
    let backend = Site::bare(Mpm::Event).conf("Header always unset X-User").start();
    let proxy = format!(
        "<Location /proxied>\nProxyPass http://{}/open\n{SESSION_HEADER}\n</Location>",
        backend.address()
    );
    let httpd = start(site(cache).load(&["proxy", "proxy_http"]).conf(&proxy));
    let mut alice = httpd.browser_of("alice");
    httpd.browser().get("/open/page.html").expect(200);
    for browser in [&mut httpd.browser(), &mut alice] {
        assert!(is_hit(&browser.get("/open/page.html").expect(200)), "the cache does not work: {cache}");
    }
    let mut wrong = Vec::new();
    let mut look = |what: &str, path: &str, page: &Page, fine: bool| {
        if !fine || is_hit(page) {
            wrong.push(format!("{path}, {what}: {page:?}"));
        }
    };
    for path in ASKING {
        for round in 0..2 {
            let page = alice.get(path);
            look("alice", path, &page, is_alices(&page));
            let told = cache_control(&page);
            look(
                "as told",
                path,
                &page,
                path.starts_with("/forced") || told.starts_with("private, no-cache"),
            );
            for mut stranger in [httpd.browser(), httpd.browser_of("bob")] {
                let page = stranger.get(path);
                look(&format!("a stranger after her visit {round}"), path, &page, !is_alices(&page));
            }
        }
    }
    assert!(wrong.is_empty(), "{cache}: {} wrong pages:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_quick_handler_gives_nobody_a_page_that_was_made_with_a_session() {
    nobody_gets_a_page_of_alices("CacheEnable socache /");
}

#[test]
fn the_slow_handler_gives_nobody_a_page_that_was_made_with_a_session() {
    nobody_gets_a_page_of_alices("CacheQuickHandler Off\nCacheEnable socache /");
}

#[test]
fn a_cache_that_is_told_to_keep_everything_keeps_no_page_that_was_made_with_a_session() {
    let root = root();
    nobody_gets_a_page_of_alices(&format!(
        "{}\nCacheStorePrivate On\nCacheStoreNoStore On\nCacheStoreExpired On\nCacheIgnoreCacheControl On\n\
         CacheMinExpire 600",
        on_disk(&root)
    ));
}

/// A directory in which mod_cache may keep something.
fn root() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), Permissions::from_mode(0o777)).unwrap();
    root
}

fn on_disk(root: &TempDir) -> String {
    format!("CacheRoot {}\nCacheEnable disk /", root.path().display())
}

#[test]
fn a_page_is_not_kept_when_a_part_of_it_asks_after_its_headers_are_sent() {
    // Under another name and kind, nobody can tell what is at work.
    let hidden = "FilterDeclare parts CONTENT_SET\nFilterProvider parts INCLUDES true\n\
                  <Location /hidden>\nFilterChain parts\n</Location>";
    // On disk, where pages whose length is not known beforehand are kept as well.
    let root = root();
    let httpd = start(site(&on_disk(&root)).conf(hidden).conf("AddType text/html .ssi"));
    let mut alice = httpd.browser_of("alice");
    for round in 0..2 {
        let page = alice.get("/hidden/page.ssi").expect(200);
        assert!(is_alices(&page) && !is_hit(&page), "{round}: {page:?}");
        // Nothing can be told any more, and the log says so.
        assert_eq!(cache_control(&page), "max-age=600");
    }
    httpd.log.allow("SC0212");
    assert!((1..=2).contains(&httpd.log.count("SC0212")), "once by a child: {}", httpd.log.text());
    for mut stranger in [httpd.browser(), httpd.browser_of("bob"), httpd.browser()] {
        let page = stranger.get("/hidden/page.ssi").expect(200);
        assert!(!is_alices(&page) && !is_hit(&page), "{page:?}");
    }
}

#[test]
fn a_page_that_is_public_until_somebody_logs_in_is_asked_for_again_and_not_answered_from_the_cache() {
    // It is kept as it is for everybody, and becomes stale at once.
    let site = site("CacheEnable socache /")
        .conf("<Location /turning>\nHeader set Cache-Control max-age=0\n</Location>");
    let httpd = start(site.file("htdocs/turning/page.html", "page\n").conf(
        "RewriteCond %{HTTP:X-Ask} on\nRewriteCond expr \"%{SESSION:user} == 'alice'\"\n\
         RewriteRule ^/turning/page.html$ - [env=ASKED:1]",
    ));
    let told = |page: &Page| cache_control(page).contains("private");
    assert!(!told(&httpd.browser().get("/turning/page.html").expect(200)));
    let mut alice = httpd.browser_of("alice");
    // mod_cache asks whether what it has is still good, and hears a 304 that is for alice alone.
    let page = alice.get_with("/turning/page.html", &[("X-Ask", "on")]).expect(200);
    assert!(page.body == "page\n" && told(&page), "{page:?}");
    let page = httpd.browser().get("/turning/page.html").expect(200);
    assert!(page.body == "page\n" && !told(&page), "{page:?}");
}

#[test]
fn a_visitor_who_shows_no_cookie_is_told_nothing_unless_the_page_asks() {
    let httpd = start(site("CacheEnable socache /"));
    for path in ["/open/page.html", "/part.html"] {
        assert_eq!(cache_control(&httpd.browser().get(path).expect(200)), "max-age=600", "{path}");
        // Nor is one who does, of pages that do not ask.
        assert_eq!(cache_control(&httpd.browser_of("bob").get(path).expect(200)), "max-age=600", "{path}");
    }
    let page = httpd.browser().get("/header/page.html").expect(200);
    assert!(
        cache_control(&page).starts_with("private, no-cache"),
        "another page for who has a session: {page:?}"
    );
}

#[test]
fn a_page_behind_a_door_is_asked_for_again_each_time() {
    let script = "#!/bin/sh\necho 'Content-Type: text/plain'\necho \"Cache-Control: $QUERY_STRING\"\necho\necho page\n";
    let place = |name: &str, more: &str| format!("<Location /app/{name}>\n{more}\n</Location>");
    let httpd = Site::new(Mpm::Event)
        .load(&["expires", Mpm::Event.cgi_module()])
        .conf(&place("plain", "AddHandler cgi-script .cgi\nOptions +ExecCGI"))
        .conf(&place(
            "weak",
            "Header set Cache-Control \"public, max-age=600\"\nHeader set Expires \"Thu, 01 Jan 2099 00:00:00 GMT\"",
        ))
        .conf(&place("expires", "ExpiresActive On\nExpiresDefault \"access plus 1 year\""))
        .conf(&place("strict", "Header set Cache-Control no-store"))
        .conf(&place("private", "SessionClusterCacheControl private\nHeader set Cache-Control max-age=600"))
        .conf(&place("no-store", "SessionClusterCacheControl no-store"))
        .conf(
            "<Location /basic>\nAuthType Basic\nAuthName b\nAuthUserFile passwords\nRequire valid-user\n\
             SessionClusterAdopt On\n</Location>\nSetEnvIfExpr \"%{SESSION:user} == 'x'\" EARLY",
        )
        .load_before(&["setenvif"])
        .file("htdocs/app/plain/script.cgi", script)
        .file("htdocs/app/plain/page.html", "page\n")
        .file("htdocs/app/plain/index.html", "page\n")
        .file("htdocs/app/weak/page.html", "page\n")
        .file("htdocs/app/expires/page.html", "page\n")
        .file("htdocs/app/strict/page.html", "page\n")
        .file("htdocs/app/private/page.html", "page\n")
        .file("htdocs/app/no-store/page.html", "page\n")
        .file("htdocs/basic/page.html", "page\n")
        .start();
    let mut alice = httpd.browser_of("alice");
    let mut told = |path: &str| cache_control(&alice.get(path).expect(200));
    assert_eq!(told("/app/plain/page.html"), "private, no-cache");
    assert_eq!(told("/app/plain/"), "private, no-cache", "once, by way of DirectoryIndex");
    assert!(told("/app/weak/page.html").starts_with("private, no-cache"), "before the page's own word");
    assert!(told("/app/expires/page.html").starts_with("private, no-cache"));
    assert!(told("/app/strict/page.html").contains("no-store"));
    assert_eq!(told("/app/private/page.html"), "private, max-age=600");
    assert_eq!(told("/app/no-store/page.html"), "no-store");
    for (own, at_least) in [("max-age=600", "no-cache"), ("public", "private"), ("no-store", "no-store")] {
        let said = told(&format!("/app/plain/script.cgi?{own}"));
        assert!(said.starts_with("private, no-cache") && said.contains(at_least), "{own}: {said}");
    }
    // A page that has not changed is not sent again.
    let page = alice.get("/app/plain/page.html").expect(200);
    for (condition, tag) in [("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified")] {
        let page =
            alice.get_with("/app/plain/page.html", &[(condition, page.header(tag).unwrap())]).expect(304);
        assert_eq!(cache_control(&page), "private, no-cache");
    }
    let head = alice.send("HEAD", "/app/plain/page.html", &[], "").unwrap().expect(200);
    assert_eq!(cache_control(&head), "private, no-cache");
    // One that was adopted, from the second page on: the first sets the cookie.
    let mut basic = httpd.browser();
    let login = [("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")];
    assert_eq!(cache_control(&basic.get_with("/basic/page.html", &login).expect(200)), "no-store");
    assert_eq!(cache_control(&basic.get("/basic/page.html").expect(200)), "private, no-cache");
}
