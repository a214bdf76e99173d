//! A site with all our pages, and a walk through them.

use super::driver::Chrome;
use harness::{Browser, Httpd, Mpm, Site};

pub(super) const PASSWORD: &str = "wonderland";
/// The page behind the door.
pub(super) const PRIVATE: &str = "/app/page.html";

/// A page with a form for the page behind the door.
const FORM: &str = "<!DOCTYPE html><title>Form</title><form method=post action=/app/page.html>\
                    <input name=text value=x><button>Send</button></form>";

/// A site with every handler; `carol` is the administrator.
pub(super) fn site() -> Site {
    Site::new(Mpm::Event)
        .conf(
            "<Location /admin>\nSetHandler session-cluster-admin\nSessionClusterAdmin realm\n\
         AuthType Session\nSessionClusterLogin /login\n\
         Require user carol\n</Location>\n\
         SessionClusterSecret file:secret\n\
         <Location /mine>\nSetHandler session-cluster-mine\nAuthType Session\nSessionClusterLogin /login\n\
         Require valid-user\n</Location>",
        )
        .file("secret", "0123456789abcdef0123456789abcdef\n")
        .file("htdocs/open/form.html", FORM)
}

/// Fills in the login form that is shown, whatever was in it, and sends it off.
#[track_caller]
pub(super) fn sign_in(chrome: &Chrome, user: &str, password: &str) {
    for (field, text) in [("#user", user), ("#password", password)] {
        let field = chrome.find(field);
        field.clear();
        field.enter(text);
    }
    submit(chrome);
}

/// Presses the button of the form that is shown, and waits for the answer.
#[track_caller]
pub(super) fn submit(chrome: &Chrome) {
    chrome.leave(|| chrome.find("form button:not([name])").click());
}

/// Opens the login, and signs in by it.
#[track_caller]
pub(super) fn signed_in(chrome: &Chrome, user: &str) {
    chrome.open("/login");
    sign_in(chrome, user, PASSWORD);
    chrome.arrive("/");
}

/// Somebody else with the browser's cookie: the same session, elsewhere.
#[track_caller]
pub(super) fn elsewhere(httpd: &Httpd, chrome: &Chrome) -> Browser {
    let mut other = httpd.browser();
    other.cookies.insert("SCID".into(), chrome.cookie("SCID").expect("a session cookie"));
    httpd.visit(&other)
}

/// Comes to each page in turn and calls `look` with a name for it.
#[track_caller]
pub(super) fn each_page(httpd: &Httpd, chrome: &Chrome, mut look: impl FnMut(&str)) {
    chrome.open("/admin?x=1");
    look("login");
    sign_in(chrome, "carol", "looking-glass");
    look("login-refused");
    sign_in(chrome, "carol", PASSWORD);
    chrome.arrive("/admin?x=1");
    look("admin");
    chrome.find("#name").enter("bob");
    submit(chrome);
    chrome.find("[role=status]");
    look("admin-done");
    chrome.open("/logout");
    look("confirm-logout");
    submit(chrome);
    chrome.arrive("/logout");
    look("signed-out");
    chrome.open("/open/form.html");
    submit(chrome);
    look("login-for-a-form");
    sign_in(chrome, "carol", PASSWORD);
    chrome.find("form button");
    look("form-kept");
    signed_in(chrome, "alice");
    httpd.browser_of("alice");
    chrome.open("/mine");
    look("mine");
    elsewhere(httpd, chrome).post("/logout", &[]).expect(200);
    chrome.open(PRIVATE);
    chrome.find("[role=status]");
    look("login-after-logout");
}

/// A server whose store cannot be reached, so that all it can do is ask to try again later.
#[track_caller]
pub(super) fn without_store() -> Httpd {
    // Nobody listens on this port.
    let httpd = site().conf("SessionClusterStore redis://127.0.0.1:9").start();
    ["SC0401", "SC0206"].iter().for_each(|line| httpd.log.allow(line));
    httpd
}

/// Comes to the page that says so.
#[track_caller]
pub(super) fn one_moment(chrome: &Chrome) {
    chrome.open("/login");
    sign_in(chrome, "alice", PASSWORD);
    assert!(chrome.text().contains("try again"), "{}", chrome.text());
    assert_eq!(chrome.cookie("SCID"), None);
}
