//! Login and logout as a visitor does them.

use super::driver::{Chrome, Options};
use super::tour::{PASSWORD, PRIVATE, elsewhere, sign_in, signed_in, site, submit};
use harness::{Mpm, Site};

/// Whether the page behind the door is shown, and not the login.
#[track_caller]
fn shows_private(chrome: &Chrome) -> bool {
    let text = chrome.text();
    let login = !chrome.all("#password").is_empty();
    assert_ne!(text.contains("app/page"), login, "{}: {text}", chrome.address());
    !login
}

#[test]
fn a_login_leads_back_to_the_page_that_was_wanted() {
    let httpd = site().start();
    let chrome = Chrome::start(&httpd);
    for wanted in ["/app/page.html?x=1", "/app/page.html?a=1&b=%2F%26&c=%C3%BC+", "/app/page.html?"] {
        chrome.open(wanted);
        assert!(!shows_private(&chrome));
        assert!(chrome.address().starts_with("/login?"), "{}", chrome.address());
        sign_in(&chrome, "alice", PASSWORD);
        chrome.arrive(wanted);
        assert!(shows_private(&chrome));
        elsewhere(&httpd, &chrome).post("/logout", &[]).expect(200);
    }
}

#[test]
fn a_wrong_password_gets_one_message_and_the_name_again() {
    let httpd = site().start();
    let chrome = Chrome::start(&httpd);
    chrome.open("/app/page.html?x=1");
    assert!(chrome.all("[role=alert]").is_empty());
    for user in ["alice", "o'neill <b>&amp; \"sons\"", "Ünal"] {
        sign_in(&chrome, user, "looking-glass");
        let notice = chrome.find("[role=alert]");
        assert!(!notice.text().trim().is_empty());
        assert_eq!(chrome.all("[role=alert], [role=status], .notice").len(), 1, "{}", chrome.text());
        assert_eq!(chrome.find("#user").value(), user);
        assert_eq!(chrome.find("#password").value(), "");
        for field in ["#user", "#password"] {
            let field = chrome.find(field);
            assert_eq!(field.attribute("aria-invalid").as_deref(), Some("true"));
            assert_eq!(field.attribute("aria-describedby"), notice.attribute("id"), "it says what is wrong");
        }
        let focus = chrome.active().attribute("id").unwrap_or_default();
        assert_eq!(focus, "password", "one can type on");
    }
    sign_in(&chrome, "alice", PASSWORD);
    chrome.arrive("/app/page.html?x=1");
    assert!(shows_private(&chrome));
}

#[test]
fn fields_are_those_that_password_managers_know() {
    let httpd = site().start();
    let chrome = Chrome::start(&httpd);
    chrome.open("/login");
    let (user, password) = (chrome.find("#user"), chrome.find("#password"));
    assert_eq!(user.attribute("autocomplete").as_deref(), Some("username"));
    assert_eq!(password.attribute("autocomplete").as_deref(), Some("current-password"));
    assert_eq!(password.attribute("type").as_deref(), Some("password"));
    // Nothing is sent off with an empty field.
    chrome.find("form button").click();
    assert_eq!(chrome.address(), "/login");
    assert!(chrome.all("[role=alert]").is_empty());
    assert_eq!(httpd.log.count("SC0301"), 0);
}

#[test]
fn a_login_works_where_everything_else_is_behind_the_door() {
    // As in README.md. The icon that browsers ask for is behind the door, too.
    let httpd = site()
        .conf(
            "<Location />\nAuthType Session\nSessionClusterLogin /login\nRequire valid-user\n</Location>\n\
             <Location /login>\nRequire all granted\n</Location>\n\
             <Location /logout>\nRequire all granted\n</Location>",
        )
        .start();
    let chrome = Chrome::start(&httpd);
    chrome.open("/?x=1");
    assert!(chrome.address().starts_with("/login?"), "{}", chrome.address());
    sign_in(&chrome, "alice", PASSWORD);
    chrome.arrive("/?x=1");
    assert!(chrome.text().contains("front page"), "{}", chrome.text());
    chrome.open("/logout");
    submit(&chrome);
    assert!(chrome.text().contains("Signed out"), "{}", chrome.text());
    chrome.open("/");
    chrome.find("#password");
}

#[test]
fn whoever_was_signed_out_elsewhere_is_told_why() {
    let httpd = site().start();
    let chrome = Chrome::start(&httpd);
    signed_in(&chrome, "alice");
    elsewhere(&httpd, &chrome).post("/logout", &[]).expect(200);
    chrome.open("/app/page.html?x=1");
    assert!(!shows_private(&chrome));
    assert_eq!(chrome.find("[role=status]").text(), "You signed out.");
    // And gets on with it.
    sign_in(&chrome, "alice", PASSWORD);
    chrome.arrive("/app/page.html?x=1");

    let mut admin = httpd.browser_of("carol");
    admin.post("/admin", &[("action", "end"), ("scope", "user"), ("name", "alice")]).expect(200);
    chrome.reload();
    assert!(!shows_private(&chrome));
    assert!(chrome.find("[role=status]").text().contains("by the administrator"), "{}", chrome.text());
    sign_in(&chrome, "alice", PASSWORD);
    chrome.arrive("/app/page.html?x=1");
}

#[test]
fn whoever_was_away_too_long_is_told_so() {
    let httpd = site().conf("SessionClusterIdle 1").start();
    let chrome = Chrome::start(&httpd);
    signed_in(&chrome, "alice");
    std::thread::sleep(std::time::Duration::from_millis(2500));
    chrome.open(PRIVATE);
    assert!(!shows_private(&chrome));
    assert!(chrome.find("[role=status]").text().contains("away for a while"), "{}", chrome.text());
}

#[test]
fn a_logout_asks_first_and_then_is_one() {
    let httpd = site().start();
    let chrome = Chrome::start(&httpd);
    signed_in(&chrome, "alice");
    let mut other = elsewhere(&httpd, &chrome);
    chrome.open("/logout");
    assert_eq!(chrome.all("#user, #password").len(), 0);
    // Asked, and not answered.
    chrome.open(PRIVATE);
    assert!(shows_private(&chrome));

    chrome.open("/logout");
    submit(&chrome);
    chrome.arrive("/logout");
    assert!(chrome.text().contains("Signed out"), "{}", chrome.text());
    assert_eq!(chrome.cookie("SCID"), None);
    assert!(other.get(PRIVATE).is_refused());
    chrome.open(PRIVATE);
    assert!(!shows_private(&chrome));
    // There is nobody to ask any more.
    chrome.open("/logout");
    assert!(chrome.all("button").is_empty(), "{}", chrome.text());
}

#[test]
fn a_logout_leads_where_it_was_asked_to() {
    let httpd = site().start();
    let chrome = Chrome::start(&httpd);
    signed_in(&chrome, "alice");
    chrome.open("/logout?to=%2Fopen%2Fpage.html%3Fx%3D1");
    submit(&chrome);
    chrome.arrive("/open/page.html?x=1");
    assert_eq!(chrome.cookie("SCID"), None);
}

#[test]
fn a_page_that_embeds_the_logout_signs_nobody_out() {
    let embedding = "<img src=/logout><iframe src=/logout></iframe><link rel=prefetch href=/logout>\
                     <script src=/logout></script>";
    let httpd = site().file("htdocs/open/embed.html", embedding).start();
    let chrome = Chrome::start(&httpd);
    signed_in(&chrome, "alice");
    chrome.open("/open/embed.html");
    chrome.open(PRIVATE);
    assert!(shows_private(&chrome));
}

#[test]
fn a_form_of_another_site_signs_nobody_in_or_out() {
    let httpd = site().start();
    let form = |path: &str| {
        let to = httpd.address();
        format!(
            "<form method=post action=\"http://{to}{path}\"><input name=httpd_username value=bob>\
             <input name=httpd_password value={PASSWORD}><button>win</button></form>"
        )
    };
    // Another port is another origin, though the same site to cookies: `SameSite` would not keep it out.
    let evil = Site::bare(Mpm::Event)
        .file("htdocs/login.html", form("/login"))
        .file("htdocs/logout.html", form("/logout"))
        .start();
    let chrome = Chrome::start(&httpd);
    for page in ["login", "logout"] {
        signed_in(&chrome, "alice");
        let cookie = chrome.cookie("SCID");
        chrome.open_elsewhere(&format!("http://{}/{page}.html", evil.address()));
        submit(&chrome);
        chrome.arrive(&format!("/{page}"));
        chrome.open(PRIVATE);
        assert!(shows_private(&chrome), "{page}");
        assert_eq!(chrome.cookie("SCID"), cookie, "{page}");
    }
}

#[test]
fn after_a_logout_a_reload_shows_nothing_private() {
    let httpd = site().start();
    let chrome = Chrome::start(&httpd);
    chrome.open(PRIVATE);
    sign_in(&chrome, "alice", PASSWORD);
    chrome.arrive(PRIVATE);
    chrome.open("/logout");
    submit(&chrome);
    chrome.arrive("/logout");
    chrome.back();
    chrome.back();
    chrome.reload();
    assert!(!shows_private(&chrome));
}

#[test]
fn after_a_logout_the_way_back_shows_nothing_private() {
    let httpd = site().start();
    let chrome = Chrome::start(&httpd);
    chrome.open(PRIVATE);
    sign_in(&chrome, "alice", PASSWORD);
    chrome.arrive(PRIVATE);
    chrome.open("/logout");
    submit(&chrome);
    chrome.arrive("/logout");
    for _ in 0..3 {
        chrome.back();
        assert!(!chrome.text().contains("app/page"), "{}: {}", chrome.address(), chrome.text());
    }
}

#[test]
fn everything_works_without_scripts() {
    let script = "<p id=p>without</p><script>document.getElementById('p').textContent = 'with'</script>";
    let httpd = site().file("htdocs/open/script.html", script).start();
    for scripts in [true, false] {
        let chrome = Chrome::with(&httpd, Options { scripts, ..Options::default() });
        chrome.open("/open/script.html");
        assert_eq!(chrome.find("#p").text(), if scripts { "with" } else { "without" });

        chrome.open("/app/page.html?x=1");
        sign_in(&chrome, "alice", "looking-glass");
        chrome.find("[role=alert]");
        sign_in(&chrome, "alice", PASSWORD);
        chrome.arrive("/app/page.html?x=1");
        assert!(shows_private(&chrome));
        chrome.open("/logout");
        submit(&chrome);
        chrome.arrive("/logout");
        chrome.open(PRIVATE);
        assert!(!shows_private(&chrome));
    }
}

#[test]
fn the_pages_load_nothing_and_break_no_policy_of_their_own() {
    let httpd = site().start();
    let chrome = Chrome::start(&httpd);
    super::tour::each_page(&httpd, &chrome, |page| {
        let loaded = chrome.script(
            "return performance.getEntriesByType('resource').map(r => r.name).filter(n => !/favicon/.test(n))",
            &[],
        );
        assert_eq!(loaded, serde_json::json!([]), "{page}");
        // Were the style refused by the page's own policy, the text would be in a serif face on white.
        let styled = chrome.script("return getComputedStyle(document.body).display", &[]);
        assert_eq!(styled, "grid", "{page}");
    });
}

#[test]
fn a_form_that_needs_a_login_is_sent_after_it() {
    let httpd = site().start();
    let chrome = Chrome::start(&httpd);
    chrome.open("/open/form.html");
    submit(&chrome);
    assert_eq!(chrome.active().attribute("id").as_deref(), Some("user"), "the login, in place of the answer");
    sign_in(&chrome, "alice", PASSWORD);
    chrome.find("form button");
    assert!(chrome.text().contains("was kept"), "{}", chrome.text());
    submit(&chrome);
    chrome.arrive(PRIVATE);
    assert!(chrome.text().contains("app/page"), "{}", chrome.text());
}
