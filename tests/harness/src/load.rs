//! Many browsers at once. Visitors stay logged in and look at pages; comers log in, look at a page, log out and
//! look again. Each answer is judged: whether it came, was right, lost a session, or showed somebody else's.

use super::{Browser, Httpd, Page};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a load saw.
#[derive(Debug, Default)]
pub struct Report {
    /// Requests sent.
    pub requests: usize,
    /// Logins that succeeded.
    pub logins: usize,
    /// The connection was cut before the answer was complete.
    pub cut: usize,
    /// No answer in time.
    pub hung: usize,
    /// A server error, or a refused login.
    pub failed: usize,
    /// A living session was not recognised.
    pub lost: usize,
    /// Somebody else's session, or an ended one that opened a door.
    pub wrong: usize,
    /// The first few of these, in words.
    pub examples: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { requests, logins, cut, hung, failed, lost, wrong, .. } = self;
        write!(f, "{requests} requests, {logins} logins, {cut} cut off, {hung} hung, ")?;
        write!(f, "{failed} failed, {lost} lost, {wrong} wrong")
    }
}

impl Report {
    fn add(&mut self, other: Report) {
        self.requests += other.requests;
        self.logins += other.logins;
        self.cut += other.cut;
        self.hung += other.hung;
        self.failed += other.failed;
        self.lost += other.lost;
        self.wrong += other.wrong;
        self.examples.extend(other.examples);
        self.examples.truncate(10);
    }

    fn note(&mut self, what: &str, detail: impl fmt::Debug) {
        if self.examples.len() < 5 {
            self.examples.push(format!("{what}: {detail:?}"));
        }
    }

    /// No answer: the connection's `error` tells why.
    fn unanswered(&mut self, error: &str) {
        let count = if error.contains("timeout") { &mut self.hung } else { &mut self.cut };
        *count += 1;
        self.note("unanswered", error);
    }

    fn failure(&mut self, page: &Page) {
        self.failed += 1;
        self.note("failed", page);
    }

    /// Judges a page behind the door that was asked for with a live session of `user`.
    fn judge(&mut self, answer: Result<Page, String>, user: &str) {
        self.requests += 1;
        match answer {
            Err(error) => self.unanswered(&error),
            Ok(page) if page.status >= 500 => self.failure(&page),
            Ok(page) if page.is_refused() => {
                self.lost += 1;
                self.note("lost", page);
            }
            Ok(page)
                if page.status != 200 || page.user() != Some(user) || !page.body.contains("app/page") =>
            {
                self.wrong += 1;
                self.note(user, page);
            }
            Ok(_) => {}
        }
    }
}

/// A running load.
pub struct Load {
    stop: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Report>>,
}

impl Load {
    /// Logs `visitors` users in and starts them and as many `comers`, each in a thread.
    #[track_caller]
    pub fn start(httpd: &Httpd, visitors: usize, comers: usize) -> Self {
        let mut load = Load { stop: Arc::default(), requests: Arc::default(), threads: Vec::new() };
        for n in 0..visitors {
            let user = format!("user{n}");
            let mut browser = httpd.browser_of(&user);
            load.spawn(move |report| report.judge(look(&mut browser), &user));
        }
        for n in visitors..visitors + comers {
            let (user, fresh) = (format!("user{n}"), httpd.browser());
            load.spawn(move |report| come_and_go(report, &mut fresh.clone(), &user));
        }
        load
    }

    fn spawn(&mut self, mut turn: impl FnMut(&mut Report) + Send + 'static) {
        let (stop, requests) = (self.stop.clone(), self.requests.clone());
        self.threads.push(std::thread::spawn(move || {
            let mut report = Report::default();
            while !stop.load(Ordering::Relaxed) {
                let before = report.requests;
                turn(&mut report);
                requests.fetch_add(report.requests - before, Ordering::Relaxed);
            }
            report
        }));
    }

    /// Waits until `n` more requests have been answered.
    #[track_caller]
    pub fn go_on(&self, n: usize) {
        let goal = self.requests.load(Ordering::Relaxed) + n;
        super::eventually("the load to go on", Duration::from_secs(60), || {
            (self.requests.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }

    /// Stops it and returns what it saw.
    pub fn finish(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = Report::default();
        for thread in self.threads {
            sum.add(thread.join().expect("a browser panicked"));
        }
        sum
    }
}

fn look(browser: &mut Browser) -> Result<Page, String> {
    browser.send("GET", "/app/page.html", &[("Accept", "text/html")], "")
}

fn come_and_go(report: &mut Report, browser: &mut Browser, user: &str) {
    let form = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Accept", "text/html"),
    ];
    let login = format!("httpd_username={user}&httpd_password={}", super::conf::PASSWORD);
    report.requests += 1;
    match browser.send("POST", "/login", &form, &login) {
        Ok(page) if page.status == 303 => report.logins += 1,
        Ok(page) => return report.failure(&page),
        Err(error) => return report.unanswered(&error),
    }
    report.judge(look(browser), user);
    let kept = browser.clone();
    report.requests += 1;
    match browser.send("POST", "/logout", &form, "") {
        Ok(page) if page.status < 400 => {}
        Ok(page) => return report.failure(&page),
        // Whether it still took effect cannot be known.
        Err(error) => return report.unanswered(&error),
    }
    *browser = kept;
    report.requests += 1;
    match look(browser) {
        Err(error) => report.unanswered(&error),
        Ok(page) if page.is_refused() => {}
        Ok(page) => {
            report.wrong += 1;
            report.note("after its logout", page);
        }
    }
}
