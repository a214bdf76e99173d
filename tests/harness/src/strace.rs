//! Counts the system calls of a running process with strace(1).

use super::eventually;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A strace that is watching.
pub struct Strace {
    child: Child,
    output: PathBuf,
}

impl Strace {
    /// Watches `pid` and all its threads. `scratch` is a path for its output.
    #[track_caller]
    pub fn attach(pid: i64, scratch: PathBuf) -> Self {
        let said = scratch.with_extension("said");
        let mut command = Command::new("strace");
        command.args(["-f", "-o"]).arg(&scratch).args(["-p", &pid.to_string()]);
        command.stdout(Stdio::null()).stderr(File::create(&said).unwrap());
        let mut child = command.spawn().expect("strace(1) is needed");
        eventually("strace to attach", Duration::from_secs(10), || {
            let said = fs::read_to_string(&said).unwrap_or_default();
            assert!(child.try_wait().unwrap().is_none(), "strace does not work here: {said}");
            said.contains("attached").then_some(())
        });
        Strace { child, output: scratch }
    }

    /// Stops watching and returns how often each system call was entered.
    #[track_caller]
    pub fn counts(mut self) -> BTreeMap<String, usize> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().expect("kill(1) is needed");
        let _ = self.child.wait();
        let mut counts = BTreeMap::new();
        for line in fs::read_to_string(&self.output).unwrap().lines() {
            // `pid  name(arguments) = result`; a call interrupted in the listing appears once more as "<... resumed>".
            let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
            let name = call.split('(').next().unwrap_or_default();
            if call.contains('(') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                *counts.entry(name.to_owned()).or_insert(0) += 1;
            }
        }
        counts
    }
}
