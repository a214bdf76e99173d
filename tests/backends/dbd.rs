//! Databases behind httpd's mod_dbd.

mod servers {
    use crate::harness::databases::{Database, MariaDb, Postgres, Server, Sqlite};

    /// The harness itself: a server is furnished, killed, started again, and has what was committed.
    fn keeps_its_data(server: &impl Server) {
        server.furnish("sc");
        server.run("UPDATE sc_state SET last = 7").unwrap();
        server.restart();
        assert_eq!(server.run("SELECT last FROM sc_state"), Ok("7".into()));
        server.freeze();
        server.thaw();
        assert_eq!(server.run("SELECT last FROM sc_state"), Ok("7".into()));
        server.stop_hard();
        assert!(server.run("SELECT 1").is_err());
    }

    #[test]
    fn mariadb_keeps_its_data() {
        keeps_its_data(&MariaDb::start());
    }

    #[test]
    fn postgres_keeps_its_data() {
        keeps_its_data(&Postgres::start());
    }

    #[test]
    fn sqlite_can_be_locked() {
        let sqlite = Sqlite::start();
        sqlite.furnish("sc");
        let locked = sqlite.lock();
        let other = |sql: &str| {
            let file = sqlite.file();
            std::process::Command::new("sqlite3").arg(file).arg(sql).output().unwrap().status.success()
        };
        assert!(!other("UPDATE sc_state SET last = 7"));
        drop(locked);
        assert!(other("UPDATE sc_state SET last = 7"));
        assert_eq!(sqlite.run("SELECT last FROM sc_state"), Ok("7".into()));
    }
}
