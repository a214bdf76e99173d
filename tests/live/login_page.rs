//! What the login page does beside checking a password: it slows down guessing, keeps what a visitor was sending,
//! answers programs in JSON, and looks as its administrator wants.

use harness::{Httpd, Mpm, Page, Site, on_each_mpm};

on_each_mpm!(guessing_is_slowed_down_by_all_processes_together, what_was_being_sent_is_sent_after_the_login);

const RIGHT: &str = "wonderland";

fn attempt(httpd: &Httpd, user: &str, password: &str) -> Page {
    httpd.browser().post("/login", &[("httpd_username", user), ("httpd_password", password)])
}

fn guessing_is_slowed_down_by_all_processes_together(mpm: Mpm) {
    let httpd = Site::new(mpm).conf("<Location /login>\nSessionClusterThrottle 3 10m\n</Location>").start();
    for _ in 0..3 {
        attempt(&httpd, "alice", "guess").expect(422);
    }
    // From now on not even the right password is looked at: a guesser would learn it from that.
    let page = attempt(&httpd, "alice", RIGHT).expect(429);
    let wait: u64 = page.header("Retry-After").unwrap().parse().unwrap();
    assert!((100..=200).contains(&wait), "{wait}");
    assert!(page.body.contains("Too many attempts") && page.body.contains("httpd_password"), "{page:?}");
    assert_eq!(page.header("Set-Cookie"), None);
    attempt(&httpd, "bob", RIGHT).expect(303);
    // Ten names from one address are as much as all of them may fail.
    for n in 0..27 {
        attempt(&httpd, &format!("user{n}"), "guess").expect(422);
    }
    attempt(&httpd, "carol", RIGHT).expect(429);
}

#[test]
fn failed_logins_are_remembered_over_a_restart_and_forgiven_by_a_success() {
    let mut httpd =
        Site::new(Mpm::Event).conf("<Location /login>\nSessionClusterThrottle 2 10m\n</Location>").start();
    attempt(&httpd, "alice", "guess").expect(422);
    attempt(&httpd, "alice", RIGHT).expect(303);
    attempt(&httpd, "alice", "guess").expect(422);
    attempt(&httpd, "alice", "guess").expect(422);
    httpd.restart(harness::Signal::Graceful);
    attempt(&httpd, "alice", RIGHT).expect(429);
    httpd.reconfigure(|site| site.conf("<Location /login>\nSessionClusterThrottle Off\n</Location>"));
    httpd.restart(harness::Signal::Graceful);
    attempt(&httpd, "alice", RIGHT).expect(303);
}

fn hidden(page: &Page, name: &str) -> Option<String> {
    let page = page.text();
    let rest = page.split(&format!("name=\"{name}\" value=\"")).nth(1)?;
    rest.split('"').next().map(|value| value.replace("&amp;", "&"))
}

fn what_was_being_sent_is_sent_after_the_login(mpm: Mpm) {
    let httpd = Site::new(mpm).start();
    let mut browser = httpd.browser();
    let page = browser.post("/app/page.html?x=1", &[("text", "ä & <b>"), ("more", "1")]).expect(401);
    assert!(page.header("WWW-Authenticate").is_some(), "{page:?}");
    assert_eq!(hidden(&page, "httpd_location").as_deref(), Some("/app/page.html?x=1"));
    let body = hidden(&page, "httpd_body").expect("the form is kept");

    let to = ("httpd_location", "/app/page.html?x=1");
    let kept = [("httpd_username", "alice"), to, ("httpd_body", body.as_str())];
    let wrong = [&kept[..], &[("httpd_password", "guess")]].concat();
    let page = browser.post("/login", &wrong).expect(422);
    assert_eq!(hidden(&page, "httpd_body").as_ref(), Some(&body), "a wrong password loses nothing");
    let right = [&kept[..], &[("httpd_password", RIGHT)]].concat();
    let page = browser.post("/login", &right).expect(200);
    assert!(page.header("Set-Cookie").unwrap().starts_with("SCID="), "{page:?}");
    assert!(page.text().contains("<form method=\"post\" action=\"/app/page.html?x=1\">"), "{page:?}");
    assert!(page.body.contains("name=\"text\" value=\"ä &amp; &lt;b&gt;\""), "{page:?}");
    assert!(page.body.contains("name=\"more\" value=\"1\""), "{page:?}");
    browser.get("/app/page.html").expect(200);
}

#[test]
fn nothing_is_kept_that_another_site_sends_or_that_is_no_form() {
    let httpd = Site::new(Mpm::Event).start();
    let send = |headers: &[(&str, &str)], form: &[(&str, &str)]| {
        let page = httpd.browser().post_with("/app/page.html", form, headers).expect(401);
        hidden(&page, "httpd_body")
    };
    let html = ("Accept", "text/html");
    assert!(send(&[html], &[("a", "b")]).is_some());
    assert_eq!(send(&[html, ("Sec-Fetch-Site", "cross-site")], &[("a", "b")]), None);
    assert_eq!(send(&[html, ("Origin", "http://evil.example")], &[("a", "b")]), None);
    assert_eq!(send(&[html, ("Sec-Fetch-Mode", "cors")], &[("a", "b")]), None);
    assert_eq!(send(&[html], &[("a", &"x".repeat(17_000))]), None);
    let mut browser = httpd.browser();
    let page =
        browser.send("POST", "/app/page.html", &[html, ("Content-Type", "text/plain")], "a=b").unwrap();
    assert_eq!(hidden(&page.expect(401), "httpd_body"), None);
    // What comes back to the login is not sent elsewhere.
    let form = [
        ("httpd_username", "alice"),
        ("httpd_password", RIGHT),
        ("httpd_location", "https://evil.example/"),
        ("httpd_body", "a=b"),
    ];
    assert_eq!(browser.post("/login", &form).expect(303).location(), "/");
}

#[test]
fn a_program_is_told_in_json_that_a_login_is_needed() {
    let httpd = Site::new(Mpm::Event).start();
    let mut alice = httpd.browser_of("alice");
    let program = [("Accept", "application/json")];
    let mut kept = alice.clone();
    alice.post("/logout", &[]);
    for (browser, reason) in [(&mut httpd.browser(), None), (&mut kept, Some("logout"))] {
        let page = browser.get_with("/app/page.html", &program).expect(401);
        assert_eq!(page.header("Content-Type"), Some("application/json"));
        assert_eq!(page.header("Cache-Control"), Some("no-store"));
        let said = page.json();
        assert_eq!(
            (said["error"].as_str(), said["login"].as_str()),
            (Some("login_required"), Some("/login"))
        );
        assert_eq!(said["reason"].as_str(), reason);
    }
    let page = httpd.browser().send("PUT", "/app/page.html", &program, "").unwrap().expect(401);
    assert_eq!(page.json()["error"], "login_required");
}

#[test]
fn a_visitor_signs_out_everywhere() {
    let httpd = Site::new(Mpm::Event).start();
    let (mut here, mut there, mut bob) =
        (httpd.browser_of("alice"), httpd.browser_of("alice"), httpd.browser_of("bob"));
    assert!(here.get("/logout").body.contains("name=\"everywhere\""));
    let page = here.post("/logout", &[("everywhere", "1")]).expect(200);
    assert_eq!(page.header("Clear-Site-Data"), Some("\"cache\""));
    assert!(there.get("/app/page.html").is_refused());
    bob.get("/app/page.html").expect(200);
    httpd.browser_of("alice").get("/app/page.html").expect(200);
}

#[test]
fn the_pages_are_the_administrators_own_in_the_visitors_language() {
    let httpd = Site::new(Mpm::Event)
        .load(&["negotiation"])
        .conf(
            "<Location /login>\nSessionClusterTemplate /pages/frame\n\
             SessionClusterText sign_in \"Enter <here>\"\n</Location>\n\
             <Location /pages>\nOptions MultiViews\n</Location>\nAddLanguage de .de\nAddLanguage en .en\n\
             LanguagePriority en de\nForceLanguagePriority Prefer Fallback",
        )
        .file(
            "htdocs/pages/frame.html.en",
            "<title>{{ t(title) }}</title><main>{% include \"body.html\" %}</main>",
        )
        .file(
            "htdocs/pages/frame.html.de",
            "{% set texts = {\"sign_in\": \"Anmelden\", \"password\": \"Kennwort\"} %}\
             <main>{% include \"body.html\" %}</main>",
        )
        .start();
    let get = |language: &str| {
        httpd
            .browser()
            .get_with("/login", &[("Accept-Language", language), ("Accept", "text/html")])
            .expect(200)
    };
    let page = get("en");
    assert!(page.body.starts_with("<title>Enter &lt;here&gt;</title>"), "{page:?}");
    assert!(page.body.contains("<button>Enter &lt;here&gt;</button>"), "{page:?}");
    assert_eq!(page.header("Vary"), Some("Accept-Language"));
    let page = get("de");
    assert!(
        page.body.contains("<h1>Anmelden</h1>")
            && page.body.contains("<button>Anmelden</button>")
            && page.body.contains(">Kennwort<"),
        "{page:?}"
    );

    // A template that is wrong is no reason to let nobody in.
    httpd.write("htdocs/pages/frame.html.en", "{% include \"nothing.html\" %}");
    httpd.log.allow("SC0312");
    assert!(get("en").body.contains("httpd_password"));
    assert_eq!(httpd.log.count("SC0312"), 1);
}

#[test]
fn texts_and_templates_that_cannot_be_are_refused() {
    let refused = |line: &str| {
        let (ok, said) = Site::new(Mpm::Event).conf(line).check();
        assert!(!ok, "{line}: {said}");
        said
    };
    assert!(refused("SessionClusterText sing_in x").contains("sign_in"));
    assert!(refused("SessionClusterTemplate pages/login").contains("/pages/login"));
    assert!(refused("SessionClusterThrottle 0 5m").contains("1 to 10000"));
    assert!(refused("SessionClusterThrottle 5").contains("10 5m"));
}
