//! APR pools: httpd's arenas. What is placed in one lives exactly as long as the pool, and is dropped with it.

use super::sys;
use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;

/// A pool that lives at least for `'p`.
#[derive(Clone, Copy)]
pub struct Pool<'p> {
    raw: *mut sys::apr_pool_t,
    life: PhantomData<&'p ()>,
}

impl<'p> Pool<'p> {
    /// # Safety
    /// `raw` is a live pool, not cleared or destroyed before `'p` ends, and used by one thread at a time.
    pub(super) unsafe fn from_raw(raw: *mut sys::apr_pool_t) -> Self {
        Pool { raw, life: PhantomData }
    }

    pub(super) fn as_raw(self) -> *mut sys::apr_pool_t {
        self.raw
    }

    /// Moves `value` into the pool; it is dropped when the pool is cleared, perhaps by another thread.
    pub fn place<T: Send + 'static>(self, value: T) -> &'p T {
        // SAFETY: `place_raw` returns a pointer to a live T in the pool, to which nobody else has a pointer.
        unsafe { &*self.place_raw(value) }
    }

    /// As [`Pool::place`], for structures that httpd keeps by pointer. T is `Send`, or needs no drop.
    pub(super) fn place_raw<T: 'static>(self, value: T) -> *mut T {
        const { assert!(align_of::<T>() <= 8, "APR aligns allocations to 8 bytes") };
        // SAFETY: the pool is live; APR aborts the process rather than return null (httpd sets it up so).
        let place = unsafe { sys::apr_palloc(self.raw, size_of::<T>().max(1)) }.cast::<T>();
        // SAFETY: fresh memory of T's size and alignment.
        unsafe { place.write(value) };
        if std::mem::needs_drop::<T>() {
            // SAFETY: the pool is live, and the cleanup's argument is the T just written.
            unsafe {
                sys::apr_pool_cleanup_register(
                    self.raw,
                    place.cast(),
                    Some(drop_in_pool::<T>),
                    Some(sys::apr_pool_cleanup_null),
                );
            }
        }
        place
    }

    /// Moves `value` into the pool; it is dropped when the pool begins to be destroyed, before all else that is in it.
    pub(super) fn place_on_top<T: Send + 'static>(self, value: T) {
        let place = Box::into_raw(Box::new(value));
        // SAFETY: the pool is live, and the cleanup's argument is the box just given away.
        unsafe { sys::apr_pool_pre_cleanup_register(self.raw, place.cast(), Some(drop_on_top::<T>)) };
    }

    /// A copy of `text` as a C string in the pool, which ends, as C strings do, at the first NUL.
    #[must_use]
    pub fn c_string(self, text: impl AsRef<[u8]>) -> &'p CStr {
        let text = text.as_ref();
        // SAFETY: the pool is live; one more byte for the terminator.
        let place = unsafe { sys::apr_palloc(self.raw, text.len() + 1) }.cast::<u8>();
        // SAFETY: fresh memory of text.len() + 1 bytes, which cannot overlap `text`.
        unsafe { place.copy_from_nonoverlapping(text.as_ptr(), text.len()) };
        // SAFETY: the last of those bytes.
        let end = unsafe { place.add(text.len()) };
        // SAFETY: as above.
        unsafe { end.write(0) };
        // SAFETY: terminated just now, and lives as long as the pool.
        unsafe { CStr::from_ptr(place.cast::<c_char>()) }
    }
}

/// A pool that nobody else knows.
pub(super) struct OwnPool(pub(super) *mut sys::apr_pool_t);

impl OwnPool {
    pub(super) fn new() -> Option<Self> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: APR is initialised; null parent and allocator mean the defaults, which threads may share.
        let status = unsafe {
            sys::apr_pool_create_ex(&raw mut raw, std::ptr::null_mut(), None, std::ptr::null_mut())
        };
        (status == 0).then(|| OwnPool(raw))
    }
}

impl Drop for OwnPool {
    fn drop(&mut self) {
        // SAFETY: live, and nothing that is in it is used any more.
        unsafe { sys::apr_pool_destroy(self.0) };
    }
}

unsafe extern "C" fn drop_in_pool<T>(value: *mut c_void) -> sys::apr_status_t {
    super::guard::quietly((), || {
        // SAFETY: registered by `place_raw` with a T that was written there, and run once.
        unsafe { value.cast::<T>().drop_in_place() };
    });
    0
}

unsafe extern "C" fn drop_on_top<T>(value: *mut c_void) -> sys::apr_status_t {
    super::guard::quietly((), || {
        // Its memory is left to the end of the process: this may run in the handler of a signal, which must not free
        // any.
        // SAFETY: registered by `place_on_top` with a box that it gave away, and run once.
        unsafe { value.cast::<T>().drop_in_place() };
    });
    0
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Runs `test` with a pool of its own, which is destroyed afterwards.
    pub(in crate::ffi) fn with_pool<R>(test: impl FnOnce(Pool<'_>) -> R) -> R {
        static APR: once_cell::sync::OnceCell<()> = once_cell::sync::OnceCell::new();
        APR.get_or_try_init(|| {
            // SAFETY: may be called once before any other use of APR; the cell sees to that.
            match unsafe { sys::apr_initialize() } {
                0 => Ok(()),
                status => Err(status),
            }
        })
        .unwrap();
        let mut raw = std::ptr::null_mut();
        // SAFETY: APR is initialised; null parent and allocator mean the defaults.
        let status = unsafe {
            sys::apr_pool_create_ex(&raw mut raw, std::ptr::null_mut(), None, std::ptr::null_mut())
        };
        assert_eq!(status, 0);
        // SAFETY: just created, and destroyed only after `test`.
        let result = test(unsafe { Pool::from_raw(raw) });
        // SAFETY: live, and no borrow of it is left.
        unsafe { sys::apr_pool_destroy(raw) };
        result
    }

    #[test]
    fn what_is_placed_is_dropped_with_the_pool() {
        struct Tell(Arc<AtomicU32>);
        impl Drop for Tell {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let drops = Arc::new(AtomicU32::new(0));
        with_pool(|pool| {
            pool.place(Tell(Arc::clone(&drops)));
            assert_eq!(drops.load(Ordering::Relaxed), 0);
        });
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_string_ends_at_its_first_nul() {
        with_pool(|pool| assert_eq!(pool.c_string("ab\0c"), c"ab"));
    }
}
