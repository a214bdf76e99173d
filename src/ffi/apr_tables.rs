//! APR tables: httpd's ordered lists of names and values, such as headers. Names compare without regard to case.

use super::apr_pools::Pool;
use super::{guard, strings, sys};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;

/// A table that lives at least for `'t`; what is put into it is copied into `pool`.
#[derive(Clone, Copy)]
pub struct Table<'t> {
    raw: *mut sys::apr_table_t,
    pool: Pool<'t>,
    life: PhantomData<&'t ()>,
}

impl<'t> Table<'t> {
    /// # Safety
    /// `raw` is a live table for `'t`, used by one thread at a time, and its values live as long as `pool`.
    pub(super) unsafe fn from_raw(raw: *mut sys::apr_table_t, pool: Pool<'t>) -> Self {
        Table { raw, pool, life: PhantomData }
    }

    /// The first value of `name`. Values are whatever a client sent, hence bytes. The borrow ends with the next
    /// change of the table, as far as this wrapper can tell; values themselves live in the pool.
    #[must_use]
    pub fn get(self, name: &CStr) -> Option<&'t [u8]> {
        // SAFETY: the table is live and `name` is a C string.
        let value = unsafe { sys::apr_table_get(self.raw, name.as_ptr()) };
        // SAFETY: a table's values are C strings that live in the pool, even after they are replaced.
        unsafe { strings::c_str(value) }.map(CStr::to_bytes)
    }

    /// As [`Table::get`], for text; `None` also for bytes that are not UTF-8.
    #[must_use]
    pub fn get_text(self, name: &CStr) -> Option<&'t str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Sets `name` to `value`, in place of all values that it has.
    pub fn set(self, name: &'static CStr, value: impl AsRef<[u8]>) {
        let (name, value) = (name.as_ptr(), self.pool.c_string(value).as_ptr());
        // SAFETY: the table is live; the name is a constant, and the value lives in the table's pool.
        unsafe { sys::apr_table_setn(self.raw, name, value) };
    }

    /// Adds a value to those that `name` has.
    pub fn add(self, name: &'static CStr, value: impl AsRef<[u8]>) {
        let (name, value) = (name.as_ptr(), self.pool.c_string(value).as_ptr());
        // SAFETY: as in `set`.
        unsafe { sys::apr_table_addn(self.raw, name, value) };
    }

    /// Removes `name` with all its values.
    pub fn unset(self, name: &CStr) {
        // SAFETY: the table is live and `name` is a C string.
        unsafe { sys::apr_table_unset(self.raw, name.as_ptr()) };
    }

    /// Sets `name` to bytes without NUL, such as a header that a client sent in part.
    pub fn set_bytes(self, name: &CStr, value: &[u8]) {
        // Header values hold no NUL: httpd refuses such requests. Lossless for everything else.
        let Ok(value) = std::ffi::CString::new(value) else { return };
        let value: *const c_char = self.pool.place(value).as_ptr();
        let name = self.pool.c_string(name.to_bytes());
        // SAFETY: the table is live; both strings live in its pool.
        unsafe { sys::apr_table_setn(self.raw, name.as_ptr(), value) };
    }

    /// The names that `fits` takes, in their order.
    #[must_use]
    pub fn names<F: FnMut(&[u8]) -> bool>(self, fits: F) -> Vec<&'t CStr> {
        struct Search<'t, F>(F, Vec<&'t CStr>);
        unsafe extern "C" fn look<F: FnMut(&[u8]) -> bool>(
            to: *mut c_void,
            name: *const c_char,
            _value: *const c_char,
        ) -> c_int {
            // SAFETY: `to` is the search below, to which nothing else points during apr_table_do.
            let Search(fits, found) = unsafe { &mut *to.cast::<Search<'_, F>>() };
            // SAFETY: a table's names are C strings that live as long as its pool.
            let name = unsafe { strings::c_str(name) }.unwrap_or_default();
            if guard::quietly(false, || fits(name.to_bytes())) {
                found.push(name);
            }
            1
        }
        let mut search = Search(fits, Vec::new());
        let to: *mut c_void = (&raw mut search).cast();
        // SAFETY: as in `pairs`.
        unsafe { sys::apr_table_do(Some(look::<F>), to, self.raw, std::ptr::null::<c_char>()) };
        search.1
    }

    /// All pairs in their order.
    #[must_use]
    pub fn pairs(self) -> Vec<(String, Vec<u8>)> {
        unsafe extern "C" fn collect(to: *mut c_void, name: *const c_char, value: *const c_char) -> c_int {
            // SAFETY: `to` is the vector below, to which nothing else points during apr_table_do.
            let pairs = unsafe { &mut *to.cast::<Vec<(String, Vec<u8>)>>() };
            // SAFETY: a table's names are C strings.
            let name = String::from_utf8_lossy(unsafe { strings::bytes(name) }).into_owned();
            // SAFETY: a table's values are C strings.
            pairs.push((name, unsafe { strings::bytes(value) }.to_vec()));
            1
        }
        let mut pairs: Vec<(String, Vec<u8>)> = Vec::new();
        let to: *mut c_void = (&raw mut pairs).cast();
        // SAFETY: the table is live; the callback takes what `to` is; the list of names ends with null at once: all.
        unsafe { sys::apr_table_do(Some(collect), to, self.raw, std::ptr::null::<c_char>()) };
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::super::apr_pools::tests::with_pool;
    use super::*;

    #[test]
    fn a_table_keeps_order_and_forgets_case() {
        with_pool(|pool| {
            // SAFETY: the pool is live.
            let raw = unsafe { sys::apr_table_make(pool.as_raw(), 4) };
            // SAFETY: just made in that pool.
            let table = unsafe { Table::from_raw(raw, pool) };
            table.add(c"B", "1");
            table.add(c"a", "2");
            table.set_bytes(c"raw", b"\xff");
            assert_eq!(table.get(c"b"), Some(&b"1"[..]));
            assert_eq!(table.get_text(c"A"), Some("2"));
            assert_eq!(table.get_text(c"raw"), None);
            table.unset(c"b");
            let pairs = table.pairs();
            assert_eq!(pairs, [("a".into(), b"2".to_vec()), ("raw".into(), b"\xff".to_vec())]);
        });
    }
}
