//! What an operator says about Redis: the words of a directive, made into a [`RedisConfig`]. Nothing is opened here but
//! the files and programs that passwords come from, and that by a function of the caller's. No message repeats a
//! password.

use percent_encoding::percent_decode_str;
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const FORMS: &str = "redis://HOST:PORT, rediss://HOST:PORT (with TLS) or unix:/PATH";
const OPTIONS: &str =
    "db, user, password, sentinel, sentinel-password, cluster, ca, cert, key, prefix and wait";

/// How to reach a Redis, and how to name things in it. Shows no password.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    pub(super) servers: Servers,
    pub(super) tls: Option<TlsFiles>,
    pub(super) login: Login,
    pub(super) prefix: String,
    pub(super) replicas: u32,
}

/// Where a password is to be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretSource<'a> {
    /// The first line of this file.
    File(&'a Path),
    /// The first line that this program prints; its arguments follow after blanks.
    Program(&'a str),
}

/// Which servers there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Servers {
    One(Address),
    Sentinel { master: String, sentinels: Vec<Address>, login: Login },
    Cluster(Vec<Address>),
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// What a server is told first.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<Zeroizing<String>>,
    pub(super) db: u16,
}

/// PEM files.
#[derive(Clone, Debug, Default)]
pub(super) struct TlsFiles {
    pub(super) ca: Option<PathBuf>,
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

impl RedisConfig {
    /// Reads `URL [name=value]...`. Passwords that are not written there are fetched with `read_secret`.
    ///
    /// # Errors
    /// One line that says what is wrong and what to write instead.
    pub fn parse(
        words: &[&str],
        read_secret: &mut dyn FnMut(SecretSource<'_>) -> Result<Zeroizing<String>, String>,
    ) -> Result<Self, String> {
        let (url, options) =
            words.split_first().ok_or_else(|| format!("no server is named: write {FORMS}"))?;
        let mut given = Given::default();
        for option in options {
            given.take(option, read_secret)?;
        }
        let url = Url::parse(url)?;
        let login = given.login(&url)?;
        let tls = given.tls(url.tls)?;
        let servers = given.servers(&url, &login)?;
        let prefix = given.prefix.unwrap_or_else(|| "sc".into());
        Ok(RedisConfig { servers, tls, login, prefix, replicas: given.replicas })
    }
}

/// The options as they were written.
#[derive(Default)]
struct Given {
    db: Option<u16>,
    user: Option<String>,
    password: Option<Zeroizing<String>>,
    master: Option<String>,
    sentinel_password: Option<Zeroizing<String>>,
    cluster: bool,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    prefix: Option<String>,
    replicas: u32,
}

impl Given {
    fn take(
        &mut self,
        option: &str,
        read_secret: &mut dyn FnMut(SecretSource<'_>) -> Result<Zeroizing<String>, String>,
    ) -> Result<(), String> {
        // Without a name it might be a password, so it is not repeated.
        let Some((name, value)) = option.split_once('=') else {
            return Err(format!("an option has no \"=\": write NAME=VALUE, with a name of {OPTIONS}"));
        };
        if value.is_empty() {
            return Err(format!("{name}= has no value: write one after the \"=\", or leave the option out"));
        }
        match name {
            "db" => self.db = Some(database(value)?),
            "user" => self.user = Some(value.to_owned()),
            "password" => self.password = Some(secret(name, value, read_secret)?),
            "sentinel" => self.master = Some(value.to_owned()),
            "sentinel-password" => self.sentinel_password = Some(secret(name, value, read_secret)?),
            "cluster" => {
                self.cluster = match value {
                    "on" => true,
                    "off" => false,
                    _ => return Err(format!("cluster={value}: write cluster=on or cluster=off")),
                }
            }
            "ca" => self.ca = Some(value.into()),
            "cert" => self.cert = Some(value.into()),
            "key" => self.key = Some(value.into()),
            "prefix" => self.prefix = Some(prefix(value)?),
            "wait" => {
                self.replicas = value.parse().map_err(|_| {
                    format!("wait={value}: write how many replicas must confirm, such as wait=1")
                })?;
            }
            _ => return Err(format!("there is no option {name}: there are {OPTIONS}")),
        }
        Ok(())
    }

    fn login(&mut self, url: &Url) -> Result<Login, String> {
        let user = one_of("user", self.user.take(), url.user.clone())?;
        let password = one_of("password", self.password.take(), url.password.clone())?;
        if user.is_some() && password.is_none() {
            return Err("a user is named without a password: add password=file:/PATH".into());
        }
        let db = one_of("database", self.db, url.db)?.unwrap_or(0);
        Ok(Login { user, password, db })
    }

    fn tls(&mut self, on: bool) -> Result<Option<TlsFiles>, String> {
        let identity = match (self.cert.take(), self.key.take()) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => return Err("cert= needs its key: add key=/PATH.pem".into()),
            (None, Some(_)) => return Err("key= needs its certificate: add cert=/PATH.pem".into()),
        };
        let files = TlsFiles { ca: self.ca.take(), identity };
        if !on && (files.ca.is_some() || files.identity.is_some()) {
            return Err("ca=, cert= and key= are for TLS: write rediss:// with a second s".into());
        }
        Ok(on.then_some(files))
    }

    fn servers(&mut self, url: &Url, login: &Login) -> Result<Servers, String> {
        if self.master.is_none() && self.sentinel_password.is_some() {
            return Err("sentinel-password= is for sentinels: add sentinel=MASTERNAME".into());
        }
        match (self.master.take(), self.cluster) {
            (Some(_), true) => {
                Err("sentinel= and cluster=on exclude each other: leave out one of them".into())
            }
            (Some(master), false) => {
                let sentinels = url.hosts(26379)?;
                let password = self.sentinel_password.take();
                Ok(Servers::Sentinel { master, sentinels, login: Login { password, ..Login::default() } })
            }
            (None, true) if login.db != 0 => {
                Err("a cluster has only database 0: leave out the database".into())
            }
            (None, true) => Ok(Servers::Cluster(url.hosts(6379)?)),
            (None, false) => {
                if let Some(path) = &url.socket {
                    return Ok(Servers::One(Address::Unix(path.clone())));
                }
                match url.hosts(6379)?.as_slice() {
                    [one] => Ok(Servers::One(one.clone())),
                    _ => {
                        Err("several hosts need cluster=on, or sentinel=MASTERNAME if they are sentinels"
                            .into())
                    }
                }
            }
        }
    }
}

/// The parts of a URL.
#[derive(Default)]
struct Url {
    tls: bool,
    socket: Option<PathBuf>,
    hosts: Vec<(String, Option<u16>)>,
    user: Option<String>,
    password: Option<Zeroizing<String>>,
    db: Option<u16>,
}

impl Url {
    fn parse(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("unix:") {
            if !path.starts_with('/') || path.starts_with("//") {
                return Err("after unix: comes an absolute path: write unix:/PATH".into());
            }
            return Ok(Url { socket: Some(path.into()), ..Url::default() });
        }
        let (tls, rest) = match (url.strip_prefix("redis://"), url.strip_prefix("rediss://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(format!("the address is of no known form: write {FORMS}")),
        };
        let mut parsed = Url { tls, ..Url::default() };
        let rest = match rest.rsplit_once('@') {
            Some((userinfo, rest)) => {
                parsed.userinfo(userinfo)?;
                rest
            }
            None => rest,
        };
        let hosts = match rest.split_once('/') {
            Some((hosts, db)) => {
                if !db.is_empty() {
                    parsed.db = Some(database(db)?);
                }
                hosts
            }
            None => rest,
        };
        parsed.hosts = hosts.split(',').map(host).collect::<Result<_, _>>()?;
        Ok(parsed)
    }

    fn userinfo(&mut self, userinfo: &str) -> Result<(), String> {
        let decode = |part: &str| {
            percent_decode_str(part).decode_utf8().map(String::from).map_err(|_| {
                "what stands before the @ is not UTF-8: write it with user= and password=".to_owned()
            })
        };
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        self.user = Some(decode(user)?).filter(|user| !user.is_empty());
        self.password = Some(Zeroizing::new(decode(password)?)).filter(|password| !password.is_empty());
        Ok(())
    }

    fn hosts(&self, default_port: u16) -> Result<Vec<Address>, String> {
        if self.socket.is_some() {
            return Err("unix: names one server: write redis://HOST:PORT with sentinel= or cluster=on".into());
        }
        let address = |(host, port): &(String, Option<u16>)| Address::Tcp {
            host: host.clone(),
            port: port.unwrap_or(default_port),
        };
        Ok(self.hosts.iter().map(address).collect())
    }
}

/// `host`, `host:port`, `[::1]` or `[::1]:port`.
fn host(text: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, port.strip_prefix(':').or(Some("?"))),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let wrong =
        || format!("\"{text}\" is no host: write HOST, HOST:PORT or [IPV6]:PORT, with commas between");
    if host.is_empty() || host.contains(['[', ']', '?', '#']) || host.contains(char::is_whitespace) {
        return Err(wrong());
    }
    let port = match port.map(str::parse::<u16>) {
        None => None,
        Some(Ok(port)) if port > 0 => Some(port),
        Some(_) => return Err(wrong()),
    };
    Ok((host.to_owned(), port))
}

fn database(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("\"{text}\" is no database: write its number, such as db=1"))
}

fn prefix(text: &str) -> Result<String, String> {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte)) {
        return Ok(text.to_owned());
    }
    Err("prefix= takes letters, digits and - _ . : only".into())
}

fn secret(
    name: &str,
    value: &str,
    read_secret: &mut dyn FnMut(SecretSource<'_>) -> Result<Zeroizing<String>, String>,
) -> Result<Zeroizing<String>, String> {
    let source = if let Some(path) = value.strip_prefix("file:") {
        SecretSource::File(Path::new(path))
    } else if let Some(program) = value.strip_prefix("exec:") {
        SecretSource::Program(program)
    } else {
        return Ok(Zeroizing::new(value.to_owned()));
    };
    let secret = read_secret(source).map_err(|e| format!("{name}={value}: {e}"))?;
    if secret.is_empty() { Err(format!("{name}={value} gave an empty password")) } else { Ok(secret) }
}

/// What is given in one of two places.
fn one_of<T>(what: &str, option: Option<T>, url: Option<T>) -> Result<Option<T>, String> {
    if option.is_some() && url.is_some() {
        return Err(format!("the {what} is given twice: leave it out of the URL"));
    }
    Ok(option.or(url))
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_| "***");
        f.debug_struct("Login")
            .field("user", &self.user)
            .field("password", &password)
            .field("db", &self.db)
            .finish()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}
