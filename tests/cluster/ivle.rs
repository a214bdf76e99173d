//! The case that the module was made for, IVLE's: what a user may is asked once, at the login, and kept in the session.
//! Then the account changes, and nobody is to be sent back to the login for that: not on any of three nodes.

use super::nodes::Nodes;
use harness::redis::Redis;
use harness::{Browser, Httpd, Mpm, Page, eventually};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// How soon an administrator's word has to be heard on all nodes.
const SOON: Duration = Duration::from_secs(2);

/// The courses' pages. A POST accepts the terms; `login` and `logout` in the query are IVLE's own.
const IVLE: &str = r#"#!/bin/sh
cat >/dev/null
case "$REQUEST_METHOD $QUERY_STRING" in
    "POST login") printf 'X-Session-Replace: user=alice&grant=login&grant=maths&terms=no\n' ;;
    "POST logout") printf 'X-Session-Replace:\n' ;;
    POST*) printf 'X-Session-Update: terms=accepted\n' ;;
esac
printf 'Content-Type: text/plain\n\n'
printf 'user=%s grants=%s terms=%s\n' "$SESSION_USER" "$SESSION_GRANTS" "$SESSION_TERMS"
"#;

/// Three nodes with IVLE, and the list of accounts and enrolments that all of them read.
struct Ivle {
    nodes: Nodes,
    accounts: PathBuf,
    redis: Redis,
    _files: TempDir,
}

impl Ivle {
    fn start() -> Self {
        let redis = Redis::start();
        let files = tempfile::Builder::new().prefix("msc-ivle-").tempdir().unwrap();
        fs::set_permissions(files.path(), Permissions::from_mode(0o755)).unwrap();
        let (accounts, script) = (files.path().join("accounts"), files.path().join("ivle"));
        fs::write(&script, IVLE).unwrap();
        fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
        fs::write(&accounts, BEFORE).unwrap();
        let questions = format!(
            "AuthGroupFile {}\nSessionClusterGrant login group active\nSessionClusterGrant maths group maths\n\
             SessionClusterGrant physics group physics\n",
            accounts.display()
        );
        let application = "SessionClusterExport env user grants terms\nSessionClusterBackend On\n\
                           AuthzSendForbiddenOnFailure On\n";
        let conf = format!(
            "LoadModule cgid_module modules/mod_cgid.so\nScriptSock cgid\n\
             LoadModule authz_groupfile_module modules/mod_authz_groupfile.so\n\
             <Location /login>\n{questions}</Location>\n\
             ScriptAliasMatch ^/(app|own)/ivle {script}\n\
             <Location /app/ivle>\n{application}</Location>\n\
             <Location /app/ivle/physics>\nRequire session-grant physics\n</Location>\n\
             <Location /own>\nAuthType Session\nAuthName own\nRequire valid-user\n{questions}{application}</Location>\n\
             <Location /own/ivle/door>\nRequire all granted\n</Location>",
            script = script.display(),
        );
        let nodes = Nodes::with(Mpm::Event, 3, &[&redis.url()], &conf);
        for httpd in &nodes.httpds {
            httpd.log.allow("cgid"); // The first requests may come before it listens.
            httpd.log.allow("AH01631"); // httpd logs each refusal
            httpd.log.allow("AH01630");
            eventually("cgid", Duration::from_secs(20), || {
                (httpd.browser().get("/own/ivle/door").status == 200).then_some(())
            });
        }
        Ivle { nodes, accounts, redis, _files: files }
    }

    /// The registrar writes.
    fn now(&self, accounts: &str) {
        let new = self.accounts.with_extension("new");
        fs::write(&new, accounts).unwrap();
        fs::rename(&new, &self.accounts).unwrap();
    }

    /// An administrator has the rights of a user asked for again, by node `n`.
    fn refresh(&self, n: usize, user: &str) {
        self.nodes.httpds[n].log.allow("SC0304");
        let form = [("action", "refresh"), ("scope", "user"), ("name", user)];
        self.nodes.login(n, "carol").post("/admin", &form).expect(200);
    }

    fn httpds(&self) -> impl Iterator<Item = &Httpd> {
        self.nodes.httpds.iter()
    }
}

const BEFORE: &str = "active: alice bob carol\nmaths: alice bob\n";
const ENROLLED: &str = "active: alice bob carol\nmaths: alice bob\nphysics: alice\n";
const DISABLED: &str = "active: bob carol\nmaths: alice bob\nphysics: alice\n";

#[track_caller]
fn says(page: Page) -> String {
    page.expect(200).body.trim_end().to_owned()
}

#[test]
fn terms_accepted_on_one_node_are_accepted_on_all_at_once() {
    let ivle = Ivle::start();
    let mut alice = ivle.nodes.login(0, "alice");
    for httpd in ivle.httpds() {
        assert_eq!(says(httpd.visit(&alice).get("/app/ivle")), "user=alice grants=login;maths terms=");
    }
    alice.post("/app/ivle", &[("terms", "yes")]).expect(200);
    for httpd in ivle.httpds().chain(ivle.httpds()) {
        let mut there = httpd.visit(&alice);
        assert_eq!(says(there.get("/app/ivle")), "user=alice grants=login;maths terms=accepted");
        assert_eq!(there.session(), alice.session());
    }
}

#[test]
fn an_enrolment_is_seen_on_every_node_after_one_refresh_and_without_a_login() {
    let ivle = Ivle::start();
    let mut alice = ivle.nodes.login(0, "alice");
    alice.post("/app/ivle", &[("terms", "yes")]).expect(200);
    // She has a session from each of two more browsers, and there are others.
    let mut browsers = [alice, ivle.nodes.login(1, "alice"), ivle.nodes.login(2, "alice")];
    let mut bob = ivle.nodes.login(0, "bob");
    ivle.now(ENROLLED);
    for (n, browser) in browsers.iter_mut().enumerate() {
        let mut there = ivle.nodes.at((n + 1) % 3, browser);
        assert_eq!(there.get("/app/ivle/physics").status, 403, "nobody has said so yet");
    }
    ivle.refresh(0, "alice");
    for (n, browser) in browsers.iter_mut().enumerate() {
        // Each comes by a node that is neither the administrator's nor that of its login.
        let mut there = ivle.nodes.at([1, 2, 1][n], browser);
        let before = there.session().to_owned();
        let page = eventually("the enrolment", SOON, || {
            Some(there.get("/app/ivle/physics")).filter(|page| page.status == 200)
        });
        let terms = if n == 0 { "accepted" } else { "" };
        let told = format!("user=alice grants=login;maths;physics terms={terms}");
        assert_eq!(says(page), told, "and the terms stay as they are");
        assert_ne!(there.session(), before);
        for httpd in ivle.httpds() {
            let mut elsewhere = httpd.visit(&there);
            assert_eq!(says(elsewhere.get("/app/ivle/physics")), told);
            assert_eq!(elsewhere.session(), there.session(), "once is enough for all nodes");
        }
    }
    let before = bob.session().to_owned();
    assert_eq!(bob.get("/app/ivle/physics").status, 403);
    assert_eq!(bob.session(), before, "it is no business of his");
}

#[test]
fn a_disabled_account_is_out_on_every_node() {
    let ivle = Ivle::start();
    let browsers: Vec<Browser> = (0..3).map(|n| ivle.nodes.login(n, "alice")).collect();
    let mut bob = ivle.nodes.login(1, "bob");
    ivle.now(DISABLED);
    ivle.refresh(2, "alice");
    ivle.httpds().for_each(|httpd| httpd.log.allow("SC0308"));
    for (n, browser) in browsers.iter().enumerate() {
        let mut there = ivle.nodes.at((n + 1) % 3, browser);
        let page =
            eventually("the end", SOON, || Some(there.get("/app/ivle")).filter(|page| page.status != 200));
        assert!(page.is_refused(), "{page:?}");
        // Whoever still shows that cookie: it is gone, on the other nodes too.
        for m in 0..3 {
            ivle.nodes.until_refused(m, browser);
            assert_eq!(ivle.nodes.at(m, browser).get("/whoami").json()["user"], serde_json::Value::Null);
        }
    }
    let mut alice = ivle.nodes.httpds[0].browser();
    let form = [("httpd_username", "alice"), ("httpd_password", "wonderland")];
    assert_eq!(alice.post("/login", &form).expect(422).header("Set-Cookie"), None);
    assert_eq!(says(bob.get("/app/ivle")), "user=bob grants=login;maths terms=");
    // Enabled again, she logs in as ever.
    ivle.now(ENROLLED);
    ivle.nodes.login(0, "alice").get("/app/ivle/physics").expect(200);
}

#[test]
fn what_ivles_own_login_said_is_kept_and_asked_anew_in_the_same_way() {
    let ivle = Ivle::start();
    let mut alice = ivle.nodes.httpds[0].browser();
    alice.post("/own/ivle/door?login", &[]).expect(200);
    for httpd in ivle.httpds() {
        assert_eq!(says(httpd.visit(&alice).get("/own/ivle")), "user=alice grants=login;maths terms=no");
    }
    let mut there = ivle.nodes.at(1, &alice);
    there.post("/own/ivle", &[("terms", "yes")]).expect(200);
    for httpd in ivle.httpds() {
        let told = says(httpd.visit(&there).get("/own/ivle"));
        assert_eq!(told, "user=alice grants=login;maths terms=accepted");
    }
    // The registrar knows more than IVLE knew at the login.
    ivle.now(ENROLLED);
    ivle.refresh(0, "alice");
    let mut there = ivle.nodes.at(2, &there);
    eventually("the enrolment", SOON, || {
        let told = says(there.get("/own/ivle"));
        (told == "user=alice grants=login;maths;physics terms=accepted").then_some(())
    });
    // And less.
    ivle.now(DISABLED);
    ivle.refresh(1, "alice");
    ivle.httpds().for_each(|httpd| httpd.log.allow("SC0308"));
    let mut last = ivle.nodes.at(0, &there);
    eventually("the end", SOON, || last.get("/own/ivle").is_refused().then_some(()));
    for httpd in ivle.httpds() {
        let mut kept = httpd.visit(&there);
        eventually("the end elsewhere", SOON, || kept.get("/own/ivle").is_refused().then_some(()));
    }
}

#[test]
fn a_logout_from_ivle_is_one_on_every_node() {
    let ivle = Ivle::start();
    let mut alice = ivle.nodes.httpds[0].browser();
    alice.post("/own/ivle/door?login", &[]).expect(200);
    let mut there = ivle.nodes.at(1, &alice);
    there.post("/own/ivle?logout", &[]).expect(200);
    for httpd in ivle.httpds() {
        let mut kept = httpd.visit(&alice);
        eventually("the end", SOON, || kept.get("/own/ivle").is_refused().then_some(()));
    }
}

#[test]
fn while_the_store_is_away_nobody_is_told_that_the_terms_are_accepted() {
    let ivle = Ivle::start();
    let mut alice = ivle.nodes.login(0, "alice");
    alice.get("/app/ivle").expect(200);
    ivle.httpds().for_each(|httpd| {
        httpd.log.allow("SC040");
        httpd.log.allow("SC0206");
    });
    ivle.redis.freeze();
    let page = alice.post("/app/ivle", &[("terms", "yes")]).expect(503);
    assert_eq!(page.header("Retry-After"), Some("2"));
    assert_eq!((page.header("Set-Cookie"), page.header("X-Session-Update")), (None, None));
    assert!(!page.body.contains("user="), "nothing of the application's answer: {page:?}");
    assert_eq!(says(alice.get("/app/ivle")), "user=alice grants=login;maths terms=", "she goes on as before");
    ivle.redis.thaw();
    eventually("the store", SOON, || {
        (alice.post("/app/ivle", &[("terms", "yes")]).status == 200).then_some(())
    });
    for httpd in ivle.httpds() {
        let told = eventually("the node", SOON, || {
            Some(httpd.visit(&alice).get("/app/ivle")).filter(|page| page.status == 200)
        });
        assert_eq!(says(told), "user=alice grants=login;maths terms=accepted");
    }
}
