//! Modules, their configurations and their directives, as httpd knows them. A module is a type that implements
//! [`Module`]; [`record`] makes httpd's structure of it, and the generic thunks below turn httpd's calls into calls of
//! safe functions.

use super::apr_pools::{OwnPool, Pool};
use super::httpd::{Request, Server};
use super::{guard, strings, sys};
use std::ffi::{CStr, CString, c_char, c_int, c_ulong, c_void};
use std::ptr;
use std::time::Duration;

/// A configuration of a module: one for each virtual host, or one for each directory or location.
pub trait Config: Default + Send + Sized + 'static {
    /// The configuration in force where `inner` stands within `outer`.
    fn merge(outer: &Self, inner: &Self) -> Self;

    /// Whether it may stand for a merged one as it is, because the other of the two says nothing. httpd merges on
    /// many requests, and mostly there is nothing to merge.
    fn says_nothing(&self) -> bool {
        false
    }
}

/// What makes a type a module of httpd.
pub trait Module: Sized + 'static {
    /// Configuration of a virtual host.
    type Server: Config;
    /// Configuration of a directory or location.
    type Dir: Config;
    /// What the module keeps with a request.
    type State: Send + 'static;
    /// What the module keeps with a connection, whose requests different threads may handle, one after the other.
    type Connection: Default + Send + 'static;

    /// The exported record of this module.
    fn record() -> *mut sys::module;
}

/// A setting that a directive may have made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Setting<T> {
    /// No directive said anything.
    #[default]
    Unset,
    /// A directive said this.
    Set(T),
}

impl<T: Clone> Setting<T> {
    /// The inner setting if it was made, else the outer one.
    #[must_use]
    pub fn merge(outer: &Self, inner: &Self) -> Self {
        match inner {
            Setting::Unset => outer.clone(),
            Setting::Set(_) => inner.clone(),
        }
    }
}

impl<T> Setting<T> {
    /// The value, if one was set.
    pub fn get(&self) -> Option<&T> {
        match self {
            Setting::Unset => None,
            Setting::Set(value) => Some(value),
        }
    }
}

/// Where a directive may stand; httpd calls it its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Once for the whole server, outside of virtual hosts and sections.
    Global,
    /// In the main server or a virtual host, outside of sections.
    VirtualHost,
    /// As [`Context::VirtualHost`], and in `<Directory>`, `<Location>` and `<Files>`.
    Directory,
}

/// One directive: its name, its place, how many arguments it takes, and what it does.
pub struct Directive<M: Module> {
    /// Name as written in httpd.conf.
    pub name: &'static CStr,
    /// Where it may stand.
    pub context: Context,
    /// The fewest and the most arguments.
    pub arity: (usize, usize),
    /// One line: arguments and meaning. Shown by `httpd -L` and in error messages.
    pub help: &'static CStr,
    /// Sets it; an error says what is wrong and what to write instead.
    pub set: SetFn<M>,
}

/// What a directive does, given the configuration of the virtual host and of the directory that it stands in.
pub type SetFn<M> = fn(&mut <M as Module>::Server, &mut <M as Module>::Dir, &Args<'_>) -> Result<(), String>;

/// A directive's arguments and surroundings.
pub struct Args<'c> {
    values: Vec<&'c str>,
    cmd: *mut sys::cmd_parms,
}

impl<'c> Args<'c> {
    /// The arguments, as many as the directive's arity allows.
    #[must_use]
    pub fn values(&self) -> &[&'c str] {
        &self.values
    }

    pub(super) fn as_raw(&self) -> *mut sys::cmd_parms {
        self.cmd
    }

    /// The first argument; empty if there is none.
    #[must_use]
    pub fn first(&self) -> &'c str {
        self.values.first().copied().unwrap_or_default()
    }

    /// The pool of the configuration.
    #[must_use]
    pub fn pool(&self) -> Pool<'c> {
        // SAFETY: httpd passes a live cmd_parms to directives.
        let raw = unsafe { (*self.cmd).pool };
        // SAFETY: the configuration's pool lives as long as the configuration.
        unsafe { Pool::from_raw(raw) }
    }

    /// Parses a time: see [`duration`].
    ///
    /// # Errors
    /// What to write instead.
    pub fn duration(&self, text: &str) -> Result<Duration, String> {
        duration(text)
    }

    /// A file name, seen from the ServerRoot if it is relative.
    ///
    /// # Errors
    /// When httpd cannot make a path of it.
    pub fn root_path(&self, text: &str) -> Result<String, String> {
        let name = self.pool().c_string(text);
        // SAFETY: the pool and the C string are live.
        let path = unsafe { sys::ap_server_root_relative(self.pool().as_raw(), name.as_ptr()) };
        // SAFETY: null or a C string in the configuration's pool.
        let path = unsafe { strings::text(path) };
        path.map(str::to_owned).ok_or_else(|| format!("'{text}' is not a usable path"))
    }

    /// A file name, seen from httpd's run-time directory if it is relative.
    ///
    /// # Errors
    /// When httpd cannot make a path of it.
    pub fn path(&self, text: &str) -> Result<String, String> {
        let name = self.pool().c_string(text);
        // SAFETY: the pool and the C string are live.
        let path = unsafe { sys::ap_runtime_dir_relative(self.pool().as_raw(), name.as_ptr()) };
        // SAFETY: null or a C string in the configuration's pool.
        let path = unsafe { strings::text(path) };
        path.map(str::to_owned).ok_or_else(|| format!("'{text}' is not a usable path"))
    }
}

/// A file name, seen from httpd's run-time directory if it is relative. Once the configuration has been read.
#[must_use]
pub fn runtime_path(text: &str) -> Option<String> {
    let (pool, text) = (OwnPool::new()?, CString::new(text).ok()?);
    // SAFETY: the pool and the C string are live.
    let path = unsafe { sys::ap_runtime_dir_relative(pool.0, text.as_ptr()) };
    // SAFETY: null or a C string in that pool.
    unsafe { strings::text(path) }.map(str::to_owned)
}

/// Parses a time as httpd's other directives do: a number with `ms`, `s`, `mi` (minutes), `h`; without unit, seconds.
/// Also takes `m` for minutes and `d` for days.
///
/// # Errors
/// What to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("'{text}' is not a time: write a number with a unit, such as 500ms, 90s, 30m, 12h or 7d");
    let (text, factor) = match text.strip_suffix('d') {
        Some(days) => (format!("{days}h"), 24),
        None => (text.strip_suffix('m').map_or(text.into(), |n| format!("{n}mi")), 1),
    };
    let mut micros: sys::apr_interval_time_t = 0;
    let text = CString::new(text).map_err(|_| wrong())?;
    // SAFETY: both C strings are live; the result goes where `micros` is.
    let status = unsafe { sys::ap_timeout_parameter_parse(text.as_ptr(), &raw mut micros, c"s".as_ptr()) };
    let micros = u64::try_from(micros).map_err(|_| wrong())?;
    // httpd takes a unit without a number for zero.
    if status != 0 || !text.to_bytes().first().is_some_and(u8::is_ascii_digit) {
        return Err(wrong());
    }
    micros.checked_mul(factor).map(Duration::from_micros).ok_or_else(wrong)
}

/// httpd's form of a module's directives, for its `cmds` field.
pub struct Commands<const N: usize>([sys::command_rec; N]);

// SAFETY: httpd reads the table from one thread at a time, and all its pointers are to constants.
unsafe impl<const N: usize> Sync for Commands<N> {}

impl<const N: usize> Commands<N> {
    /// The table for `directives`; `N` is their number and one for the end.
    #[must_use]
    pub const fn new<M: Module>(directives: &'static [Directive<M>]) -> Self {
        assert!(directives.len() + 1 == N, "N is the number of directives and one for the end");
        let end = sys::command_rec {
            name: ptr::null(),
            func: sys::cmd_func { no_args: None },
            cmd_data: ptr::null_mut(),
            req_override: 0,
            args_how: sys::RAW_ARGS,
            errmsg: ptr::null(),
        };
        let mut table = [end; N];
        let mut i = 0;
        while i < directives.len() {
            let directive = &directives[i];
            table[i] = sys::command_rec {
                name: directive.name.as_ptr(),
                func: sys::cmd_func { raw_args: Some(set_directive::<M>) },
                cmd_data: ptr::from_ref(directive).cast_mut().cast(),
                req_override: match directive.context {
                    Context::Global | Context::VirtualHost => sys::RSRC_CONF,
                    Context::Directory => sys::RSRC_CONF | sys::ACCESS_CONF,
                } as c_int,
                // With TAKE_ARGV, httpd drops what is more than 64 words, and says nothing.
                args_how: sys::RAW_ARGS,
                errmsg: directive.help.as_ptr(),
            };
            i += 1;
        }
        Commands(table)
    }

    /// The table's address for httpd.
    #[must_use]
    pub const fn as_ptr(&self) -> *const sys::command_rec {
        self.0.as_ptr()
    }
}

/// What httpd calls for a module to register its hooks.
pub type RegisterHooks = unsafe extern "C" fn(*mut sys::apr_pool_t);

/// The module record of `M`. `name` ends in `.c`, as httpd's own do.
#[must_use]
pub const fn record<M: Module>(
    name: &'static CStr,
    commands: *const sys::command_rec,
    register: RegisterHooks,
) -> sys::module {
    sys::module {
        version: sys::MODULE_MAGIC_NUMBER_MAJOR as c_int,
        minor_version: sys::MODULE_MAGIC_NUMBER_MINOR as c_int,
        module_index: -1,
        name: name.as_ptr(),
        dynamic_load_handle: ptr::null_mut(),
        next: ptr::null_mut(),
        magic: sys::MODULE_MAGIC_COOKIE as c_ulong,
        rewrite_args: None,
        create_dir_config: Some(create_dir::<M>),
        merge_dir_config: Some(merge::<M::Dir>),
        create_server_config: Some(create_server::<M>),
        merge_server_config: Some(merge::<M::Server>),
        cmds: commands,
        register_hooks: Some(register),
        flags: 0,
    }
}

/// The number that httpd gave the module.
pub(super) fn module_index<M: Module>() -> c_int {
    // SAFETY: the record is a static; httpd writes the index while it loads the module, before any other call.
    unsafe { (*M::record()).module_index }
}

/// The module's configuration for the directory that `r` is for.
#[must_use]
pub fn dir_config<M: Module>(r: Request<'_>) -> &M::Dir {
    // SAFETY: the request is live; its vector of directory configurations is set from the first hook on.
    let vector = unsafe { (*r.as_raw()).per_dir_config };
    // SAFETY: the vector belongs to the request, and the record is ours.
    let config = unsafe { sys::ap_get_module_config(vector, M::record()) };
    // SAFETY: `create_dir` and `merge` put a M::Dir there, which lives longer than the request.
    unsafe { &*config.cast::<M::Dir>() }
}

/// The module's configuration for the virtual host `s`.
#[must_use]
pub fn server_config<M: Module>(s: Server<'_>) -> &M::Server {
    // SAFETY: the server is live.
    let vector = unsafe { (*s.as_raw()).module_config };
    // SAFETY: the vector belongs to the server, and the record is ours.
    let config = unsafe { sys::ap_get_module_config(vector, M::record()) };
    // SAFETY: `create_server` or `merge` put a M::Server there, which lives as long as the server.
    unsafe { &*config.cast::<M::Server>() }
}

/// Gives each virtual host a configuration of its own. httpd lets those in which no directive of the module stands
/// share the main server's.
pub(super) fn separate<M: Module>(pconf: Pool<'_>, main: Server<'_>) {
    let shared = server_config::<M>(main);
    for server in main.all().skip(1).filter(|&server| ptr::eq(server_config::<M>(server), shared)) {
        let own = pconf.place_raw(M::Server::merge(shared, &M::Server::default()));
        // SAFETY: the server is live.
        let vector = unsafe { (*server.as_raw()).module_config };
        // SAFETY: the vector belongs to the server, and the record is ours; no request is served yet.
        unsafe { sys::ap_set_module_config(vector, M::record(), own.cast()) };
    }
}

/// What the module keeps with `r`, once [`keep`] was called for it.
#[must_use]
pub fn kept<M: Module>(r: Request<'_>) -> Option<&M::State> {
    // SAFETY: the request is live.
    let vector = unsafe { (*r.as_raw()).request_config };
    // SAFETY: the vector belongs to the request, and the record is ours.
    let state = unsafe { sys::ap_get_module_config(vector, M::record()) };
    // SAFETY: null, or what `keep` put there, in the request's own pool.
    unsafe { state.cast::<M::State>().as_ref() }
}

/// Keeps `state` with `r` until the request ends.
pub fn keep<M: Module>(r: Request<'_>, state: M::State) -> &M::State {
    let place = r.pool().place_raw(state);
    // SAFETY: the request is live.
    let vector = unsafe { (*r.as_raw()).request_config };
    // SAFETY: the vector belongs to the request, the record is ours, and `place` lives as long as the request.
    unsafe { sys::ap_set_module_config(vector, M::record(), place.cast()) };
    // SAFETY: just written, and nobody has a mutable view of it.
    unsafe { &*place }
}

/// What the module keeps with the connection that `r` came by.
#[must_use]
pub fn kept_with_connection<M: Module>(r: Request<'_>) -> &M::Connection {
    // SAFETY: the request is live.
    let connection = unsafe { (*r.as_raw()).connection };
    // SAFETY: a request's connection outlives it.
    let connection = unsafe { &*connection };
    // SAFETY: the vector belongs to the connection, and the record is ours.
    let kept = unsafe { sys::ap_get_module_config(connection.conn_config, M::record()) };
    if kept.is_null() {
        // SAFETY: the connection's pool, in which all that is kept with it lives.
        let place = unsafe { Pool::from_raw(connection.pool) }.place_raw(M::Connection::default());
        // SAFETY: as above; `place` lives as long as the connection.
        unsafe { sys::ap_set_module_config(connection.conn_config, M::record(), place.cast()) };
        // SAFETY: just written, and nobody has a mutable view of it.
        return unsafe { &*place };
    }
    // SAFETY: what the branch above put there.
    unsafe { &*kept.cast::<M::Connection>() }
}

unsafe extern "C" fn create_dir<M: Module>(pool: *mut sys::apr_pool_t, _dir: *mut c_char) -> *mut c_void {
    // SAFETY: httpd passes the pool of the configuration.
    let pool = unsafe { Pool::from_raw(pool) };
    guard::quietly(ptr::null_mut(), || pool.place_raw(M::Dir::default()).cast())
}

unsafe extern "C" fn create_server<M: Module>(
    pool: *mut sys::apr_pool_t,
    _server: *mut sys::server_rec,
) -> *mut c_void {
    // SAFETY: httpd passes the pool of the configuration.
    let pool = unsafe { Pool::from_raw(pool) };
    guard::quietly(ptr::null_mut(), || pool.place_raw(M::Server::default()).cast())
}

unsafe extern "C" fn merge<C: Config>(
    pool: *mut sys::apr_pool_t,
    outer: *mut c_void,
    inner: *mut c_void,
) -> *mut c_void {
    // SAFETY: httpd passes the pool of the configuration (or of the request that it is made for).
    let pool = unsafe { Pool::from_raw(pool) };
    // SAFETY: both were made by `create_dir`, `create_server` or `merge`, hence are a C.
    let (old, new) = (unsafe { outer.cast::<C>().as_ref() }, unsafe { inner.cast::<C>().as_ref() });
    guard::quietly(ptr::null_mut(), || match (old, new) {
        // httpd keeps both alive at least as long as the result.
        (Some(_), Some(new)) if new.says_nothing() => outer,
        (Some(old), Some(_)) if old.says_nothing() => inner,
        (Some(old), Some(new)) => pool.place_raw(C::merge(old, new)).cast(),
        _ => pool.place_raw(C::default()).cast(),
    })
}

/// Every directive's C function: checks place and arity, collects the arguments and calls the directive's own.
/// Returns null, or what is wrong, which httpd reports with file and line.
unsafe extern "C" fn set_directive<M: Module>(
    cmd: *mut sys::cmd_parms,
    dir: *mut c_void,
    line: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes live parameters.
    let params = unsafe { &*cmd };
    // SAFETY: the command record is one that `Commands::new` made.
    let record = unsafe { &*params.cmd };
    // SAFETY: the data of such a record is a Directive of this M.
    let directive = unsafe { &*record.cmd_data.cast::<Directive<M>>() };
    // SAFETY: the pool of the configuration.
    let pool = unsafe { Pool::from_raw(params.pool) };
    // SAFETY: httpd passes a live cmd_parms. In .htaccess, requests would change what other threads read.
    let complaint = unsafe { sys::ap_check_cmd_context(cmd, sys::NOT_IN_HTACCESS) };
    if !complaint.is_null() {
        return complaint;
    }
    // SAFETY: `dir` was made by `create_dir`, and only this thread reads the configuration now.
    let dir = unsafe { &mut *dir.cast::<M::Dir>() };
    // SAFETY: the server of the directive is live.
    let vector = unsafe { (*params.server).module_config };
    // SAFETY: the vector belongs to that server, and the record is ours.
    let server = unsafe { sys::ap_get_module_config(vector, M::record()) };
    // SAFETY: `create_server` made it, and only this thread reads the configuration now.
    let server = unsafe { &mut *server.cast::<M::Server>() };

    let result = guard::run(|| {
        if directive.context == Context::Global {
            // SAFETY: httpd passes a live cmd_parms.
            let complaint = unsafe { sys::ap_check_cmd_context(cmd, sys::GLOBAL_ONLY) };
            // SAFETY: null or a C string in the configuration's pool.
            if let Some(complaint) = unsafe { strings::text(complaint) } {
                return Err(complaint.to_owned());
            }
        }
        // SAFETY: a C string, the rest of the directive's line.
        let line = unsafe { strings::text(line) };
        let values = strings::words(pool, line.ok_or("an argument is not UTF-8 text")?);
        if !(directive.arity.0..=directive.arity.1).contains(&values.len()) {
            let help = directive.help.to_string_lossy();
            return Err(format!("wrong number of arguments ({}); write: {help}", values.len()));
        }
        (directive.set)(server, dir, &Args { values, cmd })
    });
    let complaint = match result.and_then(|result| result) {
        Ok(()) => return ptr::null(),
        Err(complaint) => complaint,
    };
    let name = directive.name.to_string_lossy();
    pool.c_string(format!("{name}: {complaint}")).as_ptr()
}
