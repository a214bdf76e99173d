//! An order of an application counts where it was written, not where the answer ends: what other programs say on the
//! way, before or behind, by whatever means httpd has, begins no session and reaches no client.

use super::gateways::gateway;
use harness::{Browser, Httpd, Mpm, Site, eventually, on_each_mpm};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tempfile::TempDir;

on_each_mpm!(an_order_from_elsewhere_does_not_count_where_it_arrives);

/// Answers with the lines that its query holds, percent-encoded.
const SAYS: &str = r#"#!/usr/bin/perl
my $lines = $ENV{QUERY_STRING};
$lines =~ s/%([0-9A-F]{2})/chr(hex($1))/ge;
print "$lines\n" if length $lines;
print "Content-Type: text/plain\n\nuser=$ENV{SESSION_USER}\n";
"#;

/// Steps of a request by which who may write `.htaccess` can write headers, too.
const LUA: &str = "\
local function order(r) r.err_headers_out['X-Session-Replace'] = 'user=root' end
function hook(r) order(r) return apache2.DECLINED end
function index(r) r.headers_out['X-Session-Replace'] = 'user=root' return apache2.DECLINED end
function refuse(r) order(r) return 403 end
function fail(r) order(r) return 500 end
function large(r) r.err_headers_out['X-Session-Replace'] = 'user=a&b=' .. string.rep('x', 4000) return 403 end
";

/// Whoever may write files and `.htaccess` below `/evil` is not trusted; the programs at `/bk` are.
const PLACES: &str = r#"
SessionClusterExport env user
ScriptAliasMatch ^/(evil|bk|closed)/say cgi/say.pl
<Directory "/*/*/htdocs/evil">
    AllowOverride All
    Options +Includes +ExecCGI
</Directory>
<Directory "/*/*/htdocs/bk">
    Options +Includes
    AddHandler send-as-is .asis
    AddOutputFilter INCLUDES .shtml
</Directory>
<Location /bk>
    SessionClusterBackend On
    ErrorDocument 404 "/evil/say?X-Session-Replace:%20user=root"
    ErrorDocument 403 /open/page.html
    Header set X-Session-Update a=b "expr=%{QUERY_STRING} == 'from-mod_headers'"
</Location>
<Location /bk/lost>
    ErrorDocument 404 /evil/refused
</Location>
<Location /closed>
    SessionClusterBackend On
    AuthType Session
    Require valid-user
    ErrorDocument 404 /evil/fails.lua
</Location>
<Location /closed/none>
    Require all granted
</Location>
"#;

const HTACCESS: &str = r#"
AddHandler send-as-is .asis
AddHandler lua-script .lua
AddHandler go .go
Action go /bk/say
MetaFiles On
MetaDir meta
RewriteEngine On
RewriteRule ^rewritten$ /bk/say
RewriteRule ^passed$ /bk/say [PT]
<Files set.html>
    Header set X-Session-Replace user=root
    Header always set X-Session-Update a=b
</Files>
<Files echo.html>
    Header echo (?i)^X-Session
</Files>
<FilesMatch "^(hooked|rewritten|passed|any\.go|hooked.asis)$">
    LuaHookFixups LUA hook
</FilesMatch>
<Files refused>
    LuaHookAccessChecker LUA refuse
    ErrorDocument 403 /bk/say
</Files>
"#;

struct Place {
    httpd: Httpd,
    _lua: TempDir,
}

fn start(mpm: Mpm, more: &str) -> Place {
    let lua = tempfile::tempdir().unwrap();
    fs::set_permissions(lua.path(), Permissions::from_mode(0o755)).unwrap();
    let script = lua.path().join("orders.lua");
    fs::write(&script, LUA).unwrap();
    let script = script.to_str().unwrap();
    let dir = "LuaHookFixups LUA index\nDirectoryIndex /bk/say\n".replace("LUA", script);
    let order = "X-Session-Replace: user=root\n";
    let asis = |more: &str| format!("Status: 200 OK\n{order}Content-Type: text/plain\n{more}\nas it is\n");
    let httpd = Site::new(mpm)
        .load(&[
            mpm.cgi_module(),
            "rewrite",
            "include",
            "negotiation",
            "lua",
            "cern_meta",
            "actions",
            "proxy",
            "proxy_http",
            "proxy_fcgi",
            "proxy_scgi",
            "proxy_uwsgi",
            "cache",
            "cache_socache",
            "socache_shmcb",
        ])
        .conf("<IfModule mod_cgid.c>\nScriptSock cgid\n</IfModule>\nCacheSocache shmcb")
        .conf(PLACES)
        .conf(
            &"LuaMapHandler ^/evil/fails.lua$ LUA fail\nLuaMapHandler ^/bk/refuses$ LUA refuse\n\
              LuaMapHandler ^/bk/large$ LUA large\nCacheEnable socache /evil/cached.asis"
                .replace("LUA", script),
        )
        .conf(more)
        .file("cgi/say.pl", SAYS)
        .file("htdocs/evil/.htaccess", HTACCESS.replace("LUA", script))
        .file("htdocs/evil/dir/.htaccess", dir)
        .file("htdocs/evil/to-bk.asis", asis("Location: /bk/say\n"))
        .file("htdocs/evil/to-closed.asis", asis("Location: /closed/page\n"))
        .file("htdocs/evil/to-index.asis", asis("Location: /bk/dir/\n"))
        .file("htdocs/evil/plain.asis", asis(""))
        .file("htdocs/evil/cached.asis", asis("Cache-Control: max-age=60\n"))
        .file("htdocs/evil/set.html", "set\n")
        .file("htdocs/evil/echo.html", "echo\n")
        .file("htdocs/evil/meta.html", "meta\n")
        .file("htdocs/evil/meta/meta.html.meta", order)
        .file("htdocs/evil/any.go", "go\n")
        .file("htdocs/evil/many/.htaccess", "Options +MultiViews\nMultiviewsMatch Handlers\n")
        .file("htdocs/evil/many/multi.html.asis", asis("Location: /bk/say\n"))
        .file("htdocs/bk/dir/index.html", "index\n")
        .file("htdocs/bk/page.html", "page\n")
        .file("htdocs/bk/page.shtml", "<!--#include virtual=\"/evil/plain.asis\" -->\n")
        .start();
    let mut browser = httpd.browser();
    eventually("cgid", Duration::from_secs(5), || (browser.get("/bk/say").status == 200).then_some(()));
    // Who is refused, and what the scripts do on purpose.
    for line in ["cgid", "AH01630", "AH01276", "AH00037"] {
        httpd.log.allow(line);
    }
    Place { httpd, _lua: lua }
}

/// A query of [`SAYS`].
fn says(lines: &[&str]) -> String {
    lines.join("\n").replace('%', "%25").replace(' ', "%20").replace('\n', "%0A").replace('&', "%26")
}

/// What is wrong with answers that must neither begin a session, nor change one, nor show an order. Both to who comes
/// without a cookie and to who has logged in.
fn wrong(httpd: &Httpd, ways: &[String]) -> Vec<String> {
    let (stranger, alice) = (httpd.browser(), httpd.browser_of("alice"));
    let mut wrong = Vec::new();
    for path in ways {
        for (visitor, method) in [(&stranger, "GET"), (&stranger, "HEAD"), (&alice, "GET")] {
            let mut browser = visitor.clone();
            let page = browser.send(method, path, &[("X-Session-Replace", "user=echo")], "").unwrap();
            let shown = page.all("X-Session-Replace").len() + page.all("X-Session-Update").len();
            let begun = !page.all("Set-Cookie").is_empty() || page.body.contains("root");
            if shown > 0 || begun {
                wrong.push(format!("{method} {path}: shown {shown}, begun {begun}: {page:?}"));
            }
        }
    }
    wrong
}

fn an_order_from_elsewhere_does_not_count_where_it_arrives(mpm: Mpm) {
    let place = start(mpm, "");
    let order = ["X-Session-Replace: user=root"];
    let cgi = |more: &str| format!("/evil/say?{}", says(&[order[0], more]));
    let ways = [
        // A program and a mere file that lead httpd on to a place where orders count, or are refused.
        cgi("Location: /bk/say"),
        cgi("Location: /closed/page"),
        cgi("Location: /bk/none"),
        "/evil/to-bk.asis".into(),
        "/evil/to-closed.asis".into(),
        "/evil/to-index.asis".into(),
        "/evil/many/multi".into(),
        // The error page of such a place, one that fails itself, and one that is refused.
        "/bk/none".into(),
        "/closed/none".into(),
        "/bk/lost/none".into(),
        // Hooks before the handler, which then is another's.
        "/evil/dir/".into(),
        "/evil/rewritten".into(),
        "/evil/passed".into(),
        "/evil/any.go".into(),
        "/evil/refused".into(),
        "/evil/fails.lua".into(),
        // Parts of pages.
        "/bk/page.shtml".into(),
        // What stays where it was said.
        cgi("Status: 200"),
        cgi("Status: 204"),
        cgi("Status: 404"),
        cgi("Status: 304"),
        cgi("Status: 500"),
        cgi("Location: http://x.example/"),
        "/evil/plain.asis".into(),
        "/evil/set.html".into(),
        "/evil/echo.html".into(),
        "/evil/meta.html".into(),
        "/evil/cached.asis".into(),
        "/evil/cached.asis".into(),
        // Not an application's.
        "/bk/page.html?from-mod_headers".into(),
    ];
    let wrong = wrong(&place.httpd, &ways);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), ways.len() * 3, wrong.join("\n"));
}

#[test]
fn an_order_from_a_gateway_elsewhere_does_not_count_where_it_arrives() {
    let leads = gateway("X-Session-Replace: user=root\r\nLocation: /bk/say\r\n\r\n");
    let stays = gateway("X-Session-Replace: user=root\r\nContent-Type: text/plain\r\n\r\nstays\n");
    let http = gateway("HTTP/1.0 200 OK\r\nX-Session-Replace: user=root\r\n\r\nstays\n");
    let http_leads = gateway("HTTP/1.0 200 OK\r\nX-Session-Replace: user=root\r\nLocation: /bk/say\r\n\r\n");
    let mut conf = format!(
        "ProxyPass /evil/http http://127.0.0.1:{http}/\nProxyPass /bk/http http://127.0.0.1:{http}/\n\
         RewriteEngine On\nRewriteRule ^/evil/fetched http://127.0.0.1:{http}/ [P]\n"
    );
    // The last speaks as HTTP does.
    for (scheme, leads, stays) in
        [("fcgi", leads, stays), ("scgi", leads, stays), ("uwsgi", http_leads, http)]
    {
        conf += &format!(
            "ProxyPass /evil/{scheme}/leads {scheme}://127.0.0.1:{leads}/\n\
             ProxyPass /evil/{scheme}/stays {scheme}://127.0.0.1:{stays}/\n\
             ProxyPass /bk/{scheme} {scheme}://127.0.0.1:{stays}/\n"
        );
    }
    let place = start(Mpm::Event, &conf);
    let mut ways = vec!["/evil/http".to_owned(), "/evil/fetched".into()];
    for scheme in ["fcgi", "scgi", "uwsgi"] {
        ways.extend([format!("/evil/{scheme}/leads"), format!("/evil/{scheme}/stays")]);
    }
    let wrong = wrong(&place.httpd, &ways);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Where it counts, it does by each of them.
    for scheme in ["http", "fcgi", "scgi", "uwsgi"] {
        let mut browser = place.httpd.browser();
        browser.get(&format!("/bk/{scheme}")).expect(200);
        assert_eq!(browser.get("/bk/say").body, "user=root\n", "{scheme}");
    }
}

#[test]
fn an_order_counts_beside_the_redirect_or_error_that_its_application_answers_with() {
    let place = start(Mpm::Event, "");
    let user = |browser: &mut Browser| browser.get("/bk/say").body;
    // The page that it leads on to is for the user already whom it has logged in.
    let mut browser = place.httpd.browser();
    let login = says(&["X-Session-Replace: user=alice", "Location: /app/page.html"]);
    let page = browser.get(&format!("/bk/say?{login}")).expect(200);
    assert_eq!((page.user(), page.body.as_str()), (Some("alice"), "app/page\n"));
    assert_eq!(user(&mut browser), "user=alice\n");
    let page =
        browser.get(&format!("/bk/say?{}", says(&["X-Session-Replace: ", "Location: /app/page.html"])));
    assert!(page.is_refused() && browser.cookies.is_empty(), "{page:?}");

    let mut browser = place.httpd.browser();
    let page = browser.get("/bk/refuses").expect(403);
    assert_eq!((page.body.as_str(), page.header("X-Session-Replace")), ("open/page\n", None));
    assert_eq!(user(&mut browser), "user=root\n");
    for status in ["Status: 204", "Status: 304", "Status: 500", "Location: http://x.example/"] {
        let mut browser = place.httpd.browser();
        let page = browser.get(&format!("/bk/say?{}", says(&["X-Session-Replace: user=bob", status])));
        assert_eq!(page.header("X-Session-Replace"), None, "{status}");
        assert_eq!(user(&mut browser), "user=bob\n", "{status}");
    }
}

#[test]
fn an_order_that_was_not_stored_is_told_also_where_httpd_goes_on_to_another_page() {
    let place = start(Mpm::Event, "SessionClusterTable 2M record=2k");
    place.httpd.log.allow("SC0201");
    let large = "x".repeat(4000);
    let lines = [&*format!("X-Session-Replace: user=a&b={large}"), "Location: /open/page.html"];
    for path in [format!("/bk/say?{}", says(&lines)), "/bk/large".into()] {
        let mut browser = place.httpd.browser();
        let page = browser.get(&path).expect(500);
        assert!(browser.cookies.is_empty() && page.header("X-Session-Replace").is_none(), "{page:?}");
    }
}
