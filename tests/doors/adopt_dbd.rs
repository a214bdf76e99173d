//! `SessionClusterAdopt` over Basic and a database: it is asked at the login, and nothing of it is needed afterwards.

use super::basic::{PASSWORD, basic, door};
use super::database::Database;
use harness::{Browser, Mpm, Page, Signal, Site, on_each_mpm};

on_each_mpm!(a_user_of_the_database_is_asked_for_once);

fn site(mpm: Mpm, database: &Database) -> Site {
    Site::new(mpm)
        .load(&["dbd", "authn_dbd"])
        .conf(&database.conf())
        .conf(&door("/dbd", "Database", &format!("{}\nSessionClusterAdopt On", Database::provider())))
        .file("htdocs/dbd/page.html", "dbd\n")
}

fn get(browser: &mut Browser, user: &str, password: &str) -> Page {
    browser.get_with("/dbd/page.html", &[("Authorization", &basic(user, password))])
}

fn a_user_of_the_database_is_asked_for_once(mpm: Mpm) {
    let database = Database::with(&["alice"]);
    let httpd = site(mpm, &database).start();
    httpd.log.allow("AH01617"); // a wrong password
    httpd.log.allow("AH01618"); // no such user
    let mut alice = httpd.browser();
    for (user, password) in [("alice", "wrong"), ("bob", PASSWORD), ("' OR ''='", PASSWORD)] {
        let page = get(&mut alice, user, password).expect(401);
        assert_eq!(page.header("Set-Cookie"), None, "{user}");
    }
    let page = get(&mut alice, "alice", PASSWORD).expect(200);
    assert_eq!((page.user(), page.header("X-Auth-Type")), (Some("alice"), Some("Basic")));

    database.run("DELETE FROM users");
    for _ in 0..10 {
        // With the password that browsers send along, and without.
        assert_eq!(get(&mut alice, "alice", PASSWORD).expect(200).user(), Some("alice"));
        assert_eq!(alice.get_with("/dbd/page.html", &[]).expect(200).user(), Some("alice"));
    }
    get(&mut httpd.browser(), "alice", PASSWORD).expect(401);

    let mut kept = alice.clone();
    alice.post("/logout", &[]);
    kept.get_with("/dbd/page.html", &[]).expect(401);
    get(&mut kept, "alice", PASSWORD).expect(401);
}

#[test]
fn a_session_outlives_the_database_that_it_came_from() {
    let database = Database::with(&["alice", "bob"]);
    let httpd = site(Mpm::Event, &database).start();
    // What mod_dbd and mod_authn_dbd say to that, from here on.
    for sign in ["AH00629", "AH00633", "AH00636", "AH01653", "AH01656"] {
        httpd.log.allow(sign);
    }
    let mut alice = httpd.browser();
    get(&mut alice, "alice", PASSWORD).expect(200);

    database.run("DROP TABLE users");
    let page = get(&mut httpd.browser(), "bob", PASSWORD).expect(500);
    assert_eq!(page.header("Set-Cookie"), None, "an error is no session");
    get(&mut alice, "alice", PASSWORD).expect(200);

    // Processes that have never opened it.
    std::fs::remove_file(database.file()).unwrap();
    httpd.restart(Signal::Graceful);
    for _ in 0..10 {
        assert_eq!(alice.get_with("/dbd/page.html", &[]).expect(200).user(), Some("alice"));
    }
    let page = get(&mut httpd.browser(), "bob", PASSWORD).expect(500);
    assert_eq!(page.header("Set-Cookie"), None);
    alice.post("/logout", &[]);
    alice.get_with("/dbd/page.html", &[]).expect(401);
}
