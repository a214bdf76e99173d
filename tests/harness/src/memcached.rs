//! Real memcached servers, each on a free port of the loopback, in the foreground so that its pid is known.

use super::eventually;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A server, running or not.
pub struct Memcached {
    port: u16,
    megabytes: u32,
    child: Mutex<Option<Child>>,
}

impl Memcached {
    /// A server with room for so many megabytes. When they are full it throws away what was not used for longest.
    #[track_caller]
    pub fn start(megabytes: u32) -> Memcached {
        // Somebody may take the port before memcached does; it then says so by ending.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let server = Memcached { port, megabytes, child: Mutex::new(None) };
        server.restart();
        server
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its pid.
    #[track_caller]
    pub fn pid(&self) -> i64 {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.as_ref().expect("it is not running").id().into()
    }

    /// `kill -9`: all that it had is gone.
    pub fn stop_hard(&self) {
        if let Some(mut child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Kills it if it runs, and starts it, empty, on the same port; returns once it serves.
    #[track_caller]
    pub fn restart(&self) {
        self.stop_hard();
        let mut command = Command::new("memcached");
        command.args(["-l", "127.0.0.1", "-U", "0", "-t", "2"]);
        command.args(["-p", &self.port.to_string(), "-m", &self.megabytes.to_string()]);
        // It refuses to be root.
        command.args(["-u", "nobody"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("memcached is needed");
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        eventually("memcached to start", Duration::from_secs(15), || {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = child.as_mut()?.try_wait().unwrap();
            assert!(ended.is_none(), "memcached: {ended:?}");
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()
        });
    }

    /// Stops it from running on (SIGSTOP), or lets it run on.
    #[track_caller]
    pub fn freeze(&self, frozen: bool) {
        let pid = self.child.lock().unwrap().as_ref().expect("it is not running").id();
        let option = if frozen { "-STOP" } else { "-CONT" };
        let status = Command::new("kill").args([option, &pid.to_string()]).status();
        assert!(status.expect("kill(1) is needed").success(), "{option}");
    }
}

impl Drop for Memcached {
    fn drop(&mut self) {
        self.stop_hard();
    }
}
