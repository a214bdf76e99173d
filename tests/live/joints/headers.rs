//! Headers of requests on their way to programs and backends: a session's cookie comes to none of them by any way that
//! httpd has, and what the session says there goes along.

use super::gateways::gateway;
use harness::{Httpd, Mpm, Page, Site, eventually, exchange, on_each_mpm};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

on_each_mpm!(a_session_cookie_comes_to_no_program_or_backend_by_any_way);

/// Shows its environment; leads on to the address that is its query.
const ENV: &str = "#!/bin/sh\ncase $QUERY_STRING in /*) printf 'Location: %s\\n\\n' \"$QUERY_STRING\"; exit;; esac\n\
                   printf 'Content-Type: text/plain\\n\\nTOLD\\n'\nenv\ncat >/dev/null\n";

const LUA: &str = "\
function handle(r)
    r:puts('TOLD\\n')
    for name, value in pairs((r:headers_in_table())) do r:puts(name, '=', value, '\\n') end
    for name, value in pairs((r:subprocess_env_table())) do r:puts(name, '=', value, '\\n') end
    return apache2.OK
end
";

/// Every way by which a module may look at the headers of a request, and hand them on.
const WAYS: &str = r#"
ScriptAliasMatch ^(/app)?/env(/|$) cgi/env.sh
TraceEnable On
RewriteEngine On
RewriteRule ^/fetched http://127.0.0.1:HTTP/ [P]
RewriteRule ^/internal /told/http [PT]
RewriteRule ^/copied /env [PT,E=COPY:%{HTTP:Cookie},E=OTHER:%{HTTP_COOKIE}]
RewriteRule ^/shown http://x.example/?%{HTTP:Cookie} [R,NE]
ProxyPass /told/http http://127.0.0.1:HTTP/
ProxyPass /told/fcgi fcgi://127.0.0.1:CGI/
ProxyPass /told/scgi scgi://127.0.0.1:CGI/
ProxyPass /told/uwsgi uwsgi://127.0.0.1:HTTP/
SetEnvIf Cookie "(.*)" SET_COOKIE=$1
RequestHeader set X-Early "expr=%{HTTP:Cookie}" early
RequestHeader set X-Late "expr=%{HTTP:Cookie}"
RequestHeader append X-More %{COPY}e
Header set X-Cookie "expr=%{HTTP_COOKIE}"
Header echo (?i)^cookie
LogFormat "%{Cookie}i %{SCID}C %{COPY}e %{SET_COOKIE}e %{Cookie}^ti" cookies
CustomLog cookies.log cookies
<Location /wrong>
    ErrorDocument 404 /told/http
</Location>
<Location /worse>
    ErrorDocument 404 /told/fcgi
</Location>
<Location /bad>
    ErrorDocument 403 /env
    Require all denied
</Location>
ErrorDocument 400 /env
<Directory "/*/*/htdocs/parts">
    Options +Includes +ExecCGI
    AddOutputFilter INCLUDES .shtml
    AddHandler cgi-script .cgi
    DirectoryIndex index.cgi
</Directory>
<Directory "/*/*/htdocs/led">
    DirectoryIndex /env
</Directory>
<Directory "/*/*/htdocs/rewritten">
    RewriteEngine On
    RewriteRule fetched$ http://127.0.0.1:HTTP/ [P]
    RewriteRule rewritten/led$ /told/http
</Directory>
<Directory "/*/*/htdocs/many">
    Options +MultiViews +ExecCGI
    MultiviewsMatch Handlers
    AddHandler cgi-script .cgi
</Directory>
"#;

const PARTS: &str = "<!--#include virtual=\"/env\" -->\n<!--#include virtual=\"/told/http\" -->\n\
                     <!--#include virtual=\"/parts/\" -->\n<!--#exec cmd=\"env\" -->\n<!--#printenv -->\n\
                     <!--#echo var=\"HTTP_COOKIE\" -->\n";

struct Place {
    httpd: Httpd,
    _lua: TempDir,
}

fn start(mpm: Mpm, more: &str) -> Place {
    let lua = tempfile::tempdir().unwrap();
    fs::set_permissions(lua.path(), Permissions::from_mode(0o755)).unwrap();
    let script = lua.path().join("told.lua");
    fs::write(&script, LUA).unwrap();
    let http = gateway("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nTOLD\n");
    let cgi = gateway("Content-Type: text/plain\r\n\r\nTOLD\n");
    let conf = format!("LuaMapHandler ^/told/lua LUA handle\n{WAYS}\n{more}")
        .replace("LUA", script.to_str().unwrap())
        .replace(":HTTP/", &format!(":{http}/"))
        .replace(":CGI/", &format!(":{cgi}/"));
    let httpd = Site::new(mpm)
        .load(&[mpm.cgi_module(), "rewrite", "setenvif", "include", "negotiation", "lua", "http2"])
        .load(&["proxy", "proxy_http", "proxy_fcgi", "proxy_scgi", "proxy_uwsgi"])
        .conf("<IfModule mod_cgid.c>\nScriptSock cgid\n</IfModule>\nProtocols h2c http/1.1")
        .conf(&conf)
        .file("cgi/env.sh", ENV)
        .file("htdocs/parts/page.shtml", PARTS)
        .file("htdocs/parts/index.cgi", ENV)
        .file("htdocs/many/multi.cgi", ENV)
        .file("htdocs/led/page.html", "")
        .file("htdocs/rewritten/page.html", "")
        .start();
    let mut browser = httpd.browser();
    eventually("cgid", Duration::from_secs(5), || (browser.get("/env").status == 200).then_some(()));
    for line in ["cgid", "AH01630", "AH10034"] {
        httpd.log.allow(line);
    }
    Place { httpd, _lua: lua }
}

fn a_session_cookie_comes_to_no_program_or_backend_by_any_way(mpm: Mpm) {
    let Place { httpd, _lua } = start(mpm, "");
    let mut alice = httpd.browser_of("alice");
    let id = alice.session().to_owned();
    alice.cookies.insert("other".into(), "kept".into());
    let mut wrong = Vec::new();
    let mut look = |way: &str, told: &str, all: String| {
        if !all.contains(told) || !all.contains("kept") || all.contains(&id) {
            wrong.push(format!("{way}: {all}"));
        }
    };
    for path in [
        "/env",
        "/app/env",
        "/env?/told/http",
        "/env?/env/more",
        "/fetched",
        "/internal",
        "/copied",
        "/told/http",
        "/told/fcgi",
        "/told/scgi",
        "/told/uwsgi",
        "/told/lua",
        "/wrong",
        "/worse",
        "/bad",
        "/parts/page.shtml",
        "/parts/",
        "/led/",
        "/rewritten/fetched",
        "/rewritten/led",
        "/many/multi",
    ] {
        let page = alice.get(path);
        look(path, "TOLD", format!("{page:?}"));
    }
    for (method, path) in [("TRACE", "/"), ("GET", "/shown")] {
        let page = alice.send(method, path, &[("X-Mark", "TOLD")], "").unwrap();
        look(method, "", format!("{page:?}"));
    }
    // In two lines, and in a request that httpd refuses before any module has seen it.
    let two = format!("Cookie: other=kept\r\nCookie: SCID={id}\r\n");
    for head in [
        format!("GET /env HTTP/1.1\r\nHost: x\r\n{two}"),
        format!("GET /env HTTP/1.1\r\n{two}"),
        format!("GET /told/http HTTP/1.1\r\nHost: x\r\nCookie: other=kept; SCID={id}; __Host-SCID={id}\r\n"),
    ] {
        let answer = exchange(httpd.address(), format!("{head}Connection: close\r\n\r\n").as_bytes());
        look(&head, "TOLD", answer);
    }
    if mpm != Mpm::Prefork {
        // mod_http2 says itself that it is not made for prefork, and crashes there at times.
        let curl = Command::new("curl")
            .args(["--disable", "--noproxy", "*", "--silent", "--max-time", "20", "--http2-prior-knowledge"])
            .args(["--header", "Cookie: other=kept", "--header", &format!("Cookie: SCID={id}")])
            .arg(format!("http://{}/env", httpd.address()))
            .output()
            .expect("curl(1) is needed");
        look("HTTP/2", "TOLD", String::from_utf8_lossy(&curl.stdout).into_owned());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(httpd.secrets_in("cookies.log").is_empty());
}

fn says<'p>(page: &'p Page, name: &str) -> Vec<&'p str> {
    page.body.lines().filter_map(|line| line.strip_prefix(name)).map(str::trim_end).collect()
}

#[test]
fn an_export_goes_along_to_the_page_that_a_directory_shows() {
    let exports = "<Files *.cgi>\nSessionClusterExport header user\n</Files>\n\
                   <Location /led>\nSessionClusterExport header user=X-Led\n</Location>";
    let Place { httpd, _lua } = start(Mpm::Event, exports);
    let forged = [("X-Session-user", "root"), ("X-Led", "root")];
    let mut alice = httpd.browser_of("alice");
    let user = "HTTP_X_SESSION_USER=";
    for path in ["/parts/index.cgi", "/parts/", "/many/multi.cgi", "/many/multi"] {
        assert_eq!(says(&alice.get_with(path, &forged).expect(200), user), ["alice"], "{path}");
        let page = httpd.browser().get_with(path, &forged).expect(200);
        assert!(page.body.contains("TOLD") && !page.body.contains("root"), "{path}: {page:?}");
        assert!(says(&page, user).is_empty(), "{path}: {page:?}");
    }
    let page = alice.get("/parts/page.shtml").expect(200);
    assert_eq!(says(&page, user), ["alice"], "the included directory: {page:?}");
    // What the directory is told is not for a page that is somewhere else.
    let page = alice.get_with("/led/", &forged).expect(200);
    assert!(page.body.contains("TOLD") && says(&page, "HTTP_X_LED=").is_empty(), "{page:?}");
}

#[test]
fn a_body_that_a_login_kept_says_nothing_of_later_ones() {
    let form = "<Location /kept>\nAuthType Form\nAuthName kept\nAuthFormProvider file\nAuthUserFile passwords\n\
                AuthFormMimetype kind\nAuthFormBody body\nSessionClusterAdopt On\nRequire valid-user\n</Location>\n\
                ScriptAlias /kept cgi/env.sh\nLoadModule session_module modules/mod_session.so\n\
                LoadModule request_module modules/mod_request.so\n\
                LoadModule auth_form_module modules/mod_auth_form.so";
    let Place { httpd, _lua } = start(Mpm::Event, form);
    let mut alice = httpd.browser();
    let urlencoded = "application/x-www-form-urlencoded";
    let login = [
        ("httpd_username", "alice"),
        ("httpd_password", "wonderland"),
        ("kind", urlencoded),
        ("body", "a=b"),
    ];
    let page = alice.post("/kept", &login).expect(200);
    assert_eq!((says(&page, "CONTENT_TYPE="), page.user()), (vec![urlencoded], Some("alice")));
    for kind in ["application/json", "multipart/form-data; boundary=x", urlencoded] {
        let page = alice.send("POST", "/kept", &[("Content-Type", kind)], "{}").unwrap().expect(200);
        assert_eq!((says(&page, "CONTENT_TYPE="), page.user()), (vec![kind], Some("alice")));
    }
    let page = alice.get("/kept").expect(200);
    assert_eq!((says(&page, "CONTENT_TYPE="), page.user()), (vec![], Some("alice")));
}

#[test]
fn no_client_sends_a_header_behind_its_body() {
    // A handler that reads the body would see `X-Session-User: root` of such a trailer among the headers.
    let (accepted, said) = Site::new(Mpm::Event).conf("MergeTrailers On").check();
    assert!(!accepted && said.contains("SC0129"), "{said}");
    let (accepted, said) = Site::new(Mpm::Event).conf("MergeTrailers Off").check();
    assert!(accepted, "{said}");
    let (accepted, said) = Site::bare(Mpm::Event).conf("MergeTrailers On").check();
    assert!(accepted, "a server in which the module does nothing: {said}");
}
