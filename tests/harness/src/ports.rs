//! Ports of the loopback for servers that must be told theirs before they start. All lie below those that outgoing
//! connections get, so that a server that was killed finds its own free again.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// A stretch of ports. Each test binary begins at a place of its own in it.
struct Stretch {
    first: u16,
    places: u16,
    /// So many ports belong to a binary; the places, a hundred apart, overlap.
    length: u16,
    given: AtomicU16,
}

static HTTPDS: Stretch = Stretch { first: 10_000, places: 150, length: 7_000, given: AtomicU16::new(0) };
static OTHERS: Stretch = Stretch { first: 2_000, places: 70, length: 1_000, given: AtomicU16::new(0) };

impl Stretch {
    /// A port nobody listens on, not given out here before.
    fn next(&self) -> u16 {
        let place = std::process::id() % u32::from(self.places);
        let first = self.first + u16::try_from(place).unwrap_or(0) * 100;
        loop {
            let port = first + self.given.fetch_add(1, Ordering::Relaxed) % self.length;
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return port;
            }
        }
    }
}

/// For an httpd.
pub(crate) fn for_httpd() -> u16 {
    HTTPDS.next()
}

/// For any other server: a port nobody listens on, not given out here before.
pub fn free_port() -> u16 {
    OTHERS.next()
}
