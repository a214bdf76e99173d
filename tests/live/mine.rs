//! The page on which users see where they are logged in, and end what they do not know.

use harness::{Browser, Httpd, Mpm, Site, on_each_mpm};

on_each_mpm!(a_user_sees_their_sessions_and_ends_one);

fn start(mpm: Mpm) -> Httpd {
    Site::new(mpm)
        .conf("SessionClusterSecret file:secret")
        .conf(
            "<Location /mine>\nSetHandler session-cluster-mine\nAuthType Session\nSessionClusterLogin /login\n\
             Require valid-user\n</Location>",
        )
        .file("secret", "0123456789abcdef0123456789abcdef\n")
        .start()
}

/// Logs in with a browser that says what it is.
fn log_in(httpd: &Httpd, user: &str, agent: &str) -> Browser {
    let mut browser = httpd.browser();
    let form = [("httpd_username", user), ("httpd_password", "wonderland")];
    browser.post_with("/login", &form, &[("User-Agent", agent), ("Accept", "text/html")]).expect(303);
    browser
}

/// The names of the sessions that can be ended.
fn names(browser: &mut Browser) -> Vec<String> {
    let page = browser.get("/mine").expect(200);
    let after = page.body.split("name=\"session\" value=\"").skip(1);
    after.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

fn a_user_sees_their_sessions_and_ends_one(mpm: Mpm) {
    let httpd = start(mpm);
    assert!(httpd.browser().get("/mine").is_refused());
    let mut phone = log_in(&httpd, "alice", "Phone <b>");
    let mut desk = log_in(&httpd, "alice", "Desk");
    let mut bob = log_in(&httpd, "bob", "Bob's");

    let page = desk.get("/mine").expect(200);
    assert!(page.body.contains("Phone &lt;b&gt;") && page.body.contains("Desk"), "{page:?}");
    assert!(!page.body.contains("Bob"), "{page:?}");
    assert!(page.body.contains("127.0.0.1") && page.body.contains(" UTC"), "{page:?}");
    assert!(!page.body.contains(phone.session()) && !page.body.contains(desk.session()));
    let others = names(&mut desk);
    assert_eq!(others.len(), 1, "its own cannot be ended here");

    // Bob cannot end alice's, whatever name he gives.
    bob.post("/mine", &[("session", &others[0])]).expect(200);
    phone.get("/app/page.html").expect(200);
    desk.post_with("/mine", &[("session", &others[0])], &[("Sec-Fetch-Site", "cross-site")]).expect(403);
    phone.get("/app/page.html").expect(200);

    let page = desk.post("/mine", &[("session", &others[0])]).expect(200);
    assert!(page.body.contains("That session was ended") && !page.body.contains("Phone"), "{page:?}");
    assert!(phone.get("/app/page.html").is_refused());
    desk.get("/app/page.html").expect(200);
}

#[test]
fn a_user_ends_all_other_sessions_and_keeps_this_one() {
    let httpd = start(Mpm::Event);
    let mut others: Vec<Browser> = (0..5).map(|n| log_in(&httpd, "alice", &format!("Browser {n}"))).collect();
    let mut desk = log_in(&httpd, "alice", "Desk");
    assert_eq!(names(&mut desk).len(), 5);
    assert!(!desk.get("/mine").body.contains("not shown"));
    let before = desk.session().to_owned();
    let page = desk.post("/mine", &[("others", "1")]).expect(200);
    assert!(page.body.contains("All other sessions were ended"), "{page:?}");
    assert_ne!(desk.session(), before);
    for other in &mut others {
        assert!(other.get("/app/page.html").is_refused());
    }
    assert_eq!(desk.get("/app/page.html").expect(200).user(), Some("alice"));
    assert!(names(&mut desk).is_empty(), "only this one is left");
    assert!(desk.get("/mine").body.contains("(this one)"));
}

#[test]
fn what_is_listed_is_what_lives() {
    let httpd = start(Mpm::Event);
    let mut gone = log_in(&httpd, "alice", "Gone");
    let mut desk = log_in(&httpd, "alice", "Desk");
    assert_eq!(names(&mut desk).len(), 1);
    gone.post("/logout", &[]).expect(200);
    assert!(names(&mut desk).is_empty());
    // Many logins of one user: some may not be listed, all work.
    let mut many: Vec<Browser> = (0..40).map(|n| log_in(&httpd, "alice", &format!("Browser {n}"))).collect();
    assert!(names(&mut desk).len() > 20);
    assert!(desk.get("/mine").body.contains("not shown"), "somebody may hide among many");
    many.iter_mut().for_each(|browser| assert_eq!(browser.get("/app/page.html").status, 200));
}

#[test]
fn without_a_secret_there_is_no_list() {
    let mine = "<Location /mine>\nSetHandler session-cluster-mine\nAuthType Session\nRequire valid-user\n</Location>";
    let httpd = Site::new(Mpm::Event).conf(mine).start();
    httpd.log.allow("SC0314");
    httpd.browser_of("alice").get("/mine").expect(500);
    assert_eq!(httpd.log.count("SC0314"), 1);
    let said =
        Site::new(Mpm::Event).conf("SessionClusterSecret file:secret").file("secret", "short\n").refused();
    assert!(said.contains("SC0118") && said.contains("openssl rand"), "{said}");
    let (ok, said) = Site::new(Mpm::Event).conf("SessionClusterSecret mysecret").check();
    assert!(!ok && said.contains("file:PATH"), "{said}");
}
