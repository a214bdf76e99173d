//! Everything at once: people come, wander between nodes and go, while the store, the way to it and the nodes'
//! processes fail in turn. Whatever it costs, nobody is taken for somebody else, and who has left stays out.

use super::nodes::Nodes;
use harness::faults::Faults;
use harness::redis::Redis;
use harness::{Browser, Mpm, Page, Signal, eventually, rounds};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(super) const NODES: usize = 3;
const THREADS: usize = 6;
/// Those who are logged in at a time, of each thread.
const PEOPLE: usize = 20;
/// The default of `SessionClusterLogoutBound`, and what a busy machine may add to it.
const BOUND: Duration = Duration::from_millis(500 + 100);
/// Twice the default of `SessionClusterStoreTimeout`, and what a busy machine may add: httpd itself needs a second to
/// replace a child.
const LONGEST: Duration = Duration::from_millis(2 * 50 + 2000);
/// By when all is well after a fault.
const RECOVERY: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Counts {
    pages: AtomicUsize,
    logins: AtomicUsize,
    logouts: AtomicUsize,
    unavailable: AtomicUsize,
    /// The connection was closed, as by a child that was killed.
    cut: AtomicUsize,
    /// A living session was refused.
    lost: AtomicUsize,
    /// Somebody else's page.
    wrong: AtomicUsize,
    /// Served after the bound, or by a node that had refused it.
    resurrected: AtomicUsize,
    hung: AtomicUsize,
    odd: AtomicUsize,
    faults: AtomicUsize,
    killed: AtomicUsize,
    longest: Mutex<Duration>,
    /// The latest that a page was asked for and given after a logout.
    latest: Mutex<Duration>,
    examples: Mutex<Vec<String>>,
}

fn one_more(count: &AtomicUsize) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn raise(mark: &Mutex<Duration>, to: Duration) {
    let mut mark = mark.lock().unwrap_or_else(PoisonError::into_inner);
    *mark = to.max(*mark);
}

impl Counts {
    fn note(&self, count: &AtomicUsize, what: impl FnOnce() -> String) {
        one_more(count);
        let mut examples = self.examples.lock().unwrap_or_else(PoisonError::into_inner);
        if examples.len() < 12 {
            examples.push(what());
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in [
            ("pages", &self.pages),
            ("logins", &self.logins),
            ("logouts", &self.logouts),
            ("503s", &self.unavailable),
            ("cut off", &self.cut),
            ("lost", &self.lost),
            ("wrong identities", &self.wrong),
            ("resurrected", &self.resurrected),
            ("hung", &self.hung),
            ("odd", &self.odd),
            ("faults", &self.faults),
            ("children killed", &self.killed),
        ] {
            write!(f, "{} {name}, ", count.load(Ordering::Relaxed))?;
        }
        write!(f, "longest request {:?}, ", self.longest.lock().unwrap_or_else(PoisonError::into_inner))?;
        write!(
            f,
            "last served {:?} after a logout",
            self.latest.lock().unwrap_or_else(PoisonError::into_inner)
        )
    }
}

/// A session that was ended, and the nodes that have said so.
struct Grave {
    browser: Browser,
    user: String,
    ended: Instant,
    refused: [bool; NODES],
}

/// What can go wrong with a store, or on the way to it.
pub(super) trait Torment: Sync {
    /// How many things.
    fn ways(&self) -> usize;

    /// Has one of them go wrong, for everybody or for one.
    fn begin(&self, way: usize);

    /// All is well again.
    fn end(&self);
}

struct Chaos<'a> {
    nodes: &'a Nodes,
    torment: &'a dyn Torment,
    counts: Counts,
    graves: Mutex<Vec<Grave>>,
    over: AtomicBool,
}

pub(super) fn any(below: usize) -> usize {
    getrandom::u32().unwrap() as usize % below
}

const FORM: &[(&str, &str)] = &[
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Accept", "text/html"),
];

impl Chaos<'_> {
    /// Sends a request, and counts what is not an answer to it. The cookies that came with it are the browser's.
    fn send(&self, browser: &mut Browser, method: &str, path: &str, body: &str) -> Option<Page> {
        let asked = Instant::now();
        let headers = if method == "POST" { FORM } else { &FORM[2..] };
        let answer = browser.send(method, path, headers, body);
        let took = asked.elapsed();
        raise(&self.counts.longest, took);
        if took > LONGEST {
            self.counts.note(&self.counts.hung, || format!("{method} {path} took {took:?}: {answer:?}"));
        }
        match answer {
            Ok(page) if page.status == 503 => one_more(&self.counts.unavailable),
            Ok(page) => return Some(page),
            Err(_) => one_more(&self.counts.cut),
        }
        None
    }

    fn page(&self, n: usize, browser: &Browser) -> Option<Page> {
        one_more(&self.counts.pages);
        self.send(&mut self.nodes.at(n, browser), "GET", "/app/page.html", "")
    }

    /// One of a few people comes, looks around or goes.
    fn live(&self, user: &str, people: &mut Vec<Browser>) {
        if people.len() < PEOPLE {
            people.extend(self.come(user));
        }
        self.haunt();
        if people.is_empty() {
            return std::thread::sleep(Duration::from_millis(5));
        }
        let one = any(people.len());
        if any(20) == 0 {
            self.go(user, people.swap_remove(one));
        } else if !self.look(user, &people[one]) {
            people.swap_remove(one);
        }
    }

    fn come(&self, user: &str) -> Option<Browser> {
        let mut browser = self.nodes.httpds[any(NODES)].browser();
        let form = format!("httpd_username={user}&httpd_password=wonderland");
        let page = self.send(&mut browser, "POST", "/login", &form)?;
        if page.status != 303 {
            self.counts.note(&self.counts.odd, || format!("login: {page:?}"));
            return None;
        }
        one_more(&self.counts.logins);
        Some(browser)
    }

    /// False when the session is lost.
    fn look(&self, user: &str, browser: &Browser) -> bool {
        let n = any(NODES);
        let Some(page) = self.page(n, browser) else { return true };
        if page.is_refused() {
            self.counts.note(&self.counts.lost, || format!("{user} on node {n}: {page:?}"));
            return false;
        }
        if page.status != 200 {
            self.counts.note(&self.counts.odd, || format!("page: {page:?}"));
        } else if page.user() != Some(user) {
            self.counts.note(&self.counts.wrong, || format!("for {user}: {page:?}"));
        }
        true
    }

    fn go(&self, user: &str, browser: Browser) {
        // Whether one took effect that was not acknowledged is not known, so that it is tried again, often elsewhere.
        for _ in 0..60 {
            let n = any(NODES);
            let Some(page) = self.send(&mut self.nodes.at(n, &browser), "POST", "/logout", "") else {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            let ended = Instant::now();
            if page.status != 200 && page.status != 303 {
                self.counts.note(&self.counts.odd, || format!("logout: {page:?}"));
            }
            one_more(&self.counts.logouts);
            let mut refused = [false; NODES];
            refused[n] = true;
            return self.graves().push(Grave { browser, user: user.to_owned(), ended, refused });
        }
    }

    fn graves(&self) -> std::sync::MutexGuard<'_, Vec<Grave>> {
        self.graves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody comes back with the cookie of an ended session, most often one that ended within the last two seconds:
    /// that is when a node may not have heard of it.
    fn haunt(&self) {
        let (recent, all) = {
            let graves = self.graves();
            let is_recent = |grave: &&Grave| grave.ended.elapsed() < Duration::from_secs(2);
            (graves.iter().rev().take_while(is_recent).count(), graves.len())
        };
        let among = if recent > 0 && any(4) > 0 { recent } else { all };
        if among > 0 {
            self.knock(all - 1 - any(among), any(NODES));
        }
    }

    /// Asks node `n` for a page with that cookie. Whether it said so.
    fn knock(&self, at: usize, n: usize) -> bool {
        let (browser, was_refused, ended) = {
            let graves = self.graves();
            (graves[at].browser.clone(), graves[at].refused[n], graves[at].ended)
        };
        // What was asked for in time may be answered later.
        let since = ended.elapsed();
        let Some(page) = self.page(n, &browser) else { return false };
        if page.is_refused() {
            self.graves()[at].refused[n] = true;
        } else {
            raise(&self.counts.latest, since);
            if was_refused || since > BOUND {
                let user = self.graves()[at].user.clone();
                let what = || {
                    format!(
                        "{user} on node {n}, {since:?} after the logout, refused before: {was_refused}: {page:?}"
                    )
                };
                self.counts.note(&self.counts.resurrected, what);
            }
        }
        true
    }

    /// Fails in one way after the other.
    fn torment(&self) {
        let ways = self.torment.ways() + 1;
        // Each in turn, from a different one each time.
        for turn in any(ways).. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            one_more(&self.counts.faults);
            if turn % ways < self.torment.ways() {
                self.torment.begin(turn % ways);
            } else {
                let children = self.nodes.httpds[any(NODES)].children();
                if let Some(pid) = children.get(any(children.len().max(1))) {
                    Signal::Kill.send(*pid);
                    one_more(&self.counts.killed);
                }
            }
            // Longer than the bound, or shorter.
            std::thread::sleep(Duration::from_millis(200 + 1000 * (any(2) as u64)));
            self.torment.end();
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

/// A Redis, and the way of each node to it.
struct RedisWithWays {
    redis: Redis,
    ways: [Faults; NODES],
}

impl Torment for RedisWithWays {
    fn ways(&self) -> usize {
        6
    }

    fn begin(&self, way: usize) {
        let spell = || std::thread::sleep(Duration::from_millis(300));
        // One node is cut off, or all of them.
        let one = any(NODES);
        let ways = if any(3) == 0 { &self.ways[..] } else { &self.ways[one..=one] };
        match way {
            0 => {
                self.redis.stop_hard();
                spell();
                self.redis.restart();
            }
            1 => {
                self.redis.freeze();
                spell();
                self.redis.thaw();
            }
            2 => ways.iter().for_each(Faults::hold),
            3 => ways.iter().for_each(Faults::cut),
            4 => ways.iter().for_each(|way| way.delay(Duration::from_millis(40))),
            _ => ways.iter().for_each(Faults::lose_answers),
        }
    }

    fn end(&self) {
        self.ways.iter().for_each(Faults::pass);
    }
}

#[test]
fn chaos() {
    let redis = Redis::builder().append_only().start();
    let ways = [0; NODES].map(|_| Faults::before(redis.port()));
    let urls = ways.each_ref().map(|way| format!("redis://127.0.0.1:{}", way.port()));
    let nodes =
        Nodes::with(Mpm::Event, NODES, &urls.each_ref().map(String::as_str), "SessionClusterOutage refuse");
    nobody_comes_back(&nodes, &RedisWithWays { redis, ways }, Duration::from_secs(rounds(8, 180) as u64));
}

/// Three nodes at work for so long, while their store is tormented and their children are killed.
pub(super) fn nobody_comes_back(nodes: &Nodes, torment: &dyn Torment, length: Duration) {
    for httpd in &nodes.httpds {
        httpd.log.allow("SC040");
        httpd.log.allow("SC0206");
    }
    let chaos = Chaos {
        nodes,
        torment,
        counts: Counts::default(),
        graves: Mutex::default(),
        over: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        for n in 0..THREADS {
            let chaos = &chaos;
            scope.spawn(move || {
                let mut people = Vec::new();
                while !chaos.over.load(Ordering::Relaxed) {
                    chaos.live(&format!("user{n}"), &mut people);
                }
            });
        }
        let tormentor = scope.spawn(|| chaos.torment());
        let start = Instant::now();
        // Without the tormentor there is nothing to wait for.
        while start.elapsed() < length && !tormentor.is_finished() {
            std::thread::sleep(Duration::from_millis(20));
        }
        chaos.over.store(true, Ordering::Relaxed);
    });
    let graves = chaos.graves().len();
    for at in 0..graves {
        for n in 0..NODES {
            eventually("an answer", RECOVERY, || chaos.knock(at, n).then_some(()));
        }
    }
    println!("chaos: {}", chaos.counts);
    let examples = chaos.counts.examples.lock().unwrap_or_else(PoisonError::into_inner).join("\n");
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    assert_eq!(count(&chaos.counts.wrong), 0, "{examples}");
    assert_eq!(count(&chaos.counts.resurrected), 0, "{examples}");
    assert_eq!(count(&chaos.counts.lost), 0, "{examples}");
    assert_eq!(count(&chaos.counts.hung), 0, "{examples}");
    assert_eq!(count(&chaos.counts.odd), 0, "{examples}");
    // It was not quiet only because nothing went on.
    assert!(graves > 20 && count(&chaos.counts.unavailable) > 0, "{}", chaos.counts);
}
