//! A MariaDB server.

use super::{Database, Process, Server, client};
use crate::conf::is_root;
use std::process::Command;

/// A server with one database, `test`, and one user, who may do everything.
pub struct MariaDb(Process);

const USER: &str = "sc";
const PASSWORD: &str = "wonder";

impl MariaDb {
    /// An empty one.
    #[track_caller]
    pub fn start() -> MariaDb {
        let process = Process::new("mariadb");
        let mut install = process.command("mariadb-install-db");
        install.arg("--no-defaults").arg(format!("--datadir={}", process.path("data").display()));
        install.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]);
        install.args([
            "--innodb-log-file-size=16M",
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-use-native-aio=0",
        ]);
        process.prepare(install);
        let mariadb = MariaDb(process);
        mariadb.launch();
        let grant = format!(
            "CREATE DATABASE test; CREATE USER {USER} IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON test.* TO {USER};"
        );
        client(mariadb.root(), &grant).unwrap_or_else(|said| panic!("{said}"));
        mariadb
    }

    #[track_caller]
    fn launch(&self) {
        let process = &self.0;
        let mut server = process.command("mariadbd");
        server.arg("--no-defaults").arg(format!("--datadir={}", process.path("data").display()));
        server
            .arg(format!("--socket={}", process.path("s").display()))
            .arg(format!("--port={}", process.port));
        server.args([
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=2",
        ]);
        server.args([
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=16M",
            "--max-connections=500",
            "--innodb-use-native-aio=0",
        ]);
        if is_root() {
            // It would complain of running as root before it looks who it is.
            server.arg("--user=nobody");
        }
        process.launch(server, || client(self.root(), "SELECT 1").is_ok());
    }

    /// As root, by the Unix socket.
    fn root(&self) -> Command {
        let mut cli = self.0.command("mariadb");
        cli.args(["--no-defaults", "--batch", "--skip-column-names", "--user=root"]);
        cli.arg(format!("--socket={}", self.0.path("s").display()));
        cli
    }
}

impl Database for MariaDb {
    fn driver(&self) -> &'static str {
        "mysql"
    }

    fn params(&self) -> String {
        format!("host=127.0.0.1 port={} user={USER} pass={PASSWORD} dbname=test", self.0.port)
    }

    fn run(&self, sql: &str) -> Result<String, String> {
        client(self.cli(), sql)
    }
}

impl Server for MariaDb {
    fn restart(&self) {
        self.0.stop_hard();
        self.launch();
    }

    fn process(&self) -> &Process {
        &self.0
    }

    fn cli(&self) -> Command {
        let mut cli = self.root();
        cli.args(["--unbuffered", "test"]);
        cli
    }
}
