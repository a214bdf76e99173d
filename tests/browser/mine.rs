//! The page of one's own sessions, as its user uses it.

use super::driver::Chrome;
use super::tour::{PRIVATE, signed_in, site};

#[test]
fn a_user_signs_out_another_browser_and_then_all_others() {
    let httpd = site().start();
    let chrome = Chrome::start(&httpd);
    let mut others = [httpd.browser_of("alice"), httpd.browser_of("alice"), httpd.browser_of("alice")];
    signed_in(&chrome, "alice");
    chrome.open("/mine");
    let rows = |chrome: &Chrome| chrome.all("li").len();
    assert_eq!(rows(&chrome), 4);
    assert!(chrome.text().contains("(this one)"), "{}", chrome.text());

    chrome.leave(|| chrome.all("button[name=session]")[0].click());
    assert!(chrome.find("[role=status]").text().contains("was ended"));
    assert_eq!(rows(&chrome), 3);
    let refused = |others: &mut [harness::Browser]| {
        others.iter_mut().map(|other| other.get(PRIVATE).is_refused()).filter(|refused| *refused).count()
    };
    assert_eq!(refused(&mut others), 1);

    chrome.leave(|| chrome.find("button[name=others]").click());
    assert_eq!(rows(&chrome), 1);
    assert_eq!(refused(&mut others), 3);
    chrome.open(PRIVATE);
    assert!(chrome.text().contains("app/page"), "{}", chrome.text());
}
