//! What a session answers to by name: its facts, and its attributes.

use super::rights::Rights;
use super::sessions::Session;

/// Names that every session answers to, and no attribute can have.
pub const FACTS: [&str; 8] =
    ["user", "auth-type", "auth-name", "auth-time", "created", "expires", "grants", "log-id"];

/// Calls `see` with each value that a session has by the name of `name`: of one of its facts, or of an attribute.
/// `rights`: those of its rights that count. Instants are seconds since 1970.
pub fn each_value(session: &Session, rights: &Rights, name: &str, mut see: impl FnMut(&[u8])) {
    let payload = session.payload();
    let principal = payload.principal.as_ref();
    let mut number = |seconds: u64| see(seconds.to_string().as_bytes());
    match name {
        "auth-time" => number(payload.auth_time / 1000),
        "created" => number(session.created().as_secs()),
        "expires" => number(session.deadline().as_secs()),
        "user" => principal.into_iter().for_each(|p| see(p.user.as_bytes())),
        "auth-type" => principal.into_iter().for_each(|p| see(p.means.auth_type.as_bytes())),
        "auth-name" => {
            principal
                .and_then(|p| p.means.auth_name.as_ref())
                .into_iter()
                .for_each(|name| see(name.as_bytes()));
        }
        "grants" => rights.all_grants().for_each(|grant| see(grant.as_bytes())),
        "log-id" => see(session.log_id().as_ref()),
        name => rights.values(name).iter().for_each(|value| see(value)),
    }
}
