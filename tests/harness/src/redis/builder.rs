//! What a server of a test is to be like.

use super::Redis;
use std::path::PathBuf;

/// A server being described.
pub struct Builder {
    pub(super) binary: PathBuf,
    pub(super) conf: String,
    pub(super) tls: bool,
    pub(super) user: Option<(String, String)>,
    pub(super) replica: bool,
    pub(super) sentinel: bool,
    pub(super) cluster: bool,
}

impl Builder {
    pub(super) fn new() -> Self {
        Builder {
            binary: "redis-server".into(),
            conf: String::new(),
            tls: false,
            user: None,
            replica: false,
            sentinel: false,
            cluster: false,
        }
    }

    /// Adds directives, as in `redis.conf`.
    pub fn conf(mut self, directives: &str) -> Self {
        self.conf.push_str(directives);
        self.conf.push('\n');
        self
    }

    /// Speaks TLS instead of plain TCP, with certificates of its own. A client may show one, but need not.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self.conf("tls-auth-clients optional")
    }

    /// Speaks TLS, and only to clients that show [`Redis::client_cert`].
    pub fn tls_with_client_cert(self) -> Self {
        self.tls().conf("tls-auth-clients yes")
    }

    /// Turns the default user off, and lets this one do everything.
    pub fn acl(mut self, user: &str, password: &str) -> Self {
        self.user = Some((user.to_owned(), password.to_owned()));
        let password = quoted(&format!(">{password}"));
        self.conf(&format!("user default off\nuser {user} on {password} ~* &* +@all"))
    }

    /// Writes each change to disk before it answers, so that nothing is lost when it is killed.
    pub fn append_only(self) -> Self {
        self.conf("appendonly yes\nappendfsync always")
    }

    /// Runs this program instead of `redis-server`: see [`super::valkey`].
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = path.into();
        self
    }

    /// Copies that server, whose user it takes if it has one. Not for masters with TLS.
    #[track_caller]
    pub fn replica_of(mut self, master: &Redis) -> Self {
        assert!(master.tls.is_none(), "a replica here cannot speak TLS to its master");
        self.replica = true;
        if let Some((user, password)) = &master.plan.user {
            self = self.conf(&format!("masteruser {user}\nmasterauth {}", quoted(password)));
        }
        self.conf(&format!("replicaof 127.0.0.1 {}", master.port))
    }

    /// Starts it, and returns once it serves; a replica, once it has its copy.
    #[track_caller]
    pub fn start(self) -> Redis {
        Redis::begin(self)
    }
}

/// One word of a directive, whatever blanks are in it.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}
