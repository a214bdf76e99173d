//! The error log of a server under test. Anything from `warn` upwards that a test did not announce, a child that
//! died of a signal, a panic, or a session id written out, fails the test.

use super::conf::is_everything_loaded;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// The session ids that browsers were given, to look for where they must not be.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<Mutex<HashSet<String>>>);

impl Secrets {
    /// A cookie's value. What follows a dot is a route, and no secret.
    pub(crate) fn add(&self, value: &str) {
        let id = value.split('.').next().unwrap_or_default();
        if !id.is_empty() {
            self.0.lock().unwrap().insert(id.to_owned());
        }
    }

    /// Those that occur in `text` as a word.
    pub(crate) fn found_in(&self, text: &str) -> Vec<String> {
        let secrets = self.0.lock().unwrap();
        let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        text.split(|c| !is_id(c)).filter(|word| secrets.contains(*word)).map(str::to_owned).collect()
    }
}

/// The log of one server, and which of its lines were announced.
pub struct ErrorLog {
    pub(crate) path: PathBuf,
    allowed: Mutex<Vec<String>>,
}

/// What visitors do, and not the server, may be said in any test: logins that are refused (SC0301, SC0308) or not
/// looked at (SC0313), and forms of other sites (SC0321).
const OF_VISITORS: [&str; 4] = ["SC0301: ", "SC0308: ", "SC0313: ", "SC0321: "];

impl ErrorLog {
    pub(crate) fn new(path: PathBuf) -> Self {
        let log = ErrorLog { path, allowed: Mutex::default() };
        if is_everything_loaded() {
            // A module that a test loads is there already; mod_http2 does not like prefork, nor mod_ssl its library.
            ["AH01574", "is already loaded", "AH10034", "AH01873", "AH01882"]
                .iter()
                .for_each(|part| log.allow(part));
        }
        log
    }

    /// The whole log; empty if httpd has not opened it yet.
    pub fn text(&self) -> String {
        std::fs::read(&self.path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Announces lines that contain `part`.
    pub fn allow(&self, part: &str) {
        self.allowed.lock().unwrap().push(part.to_owned());
    }

    /// How many lines contain `part`.
    pub fn count(&self, part: &str) -> usize {
        self.text().lines().filter(|line| line.contains(part)).count()
    }

    /// Lines that nobody announced.
    pub(crate) fn surprises(&self) -> Vec<String> {
        let allowed = self.allowed.lock().unwrap();
        let text = self.text();
        let announced = |line: &str| {
            allowed.iter().any(|part| line.contains(part))
                || OF_VISITORS.iter().any(|code| line.contains(code))
        };
        let surprising = |line: &&str| is_alarming(line) && !announced(line);
        text.lines().filter(surprising).map(str::to_owned).collect()
    }
}

fn is_alarming(line: &str) -> bool {
    // `[date] [module:level] [pid ...] message`; what a crash prints has no such head.
    let level = line.split("] [").nth(1).and_then(|head| head.rsplit(':').next());
    matches!(level, Some("warn" | "error" | "crit" | "alert" | "emerg"))
        || ["AH00051", "AH00052", "panicked", "double free", "corrupt"].iter().any(|sign| line.contains(sign))
}

#[test]
fn only_grave_lines_are_alarming() {
    let date = "[Mon Nov 23 19:50:42.734467 2026]";
    assert!(is_alarming(&format!("{date} [core:warn] [pid 1:tid 1] AH00111: no")));
    assert!(is_alarming(&format!("{date} [core:notice] [pid 1:tid 1] AH00052: child pid 3 exit signal 11")));
    assert!(is_alarming("thread '<unnamed>' panicked at src/lib.rs"));
    assert!(!is_alarming(&format!(
        "{date} [mpm_event:notice] [pid 1:tid 1] AH00489: resuming [x] [y:error]"
    )));
}
