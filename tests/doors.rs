//! Verify once for everything: real httpds with the authentication modules that people have, real directories,
//! databases and providers behind them. Whatever authenticated the first request, the session answers from then on.

#![cfg(feature = "httpd")]
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

mod doors {
    mod adopt_certificate;
    mod adopt_dbd;
    mod adopt_edges;
    mod adopt_form;
    mod adopt_ldap;
    mod adopt_oidc;
    mod application_edges;
    mod applications;
    mod basic;
    mod curl;
    mod database;
    mod forgeries;
    mod oidc_provider;
    mod rights_sources;
    mod slapd;
    mod strong_doors;
}
