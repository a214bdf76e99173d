//! Floor 3: what a session means. Ids, cookies, timeouts, what a record says and who may log in from where.
//! Pure: knows the store floor, knows nothing of httpd.
#![forbid(unsafe_code)]

pub mod cookie;
pub mod csrf;
pub mod facts;
#[cfg(test)]
mod fixture;
pub mod form;
mod freshness;
pub mod id;
pub mod ledger;
pub mod order;
pub mod payload;
pub mod policy;
pub mod realm;
pub mod redirect;
pub mod rights;
pub mod scope;
pub mod sessions;
pub mod sign_in;
