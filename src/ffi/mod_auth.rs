//! httpd's authn providers: what checks a name and a password.

use super::httpd::Request;
use super::sys;
use std::ffi::CStr;

/// A provider that some module registered, such as `file` or `ldap`.
#[derive(Clone)]
pub struct AuthnProvider {
    raw: *const sys::authn_provider,
    name: String,
}

// SAFETY: a provider is a constant table of functions, which httpd itself shares among threads.
unsafe impl Send for AuthnProvider {}
// SAFETY: as above.
unsafe impl Sync for AuthnProvider {}

/// What a provider says of a name and a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both are right.
    Granted,
    /// The password is wrong.
    Denied,
    /// This provider does not know the name.
    UnknownUser,
    /// The provider could not tell.
    Failed,
}

impl AuthnProvider {
    /// The provider of that name. The answer is valid until the configuration is read anew.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let c_name = std::ffi::CString::new(name).ok()?;
        let (group, version) = (sys::AUTHN_PROVIDER_GROUP.as_ptr(), sys::AUTHN_PROVIDER_VERSION.as_ptr());
        // SAFETY: three C strings; httpd copies none of them.
        let raw = unsafe { sys::ap_lookup_provider(group.cast(), c_name.as_ptr(), version.cast()) };
        let raw = raw.cast::<sys::authn_provider>().cast_const();
        // SAFETY: null, or the table that a module registered under this group, hence an authn_provider.
        let checks = unsafe { raw.as_ref() }.is_some_and(|provider| provider.check_password.is_some());
        checks.then(|| AuthnProvider { raw, name: name.to_owned() })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks it about `user` and `password`, neither of which holds a NUL.
    #[must_use]
    pub fn check(&self, r: Request<'_>, user: &CStr, password: &CStr) -> Verdict {
        // SAFETY: found by `find`, and its module stays loaded as long as this configuration.
        let Some(check) = (unsafe { (*self.raw).check_password }) else { return Verdict::Failed };
        r.notes().set(c"authn_provider_name", &self.name);
        // SAFETY: the request is live, and both are C strings.
        match unsafe { check(r.as_raw(), user.as_ptr(), password.as_ptr()) } {
            sys::AUTH_GRANTED => Verdict::Granted,
            sys::AUTH_DENIED => Verdict::Denied,
            sys::AUTH_USER_NOT_FOUND => Verdict::UnknownUser,
            _ => Verdict::Failed,
        }
    }
}
