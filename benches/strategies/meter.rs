//! What measures: `benches/page --meter`, so that a page costs here what it costs there. It reads the processor time of
//! trees of processes from the scheduler, and loads pages with wrk.

use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The measuring process; it ends with this.
pub(crate) struct Meter {
    child: Child,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
}

/// What a page cost in one load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Processor time of httpd, in microseconds a page.
    pub(crate) httpd: f64,
    /// The same of the store's server; 0 where there is none.
    pub(crate) store: f64,
    /// How many pages there were.
    pub(crate) pages: f64,
}

impl Meter {
    /// Starts it.
    ///
    /// # Panics
    /// If Python is not there.
    pub(crate) fn start() -> Self {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/page");
        let mut command = Command::new(page);
        command.arg("--meter").stdin(Stdio::piped()).stdout(Stdio::piped());
        // `make bench-strategies` has built it; benches/page asks for it whatever it is to do.
        command.env("MSC_MODULE", harness::module());
        let mut child = command.spawn().expect("benches/page needs python3");
        let pipes = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Meter { child, pipes: RefCell::new(pipes) }
    }

    fn ask(&self, question: &Value) -> Value {
        let (stdin, stdout) = &mut *self.pipes.borrow_mut();
        writeln!(stdin, "{question}").expect("benches/page reads");
        let mut line = String::new();
        stdout.read_line(&mut line).expect("benches/page answers");
        let mut answer: Value = serde_json::from_str(&line).expect("benches/page answers in JSON");
        match answer.get("error") {
            Some(error) => panic!("{question}: {error}"),
            None => answer["answer"].take(),
        }
    }

    /// Keeps the tree of `pid` on these processors: `"0"`, `"0,1"`.
    pub(crate) fn pin(&self, pid: i64, processors: &str) {
        self.ask(&json!({ "pin": [pid, processors] }));
    }

    /// The processor time of each tree so far, in microseconds.
    pub(crate) fn cpu(&self, pids: &[i64]) -> Vec<f64> {
        let seconds = self.ask(&json!({ "cpu": pids }));
        seconds.as_array().unwrap().iter().map(|seconds| seconds.as_f64().unwrap() * 1e6).collect()
    }

    /// Loads a page for some seconds over eight connections; each request shows one of the cookies.
    pub(crate) fn load(&self, port: u16, path: &str, cookies: &[&str], seconds: u32, pids: &[i64]) -> Load {
        let answer = self.ask(&json!({ "load": [port, path, cookies, seconds, pids] }));
        let cost = |n: usize| answer[0][n].as_f64().unwrap_or(0.0);
        Load { httpd: cost(0), store: cost(1), pages: answer[1].as_f64().unwrap() }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
