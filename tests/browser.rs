//! The pages as people meet them: a real Chromium, led over WebDriver, on real httpds. Needs Debian's `chromium` and
//! `chromium-driver`, and axe-core from the npm registry (fetched once and kept in `target`).

#![cfg(feature = "httpd")] // The pages are its.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

mod browser {
    mod access;
    mod axe;
    mod caches;
    mod driver;
    mod element;
    mod layout;
    mod mine;
    mod pages;
    mod tour;
}
