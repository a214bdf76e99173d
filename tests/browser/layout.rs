//! How the pages look: on a phone and on a desk, light and dark. A picture of each is kept in
//! `target/test-artefacts/browser`.

use super::driver::{Chrome, Options};
use super::tour::{each_page, one_moment, site, without_store};
use serde_json::Value;

/// The least height of what is pressed or typed into, in CSS pixels (WCAG 2.5.8 asks for 24).
const TARGET: f64 = 44.0;
/// The least size of text, in CSS pixels. Below 16, phones zoom into a field that is touched.
const TEXT: f64 = 16.0;

/// What does not fit or is too small, in words.
const MEASURE: &str = r"
    const [target, text] = arguments, wrong = [], page = document.documentElement;
    const name = e => e.localName + (e.id ? '#' + e.id : '');
    if (Math.max(page.scrollWidth, document.body.scrollWidth) > page.clientWidth)
        wrong.push(`the page is ${page.scrollWidth} wide in a window of ${page.clientWidth}`);
    for (const e of document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a')) {
        const box = e.getBoundingClientRect();
        if (box.height < target) wrong.push(`${name(e)} is ${box.height} high`);
    }
    for (const e of document.body.querySelectorAll('*')) {
        const box = e.getBoundingClientRect(), size = parseFloat(getComputedStyle(e).fontSize);
        if (!box.width) continue;
        if (size < text) wrong.push(`the text of ${name(e)} is ${size} high`);
        if (box.left < 0 || box.right > page.clientWidth) wrong.push(`${name(e)} sticks out`);
        if (!['html', 'body'].includes(e.localName) && e.scrollWidth > e.clientWidth && e.clientWidth &&
            !['select', 'option'].includes(e.localName)) wrong.push(`${name(e)} cuts off what is in it`);
    }
    if (getComputedStyle(page).colorScheme.indexOf('dark') < 0) wrong.push('the page knows no dark scheme');
    return wrong";

fn measure(chrome: &Chrome, page: &str) -> Vec<String> {
    let wrong = chrome.script(MEASURE, &[TARGET.into(), TEXT.into()]);
    wrong.as_array().unwrap().iter().map(|what| format!("{page}: {}", what.as_str().unwrap())).collect()
}

/// How bright the ground of the page is, from 0 to 255.
fn brightness(chrome: &Chrome) -> f64 {
    let colour = chrome.script("return getComputedStyle(document.body).backgroundColor", &[]);
    let parts: Vec<f64> = colour
        .as_str()
        .unwrap()
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse().ok())
        .collect();
    parts.iter().take(3).sum::<f64>() / 3.0
}

#[track_caller]
fn all_fits(width: u32, dark: bool) {
    let options = Options { width, dark, ..Options::default() };
    let scheme = if dark { "dark" } else { "light" };
    let mut wrong = Vec::new();
    let mut look = |chrome: &Chrome, page: &str| {
        assert_eq!(chrome.script("return innerWidth", &[]), Value::from(width), "{page}");
        assert_eq!(brightness(chrome) < 128.0, dark, "{page}");
        chrome.screenshot(&format!("{page}-{width}-{scheme}"));
        wrong.extend(measure(chrome, page));
    };

    let httpd = site().start();
    let chrome = Chrome::with(&httpd, options);
    each_page(&httpd, &chrome, |page| look(&chrome, page));
    drop(chrome);

    let httpd = without_store();
    let chrome = Chrome::with(&httpd, options);
    one_moment(&chrome);
    look(&chrome, "one-moment");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_fits_on_a_small_phone() {
    all_fits(320, false);
}

#[test]
fn all_fits_on_a_small_phone_at_night() {
    all_fits(320, true);
}

#[test]
fn all_fits_on_a_desk() {
    all_fits(1280, false);
}

#[test]
fn all_fits_on_a_desk_at_night() {
    all_fits(1280, true);
}

#[test]
fn a_long_name_and_a_long_address_do_not_widen_the_page() {
    let httpd = site().start();
    let chrome = Chrome::with(&httpd, Options { width: 320, ..Options::default() });
    let long = "x".repeat(255);
    chrome.open(&format!("/app/{long}?{long}"));
    super::tour::sign_in(&chrome, &long, "looking-glass");
    chrome.find("[role=alert]");
    // A field scrolls what is in it.
    let wrong: Vec<String> =
        measure(&chrome, "login").into_iter().filter(|what| !what.contains("input#user cuts off")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
