//! The store in a database, over mod_dbd's connections of the main server.

use super::threads::HttpdThreads;
use crate::ffi::httpd::Server;
use crate::ffi::mod_dbd::{self, Connections};
use crate::ffi::threads;
use crate::ffi::util_cfgtree;
use crate::store::l2::dbd::{Connection, Database, DbdBackend, DbdConfig, Rows};
use std::sync::Arc;

/// The store by that description; nothing is connected yet.
///
/// # Errors
/// When mod_dbd is not loaded.
pub(crate) fn open(main: Server<'_>, config: &DbdConfig) -> Result<DbdBackend, String> {
    let connections = Connections::of(main).ok_or(NO_MODULE)?;
    Ok(DbdBackend::new(config, Arc::new(ModDbd(connections)), Arc::new(HttpdThreads)))
}

/// Whether mod_dbd is there and knows of a database. For check_config.
///
/// # Errors
/// What to do if it is not.
pub(crate) fn check(main: Server<'_>) -> Result<(), String> {
    Connections::of(main).ok_or(NO_MODULE)?;
    if util_cfgtree::stands_in_main_server("DBDriver") { Ok(()) } else { Err(NO_DRIVER.into()) }
}

const NO_DRIVER: &str = "a store in a database needs to know which: say DBDriver and DBDParams, in the main server and \
                         outside of all sections";
const NO_MODULE: &str = "a store in a database needs mod_dbd: load it, and say DBDriver and DBDParams";

struct ModDbd(Connections);

impl Database for ModDbd {
    fn open(&self) -> Result<Box<dyn Connection + '_>, String> {
        match self.0.open() {
            Some(connection) => Ok(Box::new(connection)),
            None => {
                Err("mod_dbd has no connection (it says why in a line of its own; without one, there is no \
                         DBDriver or DBDParams in the main server)"
                    .into())
            }
        }
    }

    /// mod_dbd's pool of connections aborts a process in which one of them is out, or waits for ever for one that is
    /// just being made. Neither would do more of what is left to be done than this.
    fn stop(&self) {
        if self.0.are_in_use() {
            threads::leave();
        }
    }
}

impl Connection for mod_dbd::Connection<'_> {
    fn driver(&self) -> String {
        mod_dbd::Connection::driver(self)
    }

    fn execute(&mut self, statement: &str) -> Result<u64, String> {
        mod_dbd::Connection::execute(self, statement)
    }

    fn select(&mut self, statement: &str) -> Result<Rows, String> {
        mod_dbd::Connection::select(self, statement)
    }
}
