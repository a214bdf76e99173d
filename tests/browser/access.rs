//! The pages without a mouse, and without seeing them: by keyboard, and as axe-core judges them.

use super::axe::complaints;
use super::driver::{Chrome, ENTER, Options, TAB};
use super::tour::{PASSWORD, each_page, one_moment, site, without_store};

/// What has the focus: its id, or the name of its element.
#[track_caller]
fn focus(chrome: &Chrome) -> String {
    let named = "const e = document.activeElement; return e.id || e.localName";
    chrome.script(named, &[]).as_str().unwrap().to_owned()
}

/// Whether one sees where the focus is.
#[track_caller]
fn focus_is_visible(chrome: &Chrome) -> bool {
    let outline = "const s = getComputedStyle(document.activeElement);
                   return s.outlineStyle != 'none' && parseFloat(s.outlineWidth) >= 2";
    chrome.script(outline, &[]) == true
}

#[test]
fn one_can_sign_in_and_out_by_keyboard_alone() {
    let httpd = site().start();
    let chrome = Chrome::start(&httpd);
    chrome.open("/app/page.html?x=1");
    assert_eq!(focus(&chrome), "user", "one can type at once");
    chrome.press("alice");
    chrome.press(TAB);
    assert_eq!(focus(&chrome), "password");
    assert!(focus_is_visible(&chrome));
    chrome.press("looking-glass");
    chrome.press(TAB);
    assert_eq!(focus(&chrome), "button");
    assert!(focus_is_visible(&chrome));
    chrome.leave(|| chrome.press(ENTER));
    chrome.find("[role=alert]");

    // Enter in a field sends the form as well.
    if focus(&chrome) == "user" {
        chrome.press(TAB);
    }
    assert_eq!(focus(&chrome), "password");
    chrome.press(PASSWORD);
    chrome.leave(|| chrome.press(ENTER));
    chrome.arrive("/app/page.html?x=1");

    chrome.open("/logout");
    for _ in 0..3 {
        if focus(&chrome) != "button" {
            chrome.press(TAB);
        }
    }
    assert_eq!(focus(&chrome), "button");
    assert!(focus_is_visible(&chrome));
    chrome.leave(|| chrome.press(ENTER));
    chrome.arrive("/logout");
    assert_eq!(chrome.cookie("SCID"), None);
}

#[test]
fn the_administrators_form_works_by_keyboard_alone() {
    let httpd = site().start();
    let chrome = Chrome::start(&httpd);
    super::tour::signed_in(&chrome, "carol");
    let mut bob = httpd.browser_of("bob");
    chrome.open("/admin");
    let mut order = Vec::new();
    while order.len() < 4 {
        chrome.press(TAB);
        order.push(focus(&chrome));
        assert!(focus_is_visible(&chrome), "{order:?}");
        if order.ends_with(&["name".into()]) {
            chrome.press("bob");
        }
    }
    assert_eq!(order, ["action", "scope", "name", "button"]);
    chrome.leave(|| chrome.press(ENTER));
    chrome.find("[role=status]");
    assert!(bob.get("/app/page.html").is_refused());
}

#[test]
fn a_screen_reader_hears_what_each_thing_is() {
    let httpd = site().start();
    let chrome = Chrome::start(&httpd);
    chrome.open("/login");
    for (css, role, label) in [
        ("#user", "textbox", "User name"),
        ("#password", "textbox", "Password"),
        ("form button", "button", "Sign in"),
        ("h1", "heading", "Sign in"),
        ("main", "main", ""),
    ] {
        let element = chrome.find(css);
        assert_eq!((element.role().as_str(), element.label().as_str()), (role, label), "{css}");
    }
    each_page(&httpd, &chrome, |page| {
        assert!(!chrome.find("h1").text().is_empty(), "{page}");
        for field in chrome.all("input:not([type=hidden]), select, button") {
            assert!(!field.label().is_empty(), "{page}");
        }
    });
}

#[track_caller]
fn axe_finds_nothing(options: Options) {
    let mut found = Vec::new();
    let mut look = |chrome: &Chrome, page: &str| {
        found.extend(complaints(chrome).into_iter().map(|complaint| format!("{page}: {complaint}")));
    };
    let httpd = site().start();
    let chrome = Chrome::with(&httpd, options);
    each_page(&httpd, &chrome, |page| look(&chrome, page));
    drop(chrome);

    let httpd = without_store();
    let chrome = Chrome::with(&httpd, options);
    one_moment(&chrome);
    look(&chrome, "one-moment");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn axe_finds_nothing_in_the_light() {
    axe_finds_nothing(Options::default());
}

#[test]
fn axe_finds_nothing_in_the_dark() {
    axe_finds_nothing(Options { dark: true, ..Options::default() });
}

#[test]
fn axe_finds_nothing_on_a_small_phone() {
    axe_finds_nothing(Options { width: 320, ..Options::default() });
}

#[test]
fn axe_does_find_what_is_wrong() {
    let bad = "<!DOCTYPE html><title>bad</title><input><p style='color:#999;background:#aaa'>pale</p>";
    let httpd = site().file("htdocs/open/bad.html", bad).start();
    let chrome = Chrome::start(&httpd);
    chrome.open("/open/bad.html");
    let complaints = complaints(&chrome).join("\n");
    for rule in ["violations: label", "violations: color-contrast", "violations: html-has-lang"] {
        assert!(complaints.contains(rule), "{rule}: {complaints}");
    }
}
