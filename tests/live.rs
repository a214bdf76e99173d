//! The module inside real httpds, under each MPM: what operators and visitors see. Every server under test has its
//! own root and port, and a test fails when its error log holds a line that it did not announce.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

mod live {
    mod adopt;
    mod auth_form;
    mod backend;
    mod conf;
    mod connection;
    mod cookies;
    mod deaths;
    mod directives;
    mod door;
    mod export;
    mod joints {
        mod caches;
        mod clocks;
        mod concurrent;
        mod configtest;
        mod counters;
        mod freshness;
        mod gateways;
        mod goes_on;
        mod headers;
        mod htaccess;
        mod order;
        mod orders;
        mod people;
        mod refusals;
        mod said;
        mod start;
    }
    mod lock_free;
    mod login;
    mod login_page;
    mod logout;
    mod mine;
    mod mutex;
    mod provider;
    mod restarts;
    mod return_addresses;
    mod rights;
    mod second_thoughts;
    mod secrets;
    mod session_family;
    mod status;
    mod table_file;
    mod timeouts;
}
