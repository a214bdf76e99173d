//! The session that a connection's last request had.

use crate::module::host::VirtualHost;
use crate::session::id::SessionId;
use crate::session::realm::Realm;
use crate::session::sessions::Session;
use constant_time_eq::constant_time_eq;
use std::cell::RefCell;
use std::sync::Arc;

/// The session that the last request on a connection had. A browser sends many requests by one connection, all with the
/// same cookie, and need not have it digested, opened and decoded each time: that it is as it was is seen in the table.
#[derive(Default)]
pub struct Remembered(RefCell<Option<Memory>>);

struct Memory {
    realm: Realm,
    /// Its id, as cookies have it.
    id: String,
    session: Arc<Session>,
}

impl Remembered {
    /// The session, if `cookie` has the id of the last request's, whatever its route. In constant time: other people's
    /// requests may come by the same connection, from a proxy.
    pub(crate) fn recall(&self, host: &VirtualHost, cookie: &[u8]) -> Option<Arc<Session>> {
        let memory = self.0.borrow();
        let memory = memory.as_ref()?;
        let same = constant_time_eq(memory.id.as_bytes(), SessionId::text_in(cookie)?)
            && memory.realm == *host.realm();
        same.then(|| Arc::clone(&memory.session))
    }

    pub(crate) fn remember(&self, host: &VirtualHost, session: &Arc<Session>) {
        *self.0.borrow_mut() = Some(Memory {
            realm: host.realm().clone(),
            id: session.id().to_text(),
            session: Arc::clone(session),
        });
    }
}
