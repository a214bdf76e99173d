//! What `httpd -t` looks at: all files, directories, permissions, sizes, mechanisms and modules that a start needs and
//! that can be looked at, so that what it passes starts. Makes and changes nothing; programs that give a secret
//! (`exec:`) are run. What it says holds for the user who asks: who starts httpd as root should ask as root.

use super::{secret, stores, table};
use crate::ffi::httpd::Server;
use crate::module::conf;

/// Whether the module has something to do for this configuration.
pub(super) fn is_in_use(main: Server<'_>) -> bool {
    let config = conf::server(main);
    config.table.get().is_some()
        || config.cluster.store.get().is_some()
        || main.all().any(|server| conf::server(server).in_use)
}

/// Looks at all that a start needs.
///
/// # Errors
/// What is wrong and what to do.
pub(super) fn all(main: Server<'_>) -> Result<(), String> {
    if !is_in_use(main) {
        return Ok(());
    }
    table(main)?;
    secret::ledger(conf::server(main))?;
    let Some(words) = conf::server(main).cluster.store.get() else { return Ok(()) };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    stores::inspect(main, &words).map_err(|e| format!("SC0121: SessionClusterStore: {e}"))
}

/// Looks at what the table needs. A running server has its table already, and would not notice.
///
/// # Errors
/// As [`all`].
pub(super) fn table(main: Server<'_>) -> Result<(), String> {
    let spec = conf::server(main).table.get().cloned().unwrap_or_default();
    table::inspect(main, &spec)
}
