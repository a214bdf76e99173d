//! httpd's connections to databases: mod_dbd, which may not be loaded, and the statements of apr_dbd. Only whole
//! statements: what apr_dbd prepares is lost when a driver reconnects by itself, and long values are cut off by some.

use super::apr_pools::OwnPool;
use super::httpd::Server;
use super::{strings, sys};
use std::ffi::{CStr, CString, c_int};
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

type Open = unsafe extern "C" fn(*mut sys::apr_pool_t, *mut sys::server_rec) -> *mut sys::ap_dbd_t;
type Close = unsafe extern "C" fn(*mut sys::server_rec, *mut sys::ap_dbd_t);

/// mod_dbd's connections of one server. For the threads of a child.
pub struct Connections {
    open: Open,
    close: Close,
    server: *mut sys::server_rec,
    /// Those that threads have or are waiting for.
    wanted: AtomicUsize,
}

// SAFETY: the two functions may be called by any thread; the configuration of a child is not changed once it serves,
// and stays until the process ends.
unsafe impl Send for Connections {}
// SAFETY: as above.
unsafe impl Sync for Connections {}

impl Connections {
    /// Those of the main server; `None` where mod_dbd is not loaded. Once the configuration has been read.
    #[must_use]
    pub fn of(main: Server<'_>) -> Option<Self> {
        let (open, close) = (function(c"ap_dbd_open")?, function(c"ap_dbd_close")?);
        // SAFETY: mod_dbd registers this name with this type (APR_DECLARE_OPTIONAL_FN).
        let open = unsafe { std::mem::transmute::<unsafe extern "C" fn(), Open>(open) };
        // SAFETY: as above.
        let close = unsafe { std::mem::transmute::<unsafe extern "C" fn(), Close>(close) };
        Some(Connections { open, close, server: main.as_raw(), wanted: AtomicUsize::new(0) })
    }

    /// A connection, given back when it is dropped; `None` when there is none to be had: mod_dbd has then logged why.
    /// Blocks for as long as the driver does, and while all connections are in use.
    #[must_use]
    pub fn open(&self) -> Option<Connection<'_>> {
        let wanted = Wanted::new(&self.wanted);
        let pool = OwnPool::new()?;
        // SAFETY: a function of mod_dbd, a pool that this thread alone uses, and the server of this process.
        let raw = unsafe { (self.open)(pool.0, self.server) };
        (!raw.is_null()).then(|| Connection {
            of: self,
            raw,
            _pool: pool,
            _wanted: wanted,
            one_thread: PhantomData,
        })
    }

    /// Whether a thread has one, or waits for one.
    #[must_use]
    pub fn are_in_use(&self) -> bool {
        self.wanted.load(Ordering::Acquire) > 0
    }
}

/// A thread has a connection, or waits for one.
struct Wanted<'c>(&'c AtomicUsize);

impl<'c> Wanted<'c> {
    fn new(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Wanted(count)
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn function(name: &CStr) -> Option<unsafe extern "C" fn()> {
    // SAFETY: a C string; the table of optional functions is complete once the configuration has been read.
    unsafe { sys::apr_dynamic_fn_retrieve(name.as_ptr()) }
}

/// A connection that this thread has for itself.
pub struct Connection<'c> {
    of: &'c Connections,
    raw: *mut sys::ap_dbd_t,
    _pool: OwnPool,
    _wanted: Wanted<'c>,
    one_thread: PhantomData<*mut ()>,
}

/// The rows of an answer, and their columns as text; `None` for NULL, which some drivers give as an empty text.
pub type Rows = Vec<Vec<Option<String>>>;

impl Connection<'_> {
    /// apr_dbd's name of the driver, such as `mysql`.
    #[must_use]
    pub fn driver(&self) -> String {
        let (driver, _) = self.parts();
        // SAFETY: the driver of a connection that is open.
        let name = unsafe { sys::apr_dbd_name(driver) };
        // SAFETY: a constant of the driver.
        String::from_utf8_lossy(unsafe { strings::bytes(name) }).into_owned()
    }

    /// Does what a statement says that gives no rows. Returns how many it changed, as the driver counts.
    ///
    /// # Errors
    /// What the database said.
    pub fn execute(&mut self, statement: &str) -> Result<u64, String> {
        let text = CString::new(statement).map_err(|_| "there is a NUL in a statement".to_owned())?;
        let (driver, handle) = self.parts();
        let mut changed: c_int = 0;
        // SAFETY: driver and handle of a connection that is open, and a C string.
        let status = unsafe { sys::apr_dbd_query(driver, handle, &raw mut changed, text.as_ptr()) };
        if status == 0 { Ok(u64::try_from(changed).unwrap_or(0)) } else { Err(self.complaint(status)) }
    }

    /// The rows that a statement gives.
    ///
    /// # Errors
    /// What the database said. A connection that breaks between two rows is an error, not the end of the rows.
    pub fn select(&mut self, statement: &str) -> Result<Rows, String> {
        let text = CString::new(statement).map_err(|_| "there is a NUL in a statement".to_owned())?;
        // What the rows are kept in; it goes with them, and so before the next statement.
        let pool = OwnPool::new().ok_or_else(|| "out of memory".to_owned())?;
        let (driver, handle) = self.parts();
        // MySQL's driver does not look whether all rows of a random access came; PostgreSQL's sleeps where there is no
        // row in a sequential one.
        let mysql = self.driver() == "mysql";
        let random = c_int::from(!mysql);
        let mut results = ptr::null_mut();
        // SAFETY: driver and handle of a connection that is open, a pool of this thread, and a C string.
        let status =
            unsafe { sys::apr_dbd_select(driver, pool.0, handle, &raw mut results, text.as_ptr(), random) };
        if status != 0 {
            return Err(self.complaint(status));
        }
        if results.is_null() {
            return Err("the database gave no rows where it should".into());
        }
        // SAFETY: results of that driver.
        let columns = unsafe { sys::apr_dbd_num_cols(driver, results) };
        let (mut rows, mut row) = (Vec::new(), ptr::null_mut());
        // SAFETY: results of that driver in that pool; -1 is the next row.
        while unsafe { sys::apr_dbd_get_row(driver, pool.0, results, &raw mut row, -1) } == 0 {
            let column = |number| {
                // SAFETY: a row that was just got, and a number below that of its columns.
                let entry = unsafe { sys::apr_dbd_get_entry(driver, row, number) };
                // SAFETY: the entry stays until the next row is got.
                unsafe { strings::c_str(entry) }.map(|entry| entry.to_string_lossy().into_owned())
            };
            rows.push((0..columns).map(column).collect());
        }
        // There every row is fetched from the server, and its failure looks like the end.
        let complaint = if mysql { self.complaint(0) } else { String::new() };
        if complaint.is_empty() { Ok(rows) } else { Err(complaint) }
    }

    fn complaint(&self, status: c_int) -> String {
        let (driver, handle) = self.parts();
        // SAFETY: driver and handle of a connection that is open.
        let text = unsafe { sys::apr_dbd_error(driver, handle, status) };
        // SAFETY: a C string that stays until the next call with this connection.
        let text = String::from_utf8_lossy(unsafe { strings::bytes(text) }).trim().replace('\n', " ");
        if text.is_empty() && status != 0 { format!("error {status} of the database") } else { text }
    }

    fn parts(&self) -> (*const sys::apr_dbd_driver_t, *mut sys::apr_dbd_t) {
        // SAFETY: the connection is open, and this thread's.
        let connection = unsafe { &*self.raw };
        (connection.driver, connection.handle)
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        // SAFETY: opened by the same server, and given back once.
        unsafe { (self.of.close)(self.of.server, self.raw) };
    }
}
