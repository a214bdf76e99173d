//! What those may say who write `.htaccess` files. None of our directives works there, but others do, by which a user
//! is vouched for: a password file, a group file, a name of a login. Where such a file has a say in who somebody is,
//! nobody becomes a session, for that would count outside of its directory.

use super::log;
use crate::ffi::htaccess::module_in_htaccess;
use crate::ffi::httpd::Request;

/// Modules whose directives vouch for nobody. `mod_authz_core.c` has `Require`, which only asks.
const HARMLESS: &[&[u8]] = &[
    b"core.c",
    b"http_core.c",
    b"mod_access_compat.c",
    b"mod_actions.c",
    b"mod_alias.c",
    b"mod_asis.c",
    b"mod_authz_core.c",
    b"mod_autoindex.c",
    b"mod_brotli.c",
    b"mod_cache.c",
    b"mod_cache_disk.c",
    b"mod_cern_meta.c",
    b"mod_cgi.c",
    b"mod_cgid.c",
    b"mod_charset_lite.c",
    b"mod_deflate.c",
    b"mod_dir.c",
    b"mod_env.c",
    b"mod_expires.c",
    b"mod_ext_filter.c",
    b"mod_filter.c",
    b"mod_headers.c",
    b"mod_imagemap.c",
    b"mod_include.c",
    b"mod_mime.c",
    b"mod_mime_magic.c",
    b"mod_negotiation.c",
    b"mod_php.c",
    b"mod_php7.c",
    b"mod_ratelimit.c",
    b"mod_reqtimeout.c",
    b"mod_rewrite.c",
    b"mod_setenvif.c",
    b"mod_speling.c",
    b"mod_substitute.c",
    b"mod_usertrack.c",
];

/// Whether a `.htaccess` file has a say in who the user of `r` is or what they may. Says so in the log.
pub(crate) fn vouches(r: Request<'_>) -> bool {
    let module = module_in_htaccess(r, |name| !HARMLESS.contains(&name));
    if let Some(module) = module {
        log::HTACCESS_VOUCHES.say(r, || {
            format!(
                "a .htaccess file at {} has directives of {}, which may say who somebody is: no session begins there \
                 and no rights are asked; write them in httpd.conf",
                r.path(),
                module.to_string_lossy()
            )
        });
    }
    module.is_some()
}

/// Whether a `.htaccess` file has any say where `r` goes.
pub(crate) fn is_in_force(r: Request<'_>) -> bool {
    module_in_htaccess(r, |_| true).is_some()
}
