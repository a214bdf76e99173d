//! `SessionClusterUser`: the name that a session bears, made of the one that was authenticated. A directory may take
//! many spellings for one person; the session has one, so that `Require user`, applications and administrators need not
//! know more.

use crate::ffi::httpd::Request;
use crate::module::conf;
use crate::module::log;

/// The longest name, in bytes.
pub(crate) const MAX_NAME: usize = 255;

/// The name that the session of `user` bears if it begins where `r` goes; `None` if the expression gives none. Says so
/// in the log.
pub(crate) fn session_name<'r>(r: Request<'r>, user: &'r str) -> Option<&'r str> {
    let Some(expr) = conf::dir(r).user.get() else { return Some(as_spelt_there(r, user).unwrap_or(user)) };
    let before = r.user();
    r.claim_user(Some(user));
    let value = expr.value(r);
    r.claim_user(before);
    let wrong = match value.map(std::str::from_utf8) {
        Ok(Ok(name)) if (1..=MAX_NAME).contains(&name.len()) && !name.contains(char::is_control) => {
            return Some(name);
        }
        Ok(Ok(name)) => format!("SessionClusterUser gives '{}', which is no name", name.escape_debug()),
        Ok(Err(_)) => "SessionClusterUser gives what is no text".into(),
        Err(complaint) => format!("SessionClusterUser: {complaint}"),
    };
    log::NO_NAME.say(r, || format!("no session was begun for {}: {wrong}", log::quoted(user)));
    None
}

/// `user` as the directory that knows it spells it, if nothing but case differs: LDAP and databases leave what they
/// read of the user under `AUTHENTICATE_...`.
fn as_spelt_there<'r>(r: Request<'r>, user: &str) -> Option<&'r str> {
    let said = r.environment().pairs().into_iter().filter(|(name, _)| name.starts_with("AUTHENTICATE_"));
    let mut said = said.filter_map(|(_, value)| String::from_utf8(value).ok());
    let spelt = said.find(|value| value != user && value.to_lowercase() == user.to_lowercase())?;
    r.pool().c_string(spelt).to_str().ok()
}
