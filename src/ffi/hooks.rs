//! Hooks: the points of a server's and a request's life where httpd calls modules. Each hook is a trait; registering
//! a type that implements it makes a thunk for it, so that the body of every C function is one guarded call.

use super::ap_expr::{self, ExprFunction};
use super::apr_pools::Pool;
use super::http_config::{self, Module};
use super::httpd::{Outcome, Request, Server, Status};
use super::mod_auth::{AuthzRule, Provider};
use super::util_filter::{self, AnswerGate, AnswerHook};
use super::{guard, http_log, sys};
use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;
use std::ptr;

/// When a hook runs among those of other modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Before all others.
    ReallyFirst,
    /// Early.
    First,
    /// Where most run.
    Middle,
    /// Late.
    Last,
}

impl Order {
    pub(super) const fn raw(self) -> c_int {
        match self {
            Order::ReallyFirst => sys::APR_HOOK_REALLY_FIRST as c_int,
            Order::First => sys::APR_HOOK_FIRST as c_int,
            Order::Middle => sys::APR_HOOK_MIDDLE as c_int,
            Order::Last => sys::APR_HOOK_LAST as c_int,
        }
    }
}

/// What the configuration is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `httpd -t`: to be looked at, by whoever wants to know.
    Test,
    /// Options such as `-S` and `-M`: to be shown.
    Show,
    /// A server is to start.
    Start,
    /// A server that runs is to go on with it.
    Restart,
}

impl Phase {
    fn now() -> Self {
        let ask = |query: u32| {
            // SAFETY: a query without arguments that point anywhere.
            let answer = unsafe { sys::ap_state_query(query as c_int) };
            u32::try_from(answer).unwrap_or_default()
        };
        match (ask(sys::AP_SQ_RUN_MODE), ask(sys::AP_SQ_CONFIG_GEN)) {
            (sys::AP_SQ_RM_CONFIG_TEST, _) => Phase::Test,
            (sys::AP_SQ_RM_CONFIG_DUMP, _) => Phase::Show,
            // A start reads the configuration twice.
            (_, 0 | 1) => Phase::Start,
            _ => Phase::Restart,
        }
    }
}

/// What a server's start goes through.
pub trait Lifecycle {
    /// Before directives are read, when all modules are loaded.
    ///
    /// # Errors
    /// What is wrong; the server then does not start.
    fn pre_config(pconf: Pool<'_>) -> Result<(), String>;
    /// When all directives are read; also for `httpd -t`.
    ///
    /// # Errors
    /// As above. In a restart, this ends the running server.
    fn check_config(server: Server<'_>, phase: Phase) -> Result<(), String>;
    /// Before children are made; not for `httpd -t`, and not in the trial run of a first start.
    ///
    /// # Errors
    /// As above.
    fn post_config(server: Server<'_>, phase: Phase) -> Result<(), String>;
    /// In each new child, before it serves.
    fn child_init(server: Server<'_>, pchild: Pool<'_>);
}

/// A step of a request.
pub trait RequestHook {
    /// Takes the step.
    fn run(r: Request<'_>) -> Outcome;
}

/// A section of mod_status's page.
pub trait StatusHook {
    /// Writes the section; `short`: for machines, one `Name: value` a line.
    fn write(r: Request<'_>, short: bool);
}

/// A module that has hooks.
pub trait Hooked: Module {
    /// Registers them.
    fn register(hooks: &Hooks<'_, Self>);
}

/// Has `M` register its hooks; for its module record.
///
/// # Safety
/// For httpd to call, with the pool of the configuration.
pub unsafe extern "C" fn register<M: Hooked>(pool: *mut sys::apr_pool_t) {
    // SAFETY: httpd passes the pool of the configuration.
    let pool = unsafe { Pool::from_raw(pool) };
    guard::quietly((), || {
        guard::note_panics();
        M::register(&Hooks(pool, PhantomData));
    });
}

/// Registers hooks of `M`; handed to [`Hooked::register`].
pub struct Hooks<'p, M>(Pool<'p>, PhantomData<M>);

impl<'p, M: Module> Hooks<'p, M> {
    /// Names of modules as httpd takes them. It keeps the list until the next configuration is read, and sorts by it
    /// after the call.
    fn names(&self, names: &[&CStr]) -> *const *const c_char {
        let names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).chain([ptr::null()]).collect();
        let names = self.0.place_raw(names);
        // SAFETY: just placed in the configuration's pool.
        unsafe { (*names).as_ptr() }
    }

    /// Registers all of a server's life.
    pub fn lifecycle<L: Lifecycle>(&self) {
        let (no, order) = (ptr::null(), Order::Middle.raw());
        // SAFETY: a thunk of the hook's type, and null lists of modules to come before and after.
        unsafe { sys::ap_hook_pre_config(Some(pre_config::<L>), no, no, order) };
        // SAFETY: as above.
        unsafe { sys::ap_hook_check_config(Some(check_config::<M, L>), no, no, order) };
        // SAFETY: as above.
        unsafe { sys::ap_hook_post_config(Some(post_config::<M, L>), no, no, order) };
        // Threads that begin here use what other modules make in their turn, such as mod_dbd's connections.
        // SAFETY: as above.
        unsafe { sys::ap_hook_child_init(Some(child_init::<M, L>), no, no, Order::Last.raw()) };
    }

    /// When a request's headers are read; `before`: the modules of these source files later.
    pub fn post_read_request<H: RequestHook>(&self, order: Order, before: &[&CStr]) {
        let before = self.names(before);
        // SAFETY: as in `lifecycle`.
        unsafe { sys::ap_hook_post_read_request(Some(request::<M, H>), ptr::null(), before, order.raw()) };
    }

    /// When a request needs to know its user; `after`: the modules of these source files first.
    pub fn check_authn<H: RequestHook>(&self, order: Order, after: &[&CStr]) {
        let after = self.names(after);
        // Subrequests under the same configuration need not be asked again.
        let per_conf = sys::AP_AUTH_INTERNAL_PER_CONF as c_int;
        // SAFETY: as in `lifecycle`.
        unsafe { sys::ap_hook_check_authn(Some(request::<M, H>), after, ptr::null(), order.raw(), per_conf) };
    }

    /// When the user is known, and it is asked whether they may.
    pub fn check_authz<H: RequestHook>(&self, order: Order) {
        let per_conf = sys::AP_AUTH_INTERNAL_PER_CONF as c_int;
        // SAFETY: as in `lifecycle`.
        unsafe {
            sys::ap_hook_check_authz(Some(request::<M, H>), ptr::null(), ptr::null(), order.raw(), per_conf)
        };
    }

    /// When a request may go on, before its handler runs; `before`: the modules of these source files later.
    pub fn fixups<H: RequestHook>(&self, order: Order, before: &[&CStr]) {
        let before = self.names(before);
        // SAFETY: as in `lifecycle`.
        unsafe { sys::ap_hook_fixups(Some(request::<M, H>), ptr::null(), before, order.raw()) };
    }

    /// When a request is answered.
    pub fn handler<H: RequestHook>(&self, order: Order) {
        // SAFETY: as in `lifecycle`.
        unsafe { sys::ap_hook_handler(Some(request::<M, H>), ptr::null(), ptr::null(), order.raw()) };
    }

    /// When a request is over that failed, also one that was refused while it was read; `before`: the modules of these
    /// source files later.
    pub fn log_failure<H: RequestHook>(&self, order: Order, before: &[&CStr]) {
        let before = self.names(before);
        // SAFETY: as in `lifecycle`.
        unsafe {
            sys::ap_hook_log_transaction(Some(failed_request::<M, H>), ptr::null(), before, order.raw())
        };
    }

    /// Adds a meaning of `Require`.
    pub fn authz<R: AuthzRule>(&self) {
        let (group, version) = (sys::AUTHZ_PROVIDER_GROUP.as_ptr(), sys::AUTHZ_PROVIDER_VERSION.as_ptr());
        let (name, table) = (R::NAME.as_ptr(), ptr::from_ref(Provider::<R>::TABLE).cast());
        let per_conf = sys::AP_AUTH_INTERNAL_PER_CONF as c_int;
        // SAFETY: the pool is the configuration's; names and table are constants.
        unsafe {
            sys::ap_register_auth_provider(
                self.0.as_raw(),
                group.cast(),
                name,
                version.cast(),
                table,
                per_conf,
            )
        };
    }

    /// Adds a function to httpd's expressions.
    pub fn expr<F: ExprFunction>(&self) {
        let (no, order) = (ptr::null(), Order::Middle.raw());
        // SAFETY: as in `lifecycle`.
        unsafe { sys::ap_hook_expr_lookup(Some(ap_expr::lookup::<F>), no, no, order) };
    }

    /// Makes a gate known, so that it can be put in the way of answers.
    pub fn gate<G: AnswerGate>(&self) {
        util_filter::register::<M, G>();
    }

    /// When an answer begins; `after`: the modules of these source files first, so that their filters are in place.
    pub fn answers<A: AnswerHook>(&self, after: &[&CStr]) {
        let (no, after, order) = (ptr::null(), self.names(after), Order::Middle.raw());
        // SAFETY: as in `lifecycle`.
        unsafe { sys::ap_hook_insert_filter(Some(util_filter::begins::<A>), after, no, order) };
        // SAFETY: as above.
        unsafe { sys::ap_hook_insert_error_filter(Some(util_filter::fails::<A>), after, no, order) };
    }

    /// Adds a section to mod_status's page, if mod_status is loaded.
    pub fn status<H: StatusHook>(&self) {
        type Thunk = unsafe extern "C" fn(*mut sys::request_rec, c_int) -> c_int;
        let thunk: Thunk = status::<M, H>;
        // SAFETY: optional hooks are registered by name as untyped functions; mod_status calls "status_hook" with
        // exactly this type.
        let untyped = unsafe { std::mem::transmute::<Thunk, unsafe extern "C" fn()>(thunk) };
        let (name, order) = (c"status_hook".as_ptr(), Order::Middle.raw());
        // SAFETY: as above, with null lists of modules to come before and after.
        unsafe { sys::apr_optional_hook_add(name, Some(untyped), ptr::null(), ptr::null(), order) };
    }
}

unsafe extern "C" fn request<M: Module, H: RequestHook>(r: *mut sys::request_rec) -> c_int {
    // SAFETY: httpd passes a live request of this thread.
    let r = unsafe { Request::from_raw(r) };
    guard::run(|| H::run(r))
        .unwrap_or_else(|panic| {
            http_log::panicked::<M>(r, &panic);
            Outcome::Answer(Status::INTERNAL)
        })
        .raw()
}

/// As [`request`], for those that failed: it is called for all, and most must not pay for it.
unsafe extern "C" fn failed_request<M: Module, H: RequestHook>(r: *mut sys::request_rec) -> c_int {
    // SAFETY: httpd passes a live request of this thread.
    if unsafe { (*r).status } < sys::HTTP_BAD_REQUEST as c_int {
        return sys::DECLINED;
    }
    // SAFETY: as above.
    unsafe { request::<M, H>(r) }
}

unsafe extern "C" fn status<M: Module, H: StatusHook>(r: *mut sys::request_rec, flags: c_int) -> c_int {
    // SAFETY: mod_status passes a live request of this thread.
    let r = unsafe { Request::from_raw(r) };
    let short = flags & sys::AP_STATUS_SHORT as c_int != 0;
    if let Err(panic) = guard::run(|| H::write(r, short)) {
        http_log::panicked::<M>(r, &panic);
    }
    sys::OK as c_int
}

unsafe extern "C" fn pre_config<L: Lifecycle>(
    pconf: *mut sys::apr_pool_t,
    _plog: *mut sys::apr_pool_t,
    _ptemp: *mut sys::apr_pool_t,
) -> c_int {
    // SAFETY: httpd passes the configuration's pool.
    let pconf = unsafe { Pool::from_raw(pconf) };
    match guard::run(|| L::pre_config(pconf)).and_then(|result| result) {
        Ok(()) => sys::OK as c_int,
        Err(complaint) => {
            http_log::startup(&complaint);
            sys::HTTP_INTERNAL_SERVER_ERROR as c_int
        }
    }
}

unsafe extern "C" fn check_config<M: Module, L: Lifecycle>(
    _pconf: *mut sys::apr_pool_t,
    _plog: *mut sys::apr_pool_t,
    _ptemp: *mut sys::apr_pool_t,
    s: *mut sys::server_rec,
) -> c_int {
    // SAFETY: httpd passes the main server.
    let s = unsafe { Server::from_raw(s) };
    report::<M>(s, guard::run(|| L::check_config(s, Phase::now())))
}

unsafe extern "C" fn post_config<M: Module, L: Lifecycle>(
    pconf: *mut sys::apr_pool_t,
    _plog: *mut sys::apr_pool_t,
    _ptemp: *mut sys::apr_pool_t,
    s: *mut sys::server_rec,
) -> c_int {
    // SAFETY: a query without arguments that point anywhere.
    if unsafe { sys::ap_state_query(sys::AP_SQ_MAIN_STATE as c_int) }
        == sys::AP_SQ_MS_CREATE_PRE_CONFIG as c_int
    {
        return sys::OK as c_int;
    }
    // SAFETY: httpd passes the main server.
    let s = unsafe { Server::from_raw(s) };
    // SAFETY: httpd passes the configuration's pool.
    let pconf = unsafe { Pool::from_raw(pconf) };
    report::<M>(
        s,
        guard::run(|| {
            http_config::separate::<M>(pconf, s);
            L::post_config(s, Phase::now())
        }),
    )
}

unsafe extern "C" fn child_init<M: Module, L: Lifecycle>(
    pchild: *mut sys::apr_pool_t,
    s: *mut sys::server_rec,
) {
    // SAFETY: httpd passes the child's pool.
    let pchild = unsafe { Pool::from_raw(pchild) };
    // SAFETY: httpd passes the main server.
    let s = unsafe { Server::from_raw(s) };
    if let Err(panic) = guard::run(|| L::child_init(s, pchild)) {
        http_log::panicked_in_server::<M>(s, &panic);
    }
}

fn report<M: Module>(s: Server<'_>, result: Result<Result<(), String>, String>) -> c_int {
    match result.and_then(|result| result) {
        Ok(()) => sys::OK as c_int,
        Err(complaint) => {
            http_log::server::<M>(s, http_log::Level::Error, || complaint);
            sys::HTTP_INTERNAL_SERVER_ERROR as c_int
        }
    }
}
