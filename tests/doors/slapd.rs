//! A real directory: OpenLDAP's slapd in the foreground, on a free port of the loopback, with a database of its own. It
//! says in its log who binds.

use super::basic::PASSWORD;
use harness::eventually;
use harness::free_port;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// A directory with some people in it, running or stopped.
pub(super) struct Slapd {
    root: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Slapd {
    /// One that knows these users, all with the harness' password.
    #[track_caller]
    pub(super) fn start(users: &[&str]) -> Slapd {
        let root = tempfile::Builder::new().prefix("msc-slapd-").tempdir().unwrap();
        let mut slapd = Slapd { root, port: 0, child: None };
        slapd.furnish(users);
        for _ in 0..5 {
            slapd.port = free_port();
            match slapd.launch() {
                Ok(()) => return slapd,
                Err(said) => assert!(said.contains("bind("), "{said}"),
            }
        }
        panic!("no port to be had");
    }

    fn furnish(&self, users: &[&str]) {
        let database = self.path("database");
        fs::create_dir(&database).unwrap();
        let conf = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             modulepath /usr/lib/ldap\nmoduleload back_mdb\ndatabase mdb\nsuffix dc=test\ndirectory {}\n\
             maxsize 1048576\naccess to attrs=userPassword by anonymous auth\naccess to * by * read\n",
            database.display()
        );
        fs::write(self.path("slapd.conf"), conf).unwrap();
        let mut people =
            "dn: dc=test\nobjectClass: dcObject\nobjectClass: organization\no: test\ndc: test\n".to_owned();
        for user in users {
            people += &format!(
                "\ndn: uid={user},dc=test\nobjectClass: account\nobjectClass: simpleSecurityObject\nuid: {user}\n\
                 description: {user} of the directory\nuserPassword: {PASSWORD}\n"
            );
        }
        // The first of them is the staff.
        people += &format!(
            "\ndn: cn=staff,dc=test\nobjectClass: groupOfNames\ncn: staff\nmember: uid={},dc=test\n",
            users[0]
        );
        fs::write(self.path("people.ldif"), people).unwrap();
        let mut slapadd = Command::new("/usr/sbin/slapadd");
        slapadd.arg("-f").arg(self.path("slapd.conf")).arg("-l").arg(self.path("people.ldif"));
        let output = slapadd.output().expect("Debian's slapd is needed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn launch(&mut self) -> Result<(), String> {
        let before = self.log().matches("slapd starting").count();
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut slapd = Command::new("/usr/sbin/slapd");
        slapd.arg("-h").arg(format!("ldap://127.0.0.1:{}", self.port));
        // With any -d it stays in the foreground.
        slapd.arg("-f").arg(self.path("slapd.conf")).args(["-d", "stats"]);
        let slapd = slapd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.child = Some(slapd.expect("Debian's slapd is needed"));
        eventually("slapd to start", PATIENCE, || {
            if self.child.as_mut()?.try_wait().unwrap().is_some() {
                self.child = None;
                return Some(Err(self.log()));
            }
            (self.log().matches("slapd starting").count() > before).then_some(Ok(()))
        })
    }

    /// Stops it, as a machine that goes down does.
    pub(super) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again where it was.
    #[track_caller]
    pub(super) fn start_again(&mut self) {
        self.launch().unwrap_or_else(|said| panic!("{said}"));
    }

    /// Changes what it says of a user.
    #[track_caller]
    pub(super) fn modify(&mut self, user: &str, line: &str) {
        // Only its own files can be changed by us, and only while it is down.
        self.stop();
        let attribute = line.split(':').next().unwrap_or_default();
        let change = format!("dn: uid={user},dc=test\nchangetype: modify\nreplace: {attribute}\n{line}\n");
        fs::write(self.path("change.ldif"), change).unwrap();
        let mut slapmodify = Command::new("/usr/sbin/slapmodify");
        slapmodify.arg("-f").arg(self.path("slapd.conf")).arg("-l").arg(self.path("change.ldif"));
        let output = slapmodify.output().expect("Debian's slapd is needed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.start_again();
    }

    /// How often this user's password was tried.
    pub(super) fn binds(&self, user: &str) -> usize {
        // A second line with `mech=` says that it was right.
        let tried = format!("BIND dn=\"uid={user},dc=test\" method=");
        self.log().lines().filter(|line| line.contains(&tried)).count()
    }

    /// What a directory needs for mod_authnz_ldap, which shall ask it each time.
    pub(super) fn cache_off() -> &'static str {
        "LDAPSharedCacheSize 0\nLDAPCacheEntries 0\nLDAPOpCacheEntries 0\n"
    }

    /// For a place where it checks Basic passwords.
    pub(super) fn provider(&self) -> String {
        format!("AuthBasicProvider ldap\nAuthLDAPURL ldap://127.0.0.1:{}/dc=test?uid", self.port)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.stop();
    }
}
