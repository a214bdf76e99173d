//! Clusters: several real httpds over one real store. What users see when they wander between nodes, log out, and when
//! something fails.

#![cfg(feature = "httpd")]
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

mod cluster {
    mod chaos;
    mod concurrent;
    mod conf;
    mod drift;
    mod faults;
    mod identities;
    mod ivle;
    mod logout;
    mod moving;
    mod nodes;
    mod outage;
    mod scopes;
    mod sticky;
    mod stores;
    mod unavailable;
}
