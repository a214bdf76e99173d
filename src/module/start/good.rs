//! The last good values: what the running server has read, for a restart at which it cannot be read again. Kept from
//! the end of one start to the next, in the process that starts children; wiped when something takes its place, when no
//! directive wants it any more, and when the process ends.
//!
//! The table needs none of this: its memory and its mutex stay over restarts anyway (see [`super::table`]).

use super::stores::Parts;
use crate::ffi::httpd::Server;
use crate::session::ledger::LedgerSecret;
use parking_lot::Mutex;
use std::sync::Once;

/// What a server was started with.
#[derive(Clone)]
pub(super) struct Good {
    pub(super) ledger: Option<LedgerSecret>,
    pub(super) store: GoodStore,
}

/// Where its sessions are.
#[derive(Clone)]
pub(super) enum GoodStore {
    /// In its own table.
    Alone,
    /// In a store that all nodes share: its identity, and what it is made of.
    Shared(u64, Parts),
    /// In a store that could never be opened.
    Never,
}

static GOOD: Mutex<Option<Good>> = Mutex::new(None);

/// What the server was last started with; `None` when this is its start, or the module was not in use.
pub(super) fn before() -> Option<Good> {
    GOOD.lock().clone()
}

/// Keeps what the server is started with.
pub(super) fn keep(main: Server<'_>, good: Good) {
    static ENDS: Once = Once::new();
    ENDS.call_once(|| main.keep_to_the_end(Wipe));
    *GOOD.lock() = Some(good);
}

/// The module is not in use any more.
pub(super) fn forget() {
    *GOOD.lock() = None;
}

struct Wipe;

impl Drop for Wipe {
    fn drop(&mut self) {
        // Not waited for: this may run in the handler of a signal.
        if let Some(mut good) = GOOD.try_lock() {
            *good = None;
        }
    }
}
