//! httpd's object caches: providers that modules such as mod_socache_memcache register. A cache is made when the server
//! starts, lives as long as its configuration, and is used by all processes and threads.

use super::apr_pools::{OwnPool, Pool};
use super::httpd::Server;
use super::util_mutex::{GlobalGuard, GlobalMutex, check};
use super::{guard, strings, sys};
use crate::clock::Instant;
use parking_lot::Mutex;
use std::ffi::{CStr, CString, c_int, c_uint};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// What a cache did not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheError {
    /// It has no room for something of that size.
    TooLarge,
    /// Anything else, in httpd's words.
    Failed(String),
}

/// What a cache will be used for.
#[derive(Clone, Copy, Debug)]
pub struct Hints {
    /// Length of ids, about.
    pub id: usize,
    /// Size of what is stored, about.
    pub object: usize,
}

/// How long an operation waits for a cache that serves one process at a time.
const PATIENCE: Duration = Duration::from_secs(2);
/// Nothing is larger: so much room is given for what is retrieved, and the system gives memory only for what is used of
/// it.
const LARGEST: usize = 2 << 20;
/// memcached takes a longer time for a date, long gone. Less than its 30 days, for clocks that differ.
const LONGEST_IN_MEMCACHED: Duration = Duration::from_secs(29 * 86_400);
/// memcached's bound is 1 MiB for key and object together, unless it was started with another one.
const LARGEST_IN_MEMCACHED: usize = (1 << 20) - 512;

/// How often a client of a server elsewhere is made anew at most, while that server does not answer.
const ANEW: Duration = Duration::from_secs(1);

/// A cache.
pub struct ObjectCache {
    provider: *const sys::ap_socache_provider_t,
    server: *mut sys::server_rec,
    current: Mutex<Arc<Instance>>,
    /// Of a cache that is a client of a server elsewhere: how it is made, and when it was.
    client: Option<(Recipe, Mutex<Option<Instant>>)>,
    memcached: bool,
    dbm: bool,
    lock: Option<Arc<GlobalMutex>>,
}

/// What a provider made of some words.
struct Instance {
    raw: *mut sys::ap_socache_instance_t,
    /// How many there were before it.
    number: u64,
    /// What the last operation that failed said, or 0. A client may then hold its server for dead, and say that nothing
    /// is there, for some seconds.
    failed: AtomicI32,
    /// Where it lives, if not in the configuration's pool: gone with it.
    _pool: Option<OwnPool>,
}

impl Instance {
    fn new(raw: *mut sys::ap_socache_instance_t, number: u64, pool: Option<OwnPool>) -> Self {
        Instance { raw, number, failed: AtomicI32::new(0), _pool: pool }
    }
}

// SAFETY: what it points to is made to be used from all threads, or used by one at a time (see `ObjectCache`), and
// lives as long as its pool.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

/// How instances are made.
struct Recipe {
    arguments: Option<CString>,
    name: &'static CStr,
    hints: sys::ap_socache_hints,
}

// SAFETY: providers are made to be used from all threads at once, or say that they are not, and then `lock` is there.
// What the pointers point to lives as long as the configuration, which outlives every request.
unsafe impl Send for ObjectCache {}
// SAFETY: as above.
unsafe impl Sync for ObjectCache {}

/// Whether httpd has a provider of that name, once all modules are loaded.
///
/// # Errors
/// What to do if it has not.
pub fn check_provider(name: &str) -> Result<(), String> {
    find(name).map(drop)
}

/// What a provider is like.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// Whether it serves one process at a time.
    pub needs_lock: bool,
}

/// Whether a provider takes these arguments. A cache is described to it, and not begun.
///
/// # Errors
/// When there is no such provider, or what it says.
pub fn inspect(provider: &str, arguments: Option<&str>) -> Result<Traits, String> {
    let functions = find(provider)?;
    let pool = OwnPool::new().ok_or("out of memory")?;
    let arguments = arguments.map(CString::new).transpose().map_err(|e| e.to_string())?;
    create(functions, arguments.as_ref(), pool.0)?;
    Ok(Traits { needs_lock: functions.flags & sys::AP_SOCACHE_FLAG_NOTMPSAFE != 0 })
}

/// Has a provider make an instance that is not begun yet. `arguments` live for as long.
fn create(
    functions: &sys::ap_socache_provider_t,
    arguments: Option<&CString>,
    pool: *mut sys::apr_pool_t,
) -> Result<*mut sys::ap_socache_instance_t, String> {
    let arguments = arguments.map_or(ptr::null(), |text| text.as_ptr());
    let mut instance = ptr::null_mut();
    let create = functions.create.ok_or("the provider cannot make caches")?;
    // SAFETY: the pool is live, and so is the C string, for as long as the cache; the result goes where `instance` is.
    let complaint = unsafe { create(&raw mut instance, arguments, pool, pool) };
    // SAFETY: null or a C string in the pool.
    match unsafe { strings::text(complaint) } {
        Some(complaint) => Err(complaint.to_owned()),
        None => Ok(instance),
    }
}

fn find(name: &str) -> Result<&'static sys::ap_socache_provider_t, String> {
    let word = CString::new(name).map_err(|e| e.to_string())?;
    let (group, version) =
        (sys::AP_SOCACHE_PROVIDER_GROUP.as_ptr(), sys::AP_SOCACHE_PROVIDER_VERSION.as_ptr());
    // SAFETY: three C strings; the answer is null or what the provider registered.
    let table = unsafe { sys::ap_lookup_provider(group.cast(), word.as_ptr(), version.cast()) };
    let table: *const sys::ap_socache_provider_t = table.cast_const().cast();
    // SAFETY: null, or a provider of this group and version, which is a constant of its module.
    unsafe { table.as_ref() }.ok_or_else(|| {
        format!(
            "httpd has no cache provider '{name}': add 'LoadModule socache_{name}_module \
             modules/mod_socache_{name}.so', or correct the name"
        )
    })
}

impl ObjectCache {
    /// Makes a cache, for as long as the configuration lives. For post_config. `lock` is asked for where the provider
    /// is not made for several processes.
    ///
    /// # Errors
    /// When there is no such provider, or what it says.
    pub fn open(
        main: Server<'_>,
        provider: &str,
        arguments: Option<&str>,
        name: &'static CStr,
        hints: Hints,
        lock: impl FnOnce() -> Result<Arc<GlobalMutex>, String>,
    ) -> Result<Self, String> {
        let functions = find(provider)?;
        let table = ptr::from_ref(functions);
        // SAFETY: the server is live.
        let process = unsafe { (*main.as_raw()).process };
        // SAFETY: the process outlives its servers.
        let pool = unsafe { (*process).pconf };
        // SAFETY: the pool of the configuration that is being read.
        let conf = unsafe { Pool::from_raw(pool) };
        let recipe = Recipe {
            arguments: arguments.map(CString::new).transpose().map_err(|e| e.to_string())?,
            name,
            hints: sys::ap_socache_hints {
                avg_id_len: hints.id,
                avg_obj_size: hints.object,
                expiry_interval: 60_000_000,
            },
        };
        let server = main.as_raw();
        let instance = recipe.make(functions, server, conf.as_raw())?;
        let lock = (functions.flags & sys::AP_SOCACHE_FLAG_NOTMPSAFE != 0).then(lock).transpose()?;
        conf.place(Destroy { provider: table, instance, server, process: std::process::id() });
        let current = Mutex::new(Arc::new(Instance::new(instance, 0, None)));
        let (memcached, dbm) = (provider == "memcache", provider == "dbm");
        let client = (memcached || provider == "redis").then(|| (recipe, Mutex::default()));
        Ok(ObjectCache { provider: table, server, current, client, memcached, dbm, lock })
    }

    /// Makes a client anew that has failed, as `why` says. The one that there is would hold its server for dead for
    /// some seconds, and then try its old connections one after the other.
    fn renew(&self, why: c_int) {
        let Some((recipe, made)) = &self.client else { return };
        // Else another thread is at it, which may have to wait for a name server.
        let Some(mut made) = made.try_lock() else { return };
        // A general error is the end of a connection, or a server that is there and refused what it was asked.
        let away = why != sys::APR_EGENERAL as c_int;
        if away && made.is_some_and(|at| at.elapsed() < ANEW) {
            return;
        }
        *made = Some(Instant::now());
        let Some(pool) = OwnPool::new() else { return };
        if let Ok(raw) = recipe.make(self.functions(), self.server, pool.0) {
            let mut current = self.current.lock();
            // The last one that still uses the old one ends it.
            *current = Arc::new(Instance::new(raw, current.number + 1, Some(pool)));
        }
    }

    /// Stores `data` over what is there, to be kept for so long, or shorter.
    ///
    /// # Errors
    /// When the cache did not confirm it.
    pub fn store(&self, id: &[u8], keep: Duration, data: &[u8]) -> Result<(), CacheError> {
        if self.memcached && data.len() + 2 * id.len() > LARGEST_IN_MEMCACHED || data.len() > LARGEST {
            return Err(CacheError::TooLarge);
        }
        let keep = if self.memcached { keep.min(LONGEST_IN_MEMCACHED) } else { keep };
        let keep = i64::try_from(keep.as_micros()).unwrap_or(i64::MAX / 4);
        let mut data = data.to_vec();
        let store = self.functions().store.ok_or_else(missing)?;
        let (length, size) = (length(id)?, length(&data)?);
        let server = self.server;
        self.call(|instance, pool| {
            // SAFETY: no arguments.
            let expiry = unsafe { sys::apr_time_now() }.saturating_add(keep);
            // SAFETY: the cache is live, the lock is held where it needs one, and both buffers are as long as is said.
            unsafe { store(instance, server, id.as_ptr(), length, expiry, data.as_mut_ptr(), size, pool) }
        })
    }

    /// What is stored under `id`. Some providers say that there is nothing also when they cannot tell.
    ///
    /// # Errors
    /// When the cache says that it failed.
    pub fn retrieve(&self, id: &[u8]) -> Result<Option<Vec<u8>>, CacheError> {
        let retrieve = self.functions().retrieve.ok_or_else(missing)?;
        let mut data: Vec<u8> = Vec::with_capacity(LARGEST);
        let (length, mut size) = (length(id)?, c_uint::try_from(LARGEST).unwrap_or(c_uint::MAX));
        let (server, buffer) = (self.server, data.as_mut_ptr());
        let mut found = true;
        self.call(|instance, pool| {
            // SAFETY: as in `store`; the provider writes at most `size` bytes, and then how many it wrote.
            let status =
                unsafe { retrieve(instance, server, id.as_ptr(), length, buffer, &raw mut size, pool) };
            // mod_socache_dbm has this word for what is not there; its troubles have others.
            let unnamed = self.dbm && status == sys::APR_EGENERAL as c_int;
            found = status != sys::APR_NOTFOUND as c_int && !unnamed;
            if found { status } else { 0 }
        })?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if !found {
            return Ok(None);
        }
        if size > LARGEST {
            return Err(CacheError::Failed("the cache says that it gave more than was asked for".into()));
        }
        // SAFETY: the provider wrote so many bytes into the buffer, which has room for LARGEST.
        unsafe { data.set_len(size) };
        data.shrink_to_fit();
        Ok(Some(data))
    }

    /// Which instance is in use: another number once it has been made anew. `None` while it is a client of which an
    /// operation failed, which may say that nothing is there without having asked.
    #[must_use]
    pub fn instance(&self) -> Option<u64> {
        let current = self.current();
        (self.client.is_none() || current.failed.load(Ordering::Acquire) == 0).then_some(current.number)
    }

    /// The instance in use, made anew if it has failed.
    fn current(&self) -> Arc<Instance> {
        let failed = self.current.lock().failed.load(Ordering::Acquire);
        if failed != 0 {
            self.renew(failed);
        }
        Arc::clone(&self.current.lock())
    }

    fn functions(&self) -> &sys::ap_socache_provider_t {
        // SAFETY: a constant of the provider's module, which stays as long as the configuration.
        unsafe { &*self.provider }
    }

    /// Calls the provider with the instance that there is, and a pool for this one call.
    fn call(
        &self,
        call: impl FnOnce(*mut sys::ap_socache_instance_t, *mut sys::apr_pool_t) -> c_int,
    ) -> Result<(), CacheError> {
        let _held: Option<GlobalGuard<'_>> =
            self.lock.as_ref().map(|lock| lock.lock(PATIENCE)).transpose().map_err(CacheError::Failed)?;
        let pool = OwnPool::new().ok_or_else(|| CacheError::Failed("out of memory".into()))?;
        let instance = self.current();
        let status = call(instance.raw, pool.0);
        if status != 0 {
            // Whatever it says: clients hold a server for dead that closed the connection, and call that a general
            // error.
            instance.failed.store(status, Ordering::Release);
        }
        if [sys::APR_ENOSPC, sys::APR_ENOMEM].contains(&(status as c_uint)) {
            return Err(CacheError::TooLarge);
        }
        check(status).map_err(CacheError::Failed)
    }
}

impl Recipe {
    /// Has the provider make an instance that lives in that pool.
    fn make(
        &self,
        functions: &sys::ap_socache_provider_t,
        server: *mut sys::server_rec,
        pool: *mut sys::apr_pool_t,
    ) -> Result<*mut sys::ap_socache_instance_t, String> {
        let instance = create(functions, self.arguments.as_ref(), pool)?;
        let init = functions.init.ok_or("the provider cannot begin")?;
        // SAFETY: just created; name and hints are live for the call, the server and the pool for as long as the
        // instance.
        check(unsafe { init(instance, self.name.as_ptr(), &raw const self.hints, server, pool) })?;
        Ok(instance)
    }
}

fn missing() -> CacheError {
    CacheError::Failed("the provider has no such function".into())
}

fn length(bytes: &[u8]) -> Result<c_uint, CacheError> {
    c_uint::try_from(bytes.len()).map_err(|_| CacheError::TooLarge)
}

/// Ends the cache with its configuration.
struct Destroy {
    provider: *const sys::ap_socache_provider_t,
    instance: *mut sys::ap_socache_instance_t,
    server: *mut sys::server_rec,
    process: u32,
}

// SAFETY: used once, by the process that made it, when its configuration ends.
unsafe impl Send for Destroy {}

impl Drop for Destroy {
    fn drop(&mut self) {
        // A child that ends destroys its copy of the configuration, but not the cache, which others use.
        if self.process != std::process::id() {
            return;
        }
        // SAFETY: the provider's module is unloaded after its configuration is destroyed.
        if let Some(destroy) = unsafe { (*self.provider).destroy } {
            // SAFETY: the instance is live, and nobody uses it any more.
            guard::quietly((), || unsafe { destroy(self.instance, self.server) });
        }
    }
}
