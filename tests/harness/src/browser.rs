//! A browser: sends requests one connection each, keeps cookies, follows nothing by itself.
//! For bytes that no browser would send there is [`exchange`].

use super::error_log::Secrets;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use ureq::http::{Method, Request};

/// A server that has not answered for so long hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Clone, Debug)]
pub struct Page {
    /// The code of its status line.
    pub status: u16,
    /// In the order in which they came.
    pub headers: Vec<(String, String)>,
    /// With replacement characters where it is not UTF-8.
    pub body: String,
}

impl Page {
    /// The header of that name, of which there must not be two.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} came twice: {self:?}");
        values.first().copied()
    }

    /// All headers of that name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |(other, _): &&(String, String)| other.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| value.as_str()).collect()
    }

    /// Where it redirects to.
    #[track_caller]
    pub fn location(&self) -> &str {
        self.header("Location").unwrap_or_else(|| panic!("no Location: {self:?}"))
    }

    /// The user for whom the site made this page, as its `X-User` header says.
    pub fn user(&self) -> Option<&str> {
        self.header("X-User").filter(|user| !user.is_empty())
    }

    /// Whether a door turned the visitor away: to the login page, or with 401.
    pub fn is_refused(&self) -> bool {
        match self.status {
            401 => true,
            302 | 303 => self.header("Location").is_some_and(|to| to.contains("/login")),
            _ => false,
        }
    }

    /// The page itself, if its status is `status`; else the test fails.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// The body, with plain slashes where the pages write character references.
    pub fn text(&self) -> String {
        self.body.replace("&#x2f;", "/")
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A browser with a cookie jar. A clone has a jar of its own with the same cookies in it.
#[derive(Clone)]
pub struct Browser {
    agent: ureq::Agent,
    address: SocketAddr,
    secrets: Secrets,
    /// `Host`, where it is not the address.
    pub host: Option<String>,
    /// The jar: names and values.
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn new(address: SocketAddr, secrets: Secrets) -> Self {
        let config = ureq::config::Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(0)
            .timeout_global(Some(PATIENCE))
            .build();
        Browser { agent: config.new_agent(), address, secrets, host: None, cookies: BTreeMap::new() }
    }

    /// Logs in through the site's form.
    #[track_caller]
    pub fn login(&mut self, user: &str) -> Page {
        self.login_at("/login", user)
    }

    /// Logs in through that form.
    #[track_caller]
    pub fn login_at(&mut self, path: &str, user: &str) -> Page {
        let page = self.post(path, &[("httpd_username", user), ("httpd_password", super::conf::PASSWORD)]);
        assert_eq!(page.status, 303, "{user} cannot log in: {page:?}");
        page
    }

    /// The session cookie.
    #[track_caller]
    pub fn session(&self) -> &str {
        self.cookies
            .get("SCID")
            .unwrap_or_else(|| panic!("no session cookie among {:?}", self.cookies.keys()))
    }

    /// A page navigation.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Page {
        self.send("GET", path, &[("Accept", "text/html")], "").unwrap()
    }

    /// A GET with exactly these headers and the cookies.
    #[track_caller]
    pub fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Page {
        self.send("GET", path, headers, "").unwrap()
    }

    /// Posts a form as a page of the site itself would.
    #[track_caller]
    pub fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Page {
        self.post_with(path, form, &[("Sec-Fetch-Site", "same-origin"), ("Accept", "text/html")])
    }

    /// Posts a form with these headers and the cookies.
    #[track_caller]
    pub fn post_with(&mut self, path: &str, form: &[(&str, &str)], headers: &[(&str, &str)]) -> Page {
        let pairs: Vec<String> = form.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
        let mut all = vec![("Content-Type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.send("POST", path, &all, &pairs.join("&")).unwrap()
    }

    /// Any request. The error is that of the connection; `timeout` is in it if the server hangs.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Page, String> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        if let Some(host) = &self.host {
            request = request.header("Host", host);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("Cookie", pairs.join("; "));
        }
        // Bodies are sent where there is one: ureq refuses a GET with a body.
        let answer = if body.is_empty() && !headers.iter().any(|(name, _)| *name == "Content-Type") {
            self.agent.run(request.body(()).unwrap())
        } else {
            self.agent.run(request.body(body).unwrap())
        };
        let mut answer = answer.map_err(|error| error.to_string())?;
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let page = Page {
            status: answer.status().as_u16(),
            headers: answer.headers().iter().map(|(n, v)| (n.to_string(), text(v.as_bytes()))).collect(),
            body: text(&answer.body_mut().read_to_vec().map_err(|error| error.to_string())?),
        };
        self.keep_cookies(&page);
        Ok(page)
    }

    fn keep_cookies(&mut self, page: &Page) {
        for cookie in page.all("Set-Cookie") {
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() || attributes.to_ascii_lowercase().contains("max-age=0") {
                self.cookies.remove(name);
            } else {
                self.secrets.add(value);
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// Percent-encodes everything but letters and digits, for a form or a query.
fn encode(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// Sends bytes as they are and returns what comes back until the server closes.
#[track_caller]
pub fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    // A server that refuses a request early may reset the connection after its answer.
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert!(error.kind() == std::io::ErrorKind::ConnectionReset, "{error}");
    }
    String::from_utf8_lossy(&answer).into_owned()
}
