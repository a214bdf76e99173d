//! What a store in a database and the readers of its log share: the database, the names of its tables, and the threads
//! that wait for it.

use super::client::{self, Access, Client, Database};
use super::error::DbdError;
use crate::clock::Instant;
use crate::store::l2::contract::Unavailable;
use crate::store::l2::workers::Workers;
use std::sync::Arc;

/// What a backend and its logs share.
pub(super) struct Shared {
    pub(super) database: Arc<dyn Database>,
    pub(super) prefix: Arc<str>,
    pub(super) workers: Workers,
}

impl Shared {
    /// Has an operation done by a thread that can wait.
    pub(super) fn run<R: Send + 'static>(
        &self,
        access: Access,
        within: Instant,
        work: impl Fn(&mut Client<'_>) -> Result<R, DbdError> + Send + 'static,
    ) -> Result<R, Unavailable> {
        let (database, prefix) = (Arc::clone(&self.database), Arc::clone(&self.prefix));
        self.workers.run(within, move || client::work(&*database, &prefix, access, within, work))
    }
}
