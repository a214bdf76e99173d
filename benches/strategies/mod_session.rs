//! httpd with mod_session and mod_auth_form: the password is checked at the login, and each page behind the door is
//! shown to whoever has a session with the site's passphrase in it. Without `SessionMaxAge`, so nothing is written
//! back.

use crate::ours::{common, connection};
use crate::scene::Scene;
use harness::{Mpm, Site};

/// With these modules of mod_session's, and these lines about them.
pub(crate) fn form(modules: &[&str], lines: &str) -> Site {
    common(Mpm::Event).load(&["request", "session", "auth_form"]).load(modules).conf(&format!(
        "<Location />\nSession On\n{lines}\nAuthType form\nAuthName bench\nAuthFormProvider file\n\
         AuthUserFile passwords\n\
         AuthFormSitePassphrase sesame\n</Location>\n\
         <Location /open>\nSession Off\n</Location>\n\
         <Location /closed>\nRequire valid-user\n</Location>\n\
         <Location /login>\nSetHandler form-login-handler\nRequire all granted\n</Location>\n\
         <Location /logout>\nSetHandler form-logout-handler\nRequire all granted\n</Location>"
    ))
}

/// With sessions in a database.
pub(crate) fn form_dbd(scene: &Scene) -> Site {
    form(&["dbd", "session_dbd"], "SessionDBDCookieName session path=/").conf(&format!(
        "{}\n\
         DBDPrepareSQL \"delete from session where sid = %s\" deletesession\n\
         DBDPrepareSQL \"update session set value = %s, expiry = %lld, sid = %s where sid = %s\" updatesession\n\
         DBDPrepareSQL \"insert into session (value, expiry, sid) values (%s, %lld, %s)\" insertsession\n\
         DBDPrepareSQL \"select value from session where sid = %s and (expiry = 0 or expiry > %lld)\" selectsession",
        connection(scene)
    ))
}

/// The table that mod_session_dbd's manual describes; `key` is no name for a column in MariaDB.
pub(crate) const TABLE: &str =
    "create table if not exists session (sid varchar(64) primary key, value text, expiry bigint);";
