//! What several of these tests share: the password that a browser shows, and what a server keeps of it.

use data_encoding::BASE64;

/// Of everybody, as in the harness.
pub(super) const PASSWORD: &str = "wonderland";
/// The same as `htpasswd -s` writes it.
pub(super) const HASH: &str = "{SHA}tiY7sUhYKUwI5L3866kDY+ENcrQ=";

/// The value of `Authorization` of a browser whose user typed this.
pub(super) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes()))
}

/// A page of a Basic login: who may in there is said by `more`.
pub(super) fn door(path: &str, name: &str, more: &str) -> String {
    format!(
        "<Location {path}>\nAuthType Basic\nAuthName \"{name}\"\nRequire valid-user\n{more}\n</Location>\n"
    )
}
