//! A TCP proxy in front of a server on the loopback, which does to connections what networks do. Its mode can be
//! changed at any time, also for open connections. A stream never has holes: a connection of which something was
//! lost is closed when the mode changes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Pass,
    Delay(Duration),
    Hold,
    Cut,
    LoseAnswers,
}

/// The direction of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Request,
    Answer,
}

/// A connection through the proxy. One that was made while nothing was let through has no server at its end.
struct Link {
    number: usize,
    client: TcpStream,
    server: Option<TcpStream>,
    lost: bool,
    /// Its answers have ended.
    mute: bool,
}

impl Link {
    fn close(&self) {
        for end in [Some(&self.client), self.server.as_ref()].into_iter().flatten() {
            // The other side may have closed it already.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

struct State {
    mode: Mode,
    stopped: bool,
    accepted: usize,
    links: Vec<Link>,
}

struct Shared {
    target: u16,
    state: Mutex<State>,
    changed: Condvar,
}

/// The proxy. Closes everything when dropped.
pub struct Faults {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Faults {
    /// Starts a proxy in front of `127.0.0.1:port`, which need not be there yet. Everything passes.
    pub fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let state = State { mode: Mode::Pass, stopped: false, accepted: 0, links: Vec::new() };
        let shared = Arc::new(Shared { target: port, state: Mutex::new(state), changed: Condvar::new() });
        let thread = std::thread::spawn({
            let shared = shared.clone();
            move || shared.accept(&listener)
        });
        Faults { port: own_port, shared, thread: Some(thread) }
    }

    /// The proxy's own port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets everything through, as at the start.
    pub fn pass(&self) {
        self.shared.set(Mode::Pass);
    }

    /// Lets each piece of data, in either direction, arrive so much later.
    pub fn delay(&self, by: Duration) {
        self.shared.set(Mode::Delay(by));
    }

    /// Accepts connections and data, and answers nothing, as if the cable were pulled: not even an end of a
    /// connection is seen at its other side. Connections on which nothing happened meanwhile go on afterwards.
    pub fn hold(&self) {
        self.shared.set(Mode::Hold);
    }

    /// Closes all connections, and new ones at once.
    pub fn cut(&self) {
        self.shared.set(Mode::Cut);
    }

    /// Lets requests through, and loses what the server answers.
    pub fn lose_answers(&self) {
        self.shared.set(Mode::LoseAnswers);
    }

    /// Ends the answers of all connections that are open, and goes on to take requests on them: their clients read an
    /// end, and are never told that nobody is there. New connections are as others.
    pub fn end_answers(&self) {
        for link in &mut self.shared.lock().links {
            link.mute = true;
            // It may have closed it already.
            let _ = link.client.shutdown(Shutdown::Write);
        }
    }

    /// How many connections were made to the proxy so far, also those that were closed at once.
    pub fn connections(&self) -> usize {
        self.shared.lock().accepted
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.shared.lock().links.len()
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.cut();
        // Wakes the thread that accepts; if it is gone already, there is nobody to wake.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, mode: Mode) {
        let mut state = self.lock();
        state.mode = mode;
        state.links.retain(|link| {
            let ends = link.lost || mode == Mode::Cut;
            if ends {
                link.close();
            }
            !ends
        });
        self.changed.notify_all();
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            let mut state = self.lock();
            if state.stopped {
                return;
            }
            let Ok(client) = client else { continue };
            state.accepted += 1;
            let number = state.accepted;
            let shared = self.clone();
            std::thread::spawn(move || shared.serve(number, client));
        }
    }

    /// Connects a client to the server, and passes its requests on. A client for which there is no server is closed.
    fn serve(self: Arc<Self>, number: usize, client: TcpStream) {
        let mode = self.lock().mode;
        let server = match mode {
            Mode::Cut => return,
            Mode::Hold => None,
            _ => match TcpStream::connect((Ipv4Addr::LOCALHOST, self.target)) {
                Ok(server) => Some(server),
                Err(_) => return,
            },
        };
        for end in [Some(&client), server.as_ref()].into_iter().flatten() {
            let _ = end.set_nodelay(true);
        }
        let copy = |end: &TcpStream| end.try_clone().unwrap();
        let (client_end, server_end) = (copy(&client), server.as_ref().map(copy));
        let link =
            Link { number, client: client_end, lost: server_end.is_none(), server: server_end, mute: false };
        {
            let mut state = self.lock();
            // The mode may have changed while it was being connected.
            if state.mode == Mode::Cut || (link.lost && state.mode != Mode::Hold) {
                return link.close();
            }
            state.links.push(link);
        }
        if let Some(server) = &server {
            let (shared, from, to) = (self.clone(), copy(server), copy(&client));
            std::thread::spawn(move || shared.carry(number, Way::Answer, from, Some(to)));
        }
        self.carry(number, Way::Request, client, server);
    }

    /// Carries data until either end closes, which closes the other as soon as the mode allows.
    fn carry(&self, number: usize, way: Way, mut from: TcpStream, mut to: Option<TcpStream>) {
        let mut data = [0; 16 * 1024];
        loop {
            // An error is an end, too.
            let length = from.read(&mut data).unwrap_or(0);
            if self.passes(number, way) {
                let sent = match &mut to {
                    Some(to) if length > 0 => to.write_all(&data[..length]).is_ok(),
                    _ => false,
                };
                if !sent {
                    return self.close(number);
                }
            } else if length == 0 {
                return;
            }
        }
    }

    /// Whether data (or the end) that came just now is passed on, which may take time. If not, it is lost.
    fn passes(&self, number: usize, way: Way) -> bool {
        let came = Instant::now();
        let mut state = self.lock();
        loop {
            if way == Way::Answer && state.links.iter().any(|link| link.number == number && link.mute) {
                return false;
            }
            match state.mode {
                Mode::Pass => return true,
                Mode::LoseAnswers if way == Way::Request => return true,
                Mode::Delay(by) => {
                    let rest = by.saturating_sub(came.elapsed());
                    if rest.is_zero() {
                        return true;
                    }
                    let woken = self.changed.wait_timeout(state, rest);
                    state = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
                Mode::Hold | Mode::LoseAnswers | Mode::Cut => {
                    if let Some(link) = state.links.iter_mut().find(|link| link.number == number) {
                        link.lost = true;
                    }
                    return false;
                }
            }
        }
    }

    fn close(&self, number: usize) {
        let mut state = self.lock();
        if let Some(at) = state.links.iter().position(|link| link.number == number) {
            state.links.swap_remove(at).close();
        }
    }
}
