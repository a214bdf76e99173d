//! Who visits the servers: one kept-alive connection, the cookies of one session, and a watch.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::config::Config;
use ureq::http::{Request, Response};

/// A server that has not answered for so long does not.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) const OPEN: &str = "/open/page.html";
pub(crate) const CLOSED: &str = "/closed/page.html";
pub(crate) const STATIC: &str = "/static/page.html";

const FORM: &str = "httpd_username=alice&httpd_password=wonderland";

/// An answer, if there was one, and how long it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// `None`: no answer in [`PATIENCE`], or the connection was cut.
    pub(crate) status: Option<u16>,
    pub(crate) took: Duration,
}

impl Answer {
    pub(crate) fn is(&self, status: u16) -> bool {
        self.status == Some(status)
    }
}

/// Session cookies as the `Cookie` header names them.
pub(crate) type Cookies = String;

pub(crate) struct Visitor {
    agent: Agent,
    address: SocketAddr,
    jar: BTreeMap<String, String>,
}

impl Visitor {
    pub(crate) fn of(address: SocketAddr) -> Self {
        let config = Config::builder().http_status_as_error(false).max_redirects(0);
        let agent = config.timeout_global(Some(PATIENCE)).build().new_agent();
        Visitor { agent, address, jar: BTreeMap::new() }
    }

    /// Forgets all cookies.
    pub(crate) fn forget(&mut self) {
        self.jar.clear();
    }

    /// Has these cookies from now on.
    pub(crate) fn show(&mut self, cookies: &str) {
        let pairs = cookies.split("; ").filter_map(|pair| pair.split_once('='));
        self.jar = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    }

    /// What it would show.
    pub(crate) fn cookies(&self) -> Cookies {
        self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Asks for a page with these cookies, and keeps none.
    pub(crate) fn look(&self, path: &str, cookies: &str) -> Answer {
        let request = Request::get(self.url(path)).header("Cookie", cookies).body(()).unwrap();
        self.timed(|agent| agent.run(request)).0
    }

    /// Logs in anew; the cookies are kept.
    pub(crate) fn log_in(&mut self) -> Answer {
        self.forget();
        self.post("/login", FORM)
    }

    /// Logs out.
    pub(crate) fn log_out(&mut self) -> Answer {
        self.post("/logout", "")
    }

    /// Does it again where the answer asks for that, as a store does that is too slow. Gives the last answer, and how
    /// often it was put off.
    pub(crate) fn insist(&mut self, act: fn(&mut Self) -> Answer) -> (Answer, usize) {
        let mut put_off = 0;
        loop {
            let answer = act(self);
            match answer.status {
                Some(status) if status < 400 => return (answer, put_off),
                Some(503) | None if put_off < 20 => put_off += 1,
                _ => panic!("a login or logout, put off {put_off} times: {answer:?}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn post(&mut self, path: &str, form: &str) -> Answer {
        let request = Request::post(self.url(path))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Sec-Fetch-Site", "same-origin")
            .header("Cookie", self.cookies())
            .body(form.to_owned())
            .unwrap();
        let (answer, cookies) = self.timed(|agent| agent.run(request));
        for cookie in cookies {
            let (pair, attributes) = cookie.split_once(';').unwrap_or((&cookie, ""));
            let Some((name, value)) = pair.split_once('=') else { continue };
            if value.is_empty() || attributes.to_ascii_lowercase().contains("max-age=0") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// The answer, and the cookies that it sets.
    fn timed(
        &self,
        send: impl FnOnce(&Agent) -> Result<Response<ureq::Body>, ureq::Error>,
    ) -> (Answer, Vec<String>) {
        let start = Instant::now();
        let answer = send(&self.agent);
        let whole = answer.and_then(|mut answer| answer.body_mut().read_to_vec().map(|_| answer));
        let took = start.elapsed();
        let Ok(answer) = whole else { return (Answer { status: None, took }, Vec::new()) };
        let set = answer.headers().get_all("Set-Cookie").iter();
        let set = set.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        (Answer { status: Some(answer.status().as_u16()), took }, set)
    }
}
