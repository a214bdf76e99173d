//! A database of users: SQLite, which mod_dbd opens for mod_authn_dbd.

use super::basic::HASH;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A database file.
pub(super) struct Database {
    root: TempDir,
}

impl Database {
    /// With these users, all with the harness' password.
    #[track_caller]
    pub(super) fn with(users: &[&str]) -> Database {
        let root = tempfile::Builder::new().prefix("msc-dbd-").tempdir().unwrap();
        // httpd runs as `www-data`.
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        let database = Database { root };
        database.run("CREATE TABLE users (name TEXT PRIMARY KEY, password TEXT NOT NULL)");
        for user in users {
            database.run(&format!("INSERT INTO users VALUES ('{user}', '{HASH}')"));
        }
        fs::set_permissions(database.file(), Permissions::from_mode(0o644)).unwrap();
        database
    }

    /// Runs a statement in it.
    #[track_caller]
    pub(super) fn run(&self, sql: &str) {
        let mut sqlite = Command::new("sqlite3");
        let output = sqlite.arg("-bail").arg(self.file()).arg(sql).output().expect("sqlite3(1) is needed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(super) fn file(&self) -> PathBuf {
        self.root.path().join("users.sqlite")
    }

    /// How mod_dbd gets at it.
    pub(super) fn conf(&self) -> String {
        format!("DBDriver sqlite3\nDBDParams {}\n", self.file().display())
    }

    /// For a place where it checks Basic passwords.
    pub(super) fn provider() -> &'static str {
        "AuthBasicProvider dbd\nAuthDBDUserPWQuery \"SELECT password FROM users WHERE name = %s\""
    }
}
