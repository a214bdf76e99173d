//! Programs that print a secret (`exec:`). They are run while the configuration is read, and so may keep nobody waiting
//! for long: one that does not end in time is ended, with all that it started.

use crate::clock::{Instant, sleep};
use crate::store::private::LARGEST;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{self, ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;
use zeroize::Zeroizing;

/// What a program may take. While a running server is restarted, new connections wait for as long.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a program prints; its words are separated by blanks, and no shell looks at them.
///
/// # Errors
/// Why there is nothing that can be used.
pub(super) fn output(line: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    output_within(line, PATIENCE)
}

fn output_within(line: &str, patience: Duration) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut words = line.split_ascii_whitespace();
    let program = words.next().ok_or("exec: names no program")?;
    let wrong = |e: io::Error| format!("{program}: {e}");
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().map_err(wrong)?;
    let until = Instant::now() + patience;
    let Some(mut pipe) = child.stdout.take() else { return Err(format!("{program} has no output")) };
    let finished = listen(&mut pipe, until).and_then(|text| Ok((text, end(&mut child, until)?)));
    if finished.is_err() {
        if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = child.wait();
    }
    let (text, status) = finished.map_err(|e| match e.kind() {
        ErrorKind::TimedOut => {
            format!("{program} did not end within {} s, and was killed", patience.as_secs())
        }
        _ => wrong(e),
    })?;
    if status.success() { Ok(text) } else { Err(format!("{program} failed: {status}")) }
}

/// What comes until the end, into memory that is wiped.
fn listen(pipe: &mut ChildStdout, until: Instant) -> io::Result<Zeroizing<Vec<u8>>> {
    fcntl_setfl(&*pipe, fcntl_getfl(&*pipe)? | OFlags::NONBLOCK)?;
    let mut text = Zeroizing::new(vec![0; LARGEST]);
    let mut length = 0;
    loop {
        match pipe.read(text.get_mut(length..).unwrap_or_default()) {
            Ok(0) if length == LARGEST => return Err(io::Error::other("it printed more than 64 KiB")),
            Ok(0) => {
                text.truncate(length);
                return Ok(text);
            }
            Ok(more) => length += more,
            Err(e) if e.kind() == ErrorKind::WouldBlock => pause(until)?,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

fn end(child: &mut Child, until: Instant) -> io::Result<ExitStatus> {
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(status),
            None => pause(until)?,
        }
    }
}

fn pause(until: Instant) -> io::Result<()> {
    if Instant::now() >= until {
        return Err(ErrorKind::TimedOut.into());
    }
    sleep(Duration::from_millis(2));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_prints_is_taken_and_its_words_are_no_shell_s() {
        assert_eq!(output("echo a  b;c $HOME").unwrap().as_slice(), b"a b;c $HOME\n");
        assert!(output("/nowhere/program").unwrap_err().contains("/nowhere/program"));
        assert!(output(" ").unwrap_err().contains("names no program"));
        assert!(output("false").unwrap_err().contains("failed"));
        assert!(output("head -c 70000 /dev/zero").unwrap_err().contains("64 KiB"));
    }

    #[test]
    fn one_that_hangs_is_ended_with_all_that_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("hangs");
        std::fs::write(&script, "echo begun\nsleep 300 &\nwait\n").unwrap();
        let started = Instant::now();
        let line = format!("sh {}", script.display());
        let said = output_within(&line, Duration::from_millis(200)).unwrap_err();
        assert!(said.contains("did not end"), "{said}");
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}
