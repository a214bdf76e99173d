//! What those can do who write `.htaccess` files, where the site lets them: nothing outside of their directory.

use harness::{Mpm, Page, Site};

const MALLORY: &str = "mallory:{SHA}tiY7sUhYKUwI5L3866kDY+ENcrQ=\n";
const BASIC: [(&str, &str); 1] = [("Authorization", "Basic bWFsbG9yeTp3b25kZXJsYW5k")];

/// A site that lets `/mall` do in `.htaccess` what httpd allows, with a password file of its own.
fn site(htaccess: &str) -> Site {
    let own = "AuthType Basic\nAuthName Basic\nAuthBasicProvider file\nAuthUserFile mall-passwords\n";
    Site::new(Mpm::Event)
        .conf("<Directory />\nAllowOverride All\n</Directory>")
        .file("htdocs/mall/.htaccess", htaccess.replace("OWN", own))
        .file("htdocs/mall/page.html", "mall\n")
        .file("mall-passwords", MALLORY)
}

#[test]
fn no_htaccess_file_makes_an_administrator() {
    let httpd = site("OWN Require valid-user\nSetHandler session-cluster-admin\n").start();
    httpd.log.allow("SC0318");
    let mut alice = httpd.browser_of("alice");
    let form = [("action", "end"), ("scope", "all")];
    let mut mallory = httpd.browser();
    mallory.get_with("/mall/page.html", &BASIC).expect(403);
    mallory.post_with("/mall/page.html", &form, &BASIC).expect(403);
    alice.get("/app/page.html").expect(200);
    assert!(httpd.log.count("SC0318") > 0);
}

#[test]
fn an_administrator_of_a_realm_ends_the_sessions_of_that_realm_only() {
    let admin = "<Location /admin>\nSetHandler session-cluster-admin\nAuthType Session\nRequire user carol\n\
                 </Location>\n<Location /off>\nSetHandler session-cluster-admin\nSessionClusterAdmin Off\n\
                 AuthType Session\nRequire user carol\n</Location>";
    let httpd = Site::new(Mpm::Event).conf(admin).start();
    httpd.log.allow("SC0318");
    httpd.browser_of("carol").get("/off").expect(403);
    let (mut alice, mut carol) = (httpd.browser_of("alice"), httpd.browser_of("carol"));
    assert!(!carol.get("/admin").expect(200).body.contains("value=\"all\""), "it is not offered");
    let page = carol.post("/admin", &[("action", "end"), ("scope", "all")]).expect(403);
    assert!(page.body.contains("cannot be ended here"), "{page:?}");
    alice.get("/app/page.html").expect(200);
    carol.post("/admin", &[("action", "end"), ("scope", "realm")]).expect(200);
    assert!(alice.get("/app/page.html").is_refused());
}

fn no_session(page: &Page) {
    assert_eq!(page.header("Set-Cookie"), None, "{page:?}");
}

#[test]
fn nobody_is_vouched_for_by_a_file_that_others_write() {
    let adopt = "<Location /mall>\nSessionClusterAdopt On\n</Location>";
    for htaccess in [
        "OWN Require valid-user\n",
        "<Files *>\nOWN Require valid-user\n</Files>\n",
        "<If \"true\">\nOWN Require valid-user\n</If>\n",
        "<Files *>\n<If \"true\">\nOWN Require valid-user\n</If>\n</Files>\n",
    ] {
        let httpd = site(htaccess).conf(adopt).start();
        httpd.log.allow("SC0319");
        // The page is its writer's, and whom it lets in; but nobody becomes a session by it.
        let page = httpd.browser().get_with("/mall/page.html", &BASIC).expect(200);
        assert_eq!(page.user(), Some("mallory"), "{htaccess}");
        no_session(&page);
        assert!(httpd.log.count("SC0319") > 0, "{htaccess}");
    }
}

#[test]
fn a_login_does_not_take_passwords_from_a_file_that_others_name() {
    // What the site says for all of it, and what the directory adds.
    let login = "<Directory />\nSessionClusterAuthn file\nAuthType Session\nRequire all granted\n\
                 </Directory>";
    let httpd = site("SetHandler session-cluster-login\nAuthUserFile mall-passwords\n").conf(login).start();
    httpd.log.allow("SC0319");
    let form = [("httpd_username", "mallory"), ("httpd_password", "wonderland")];
    no_session(&httpd.browser().post("/mall/page.html", &form).expect(500));
}

#[test]
fn a_group_file_that_others_name_grants_nothing() {
    let conf = "<Location /mall>\nAuthType Basic\nAuthName Basic\nAuthBasicProvider file\nAuthUserFile passwords\n\
                SessionClusterAdopt On\nSessionClusterGrant staff group staff\nRequire valid-user\n</Location>\n\
                <Location /basic>\nAuthType Basic\nAuthName Basic\nAuthBasicProvider file\nAuthUserFile passwords\n\
                SessionClusterAdopt On\nRequire session-grant staff\n</Location>";
    let httpd = site("AuthGroupFile mall-groups\n")
        .load(&["authz_groupfile"])
        .conf(conf)
        .file("htdocs/basic/x.html", "x\n")
        .file("mall-groups", "staff: alice\n")
        .start();
    httpd.log.allow("SC0319");
    httpd.log.allow("AH0163"); // httpd logs each refusal
    let mut alice = httpd.browser();
    let basic = [("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")];
    let refused = |page: Page| assert!([401, 403].contains(&page.status), "{page:?}");
    refused(alice.get_with("/basic/x.html", &basic));
    alice.get_with("/mall/page.html", &basic).expect(200);
    refused(alice.get_with("/basic/x.html", &basic));
}

#[test]
fn nor_does_it_once_a_rewrite_or_an_index_has_led_elsewhere() {
    let conf = "<Location /mall>\nAuthType Basic\nAuthName Basic\nAuthBasicProvider file\nAuthUserFile passwords\n\
                SessionClusterAdopt On\nRequire valid-user\n</Location>\n\
                <LocationMatch ^/mall/(page|sub/)>\nSessionClusterGrant staff group staff\n</LocationMatch>\n\
                <Location /basic>\nAuthType Basic\nAuthName Basic\nAuthBasicProvider file\nAuthUserFile passwords\n\
                SessionClusterAdopt On\nRequire session-grant staff\n</Location>";
    let look = "AuthGroupFile mall-groups\nRequestHeader set X \"expr=%{SESSION:user}\"\n\
                Header set X \"expr=%{SESSION:user}\"\n";
    let rewrite = format!("{look}RewriteEngine On\nRewriteRule ^page\\.html$ /open/page.html [L]\n");
    // Here the file stands where only the index is, which httpd looks up as a request of its own.
    let index = "DirectoryIndex sub/index.html\n";
    for (htaccess, beside_index, path) in [(rewrite.as_str(), "", "/mall/page.html"), (index, look, "/mall/")]
    {
        let httpd = site(htaccess)
            .load(&["authz_groupfile", "rewrite"])
            .conf(conf)
            .conf("<Directory />\nAuthGroupFile groups\n</Directory>")
            .file("groups", "staff: bob\n")
            .file("htdocs/mall/sub/.htaccess", beside_index)
            .file("htdocs/mall/sub/index.html", "index\n")
            .file("htdocs/basic/x.html", "x\n")
            .file("mall-groups", "staff: alice\n")
            .start();
        httpd.log.allow("SC03");
        httpd.log.allow("AH0163"); // httpd logs each refusal
        let basic = [("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")];
        let mut alice = httpd.browser();
        alice.get_with("/basic/x.html", &basic);
        assert!(alice.cookies.contains_key("SCID"), "her session begins");
        alice.get_with(path, &basic).expect(200);
        let page = alice.get_with("/basic/x.html", &basic);
        assert!([401, 403].contains(&page.status), "{path}: {page:?}");
    }
}

#[test]
fn a_file_that_vouches_for_nobody_does_no_harm() {
    // What applications bring along, in the directory of the whole site.
    let usual = "RewriteEngine On\nRewriteRule ^nothing$ /else [L]\nHeader set X-Site yes\n\
                 <Files wp-config.php>\nRequire all denied\n</Files>\n<IfModule mod_expires.c>\nExpiresActive On\n\
                 </IfModule>\nErrorDocument 404 /open/page.html\n";
    let conf = "<Directory />\nAllowOverride All\n</Directory>\n\
                <Location /basic>\nAuthType Basic\nAuthName Basic\nAuthBasicProvider file\nAuthUserFile passwords\n\
                SessionClusterAdopt On\nRequire valid-user\n</Location>";
    let httpd = Site::new(Mpm::Event)
        .load(&["rewrite", "expires"])
        .conf(conf)
        .file("htdocs/.htaccess", usual)
        .file("htdocs/basic/x.html", "x\n")
        .start();
    httpd.browser_of("alice").get("/app/page.html").expect(200);
    let basic = [("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")];
    let page = httpd.browser().get_with("/basic/x.html", &basic).expect(200);
    assert!(page.header("Set-Cookie").is_some() && page.header("X-Site") == Some("yes"), "{page:?}");
    assert_eq!(httpd.log.count("SC0319"), 0);
}
