//! `SessionClusterAdopt` over client certificates, by both ways in which mod_ssl makes a user of one: `SSLUserName`,
//! and `FakeBasicAuth` with a password file. curl(1) is the browser.

use super::curl::Curl;
use harness::free_port;
use harness::redis::Tls;
use harness::{Httpd, Mpm, Page, Site, on_each_mpm};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

on_each_mpm!(a_certificate_becomes_a_session);

/// `password`, which mod_ssl shows in the name of every certificate.
const FAKE_HASH: &str = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";
/// The client of the harness' certificates, as each of the two ways calls it.
const CLIENT: [(&str, &str); 2] = [("/name", "test client"), ("/fake", "/CN=test client")];
const BOB: [(&str, &str); 2] = [("/name", "bob"), ("/fake", "/CN=bob")];

/// When mod_ssl is loaded: hooks of the same order run in the order of `LoadModule`.
#[derive(Clone, Copy)]
enum Ssl {
    BeforeUs,
    AfterUs,
}

struct Town {
    httpd: Httpd,
    root: TempDir,
    tls: Tls,
    /// Where a certificate is welcome, and where the server insists on one.
    optional: u16,
    required: u16,
}

impl Town {
    fn new(mpm: Mpm, ssl: Ssl) -> Town {
        let root = tempfile::Builder::new().prefix("msc-certificates-").tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        let tls = Tls::make(root.path());
        issue(root.path(), "bob");
        let (optional, required) = (free_port(), free_port());
        let site = match ssl {
            Ssl::BeforeUs => Site::new(mpm).load_before(&["ssl"]),
            Ssl::AfterUs => Site::new(mpm).load(&["ssl"]),
        };
        let hosts = host(root.path(), optional, "optional") + &host(root.path(), required, "require");
        let users = ["/CN=test client", "/CN=bob"].map(|name| format!("{name}:{FAKE_HASH}\n"));
        let httpd = site
            .conf(&format!("SessionClusterRealm town\n{hosts}"))
            .conf(
                "<Location /admin>\nSetHandler session-cluster-admin\nSessionClusterAdmin realm\nAuthType Session\n\
                 Require user carol\n</Location>",
            )
            .file("certificates", users.concat())
            .file("htdocs/name/page.html", "name\n")
            .file("htdocs/fake/page.html", "fake\n")
            .start();
        httpd.log.allow("AH01882"); // Debian's mod_ssl was built with another patch level of OpenSSL.
        httpd.log.allow("AH01873"); // no cache of TLS sessions
        httpd.log.allow("AH02227"); // no certificate for SSLUserName
        Town { httpd, root, tls, optional, required }
    }

    fn certificate(&self, name: &str) -> Option<(PathBuf, PathBuf)> {
        let file = |end: &str| self.root.path().join(format!("{name}.{end}"));
        Some((file("crt"), file("key")))
    }

    /// A browser with a jar of its own.
    fn browser(&self, jar: &str) -> Curl {
        Curl::trusting(&self.tls.ca()).keeping(self.root.path().join(jar))
    }

    #[track_caller]
    fn get(&self, browser: &Curl, path: &str) -> Page {
        let url = format!("https://127.0.0.1:{}{path}/page.html", self.optional);
        browser.get(&url, &[]).unwrap_or_else(|said| panic!("{said}"))
    }
}

/// A host where a certificate names the user in two ways.
fn host(certificates: &Path, port: u16, verify: &str) -> String {
    let directory = certificates.display();
    let door = |path: &str, more: &str| {
        format!(
            "<Location {path}>\n{more}\nAuthType Basic\nAuthName \"Certificates of {path}\"\n\
             Require valid-user\nSessionClusterAdopt On\n\
             Header always set X-Foo \"expr=%{{HTTP:X-Foo}}|%{{HTTP:Range}}\"\n</Location>\n"
        )
    };
    let name = door("/name", "SSLUserName SSL_CLIENT_S_DN_CN");
    let fake = door("/fake", "SSLOptions +FakeBasicAuth\nAuthBasicProvider file\nAuthUserFile certificates");
    format!(
        "Listen 127.0.0.1:{port}\n<VirtualHost 127.0.0.1:{port}>\nSSLEngine On\n\
         SSLCertificateFile {directory}/server.crt\nSSLCertificateKeyFile {directory}/server.key\n\
         SSLCACertificateFile {directory}/ca.crt\nSSLVerifyClient {verify}\n{name}{fake}</VirtualHost>\n"
    )
}

/// A client's certificate beside those of the harness, from the same authority.
fn issue(directory: &Path, name: &str) {
    let mut openssl = Command::new("openssl");
    openssl.current_dir(directory).args(["req", "-x509", "-days", "1", "-nodes", "-extensions", "client"]);
    openssl.args([
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-subj",
        &format!("/CN={name}"),
    ]);
    openssl.args(["-config", "openssl.cnf", "-CA", "ca.crt", "-CAkey", "ca.key"]);
    openssl.args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")]);
    let output = openssl.output().expect("openssl(1) is needed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn a_certificate_becomes_a_session(mpm: Mpm) {
    let town = Town::new(mpm, Ssl::AfterUs);
    for (path, user) in CLIENT {
        let bare = town.browser(&path[1..]);
        let browser = bare.clone().showing(town.certificate("client"));
        assert_eq!(town.get(&bare, path).status, 401);

        let page = town.get(&browser, path).expect(200);
        assert_eq!(page.user(), Some(user));
        assert!(page.header("Set-Cookie").expect("a cookie").starts_with("__Host-SCID="), "{page:?}");
        for browser in [&browser, &browser, &bare, &bare] {
            let page = town.get(browser, path).expect(200);
            assert_eq!((page.user(), page.header("Set-Cookie")), (Some(user), None));
        }

        fs::copy(town.root.path().join(&path[1..]), town.root.path().join("kept")).unwrap();
        let logout = format!("https://127.0.0.1:{}/logout", town.optional);
        bare.get(&logout, &["--data", "", "--header", "Sec-Fetch-Site: same-origin"]).unwrap().expect(200);
        assert_eq!(town.get(&bare, path).status, 401);
        assert_eq!(town.get(&town.browser("kept"), path).status, 401);
        // Browsers that have the certificate log in again by themselves.
        town.get(&browser, path).expect(200);
    }
}

#[test]
fn a_refresh_of_somebody_with_a_certificate_is_over_with_their_next_page() {
    let town = Town::new(Mpm::Event, Ssl::AfterUs);
    let browser = town.browser("name").showing(town.certificate("client"));
    town.get(&browser, "/name").expect(200);
    let mut carol = town.httpd.browser_of("carol");
    carol.post("/admin", &[("action", "refresh"), ("scope", "user"), ("name", "test client")]).expect(200);
    let begins = || town.get(&browser, "/name").expect(200).header("Set-Cookie").is_some();
    assert!(begins());
    assert!(!begins(), "it is refreshed with each page");
}

#[test]
fn where_the_server_insists_on_a_certificate_a_cookie_alone_does_not_come_in() {
    let town = Town::new(Mpm::Event, Ssl::AfterUs);
    town.httpd.log.allow("AH02039"); // a certificate of an unknown authority
    let strangers = tempfile::tempdir().unwrap();
    let stranger = Tls::make(strangers.path());
    for (path, user) in CLIENT {
        let bare = town.browser(&path[1..]);
        let browser = bare.clone().showing(town.certificate("client"));
        town.get(&browser, path).expect(200);
        town.get(&bare, path).expect(200);

        let url = format!("https://127.0.0.1:{}{path}/page.html", town.required);
        assert_eq!(browser.get(&url, &[]).unwrap().expect(200).user(), Some(user));
        let refused = bare.get(&url, &[]).unwrap_err();
        assert!(
            refused.contains("certificate required") || refused.contains("handshake failure"),
            "{refused}"
        );
        // Another authority's certificate, of the same name.
        let other = bare.showing(Some((stranger.client_cert(), stranger.client_key())));
        let refused = other.get(&url, &[]).unwrap_err();
        assert!(refused.contains("alert"), "{refused}");
    }
}

/// Whose page it is when a browser with the session of one shows the certificate of another.
fn assert_that_certificates_count(ssl: Ssl, ways: &[usize]) {
    let town = Town::new(Mpm::Event, ssl);
    for &way in ways {
        let ((path, client), (_, bob)) = (CLIENT[way], BOB[way]);
        let bare = town.browser(&path[1..]);
        for (name, user) in [("client", client), ("bob", bob), ("client", client)] {
            let browser = bare.clone().showing(town.certificate(name));
            for _ in 0..3 {
                assert_eq!(town.get(&browser, path).expect(200).user(), Some(user), "{path}");
            }
            assert_eq!(town.get(&bare, path).expect(200).user(), Some(user), "{path}");
        }
    }
}

#[test]
fn a_certificate_counts_for_more_than_the_session_of_somebody_else() {
    assert_that_certificates_count(Ssl::BeforeUs, &[0, 1]);
    assert_that_certificates_count(Ssl::AfterUs, &[0]);
}

#[test]
fn a_certificate_by_fake_basic_counts_for_more_too_when_mod_ssl_is_loaded_later() {
    assert_that_certificates_count(Ssl::AfterUs, &[1]);
}

#[test]
fn headers_of_the_first_request_are_not_those_of_the_next() {
    let town = Town::new(Mpm::Event, Ssl::BeforeUs);
    for path in ["/name", "/fake"] {
        let url = format!("https://127.0.0.1:{}{path}/page.html", town.optional);
        let with = town.browser(&path[1..]).showing(town.certificate("client"));
        let first = ["--header", "X-Foo: first", "--header", "Range: bytes=0-1"];
        with.get(&url, &first).unwrap().expect(206);
        let page = town.browser(&path[1..]).get(&url, &["--header", "X-Foo: second"]).unwrap().expect(200);
        assert_eq!(page.header("X-Foo"), Some("second|"), "{path}");
    }
}
