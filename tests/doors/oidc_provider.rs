//! An OpenID provider on a port of the loopback (`oidc_provider.py`, the standard library only), and the way of a
//! browser through it.

use super::curl::Curl;
use harness::redis::Tls;
use harness::{Browser, Page};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const CLIENT: &str = "intranet";
/// HS256 wants a key that is no shorter than its digest.
const SECRET: &str = "a-secret-that-only-provider-and-httpd-know";

/// Where the provider sends its visitors back to.
pub(super) const CALLBACK: &str = "/callback";

/// A running provider.
pub(super) struct Provider {
    child: Child,
    url: String,
    tls: Tls,
    /// Holds the certificates.
    _root: TempDir,
}

impl Provider {
    #[track_caller]
    pub(super) fn start() -> Provider {
        let root = tempfile::Builder::new().prefix("msc-oidc-").tempdir().unwrap();
        // httpd runs as `www-data` and must get at the authority's certificate.
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        let tls = Tls::make(root.path());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doors/oidc_provider.py");
        let mut python = Command::new("python3");
        python.arg(script).args([CLIENT, SECRET]);
        python.args(["server.crt", "server.key"].map(|name| root.path().join(name)));
        python.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = python.spawn().expect("python3 is needed");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port: u16 = line.trim().parse().expect("the provider's port");
        Provider { child, url: format!("https://127.0.0.1:{port}"), tls, _root: root }
    }

    /// The server's part of it, for mod_auth_openidc.
    pub(super) fn conf(&self) -> String {
        let Provider { url, tls, .. } = self;
        format!(
            "OIDCProviderIssuer {url}\nOIDCProviderAuthorizationEndpoint {url}/authorize\n\
             OIDCProviderTokenEndpoint {url}/token\nOIDCProviderTokenEndpointAuth client_secret_basic\n\
             OIDCIDTokenSignedResponseAlg HS256\nOIDCClientID {CLIENT}\nOIDCClientSecret {SECRET}\n\
             OIDCRedirectURI {CALLBACK}\nOIDCCryptoPassphrase for-the-state-cookie\nOIDCRemoteUserClaim sub\n\
             OIDCCABundlePath {}\n",
            tls.ca().display()
        )
    }

    /// How often visitors were sent here, and how often httpd asked who they are.
    #[track_caller]
    pub(super) fn hits(&self) -> (u64, u64) {
        let hits = self.get("/hits", &[]).expect(200).json();
        (hits["authorize"].as_u64().unwrap(), hits["token"].as_u64().unwrap())
    }

    /// Follows a page's redirect to the provider, as `user`, and returns the path and query of the way back.
    #[track_caller]
    pub(super) fn visit(&self, page: &Page, user: &str) -> String {
        let path = page.location().strip_prefix(&self.url).unwrap_or_else(|| panic!("{page:?}"));
        let answer = self.get(path, &["--cookie", &format!("user={user}")]).expect(302);
        let back = answer.location().strip_prefix("http://").expect("a whole address");
        back[back.find('/').expect("a path")..].to_owned()
    }

    #[track_caller]
    fn get(&self, path: &str, arguments: &[&str]) -> Page {
        let page = Curl::trusting(&self.tls.ca()).get(&format!("{}{path}", self.url), arguments);
        page.unwrap_or_else(|said| panic!("{said}"))
    }

    /// Goes to `path`, which sends the browser through the provider, and returns the page that it came for.
    #[track_caller]
    pub(super) fn open(&self, browser: &mut Browser, path: &str, user: &str) -> Page {
        let page = browser.get(path).expect(302);
        let back = self.visit(&page, user);
        let page = browser.get(&back).expect(302);
        assert!(page.location().ends_with(path), "{page:?}");
        browser.get(path)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
