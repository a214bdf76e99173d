//! What a page costs in user instructions: an httpd in one process under callgrind(1), asked for the same page again
//! and again over one connection.
//!
//! Callgrind writes down what the serving thread has run, and begins to count anew, whenever httpd enters the function
//! that answers OPTIONS. So between two such requests stand the pages asked for, and one OPTIONS, which is measured by
//! itself and taken away. What other threads do meanwhile (the watcher of a store) does not count, nor do start and
//! stop.

use crate::{Httpd, Site, eventually};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// Where callgrind writes one count, and begins the next.
const TURN: &str = "OPTIONS /open/page.html HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// httpd exports it to modules, so it has a name also in a stripped program.
const TURNS_IN: &str = "ap_send_http_options";
/// So many pages first, so that nothing is done for the first time.
const WARM_UP: u32 = 100;
/// The server waits for a request before it comes, always: with 50 times the instructions, it is slow to go there.
const PAUSE: Duration = Duration::from_millis(1);

/// A server that is counted.
pub struct Counted {
    connection: BufReader<TcpStream>,
    seen: BTreeSet<PathBuf>,
    /// The instructions of one OPTIONS.
    turn: f64,
    httpd: Httpd,
}

impl Counted {
    /// Starts it. `/open/page.html` must be open to everybody.
    ///
    /// # Panics
    /// If valgrind is not installed.
    #[track_caller]
    pub fn start(site: Site) -> Self {
        let turns = format!("--dump-before={TURNS_IN}");
        let arguments = [
            "--tool=callgrind",
            "--vgdb=no",
            // Else the thread that serves may keep the others from running at all.
            "--fair-sched=try",
            "--separate-threads=yes",
            "--callgrind-out-file=callgrind.out.%p",
            &turns,
        ];
        let httpd = site.one_process().under("valgrind", &arguments).start();
        let mut counted = Counted { connection: connect(&httpd), seen: BTreeSet::new(), turn: 0.0, httpd };
        (0..WARM_UP).for_each(|_| counted.ask(TURN));
        counted.seen = counted.counts();
        counted.turn = counted.count();
        counted
    }

    /// Lets others visit the server, which has one process and so one connection at a time.
    pub fn visit<T>(&mut self, visit: impl FnOnce(&Httpd) -> T) -> T {
        self.connection.get_ref().shutdown(Shutdown::Both).unwrap();
        let seen = visit(&self.httpd);
        self.connection = connect(&self.httpd);
        seen
    }

    /// User instructions of one GET with these headers, the mean of so many. It must be answered with 200.
    #[track_caller]
    pub fn instructions(&mut self, path: &str, headers: &[(&str, &str)], requests: u32) -> f64 {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        (0..WARM_UP).for_each(|_| self.ask(&request));
        self.count();
        (0..requests).for_each(|_| self.ask(&request));
        (self.count() - self.turn) / f64::from(requests)
    }

    /// What was counted since the last time.
    #[track_caller]
    fn count(&mut self) -> f64 {
        self.ask(TURN);
        let new = eventually("a count of callgrind's", Duration::from_secs(10), || {
            self.counts().difference(&self.seen).next().cloned()
        });
        let text = fs::read_to_string(&new).unwrap();
        self.seen.insert(new);
        let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
        totals.expect("callgrind says a total").trim().parse().unwrap()
    }

    fn counts(&self) -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(self.httpd.path("")).unwrap().flatten().map(|entry| entry.path());
        let is_count = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("callgrind.out."))
        };
        entries.filter(is_count).collect()
    }

    /// One request, and its whole answer.
    #[track_caller]
    fn ask(&mut self, request: &str) {
        std::thread::sleep(PAUSE);
        self.connection.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let start = head.len();
            assert!(self.connection.read_line(&mut head).unwrap() > 0, "the connection was closed: {head}");
            let line = head[start..].trim_end().to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("transfer-encoding", _)) => length = usize::MAX,
                _ if line.is_empty() => break,
                _ => {}
            }
        }
        assert!(head.starts_with("HTTP/1.1 200 "), "{request}{head}");
        self.skip(length);
    }

    /// The body, of which nothing is wanted; `usize::MAX` stands for one that comes in chunks.
    #[track_caller]
    fn skip(&mut self, length: usize) {
        if length != usize::MAX {
            return self.connection.read_exact(&mut vec![0; length]).unwrap();
        }
        loop {
            let mut line = String::new();
            self.connection.read_line(&mut line).unwrap();
            let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
            self.connection.read_exact(&mut vec![0; size + 2]).unwrap();
            if size == 0 {
                return;
            }
        }
    }
}

fn connect(httpd: &Httpd) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(httpd.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.set_nodelay(true).unwrap();
    BufReader::new(stream)
}
