//! One connection: commands go out, replies come back, all by a deadline. Whatever goes wrong but an error reply leaves
//! it in a state that nobody knows: its user drops it then (see [`Fault::breaks`]).

use super::config::{Address, Login};
use super::stream::Stream;
use crate::clock::Instant;
use ::redis::{Cmd, Parser, RedisError, Value};
use rustls::ClientConfig;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The other end has closed the connection.
    Closed(String),
    /// There is no connection, or no answer in time.
    Unreachable(String),
    /// The server was unreachable a moment ago, so nobody asked.
    Recent(String),
    /// The server answered with an error.
    Refused(Refusal),
    /// The server answered something that is not known here, or did not do what was asked.
    Odd(String),
}

/// An error reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The server that said so.
    pub(super) server: String,
    /// The first word, such as `MOVED`.
    pub(super) code: String,
    /// The rest.
    pub(super) text: String,
}

impl Fault {
    /// Whether the connection must not be used again.
    pub(super) fn breaks(&self) -> bool {
        match self {
            Fault::Refused(refusal) => refusal.is_wrong_server() || refusal.code == "NOREPLICAS",
            _ => true,
        }
    }

    /// Whether it says that the server as such cannot be used just now.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Fault::Refused(refusal) => refusal.is_wrong_server(),
            Fault::Closed(_) | Fault::Unreachable(_) => true,
            Fault::Recent(_) | Fault::Odd(_) => false,
        }
    }
}

impl Refusal {
    /// Whether another server may have to be asked, or this one later.
    fn is_wrong_server(&self) -> bool {
        ["READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "UNBLOCKED", "NOAUTH", "WRONGPASS"]
            .contains(&self.code.as_str())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Closed(text) | Fault::Unreachable(text) | Fault::Odd(text) => f.write_str(text),
            Fault::Recent(text) => write!(f, "the store was unreachable a moment ago: {text}"),
            // An error may repeat what was sent: no more of it than a line.
            Fault::Refused(Refusal { server, code, text }) => {
                let text: String = text.chars().filter(|c| !c.is_control()).take(160).collect();
                write!(f, "{server} answered {code} {text}")
            }
        }
    }
}

/// A connection to one server, logged in.
pub(super) struct Link {
    stream: Stream,
    parser: Parser,
    server: String,
    /// Before each command the server is told that another one sent us here (see `cluster`).
    pub(super) asking: bool,
}

impl Link {
    /// Connects and logs in.
    pub(super) fn open(
        address: &Address,
        tls: Option<&Arc<ClientConfig>>,
        login: &Login,
        within: Instant,
    ) -> Result<Self, Fault> {
        let server = address.to_string();
        let stream = Stream::connect(address, tls, within)
            .map_err(|e| Fault::Unreachable(format!("{server} cannot be reached: {}", plain(&e))))?;
        let mut link = Link { stream, parser: Parser::new(), server, asking: false };
        // An end here is that of a new connection: trying again would be no better.
        link.log_in(login, within).map_err(|fault| match fault {
            Fault::Closed(text) => Fault::Unreachable(text),
            other => other,
        })?;
        Ok(link)
    }

    fn log_in(&mut self, login: &Login, within: Instant) -> Result<(), Fault> {
        if let Some(auth) = auth(login) {
            // The words of the error might repeat the password.
            if let Some(Value::ServerError(error)) = self.exchange(auth.as_bytes(), 1, within)?.first() {
                let code = error.code();
                return Err(Fault::Unreachable(format!(
                    "{} did not accept the user or password: {code}",
                    self.server
                )));
            }
        }
        if login.db != 0 {
            self.ask(&command("SELECT", &[login.db.to_string().as_bytes()]), within)?;
        }
        Ok(())
    }

    /// The server's address, for messages.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Sends a command and awaits its reply. An error reply is an error.
    pub(super) fn ask(&mut self, command: &Cmd, within: Instant) -> Result<Value, Fault> {
        let reply = self.ask_all(std::slice::from_ref(command), within)?.pop().unwrap_or_default();
        self.accept(reply)
    }

    /// Sends commands at once and awaits their replies, one of each, in their order.
    pub(super) fn ask_all(&mut self, commands: &[Cmd], within: Instant) -> Result<Vec<Value>, Fault> {
        let mut packed = Vec::with_capacity(commands.len() * 128);
        for one in commands {
            if self.asking {
                command("ASKING", &[]).write_packed_command(&mut packed);
            }
            one.write_packed_command(&mut packed);
        }
        let each = if self.asking { 2 } else { 1 };
        let replies = self.exchange(&packed, commands.len() * each, within)?;
        Ok(replies.into_iter().skip(each - 1).step_by(each).collect())
    }

    /// Makes an error of an error reply.
    pub(super) fn accept(&self, reply: Value) -> Result<Value, Fault> {
        match reply {
            Value::ServerError(error) => Err(Fault::Refused(Refusal {
                server: self.server.clone(),
                code: error.code().to_owned(),
                text: error.details().unwrap_or_default().to_owned(),
            })),
            reply => Ok(reply),
        }
    }

    /// A reply of a form that is not known here.
    pub(super) fn odd(&self, to: &str) -> Fault {
        Fault::Odd(format!("{} gave an answer to {to} that is not understood", self.server))
    }

    fn exchange(&mut self, packed: &[u8], replies: usize, within: Instant) -> Result<Vec<Value>, Fault> {
        self.stream.set_deadline(within);
        let sent = self.stream.write_all(packed).and_then(|()| self.stream.flush());
        sent.map_err(|e| self.fault(&RedisError::from(e)))?;
        let mut received = Vec::with_capacity(replies);
        for _ in 0..replies {
            let reply = self.parser.parse_value(&mut self.stream);
            received.push(reply.map_err(|e| self.fault(&e))?);
        }
        Ok(received)
    }

    fn fault(&self, error: &RedisError) -> Fault {
        let server = &self.server;
        if error.is_timeout() {
            Fault::Unreachable(format!("{server} did not answer in time"))
        } else if error.is_connection_dropped() {
            Fault::Closed(format!("{server} closed the connection"))
        } else {
            Fault::Unreachable(format!("the connection to {server} failed: {error}"))
        }
    }
}

/// A command of these words.
pub(super) fn command(name: &str, arguments: &[&[u8]]) -> Cmd {
    let mut command = Cmd::new();
    command.arg(name);
    for argument in arguments {
        command.arg(*argument);
    }
    command
}

/// The command that logs in, in memory that is wiped.
fn auth(login: &Login) -> Option<Zeroizing<String>> {
    let password = login.password.as_ref()?.as_str();
    let length = password.len();
    Some(Zeroizing::new(match &login.user {
        Some(user) => {
            format!("*3\r\n$4\r\nAUTH\r\n${}\r\n{user}\r\n${length}\r\n{password}\r\n", user.len())
        }
        None => format!("*2\r\n$4\r\nAUTH\r\n${length}\r\n{password}\r\n"),
    }))
}

fn plain(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::TimedOut { "no answer in time".into() } else { error.to_string() }
}
