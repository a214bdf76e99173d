//! A PostgreSQL server.

use super::{Database, Process, Server, client};
use std::path::PathBuf;
use std::process::Command;

/// A server with one database, `postgres`, and one user, who may do everything.
pub struct Postgres(Process);

impl Postgres {
    /// An empty one.
    #[track_caller]
    pub fn start() -> Postgres {
        let process = Process::new("postgres");
        let mut install = process.command(program("initdb"));
        install.arg("-D").arg(process.path("data")).args([
            "-U",
            "sc",
            "--auth=trust",
            "--no-sync",
            "-E",
            "UTF8",
        ]);
        process.prepare(install);
        let postgres = Postgres(process);
        postgres.launch();
        postgres
    }

    #[track_caller]
    fn launch(&self) {
        let process = &self.0;
        let mut server = process.command(program("postgres"));
        server.arg("-D").arg(process.path("data")).arg("-k").arg(process.path(""));
        server.args(["-h", "127.0.0.1", "-p", &process.port.to_string(), "-F"]);
        for setting in
            ["max_connections=300", "shared_buffers=32MB", "full_page_writes=off", "autovacuum_naptime=10"]
        {
            server.args(["-c", setting]);
        }
        process.launch(server, || self.run("SELECT 1").is_ok());
    }
}

/// Debian keeps servers out of the path, by version.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin").join(name)).filter(|path| path.is_file());
    found.max().unwrap_or_else(|| name.into())
}

impl Database for Postgres {
    fn driver(&self) -> &'static str {
        "pgsql"
    }

    fn params(&self) -> String {
        format!("host=127.0.0.1 port={} user=sc dbname=postgres connect_timeout=2", self.0.port)
    }

    fn run(&self, sql: &str) -> Result<String, String> {
        client(self.cli(), sql)
    }
}

impl Server for Postgres {
    fn restart(&self) {
        self.0.stop_hard();
        self.launch();
    }

    fn process(&self) -> &Process {
        &self.0
    }

    fn cli(&self) -> Command {
        let mut psql = self.0.command(program("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "sc", "-d", "postgres"]);
        psql.arg("-h").arg(self.0.path("")).args(["-p", &self.0.port.to_string()]);
        psql
    }
}
