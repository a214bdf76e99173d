//! A file of SQLite.

use super::{Database, Locked, client};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A database in a directory where everybody may write, as httpd must be able to.
pub struct Sqlite {
    root: TempDir,
}

impl Sqlite {
    /// An empty one.
    #[track_caller]
    pub fn start() -> Sqlite {
        Sqlite::within(&std::env::temp_dir())
    }

    /// An empty one in a directory of its own below that one.
    #[track_caller]
    pub fn within(directory: &Path) -> Sqlite {
        let root = tempfile::Builder::new().prefix("msc-sqlite-").tempdir_in(directory).unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o777)).unwrap();
        let sqlite = Sqlite { root };
        fs::write(sqlite.file(), "").unwrap();
        fs::set_permissions(sqlite.file(), Permissions::from_mode(0o666)).unwrap();
        sqlite
    }

    /// Its path.
    pub fn file(&self) -> PathBuf {
        self.root.path().join("sessions.sqlite")
    }

    fn cli(&self) -> Command {
        let mut cli = Command::new("sqlite3");
        cli.args(["-bail", "-batch", "-cmd", ".timeout 5000"]).arg(self.file());
        cli
    }

    /// Another process that keeps everybody else from writing, until what is returned is dropped.
    #[track_caller]
    pub fn lock(&self) -> Locked {
        Locked::by(self.cli(), "BEGIN EXCLUSIVE;\nSELECT 'locked';\n")
    }
}

impl Database for Sqlite {
    fn driver(&self) -> &'static str {
        "sqlite3"
    }

    fn params(&self) -> String {
        self.file().display().to_string()
    }

    fn run(&self, sql: &str) -> Result<String, String> {
        client(self.cli(), sql)
    }
}
