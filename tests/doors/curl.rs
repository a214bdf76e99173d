//! curl(1) as a browser that speaks TLS: it trusts one authority, may show a certificate, and keeps cookies in a jar.

use harness::Page;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A browser. Its jar is a file, which copies share.
#[derive(Clone)]
pub(super) struct Curl {
    authority: PathBuf,
    certificate: Option<(PathBuf, PathBuf)>,
    jar: Option<PathBuf>,
}

impl Curl {
    pub(super) fn trusting(authority: &Path) -> Curl {
        Curl { authority: authority.to_owned(), certificate: None, jar: None }
    }

    /// With a client certificate and its key, or with none.
    pub(super) fn showing(mut self, certificate: Option<(PathBuf, PathBuf)>) -> Curl {
        self.certificate = certificate;
        self
    }

    /// With cookies, in this file.
    pub(super) fn keeping(mut self, jar: PathBuf) -> Curl {
        self.jar = Some(jar);
        self
    }

    /// The page, or what curl says instead.
    pub(super) fn get(&self, url: &str, arguments: &[&str]) -> Result<Page, String> {
        let mut curl = Command::new("curl");
        // Neither ~/.curlrc nor a proxy of whoever runs the tests.
        curl.args(["--disable", "--noproxy", "*"]);
        curl.args(["--silent", "--show-error", "--include", "--http1.1", "--max-time", "20", "--cacert"]);
        curl.arg(&self.authority);
        if let Some((certificate, key)) = &self.certificate {
            curl.arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        if let Some(jar) = &self.jar {
            curl.arg("--cookie").arg(jar).arg("--cookie-jar").arg(jar);
        }
        let output = curl.args(arguments).arg(url).output().expect("curl(1) is needed");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let header =
            |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Page {
            status: status.expect("a status"),
            headers: lines.filter_map(header).collect(),
            body: body.to_owned(),
        })
    }
}
