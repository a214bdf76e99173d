//! A thousand users on two nodes, whose requests share kept-alive connections as a balancer's do: each page is its own
//! user's and no other's, and says what that user's session knows and nothing else.

use super::nodes::{Nodes, figure};
use harness::redis::Redis;
use harness::{Httpd, Mpm, Site, eventually, on_each_mpm, rounds};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const USERS: usize = 1000;
const CLIENTS: usize = 4;
/// Connections of each client to each node.
const CONNECTIONS: usize = 2;
/// Requests of a connection, after which the balancer makes a new one.
const LIFE: usize = 2000;

/// The badge comes with the login, is kept in the session alone, and is shown in two ways.
const CONF: &str = "MaxKeepAliveRequests 0\nKeepAliveTimeout 60\n\
    <Location /login>\nSessionClusterAttribute badge \"%{HTTP:X-Badge}\"\n</Location>\n\
    <Location /status>\nSetHandler server-status\n</Location>\n\
    SessionClusterExport env badge\n\
    Header always set X-Badge \"expr=%{SESSION:badge}\"\nHeader always set X-Badge-Env \"%{SESSION_BADGE}e\"";

/// Somebody with a session, or without one.
#[derive(Default)]
struct Visitor {
    user: String,
    badge: String,
    cookie: String,
}

on_each_mpm!(no_page_shows_somebody_else_on_connections_that_many_users_share);

fn no_page_shows_somebody_else_on_connections_that_many_users_share(mpm: Mpm) {
    let redis = Redis::start();
    let nodes = Nodes { httpds: (0..2).map(|n| node(mpm, n, &redis.url())).collect() };
    let mut visitors: Vec<Visitor> = (0..USERS).map(|n| log_in(&nodes.httpds[n % 2], n)).collect();
    // Now and then somebody without a session, or with one that nobody has, comes by the same connections.
    visitors.push(Visitor::default());
    visitors.push(Visitor { cookie: "A".repeat(43), ..Visitor::default() });
    let addresses: Vec<SocketAddr> = nodes.httpds.iter().map(Httpd::address).collect();
    let pages = rounds(20_000, 200_000);
    let start = Instant::now();
    let sum = std::thread::scope(|scope| {
        let (visitors, addresses) = (&visitors, &addresses);
        let one = |n| scope.spawn(move || Client::new(n, visitors, addresses).ask(pages / CLIENTS));
        let clients: Vec<_> = (0..CLIENTS).map(one).collect();
        clients.into_iter().map(|client| client.join().unwrap()).fold(Seen::default(), Seen::and)
    });
    println!("{USERS} users, {mpm:?}: {sum:?} in {:?}", start.elapsed());
    let wrong = [sum.foreign_users, sum.foreign_badges, sum.refused_users, sum.admitted_strangers];
    assert_eq!(wrong, [0; 4], "{sum:?}");
    assert!(sum.pages == pages / CLIENTS * CLIENTS && sum.changes > pages / 2, "{sum:?}");
}

fn node(mpm: Mpm, n: usize, url: &str) -> Httpd {
    let names = (0..USERS).map(|n| format!("person{n}:{{SHA}}tiY7sUhYKUwI5L3866kDY+ENcrQ=\n"));
    let cluster = format!("SessionClusterStore {url}\nSessionClusterNode node{n}\nSessionClusterRealm r");
    let site = Site::new(mpm).conf(&cluster).conf(CONF).file("passwords", names.collect::<String>());
    let httpd = site.start();
    eventually("the node to trust its table", Duration::from_secs(10), || {
        (figure(&httpd, "SessionClusterLeaseMs")? > 0).then_some(())
    });
    httpd
}

fn log_in(httpd: &Httpd, n: usize) -> Visitor {
    // Nobody can tell the badge by the name.
    let (user, badge) = (format!("person{n}"), format!("b{:08x}", random(&mut (n as u64 + 1))));
    let form = [("httpd_username", user.as_str()), ("httpd_password", "wonderland")];
    let mut browser = httpd.browser();
    browser.post_with("/login", &form, &[("X-Badge", &badge)]).expect(303);
    Visitor { user, badge, cookie: browser.session().to_owned() }
}

/// xorshift, mixed: each client has its own way through users and nodes, the same in each run.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
}

/// What clients saw.
#[derive(Debug, Default)]
struct Seen {
    pages: usize,
    /// Pages on a connection whose page before was another visitor's.
    changes: usize,
    connections: usize,
    /// Connections that httpd closed, as it may when its threads are all busy; what was not answered is asked again.
    closed: usize,
    foreign_users: usize,
    foreign_badges: usize,
    refused_users: usize,
    admitted_strangers: usize,
    /// The first that was wrong.
    example: Option<String>,
}

impl Seen {
    fn and(self, other: Seen) -> Seen {
        Seen {
            pages: self.pages + other.pages,
            changes: self.changes + other.changes,
            connections: self.connections + other.connections,
            closed: self.closed + other.closed,
            foreign_users: self.foreign_users + other.foreign_users,
            foreign_badges: self.foreign_badges + other.foreign_badges,
            refused_users: self.refused_users + other.refused_users,
            admitted_strangers: self.admitted_strangers + other.admitted_strangers,
            example: self.example.or(other.example),
        }
    }

    fn judge(&mut self, visitor: &Visitor, answer: &Answer) {
        self.pages += 1;
        let stranger = visitor.user.is_empty();
        let wrong = [
            (!answer.user.is_empty() && answer.user != visitor.user, &mut self.foreign_users),
            (answer.badges.iter().any(|badge| *badge != visitor.badge), &mut self.foreign_badges),
            (!stranger && (answer.status != 200 || answer.user.is_empty()), &mut self.refused_users),
            (stranger && !matches!(answer.status, 302 | 303 | 401), &mut self.admitted_strangers),
        ];
        for (is_wrong, count) in wrong {
            if is_wrong {
                *count += 1;
                self.example.get_or_insert_with(|| format!("{answer:?} for '{}'", visitor.user));
            }
        }
    }
}

/// A balancer's worker: a few connections to each node, and any visitor's request on any of them.
struct Client<'a> {
    random: u64,
    visitors: &'a [Visitor],
    connections: Vec<Connection>,
    seen: Seen,
}

impl<'a> Client<'a> {
    fn new(n: usize, visitors: &'a [Visitor], addresses: &[SocketAddr]) -> Self {
        let all = addresses.iter().flat_map(|address| [*address; CONNECTIONS]);
        let connections = all.map(Connection::to).collect();
        Client { random: 0x9e37_79b9 + n as u64, visitors, connections, seen: Seen::default() }
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(random(&mut self.random)).unwrap() % count
    }

    /// The next visitor on a connection: one in four is the one before, one in sixteen has no session.
    fn next(&mut self, last: Option<usize>) -> usize {
        match (self.below(16), last) {
            (0, _) => USERS + self.below(2),
            (1..=4, Some(last)) => last,
            _ => self.below(USERS),
        }
    }

    fn ask(mut self, pages: usize) -> Seen {
        while self.seen.pages < pages {
            let at = self.below(self.connections.len());
            if self.connections[at].asked >= LIFE {
                self.connections[at] = Connection::to(self.connections[at].address);
            }
            // Sometimes several requests are on their way at once.
            let together = if self.below(8) == 0 { 3 } else { 1 };
            let mut who = Vec::new();
            for _ in 0..together.min(pages - self.seen.pages) {
                let last = self.connections[at].last;
                let next = self.next(last);
                self.seen.changes += usize::from(last.is_some_and(|last| last != next));
                self.connections[at].last = Some(next);
                who.push(&self.visitors[next]);
            }
            self.fetch(at, &who);
        }
        self.seen
    }

    /// Asks for the pages of `who`, all at once, and judges each.
    fn fetch(&mut self, at: usize, mut who: &[&Visitor]) {
        let connection = &mut self.connections[at];
        self.seen.connections += usize::from(connection.asked == 0);
        let mut sent = connection.send(who);
        while let [visitor, rest @ ..] = who {
            match sent.then(|| connection.receive()).flatten() {
                Some(answer) => {
                    self.seen.judge(visitor, &answer);
                    who = rest;
                }
                None => {
                    self.seen.closed += 1;
                    self.seen.connections += 1;
                    assert!(self.seen.closed < 100, "connections are closed again and again");
                    *connection = Connection::to(connection.address);
                    sent = connection.send(who);
                }
            }
        }
    }
}

/// A kept-alive connection.
struct Connection {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
    asked: usize,
    last: Option<usize>,
}

/// What a page says of its visitor.
#[derive(Debug, Default)]
struct Answer {
    status: u16,
    user: String,
    badges: [String; 2],
}

impl Connection {
    fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Connection { address, stream: BufReader::new(stream), asked: 0, last: None }
    }

    /// Sends the requests of `visitors`; says whether the connection took them.
    fn send(&mut self, visitors: &[&Visitor]) -> bool {
        let mut requests = String::new();
        for visitor in visitors {
            requests += "GET /app/page.html HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n";
            if !visitor.cookie.is_empty() {
                requests += &format!("Cookie: SCID={}\r\n", visitor.cookie);
            }
            requests += "\r\n";
        }
        self.asked += visitors.len();
        self.stream.get_mut().write_all(requests.as_bytes()).is_ok()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.stream.read_line(&mut line).unwrap() > 0, "the connection was closed");
        line.truncate(line.trim_end().len());
        line
    }

    fn skip(&mut self, bytes: usize) {
        std::io::copy(&mut self.stream.by_ref().take(bytes as u64), &mut std::io::sink()).unwrap();
    }

    /// The next answer; none where the connection was closed before it began.
    fn receive(&mut self) -> Option<Answer> {
        // Reset is closed as well: what was sent came too late.
        let begun = self.stream.fill_buf().or_else(|error| match error.kind() {
            ErrorKind::ConnectionReset => Ok(&[][..]),
            _ => Err(error),
        });
        if begun.unwrap().is_empty() {
            return None;
        }
        let status = self.line();
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, ..Answer::default() };
        let mut length = None;
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else { break };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                // Whatever comes twice is not what anybody expects.
                "x-user" => answer.user += value,
                "x-badge" => answer.badges[0] += value,
                "x-badge-env" => answer.badges[1] += value,
                "content-length" => length = Some(value.parse().unwrap()),
                _ => {}
            }
        }
        // mod_headers writes it where there is no such variable.
        answer.badges[1] = answer.badges[1].replace("(null)", "");
        match length {
            Some(length) => self.skip(length),
            None => while self.chunk() {},
        }
        Some(answer)
    }

    /// Skips a chunk of a body; says whether more will come.
    fn chunk(&mut self) -> bool {
        let length = usize::from_str_radix(&self.line(), 16).unwrap();
        self.skip(length + 2);
        length > 0
    }
}
