//! The texts of the pages, in English.

/// Every text of the pages, by name, in English. `SessionClusterText`, or a template that sets `texts`, replaces them.
pub(crate) const TEXTS: &[(&str, &str)] = &[
    ("language", "en"),
    ("sign_in", "Sign in"),
    ("user_name", "User name"),
    ("password", "Password"),
    ("wrong", "The name or the password is wrong."),
    ("not_allowed", "This account cannot sign in here."),
    ("throttled", "Too many attempts. Please wait a while, then try again."),
    ("signed_in_as", "You are signed in as"),
    ("ended_logout", "You signed out."),
    ("ended_idle", "You were signed out because you were away for a while."),
    ("ended_lifetime", "You were signed out because you signed in long ago."),
    ("ended_admin", "You were signed out by the administrator."),
    ("ended_all", "All of these sessions were ended, by you or by the administrator."),
    ("ended_other", "Please sign in again."),
    ("go_on", "Go on"),
    ("resume", "Signed in"),
    ("resume_text", "What you were sending was kept. Go on to send it now."),
    ("logout", "Sign out?"),
    ("sign_out", "Sign out"),
    ("sign_out_everywhere", "Sign out on all devices"),
    ("signed_out", "Signed out"),
    ("signed_out_text", "Your session here has ended."),
    ("try_again", "One moment"),
    (
        "try_again_text",
        "This could not be done just now. Nothing has changed. Please try again in a few seconds.",
    ),
    ("mine", "Your sessions"),
    ("mine_unknown", "Unknown browser"),
    ("mine_this", "(this one)"),
    ("mine_from", "From"),
    ("mine_began", "Signed in"),
    ("mine_seen", "Last seen"),
    ("mine_end", "Sign out there"),
    (
        "mine_more",
        "You signed in often of late: there may be sessions that are not shown. The button below ends them too.",
    ),
    ("mine_end_others", "Sign out all others"),
    ("mine_ended", "That session was ended."),
    ("mine_others_ended", "All other sessions were ended."),
    ("admin", "Sessions"),
    ("admin_what", "What"),
    ("admin_end", "end"),
    ("admin_refresh", "evaluate rights anew"),
    ("admin_whose", "Whose"),
    ("admin_user", "a user's"),
    ("admin_group", "a group's"),
    ("admin_realm", "all of this site"),
    ("admin_all", "all of the cluster"),
    ("admin_name", "Name of user or group"),
    ("admin_do", "Do it"),
    ("admin_wrong", "Choose what to do and whose sessions, and give the name."),
    ("admin_too_far", "The sessions of the whole cluster cannot be ended here."),
];

/// The English text of that name; empty if there is none.
pub(super) fn default_text(name: &str) -> &'static str {
    TEXTS.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
}
