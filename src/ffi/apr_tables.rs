//! APR tables: httpd's ordered lists of names and values, such as headers. Names compare without regard to case.

use super::apr_pools::Pool;
use super::{guard, strings, sys};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;

/// A table that lives at least for `'t`; what is put into it is copied into its pool, unless said otherwise.
#[derive(Clone, Copy)]
pub struct Table<'t> {
    raw: *mut sys::apr_table_t,
    life: PhantomData<&'t ()>,
}

impl<'t> Table<'t> {
    /// # Safety
    /// `raw` is a live table for `'t`, used by one thread at a time.
    pub(super) unsafe fn from_raw(raw: *mut sys::apr_table_t) -> Self {
        Table { raw, life: PhantomData }
    }

    /// The pool that it was made in, perhaps that of a request's parent.
    fn pool(self) -> Pool<'t> {
        // SAFETY: the table is live.
        let elements = unsafe { sys::apr_table_elts(self.raw) };
        // SAFETY: a part of the table.
        let pool = unsafe { (*elements).pool };
        // SAFETY: it lives as long as the table.
        unsafe { Pool::from_raw(pool) }
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
    pub fn set(self, name: &'t CStr, value: impl AsRef<[u8]>) {
        self.put(name, self.pool().c_string(value));
    }

    /// Sets `name`, which is copied, to bytes without NUL, such as a header that a client sent in part.
    pub fn set_bytes(self, name: &CStr, value: &[u8]) {
        // Header values hold no NUL: httpd refuses such requests.
        if !value.contains(&0) {
            self.put(self.pool().c_string(name.to_bytes()), self.pool().c_string(value));
        }
    }

    /// As [`Table::set`], for a value that lives as long as the table and is not copied.
    pub fn put(self, name: &'t CStr, value: &'t CStr) {
        // SAFETY: the table is live; both strings live in its pool, or longer.
        unsafe { sys::apr_table_setn(self.raw, name.as_ptr(), value.as_ptr()) };
    }

    /// Adds a value to those that `name` has.
    pub fn add(self, name: &'t CStr, value: impl AsRef<[u8]>) {
        let value = self.pool().c_string(value);
        // SAFETY: as in `put`.
        unsafe { sys::apr_table_addn(self.raw, name.as_ptr(), value.as_ptr()) };
    }

    /// Removes `name` with all its values.
    pub fn unset(self, name: &CStr) {
        // SAFETY: the table is live and `name` is a C string.
        unsafe { sys::apr_table_unset(self.raw, name.as_ptr()) };
    }

    /// The names that `fits` takes, in their order.
    #[must_use]
    pub fn names(self, mut fits: impl FnMut(&[u8]) -> bool) -> Vec<&'t CStr> {
        let mut found = Vec::new();
        self.walk(|name, _| {
            if fits(name.to_bytes()) {
                found.push(name);
            }
        });
        found
    }

    /// All pairs in their order.
    #[must_use]
    pub fn pairs(self) -> Vec<(String, Vec<u8>)> {
        let mut pairs = Vec::new();
        self.walk(|name, value| pairs.push((name.to_string_lossy().into_owned(), value.to_bytes().to_vec())));
        pairs
    }

    /// Where the values lie, in their order: a value that was set anew lies elsewhere, even if it says the same.
    #[must_use]
    pub fn places(self) -> Vec<usize> {
        let mut places = Vec::new();
        self.walk(|_, value| places.push(value.as_ptr().addr()));
        places
    }

    fn walk<F: FnMut(&'t CStr, &'t CStr)>(self, mut see: F) {
        unsafe extern "C" fn step<'t, F: FnMut(&'t CStr, &'t CStr)>(
            see: *mut c_void,
            name: *const c_char,
            value: *const c_char,
        ) -> c_int {
            // SAFETY: `see` is the closure below, to which nothing else points during apr_table_do.
            let see = unsafe { &mut *see.cast::<F>() };
            // SAFETY: a table's names are C strings that live as long as its pool.
            let name = unsafe { strings::c_str(name) }.unwrap_or_default();
            // SAFETY: as are its values.
            let value = unsafe { strings::c_str(value) }.unwrap_or_default();
            guard::quietly((), || see(name, value));
            1
        }
        let see: *mut c_void = (&raw mut see).cast();
        // SAFETY: the table is live; the callback takes what `see` is; the list of names ends with null at once: all.
        unsafe { sys::apr_table_do(Some(step::<F>), see, self.raw, std::ptr::null::<c_char>()) };
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
            let table = unsafe { Table::from_raw(raw) };
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
