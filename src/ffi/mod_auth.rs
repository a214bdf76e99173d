//! httpd's providers: authn, which check a name and a password, and authz, which say what a user may; and authz
//! providers of our own.

use super::apr_pools::Pool;
use super::http_config::Args;
use super::httpd::Request;
use super::{guard, strings, sys};
use std::ffi::{CStr, CString, c_char, c_void};
use std::marker::PhantomData;

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
        let c_name = CString::new(name).ok()?;
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

    /// Asks it about `user` and `password`, both in the request's pool: providers keep what they are given until the
    /// request ends, as mod_authnz_ldap does for its authz providers.
    #[must_use]
    pub fn check<'r>(&self, r: Request<'r>, user: &'r CStr, password: &'r CStr) -> Verdict {
        // SAFETY: found by `find`, and its module stays loaded as long as this configuration.
        let Some(check) = (unsafe { (*self.raw).check_password }) else { return Verdict::Failed };
        r.notes().set(c"authn_provider_name", &self.name);
        // SAFETY: the request is live, and both are C strings that live as long.
        match unsafe { check(r.as_raw(), user.as_ptr(), password.as_ptr()) } {
            sys::AUTH_GRANTED => Verdict::Granted,
            sys::AUTH_DENIED => Verdict::Denied,
            sys::AUTH_USER_NOT_FOUND => Verdict::UnknownUser,
            _ => Verdict::Failed,
        }
    }
}

/// What an authz provider says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Yes.
    Granted,
    /// No.
    Denied,
    /// No, as long as nobody has logged in.
    NeedsUser,
    /// Neither: it does not matter here.
    Neutral,
    /// It could not be found out.
    Failed,
}

/// A question to one of httpd's authz providers, as a `Require` line would put it.
pub struct Requirement {
    provider: *const sys::authz_provider,
    name: CString,
    line: CString,
    parsed: *const c_void,
}

// SAFETY: httpd parses such a line once and then shares it, unchanged, among all threads.
unsafe impl Send for Requirement {}
// SAFETY: as above.
unsafe impl Sync for Requirement {}

impl Requirement {
    /// The question that `Require NAME LINE` would put, where the directive with these arguments stands.
    ///
    /// # Errors
    /// When there is no such provider, or it does not understand the line.
    pub fn parse(args: &Args<'_>, name: &str, line: &str) -> Result<Self, String> {
        let text = |text: &str| CString::new(text).map_err(|e| e.to_string());
        let (c_name, line) = (text(name)?, text(line)?);
        let (group, version) = (sys::AUTHZ_PROVIDER_GROUP.as_ptr(), sys::AUTHZ_PROVIDER_VERSION.as_ptr());
        // SAFETY: three C strings; httpd copies none of them.
        let provider = unsafe { sys::ap_lookup_provider(group.cast(), c_name.as_ptr(), version.cast()) };
        let provider = provider.cast::<sys::authz_provider>().cast_const();
        // SAFETY: null, or the table that a module registered under this group, hence an authz_provider.
        let Some(functions) = (unsafe { provider.as_ref() }) else {
            return Err(format!(
                "there is no authz provider '{name}': load the module that has it before this line"
            ));
        };
        let mut parsed = std::ptr::null();
        if let Some(parse) = functions.parse_require_line {
            // httpd's providers keep what they parse, and some of the line itself.
            let line = args.pool().c_string(line.to_bytes());
            // SAFETY: the directive's parameters and the line are live; the result goes where `parsed` is.
            let complaint = unsafe { parse(args.as_raw(), line.as_ptr(), &raw mut parsed) };
            // SAFETY: null or a C string in the configuration's pool.
            if let Some(complaint) = unsafe { strings::text(complaint) } {
                return Err(complaint.to_owned());
            }
        }
        Ok(Requirement { provider, name: c_name, line, parsed })
    }

    /// The provider's answer for the user of `r`.
    #[must_use]
    pub fn ruling(&self, r: Request<'_>) -> Ruling {
        // SAFETY: found by `parse`, and its module stays loaded as long as this configuration.
        let Some(check) = (unsafe { (*self.provider).check_authorization }) else { return Ruling::Failed };
        // Where mod_authz_core leaves the name, for providers that go by several.
        r.notes().set(c"authz_provider_name", self.name.to_bytes());
        // SAFETY: the request is live; the line is a C string, and `parsed` what the provider made of it.
        match unsafe { check(r.as_raw(), self.line.as_ptr(), self.parsed) } {
            sys::AUTHZ_GRANTED => Ruling::Granted,
            sys::AUTHZ_DENIED => Ruling::Denied,
            sys::AUTHZ_DENIED_NO_USER => Ruling::NeedsUser,
            sys::AUTHZ_NEUTRAL => Ruling::Neutral,
            _ => Ruling::Failed,
        }
    }
}

/// An authz provider of our own: what `Require NAME LINE` means.
pub trait AuthzRule {
    /// Its name.
    const NAME: &CStr;
    /// A line, understood.
    type Line: Send + Sync + 'static;

    /// Understands the words of a line.
    ///
    /// # Errors
    /// What to write instead.
    fn parse(words: &[&str]) -> Result<Self::Line, String>;

    /// Rules on `r`.
    fn rule(r: Request<'_>, line: &Self::Line) -> Ruling;
}

/// httpd's form of an [`AuthzRule`].
pub(super) struct Provider<R>(PhantomData<R>);

impl<R: AuthzRule> Provider<R> {
    pub(super) const TABLE: &'static sys::authz_provider = &sys::authz_provider {
        check_authorization: Some(check_authorization::<R>),
        parse_require_line: Some(parse_require_line::<R>),
    };
}

unsafe extern "C" fn parse_require_line<R: AuthzRule>(
    cmd: *mut sys::cmd_parms,
    line: *const c_char,
    parsed: *mut *const c_void,
) -> *const c_char {
    // SAFETY: httpd passes live parameters.
    let raw = unsafe { (*cmd).pool };
    // SAFETY: the pool of the configuration.
    let pool = unsafe { Pool::from_raw(raw) };
    // SAFETY: a C string.
    let line = unsafe { strings::text(line) };
    let result = guard::run(|| {
        let words = strings::words(pool, line.ok_or("not UTF-8 text")?);
        R::parse(&words)
    });
    match result.and_then(|result| result) {
        Ok(line) => {
            // SAFETY: httpd passes a place for the result.
            unsafe { *parsed = std::ptr::from_ref(pool.place(line)).cast() };
            std::ptr::null()
        }
        Err(complaint) => {
            pool.c_string(format!("Require {}: {complaint}", R::NAME.to_string_lossy())).as_ptr()
        }
    }
}

unsafe extern "C" fn check_authorization<R: AuthzRule>(
    r: *mut sys::request_rec,
    _line: *const c_char,
    parsed: *const c_void,
) -> sys::authz_status {
    // SAFETY: httpd passes a live request of this thread.
    let r = unsafe { Request::from_raw(r) };
    // SAFETY: null, or what `parse_require_line` placed with the configuration.
    let line = unsafe { parsed.cast::<R::Line>().as_ref() };
    match guard::quietly(Ruling::Failed, || line.map_or(Ruling::Failed, |line| R::rule(r, line))) {
        Ruling::Granted => sys::AUTHZ_GRANTED,
        Ruling::Denied => sys::AUTHZ_DENIED,
        Ruling::NeedsUser => sys::AUTHZ_DENIED_NO_USER,
        Ruling::Neutral => sys::AUTHZ_NEUTRAL,
        Ruling::Failed => sys::AUTHZ_GENERAL_ERROR,
    }
}
