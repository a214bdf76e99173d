//! A socket that keeps a deadline: each read and each write waits for no longer than is left until then, however many
//! there are. With TLS or without.

use super::config::{Address, TlsFiles};
use crate::clock::Instant;
use crate::store::private;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A connection to a server.
pub(super) enum Stream {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

impl Stream {
    /// Connects. Looking up a name takes as long as the resolver takes: nothing here can cut that short.
    pub(super) fn connect(
        address: &Address,
        tls: Option<&Arc<ClientConfig>>,
        until: Instant,
    ) -> io::Result<Self> {
        let socket = match address {
            Address::Tcp { host, port } => Plug::Tcp(connect_tcp(host, *port, until)?),
            Address::Unix(path) => Plug::Unix(connect_unix(path, until)?),
        };
        let timed = Timed { socket, until };
        let (Some(tls), Address::Tcp { host, .. }) = (tls, address) else { return Ok(Stream::Plain(timed)) };
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        let session = ClientConnection::new(tls.clone(), name).map_err(io::Error::other)?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(session, timed))))
    }

    /// Sets the deadline of what follows.
    pub(super) fn set_deadline(&mut self, until: Instant) {
        match self {
            Stream::Plain(timed) => timed.until = until,
            Stream::Tls(tls) => tls.sock.until = until,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(timed) => timed.read(into),
            Stream::Tls(tls) => tls.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(timed) => timed.write(bytes),
            Stream::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(timed) => timed.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}

/// A socket and its deadline.
pub(super) struct Timed {
    socket: Plug,
    until: Instant,
}

enum Plug {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let rest = Some(rest(self.until)?);
        let read = match &mut self.socket {
            Plug::Tcp(tcp) => tcp.set_read_timeout(rest).and_then(|()| tcp.read(into)),
            Plug::Unix(unix) => unix.set_read_timeout(rest).and_then(|()| unix.read(into)),
        };
        read.map_err(late)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let rest = Some(rest(self.until)?);
        let written = match &mut self.socket {
            Plug::Tcp(tcp) => tcp.set_write_timeout(rest).and_then(|()| tcp.write(bytes)),
            Plug::Unix(unix) => unix.set_write_timeout(rest).and_then(|()| unix.write(bytes)),
        };
        written.map_err(late)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is left until then, at least a millisecond, which is the least that a socket can be told.
fn rest(until: Instant) -> io::Result<Duration> {
    let rest = until.saturating_duration_since(Instant::now());
    if rest.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(rest.max(Duration::from_millis(1))) }
}

/// A socket says of a time that is over that it would block.
fn late(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

fn connect_tcp(host: &str, port: u16, until: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, rest(until)?) {
            Ok(tcp) => {
                tcp.set_nodelay(true)?;
                return Ok(tcp);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A server that is stopped lets its queue run full, and connecting then waits: as long as a write may.
fn connect_unix(path: &Path, until: Instant) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(rest(until)?))?;
    socket.connect(&SockAddr::unix(path)?).map_err(late)?;
    Ok(socket.into())
}

/// Reads the files once, so that they may be readable for root only. Without `ca` the system's authorities are trusted.
///
/// # Errors
/// Which file cannot be used, and why.
pub(super) fn tls(files: &TlsFiles) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS: {e}"))?
        .with_root_certificates(roots(files.ca.as_deref())?);
    let Some((cert, key)) = &files.identity else { return Ok(Arc::new(builder.with_no_client_auth())) };
    let text = private::read(key).map_err(|e| format!("key={e}"))?;
    let private = PrivateKeyDer::from_pem_slice(&text).map_err(|e| format!("key={}: {e}", key.display()))?;
    let config = builder
        .with_client_auth_cert(certificates(cert)?, private)
        .map_err(|e| format!("cert={} with key={}: {e}", cert.display(), key.display()))?;
    Ok(Arc::new(config))
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    match ca {
        Some(path) => {
            for certificate in certificates(path)? {
                store.add(certificate).map_err(|e| format!("ca={}: {e}", path.display()))?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        return Err("this system trusts no certificate authority: add ca=/PATH.pem".into());
    }
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong(&e))?;
    if certificates.is_empty() { Err(wrong(&"holds no certificate in PEM form")) } else { Ok(certificates) }
}
