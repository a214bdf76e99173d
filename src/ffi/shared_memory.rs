//! Memory that all processes of the server share, as `&[AtomicU64]` and as nothing else: from `apr_shm`, or from a
//! mapped file. It stays mapped for the life of the process, over all restarts; that is what makes it `'static`.
//!
//! [`retain`] and [`retained`] keep a table and its mutex over restarts. What is retained is plain words, checked
//! before use, because after a package upgrade another build of this module may read them.

use super::apr_pools::OwnPool;
use super::httpd::Server;
use super::sys;
use super::util_mutex::{GlobalMutex, check};
use memmap2::MmapOptions;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::ptr;
use std::sync::atomic::AtomicU64;

/// Words on a cache line; shared memory begins on one.
const LINE: usize = 64;

/// Shared memory of at least `bytes` bytes, all zero, that ends with the server.
///
/// # Errors
/// When the system has no shared memory to give, in its own words.
pub fn anonymous(server: Server<'_>, bytes: usize) -> Result<&'static [AtomicU64], String> {
    let mut shm = ptr::null_mut();
    let pool = server.process_pool();
    // SAFETY: the process pool is live; a null name asks for anonymous memory; the result goes where `shm` is.
    check(unsafe { sys::apr_shm_create(&raw mut shm, bytes + LINE, ptr::null(), pool) })?;
    // SAFETY: just created.
    let base = unsafe { sys::apr_shm_baseaddr_get(shm) }.cast::<u8>();
    // APR puts its own header first, so that the memory begins 8 bytes into a page.
    let gap = base.align_offset(LINE);
    // SAFETY: the segment has LINE bytes more than are used.
    let words = unsafe { base.add(gap) }.cast::<AtomicU64>();
    prefer_huge_pages(words, bytes);
    // SAFETY: aligned, at least `bytes` long, zeroed by the kernel, and mapped until the process ends: the process
    // pool goes last. All that ever looks at it, in any process, does so by atomic words.
    Ok(unsafe { std::slice::from_raw_parts(words, bytes / 8) })
}

/// Whether [`anonymous`] would give so many bytes at present. They are asked for and given back, and none is touched.
///
/// # Errors
/// As [`anonymous`].
pub fn has_room(bytes: usize) -> Result<(), String> {
    let pool = OwnPool::new().ok_or("out of memory")?;
    let mut shm = ptr::null_mut();
    // SAFETY: a pool of its own; a null name asks for anonymous memory, which goes with the pool.
    check(unsafe { sys::apr_shm_create(&raw mut shm, bytes + LINE, ptr::null(), pool.0) })
}

/// The first `bytes` bytes of `file` as shared memory. The file is made that long, with all its blocks, so that a full
/// disk is an error here and not a crash later. It stays open, and so locked if it is, until the last process ends.
///
/// # Errors
/// When the disk is full or the file cannot be mapped.
pub fn file(file: File, bytes: usize) -> io::Result<&'static [AtomicU64]> {
    preallocate(&file, bytes)?;
    let map = MmapOptions::new().len(bytes).map_raw(&file)?;
    let words = map.as_mut_ptr().cast::<AtomicU64>();
    // The mapping and the descriptor are for the life of the process, on purpose.
    std::mem::forget((map, file));
    prefer_huge_pages(words, bytes);
    // SAFETY: page-aligned, `bytes` long, never unmapped. All that ever looks at it does so by atomic words. A file
    // that is truncated under a running server ends it with SIGBUS, as any mapped file does.
    Ok(unsafe { std::slice::from_raw_parts(words, bytes / 8) })
}

/// A table's memory and mutex, as kept over restarts.
#[repr(C)]
struct Retained {
    abi: u64,
    origin: u64,
    base: *const AtomicU64,
    words: usize,
    mutex: *mut sys::apr_global_mutex_t,
}

const KEY: *const std::ffi::c_char = c"mod_session_cluster.table".as_ptr();
const ABI: u64 = 0x5343_0001;

/// Shared words of that name, all zero at the first start and kept over restarts.
///
/// # Errors
/// As [`anonymous`].
pub fn words(server: Server<'_>, name: &'static CStr, words: usize) -> Result<&'static [AtomicU64], String> {
    let key = name.as_ptr();
    #[repr(C)]
    struct Words {
        base: *const AtomicU64,
        words: usize,
    }
    // SAFETY: the key is a C string.
    let found = unsafe { sys::ap_retained_data_get(key) }.cast::<Words>();
    // SAFETY: null, or what was written below, by any build.
    if let Some(found) = unsafe { found.as_ref() }.filter(|found| found.words == words) {
        // SAFETY: the very words of `anonymous`, which are mapped for the life of the process.
        return Ok(unsafe { std::slice::from_raw_parts(found.base, found.words) });
    }
    let fresh = anonymous(server, words * 8)?;
    // SAFETY: the key is a C string; httpd allocates that many zeroed bytes in the process pool.
    let place = unsafe { sys::ap_retained_data_create(key, size_of::<Words>()) }.cast::<Words>();
    // SAFETY: memory of that size, aligned to 8 by APR.
    unsafe { place.write(Words { base: fresh.as_ptr(), words }) };
    Ok(fresh)
}

/// Gives `file` its blocks, or leaves it as it was. Looks at the free space first: trying would fill the disk for a
/// moment, to everybody's harm.
fn preallocate(file: &File, bytes: usize) -> io::Result<()> {
    let before = file.metadata()?;
    let missing = (bytes as u64).saturating_sub(before.blocks().saturating_mul(512));
    // SAFETY: all-zero is a valid statvfs.
    let mut disk: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, and the result goes where `disk` is.
    if unsafe { libc::fstatvfs(file.as_raw_fd(), &raw mut disk) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if missing > disk.f_bavail.saturating_mul(disk.f_frsize) {
        return Err(io::Error::from_raw_os_error(libc::ENOSPC));
    }
    let length = i64::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the descriptor is open.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) } {
        0 => Ok(()),
        error => {
            // Somebody else took the space meanwhile: give back what was had of it.
            let _ = file.set_len(before.len());
            Err(io::Error::from_raw_os_error(error))
        }
    }
}

/// Asks for huge pages, where the system gives them to shared memory
/// (`/sys/kernel/mm/transparent_hugepage/shmem_enabled`): a lookup in a large table costs several address translations
/// otherwise. Only a hint, so that a refusal does not matter.
fn prefer_huge_pages(words: *mut AtomicU64, bytes: usize) {
    const PAGE: usize = 4096;
    let gap = words.cast::<u8>().align_offset(PAGE);
    // SAFETY: `bytes` is at least one page, and the result lies in the same mapping.
    let first = unsafe { words.cast::<u8>().add(gap) };
    // SAFETY: advice about pages of our own mapping changes nothing but their size.
    unsafe { libc::madvise(first.cast(), bytes.saturating_sub(gap), libc::MADV_HUGEPAGE) };
}

/// A table's memory and mutex, taken over from the configuration before.
pub struct Kept {
    /// The memory.
    pub words: &'static [AtomicU64],
    /// Its writers' lock.
    pub mutex: GlobalMutex,
    /// What was given to [`retain`].
    pub origin: u64,
}

/// What [`retain`] kept: memory, mutex, and the `origin` given with them; `None` at a first start.
///
/// # Errors
/// When a build of this module with another idea of these words kept them.
pub fn retained() -> Result<Option<Kept>, String> {
    // SAFETY: the key is a C string.
    let found = unsafe { sys::ap_retained_data_get(KEY) }.cast::<Retained>();
    // SAFETY: null, or memory of the process pool that begins with the word `abi` in every build.
    if found.is_null() || unsafe { (*found).abi } == 0 {
        return Ok(None);
    }
    // SAFETY: not null.
    if unsafe { (*found).abi } != ABI {
        return Err("another version of the module is still in memory: stop httpd and start it again".into());
    }
    // SAFETY: written by `retain` of a build with the same ABI.
    let retained = unsafe { &*found };
    // SAFETY: the very words of `anonymous` or `file`, which are mapped for the life of the process.
    let words = unsafe { std::slice::from_raw_parts(retained.base, retained.words) };
    // SAFETY: the mutex lives in the process pool.
    let mutex = unsafe { GlobalMutex::from_raw(retained.mutex) };
    Ok(Some(Kept { words, mutex, origin: retained.origin }))
}

/// Keeps a table's memory and mutex for the next configuration; `origin` tells how they were made.
pub fn retain(words: &'static [AtomicU64], mutex: &GlobalMutex, origin: u64) {
    // SAFETY: the key is a C string; httpd allocates that many zeroed bytes in the process pool.
    let place = unsafe { sys::ap_retained_data_create(KEY, size_of::<Retained>()) }.cast::<Retained>();
    let value =
        Retained { abi: ABI, origin, base: words.as_ptr(), words: words.len(), mutex: mutex.as_raw() };
    // SAFETY: memory of that size, aligned to 8 by APR.
    unsafe { place.write(value) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn a_mapped_file_keeps_what_is_written() {
        let temp = tempfile::NamedTempFile::new().unwrap();
        let words = file(temp.reopen().unwrap(), 8192).unwrap();
        assert_eq!(words.len(), 1024);
        words[1023].store(7, Ordering::Relaxed);
        let again = file(temp.reopen().unwrap(), 8192).unwrap();
        assert_eq!(again[1023].load(Ordering::Relaxed), 7);
    }

    #[test]
    fn a_file_too_large_for_the_disk_is_an_error_and_takes_no_space() {
        let temp = tempfile::NamedTempFile::new().unwrap();
        let error = file(temp.reopen().unwrap(), 1 << 50).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
        assert_eq!(temp.as_file().metadata().unwrap().blocks(), 0);
    }

    #[test]
    fn a_file_that_cannot_grow_is_an_error() {
        let temp = tempfile::NamedTempFile::new().unwrap();
        let read_only = File::open(temp.path()).unwrap();
        assert!(file(read_only, 8192).is_err());
    }
}
