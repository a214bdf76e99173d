//! Reading a form and sending an answer.

use super::httpd::{Request, Status};
use super::sys;
use std::ffi::{CStr, c_int};

/// The fields of a form that was posted: names and values, decoded, in their order.
#[derive(Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the body as a form of at most `fields` fields and `bytes` bytes.
    ///
    /// # Errors
    /// The status to answer: 400, 413 or 415.
    pub fn read(r: Request<'_>, fields: usize, bytes: usize) -> Result<Self, Status> {
        let is_form = r.headers_in().get_text(c"Content-Type").is_some_and(|kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
        if !is_form {
            return Err(Status::UNSUPPORTED_MEDIA_TYPE);
        }
        let mut array = std::ptr::null_mut();
        let null = std::ptr::null_mut();
        // SAFETY: the request is live; null means its own filters; the result goes where `array` is.
        let outcome = unsafe { sys::ap_parse_form_data(r.as_raw(), null, &raw mut array, fields, bytes) };
        if outcome != sys::OK as c_int || array.is_null() {
            let status = u16::try_from(outcome).ok().filter(|s| (400..500).contains(s));
            return Err(Status(status.unwrap_or(Status::BAD_REQUEST.0)));
        }
        // SAFETY: httpd made the array, in the request's pool.
        let array = unsafe { &*array };
        let count = usize::try_from(array.nelts).unwrap_or_default();
        if count == 0 {
            return Ok(Form(Vec::new()));
        }
        // SAFETY: the array has so many elements of that type.
        let pairs = unsafe { std::slice::from_raw_parts(array.elts.cast::<sys::ap_form_pair_t>(), count) };
        let mut form = Vec::with_capacity(count);
        for pair in pairs {
            // SAFETY: the name is a C string in the request's pool.
            let name = unsafe { super::strings::text(pair.name) };
            let value = flatten(pair.value, bytes).and_then(|value| String::from_utf8(value).ok());
            form.push((name.ok_or(Status::BAD_REQUEST)?.to_owned(), value.ok_or(Status::BAD_REQUEST)?));
        }
        Ok(Form(form))
    }

    /// All fields, in their order.
    #[must_use]
    pub fn fields(&self) -> &[(String, String)] {
        &self.0
    }

    /// The first value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

fn flatten(brigade: *mut sys::apr_bucket_brigade, limit: usize) -> Option<Vec<u8>> {
    let mut length: sys::apr_off_t = 0;
    // SAFETY: httpd made the brigade for this form.
    let status = unsafe { sys::apr_brigade_length(brigade, 1, &raw mut length) };
    let mut length = usize::try_from(length).ok().filter(|&length| status == 0 && length <= limit)?;
    let mut value = vec![0u8; length];
    // SAFETY: `value` has room for `length` bytes.
    let status = unsafe { sys::apr_brigade_flatten(brigade, value.as_mut_ptr().cast(), &raw mut length) };
    value.truncate(length);
    (status == 0).then_some(value)
}

/// Reads and drops the body of a request that is answered without it.
pub fn discard_body(r: Request<'_>) {
    // SAFETY: the request is live.
    unsafe { sys::ap_discard_request_body(r.as_raw()) };
}

/// Sends `body` as the answer, with `status`; `None` leaves the status as it is: 200, or that of the error whose
/// `ErrorDocument` this is.
pub fn send(r: Request<'_>, status: Option<Status>, content_type: &CStr, body: &str) {
    if let Some(status) = status {
        // SAFETY: the request is live.
        unsafe { (*r.as_raw()).status = c_int::from(status.0) };
    }
    let content_type = r.pool().c_string(content_type.to_bytes());
    // SAFETY: the request is live, and the type lives in its pool.
    unsafe { sys::ap_set_content_type(r.as_raw(), content_type.as_ptr()) };
    write(r, body);
}

/// Writes `text` to the body of an answer that another handler leads.
pub fn write(r: Request<'_>, text: &str) {
    // SAFETY: the request is live, and httpd reads text.len() bytes. A client that is gone is httpd's to notice.
    unsafe { sys::ap_rwrite(text.as_ptr().cast(), text.len() as c_int, r.as_raw()) };
}
