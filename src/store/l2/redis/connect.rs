//! How a connection is made: to one server, or to the master that the sentinels name, which is asked whether it is one.

use super::config::{Address, Login};
use super::link::{Fault, Link, command};
use crate::clock::Instant;
use ::redis::Value;
use parking_lot::Mutex;
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;

/// What all connections to servers have in common.
pub(super) struct Connector {
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) login: Login,
}

/// Where connections lead.
pub(super) struct Place {
    connector: Arc<Connector>,
    target: Target,
}

enum Target {
    One(Address),
    Master { name: String, sentinels: Vec<Address>, login: Login, known: Mutex<Option<Address>> },
}

impl Place {
    /// One server, always.
    pub(super) fn one(connector: Arc<Connector>, address: Address) -> Self {
        Place { connector, target: Target::One(address) }
    }

    /// The server that is the master of that name at present.
    pub(super) fn master(
        connector: Arc<Connector>,
        name: String,
        sentinels: Vec<Address>,
        login: Login,
    ) -> Self {
        Place { connector, target: Target::Master { name, sentinels, login, known: Mutex::new(None) } }
    }

    /// Makes a connection.
    pub(super) fn open(&self, within: Instant) -> Result<Link, Fault> {
        let Target::Master { name, sentinels, login, known } = &self.target else {
            let Target::One(address) = &self.target else { return Err(Fault::Odd(String::new())) };
            return self.connect(address, within);
        };
        let remembered = known.lock().clone();
        if let Some(address) = remembered {
            // It may be dead, which must leave time to ask for the next.
            if let Ok(link) = self.connect_master(&address, share(within, 2)) {
                return Ok(link);
            }
            self.forget();
        }
        let mut last = Fault::Unreachable("no sentinel is named".into());
        for (at, sentinel) in sentinels.iter().enumerate() {
            let until = share(within, sentinels.len() - at + 1);
            let found = self.ask_sentinel(sentinel, name, login, until).and_then(|address| {
                // What an outdated sentinel names may be dead: the next one may know better.
                let link = self.connect_master(&address, share(within, sentinels.len() - at))?;
                *known.lock() = Some(address);
                Ok(link)
            });
            match found {
                Ok(link) => return Ok(link),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    /// Something went wrong there: the next connection begins with the sentinels.
    pub(super) fn forget(&self) {
        if let Target::Master { known, .. } = &self.target {
            *known.lock() = None;
        }
    }

    fn connect(&self, address: &Address, within: Instant) -> Result<Link, Fault> {
        Link::open(address, self.connector.tls.as_ref(), &self.connector.login, within)
    }

    fn connect_master(&self, address: &Address, within: Instant) -> Result<Link, Fault> {
        let mut link = self.connect(address, within)?;
        let role = link.ask(&command("ROLE", &[]), within)?;
        match items(&role).first().and_then(text) {
            Some("master") => Ok(link),
            _ => Err(Fault::Unreachable(format!("{} is not the master", link.server()))),
        }
    }

    fn ask_sentinel(
        &self,
        sentinel: &Address,
        name: &str,
        login: &Login,
        within: Instant,
    ) -> Result<Address, Fault> {
        let mut link = Link::open(sentinel, self.connector.tls.as_ref(), login, within)?;
        let question = command("SENTINEL", &[b"GET-MASTER-ADDR-BY-NAME", name.as_bytes()]);
        let answer = link.ask(&question, within)?;
        match items(&answer) {
            [host, port] => address(host, port).ok_or_else(|| link.odd("SENTINEL")),
            _ => Err(Fault::Unreachable(format!("{sentinel} knows no master {name}"))),
        }
    }
}

/// An address of a reply.
pub(super) fn address(host: &Value, port: &Value) -> Option<Address> {
    let port = match port {
        Value::Int(port) => u16::try_from(*port).ok()?,
        port => text(port)?.parse().ok()?,
    };
    Some(Address::Tcp { host: text(host)?.to_owned(), port })
}

/// The elements of an array; of anything else, none.
pub(super) fn items(value: &Value) -> &[Value] {
    if let Value::Array(items) = value { items } else { &[] }
}

/// A string, if it is one.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// An instant by which an equal share of what is left until `within` has passed.
pub(super) fn share(within: Instant, shares: usize) -> Instant {
    let now = Instant::now();
    let rest = within.saturating_duration_since(now);
    let shares = u32::try_from(shares.max(1)).unwrap_or(u32::MAX);
    now + (rest / shares).max(Duration::from_millis(1)).min(rest)
}
