//! No panic crosses into C: every callback that httpd makes runs in here. A panic is a fault of ours; it costs the
//! request a 500 and the log a line, and the child lives.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Notes where panics happen, in place of the default report on standard error, so that [`run`] can tell. Call
/// once when the module is loaded.
pub fn note_panics() {
    panic::set_hook(Box::new(|info| {
        LAST_PANIC.with(|last| *last.borrow_mut() = Some(info.to_string().replace('\n', ": ")));
    }));
}

/// Runs `body`; a panic becomes an error that says what and where.
pub(super) fn run<R>(body: impl FnOnce() -> R) -> Result<R, String> {
    // Unwind safety: what a panicking callback leaves half done is dropped with its request, or, in the shared
    // table, is marked there and repaired by the next writer.
    panic::catch_unwind(AssertUnwindSafe(body))
        .map_err(|_| LAST_PANIC.with(|last| last.borrow_mut().take()).unwrap_or_else(|| "panic".into()))
}

/// Runs `body`; a panic becomes `fallback`. For places where nothing can be logged.
pub(super) fn quietly<R>(fallback: R, body: impl FnOnce() -> R) -> R {
    run(body).unwrap_or(fallback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_place() {
        assert_eq!(run(|| 7), Ok(7));
        assert!(run(|| -> () { panic!("boom") }).is_err());
        assert_eq!(quietly(3, || panic!("boom")), 3);
    }
}
