//! The request and the virtual host, as long as httpd lends them.

use super::apr_pools::Pool;
use super::apr_tables::Table;
use super::{strings, sys};
use data_encoding::BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;

/// An HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u16);

impl Status {
    /// 303 See Other.
    pub const SEE_OTHER: Status = Status(303);
    /// 304 Not Modified.
    pub const NOT_MODIFIED: Status = Status(304);
    /// 400 Bad Request.
    pub const BAD_REQUEST: Status = Status(400);
    /// 401 Unauthorized.
    pub const UNAUTHORIZED: Status = Status(401);
    /// 403 Forbidden.
    pub const FORBIDDEN: Status = Status(403);
    /// 405 Method Not Allowed.
    pub const METHOD_NOT_ALLOWED: Status = Status(405);
    /// 413 Content Too Large.
    pub const CONTENT_TOO_LARGE: Status = Status(413);
    /// 415 Unsupported Media Type.
    pub const UNSUPPORTED_MEDIA_TYPE: Status = Status(415);
    /// 422 Unprocessable Content.
    pub const UNPROCESSABLE: Status = Status(422);
    /// 429 Too Many Requests.
    pub const TOO_MANY_REQUESTS: Status = Status(429);
    /// 500 Internal Server Error.
    pub const INTERNAL: Status = Status(500);
    /// 503 Service Unavailable.
    pub const UNAVAILABLE: Status = Status(503);
}

/// What a hook says to httpd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not mine: ask the next module.
    Declined,
    /// Done, as it should be. A handler that says so has sent the answer.
    Ok,
    /// Answer the request with this status.
    Answer(Status),
}

impl Outcome {
    pub(super) fn raw(self) -> c_int {
        match self {
            Outcome::Declined => sys::DECLINED,
            Outcome::Ok => sys::OK as c_int,
            Outcome::Answer(status) => c_int::from(status.0),
        }
    }
}

/// A virtual host (or the main server).
#[derive(Clone, Copy)]
pub struct Server<'s> {
    raw: *mut sys::server_rec,
    life: PhantomData<&'s ()>,
}

impl<'s> Server<'s> {
    /// # Safety
    /// `raw` is a live server for `'s`.
    pub(super) unsafe fn from_raw(raw: *mut sys::server_rec) -> Self {
        Server { raw, life: PhantomData }
    }

    pub(super) fn as_raw(self) -> *mut sys::server_rec {
        self.raw
    }

    /// httpd's own view, for one look: httpd may change it in its next call.
    fn record(&self) -> &sys::server_rec {
        // SAFETY: the server is live.
        unsafe { &*self.raw }
    }

    /// The pool of the whole process, which lives over all restarts.
    pub(super) fn process_pool(self) -> *mut sys::apr_pool_t {
        // SAFETY: the process outlives its servers.
        unsafe { (*self.record().process).pool }
    }

    /// Keeps `value` over all restarts; it is dropped when the process ends.
    pub fn keep_to_the_end<T: Send + 'static>(self, value: T) {
        // SAFETY: the pool of the process, which one thread uses while the configuration is read.
        unsafe { Pool::from_raw(self.process_pool()) }.place(value);
    }

    /// Its `ServerName`, or what httpd found out in its place.
    #[must_use]
    pub fn name(self) -> &'s str {
        // SAFETY: the server is live; the name is null or a C string of the configuration.
        unsafe { strings::text(self.record().server_hostname) }.unwrap_or_default()
    }

    /// The port in its `ServerName`, else the one that it listens on; 0 if httpd does not know.
    #[must_use]
    pub fn port(self) -> u16 {
        let record = self.record();
        if record.port != 0 || record.addrs.is_null() {
            return record.port;
        }
        // SAFETY: not null, and lives as long as the server.
        unsafe { (*record.addrs).host_port }
    }

    /// Whether headers that a client sends behind its body are put to those before it.
    #[must_use]
    pub fn merges_trailers(self) -> bool {
        // SAFETY: the server is live.
        let core = unsafe { sys::ap_get_core_module_config(self.record().module_config) };
        // SAFETY: httpd's core keeps one of these with each server.
        let core = unsafe { core.cast::<sys::core_server_config>().as_ref() };
        core.is_some_and(|core| core.merge_trailers == sys::AP_MERGE_TRAILERS_ENABLE as c_int)
    }

    /// Takes `MergeTrailers On` back. For check_config.
    pub fn stop_merging_trailers(self) {
        // SAFETY: the server is live.
        let core = unsafe { sys::ap_get_core_module_config(self.record().module_config) };
        // SAFETY: as above; one thread reads the configuration, and none serves by it yet.
        if let Some(core) = unsafe { core.cast::<sys::core_server_config>().as_mut() } {
            core.merge_trailers = sys::AP_MERGE_TRAILERS_DISABLE as c_int;
        }
    }

    /// This and all servers that follow it in httpd's list; from the main server, all there are.
    pub fn all(self) -> impl Iterator<Item = Server<'s>> {
        std::iter::successors(Some(self), |server| {
            let next = server.record().next;
            // SAFETY: httpd's list of servers lives as a whole.
            (!next.is_null()).then(|| unsafe { Server::from_raw(next) })
        })
    }
}

/// A request, subrequest or internal redirect.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    raw: *mut sys::request_rec,
    life: PhantomData<&'r ()>,
}

impl<'r> Request<'r> {
    /// # Safety
    /// `raw` is a live request for `'r`, handled by this thread.
    pub(super) unsafe fn from_raw(raw: *mut sys::request_rec) -> Self {
        Request { raw, life: PhantomData }
    }

    pub(super) fn as_raw(self) -> *mut sys::request_rec {
        self.raw
    }

    /// httpd's own view, for one look: httpd may change it in its next call.
    fn record(&self) -> &sys::request_rec {
        // SAFETY: the request is live, and only this thread works on it.
        unsafe { &*self.raw }
    }

    /// The request's pool.
    #[must_use]
    pub fn pool(self) -> Pool<'r> {
        // SAFETY: the request is live, and its pool outlives it.
        unsafe { Pool::from_raw(self.record().pool) }
    }

    /// The virtual host that it is for.
    #[must_use]
    pub fn server(self) -> Server<'r> {
        // SAFETY: the request is live, and its server outlives it.
        unsafe { Server::from_raw(self.record().server) }
    }

    /// The request that this one is a part of, if it is a subrequest, or came from, if it is an internal redirect.
    #[must_use]
    pub fn parent(self) -> Option<Request<'r>> {
        let main = self.record().main;
        let parent = if main.is_null() { self.record().prev } else { main };
        // SAFETY: a request's parents outlive it.
        (!parent.is_null()).then(|| unsafe { Request::from_raw(parent) })
    }

    /// The request from which httpd itself came to this one without asking the client, if this one is the client's
    /// answer and no part of a page.
    #[must_use]
    pub fn redirected_from(self) -> Option<Request<'r>> {
        let from = if self.is_subrequest() { std::ptr::null_mut() } else { self.record().prev };
        // SAFETY: a request outlives those that it is redirected to.
        (!from.is_null()).then(|| unsafe { Request::from_raw(from) })
    }

    /// Tells it from other requests that live at the same time.
    #[must_use]
    pub fn place(self) -> usize {
        self.raw.addr()
    }

    /// Tells the settings that count for it from others: they change while httpd finds out where it goes.
    #[must_use]
    pub fn place_of_settings(self) -> usize {
        self.record().per_dir_config.addr()
    }

    /// Gives a request that has failed already another status to fail with. httpd answers with that of the first in a
    /// row of requests that failed.
    pub fn fail_with(self, status: Status) {
        let failed = self.record().status != sys::HTTP_OK as c_int;
        if failed {
            // SAFETY: the request is live.
            unsafe { (*self.raw).status = c_int::from(status.0) };
        }
    }

    /// Whether it only asks what another request would be answered, as mod_autoindex and mod_dir do.
    #[must_use]
    pub fn is_subrequest(self) -> bool {
        !self.record().main.is_null()
    }

    /// Whether the headers of its answer are on their way: what is set now comes too late. A proxy says that it sends a
    /// body before any of that is passed on.
    #[must_use]
    pub fn headers_are_sent(self) -> bool {
        let record = self.record();
        let begins = record.sent_bodyct != 0 && record.proxyreq == sys::PROXYREQ_NONE as c_int;
        begins || record.bytes_sent != 0
    }

    /// Whether a body is being sent, or is about to be: not that of an answer that nothing has changed.
    #[must_use]
    pub fn sends_body(self) -> bool {
        self.record().sent_bodyct != 0 && self.status() != Status::NOT_MODIFIED
    }

    /// Whether its answer is put together while it is sent, of parts that httpd looks up by subrequests: by
    /// mod_include, or as the listing of a directory. For when its filters are in place.
    #[must_use]
    pub fn is_made_of_parts(self) -> bool {
        // DIR_MAGIC_TYPE in httpd.h.
        if self.handler() == c"httpd/unix-directory" {
            return true;
        }
        // SAFETY: the request is live.
        let options = unsafe { sys::ap_allow_options(self.raw) };
        if !u32::try_from(options).is_ok_and(|options| options & sys::OPT_INCLUDES != 0) {
            return false;
        }
        // The filter may have another name, given by mod_filter. Its kind stays.
        let mut filter = self.record().output_filters;
        while !filter.is_null() {
            // SAFETY: a live request's chain of filters is live.
            let registered = unsafe { (*filter).frec };
            // SAFETY: what a filter is made from lives as long as the configuration.
            let kind = unsafe { (*registered).ftype };
            if kind < sys::AP_FTYPE_CONTENT_SET {
                return true;
            }
            // SAFETY: as above.
            filter = unsafe { (*filter).next };
        }
        false
    }

    /// The request that the client sent.
    #[must_use]
    pub fn first(self) -> Request<'r> {
        std::iter::successors(Some(self), |r| r.parent()).last().unwrap_or(self)
    }

    /// Whether the headers of the answer to the client are on their way: what is set now reaches nobody.
    #[must_use]
    pub fn is_answered(self) -> bool {
        let mut last = self.first();
        // SAFETY: the requests that an internal redirect made live as long as the first.
        while let Some(next) = unsafe { last.record().next.as_mut() } {
            // SAFETY: as above.
            last = unsafe { Request::from_raw(next) };
        }
        let record = last.record();
        // Where there is no body, httpd notes less: that its end has gone by, and the line that came first.
        let bodiless = record.header_only != 0 || [204, 304].contains(&record.status);
        record.sent_bodyct != 0 || bodiless && record.eos_sent != 0 && !record.status_line.is_null()
    }

    /// When it arrived, in milliseconds since 1970.
    #[must_use]
    pub fn time_ms(self) -> u64 {
        u64::try_from(self.record().request_time).unwrap_or_default() / 1000
    }

    /// The path that it goes to, as an address: percent-encoded.
    #[must_use]
    pub fn encoded_path(self) -> String {
        const PLAIN: &AsciiSet =
            &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
        utf8_percent_encode(self.path(), PLAIN).to_string()
    }

    /// The method as sent.
    #[must_use]
    pub fn method(self) -> &'r str {
        // SAFETY: the request is live; the method is a C string in its pool.
        unsafe { strings::text(self.record().method) }.unwrap_or_default()
    }

    /// The address as sent: path and query, or an absolute URL.
    #[must_use]
    pub fn unparsed_uri(self) -> &'r str {
        // SAFETY: the request is live; the address is a C string in its pool.
        unsafe { strings::text(self.record().unparsed_uri) }.unwrap_or_default()
    }

    /// The file that httpd found for it.
    #[must_use]
    pub fn filename(self) -> Option<&'r str> {
        // SAFETY: the request is live; the name is null or a C string in its pool.
        unsafe { strings::text(self.record().filename) }
    }

    /// The client's address: the browser's own where mod_remoteip knows the proxies before us.
    #[must_use]
    pub fn client_address(self) -> &'r str {
        // SAFETY: the request is live; the address is null or a C string.
        unsafe { strings::text(self.record().useragent_ip) }.unwrap_or_default()
    }

    /// The path, decoded.
    #[must_use]
    pub fn path(self) -> &'r str {
        // SAFETY: the request is live; the path is a C string in its pool.
        unsafe { strings::text(self.record().uri) }.unwrap_or_default()
    }

    /// The query, as sent, without its question mark.
    #[must_use]
    pub fn query(self) -> &'r str {
        // SAFETY: the request is live; the query is null or a C string in its pool.
        unsafe { strings::text(self.record().args) }.unwrap_or_default()
    }

    /// The name given by `SetHandler`.
    #[must_use]
    pub fn handler(self) -> &'r CStr {
        // SAFETY: the request is live; the handler is null or a C string.
        unsafe { strings::c_str(self.record().handler) }.unwrap_or_default()
    }

    /// Whether the browser reached this virtual host by TLS, here or, as the server's own name says, before it.
    #[must_use]
    pub fn is_https(self) -> bool {
        // SAFETY: the request is live.
        let scheme = unsafe { sys::ap_run_http_scheme(self.raw) };
        // SAFETY: null or a C string.
        unsafe { strings::bytes(scheme) == b"https" }
    }

    /// The authenticated user.
    #[must_use]
    pub fn user(self) -> Option<&'r str> {
        // SAFETY: the request is live; the user is null or a C string.
        unsafe { strings::text(self.record().user) }
    }

    /// Whether there is an authenticated user.
    #[must_use]
    pub fn is_authenticated(self) -> bool {
        !self.record().user.is_null()
    }

    /// Makes `user` the name that is being checked, or takes it back.
    pub fn claim_user(self, user: Option<&str>) {
        let user = user.map_or(std::ptr::null(), |user| self.pool().c_string(user).as_ptr());
        // SAFETY: the request is live, and the string lives in its pool; httpd never writes to it.
        unsafe { (*self.raw).user = user.cast_mut() };
    }

    /// Whether it has a user, of a name that may be no text.
    #[must_use]
    pub fn has_user(self) -> bool {
        !self.record().user.is_null()
    }

    /// The status of its answer so far.
    #[must_use]
    pub fn status(self) -> Status {
        Status(u16::try_from(self.record().status).unwrap_or(500))
    }

    /// Makes `user` the authenticated user, by `auth_type`.
    pub fn authenticate(self, user: &str, auth_type: &str) {
        let (user, auth_type) = (self.pool().c_string(user), self.pool().c_string(auth_type));
        // SAFETY: the request is live, and the string lives in its pool; httpd never writes to it.
        unsafe { (*self.raw).user = user.as_ptr().cast_mut() };
        // SAFETY: as above.
        unsafe { (*self.raw).ap_auth_type = auth_type.as_ptr().cast_mut() };
    }

    /// The name in a Basic login that the request brings. `None` without an `Authorization`; empty for one that is of
    /// another kind or cannot be read.
    #[must_use]
    pub fn basic_user(self) -> Option<Vec<u8>> {
        let header = self.headers_in().get(c"Authorization")?;
        let mut words = header.splitn(2, |&byte| byte == b' ');
        let (scheme, value) =
            (words.next().unwrap_or_default(), words.next().unwrap_or_default().trim_ascii());
        if !scheme.eq_ignore_ascii_case(b"Basic") {
            return Some(Vec::new());
        }
        let mut name = BASE64.decode(value).unwrap_or_default();
        name.truncate(name.iter().position(|&byte| byte == b':').unwrap_or(name.len()));
        Some(name)
    }

    /// What really authenticated the request.
    #[must_use]
    pub fn authenticated_by(self) -> Option<&'r str> {
        // SAFETY: the request is live; the type is null or a C string.
        unsafe { strings::text(self.record().ap_auth_type) }
    }

    /// Says that GET and HEAD are allowed here, and perhaps POST, for the `Allow` header of a 405.
    pub fn allow_get_and(self, post: bool) {
        // The mask in the request itself is not what httpd makes the header of.
        // SAFETY: the request is live.
        let methods = unsafe { (*self.raw).allowed_methods };
        // SAFETY: httpd made the list, in the request's pool, and only this thread works on it.
        unsafe { (*methods).method_mask |= (1 << sys::M_GET) | (i64::from(post) << sys::M_POST) };
    }

    /// `AuthType` where the request goes.
    #[must_use]
    pub fn auth_type(self) -> Option<&'r str> {
        // SAFETY: the request is live.
        let answer = unsafe { sys::ap_auth_type(self.raw) };
        // SAFETY: null or a C string of the configuration.
        unsafe { strings::text(answer) }
    }

    /// `AuthName` where the request goes. One that is not UTF-8 comes as text that no other name gives.
    #[must_use]
    pub fn auth_name(self) -> Option<Cow<'r, str>> {
        // SAFETY: the request is live.
        let answer = unsafe { sys::ap_auth_name(self.raw) };
        // SAFETY: null or a C string of the configuration.
        let name = unsafe { strings::c_str(answer) }?;
        Some(match name.to_str() {
            Ok(name) => name.into(),
            Err(_) => format!("{:?}", name.to_bytes()).into(),
        })
    }

    /// Headers of the request.
    #[must_use]
    pub fn headers_in(self) -> Table<'r> {
        // SAFETY: the request is live, and the table lives in its pool.
        unsafe { Table::from_raw(self.record().headers_in) }
    }

    /// Headers of the answer, if it succeeds.
    #[must_use]
    pub fn headers_out(self) -> Table<'r> {
        // SAFETY: the request is live, and the table lives in its pool.
        unsafe { Table::from_raw(self.record().headers_out) }
    }

    /// Headers of the answer in any case, kept over internal redirects.
    #[must_use]
    pub fn err_headers_out(self) -> Table<'r> {
        // SAFETY: the request is live, and the table lives in its pool.
        unsafe { Table::from_raw(self.record().err_headers_out) }
    }

    /// Environment of the request, for CGI programs, logs and conditions.
    #[must_use]
    pub fn environment(self) -> Table<'r> {
        // SAFETY: the request is live, and the table lives in its pool.
        unsafe { Table::from_raw(self.record().subprocess_env) }
    }

    /// Notes that modules leave for each other.
    #[must_use]
    pub fn notes(self) -> Table<'r> {
        // SAFETY: the request is live, and the table lives in its pool.
        unsafe { Table::from_raw(self.record().notes) }
    }
}
