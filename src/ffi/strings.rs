//! Strings across the border. httpd's are C strings of any bytes; ours are UTF-8 without NUL.

use super::apr_pools::Pool;
use super::sys;
use std::ffi::{CStr, CString, c_char};

/// A C string of httpd's as bytes; empty for a null pointer.
///
/// # Safety
/// `text` is null or points to a C string that lives and stays unchanged for `'a`.
pub(super) unsafe fn bytes<'a>(text: *const c_char) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { c_str(text) }.map_or(&[], CStr::to_bytes)
}

/// A C string of httpd's, or `None` for a null pointer.
///
/// # Safety
/// As [`bytes`].
pub(super) unsafe fn c_str<'a>(text: *const c_char) -> Option<&'a CStr> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, and the caller promises a C string that lives for 'a.
    Some(unsafe { CStr::from_ptr(text) })
}

/// As [`bytes`], for text: `None` for a null pointer or for bytes that are not UTF-8.
///
/// # Safety
/// As [`bytes`].
pub(super) unsafe fn text<'a>(text: *const c_char) -> Option<&'a str> {
    // SAFETY: the caller's promise.
    unsafe { c_str(text) }.and_then(|text| text.to_str().ok())
}

/// An owned C string; control characters and NUL become `?`, so that it can go into a log line or a header.
pub(super) fn one_line(text: &str) -> CString {
    let clean = text.bytes().map(|b| if b.is_ascii_control() { b'?' } else { b }).collect::<Vec<u8>>();
    CString::new(clean).unwrap_or_default()
}

/// An instant, milliseconds since 1970, as HTTP writes it (RFC 9110, 5.6.7).
#[must_use]
pub fn http_date(ms: u64) -> String {
    let mut text = [0; 30];
    let micros = i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX);
    // SAFETY: the result takes APR_RFC822_DATE_LEN bytes, 30 with the NUL.
    unsafe { sys::apr_rfc822_date(text.as_mut_ptr().cast(), micros) };
    CStr::from_bytes_until_nul(&text).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The words of `text`, with the quotes and backslashes of httpd's configuration files.
pub(super) fn words<'p>(pool: Pool<'p>, text: &str) -> Vec<&'p str> {
    let mut rest = pool.c_string(text).as_ptr();
    let mut words = Vec::new();
    // SAFETY: what is left of a C string in the pool.
    while unsafe { *rest } != 0 {
        // SAFETY: the pool is live, and `rest` is what is left of a C string in it.
        let word = unsafe { sys::ap_getword_conf(pool.as_raw(), &raw mut rest) };
        // SAFETY: a C string in the pool.
        words.push(unsafe { self::text(word) }.unwrap_or_default());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_be_broken() {
        assert_eq!(one_line("a\r\nSet-Cookie: b\0c").as_c_str(), c"a??Set-Cookie: b?c");
    }

    #[test]
    fn null_is_no_text() {
        // SAFETY: null is allowed.
        assert_eq!(unsafe { text(std::ptr::null()) }, None);
        // SAFETY: a literal lives for ever.
        assert_eq!(unsafe { bytes(c"x\xff".as_ptr()) }, b"x\xff");
    }
}
