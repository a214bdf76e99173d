//! A virtual host at work: the table and the store that all of them share, and what each needs to answer requests. Made
//! when the server starts (see [`crate::module::start`]); the directives are not looked at here.

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::ffi::util_mutex::{GlobalGuard, GlobalMutex};
use crate::session::cookie::CookieSpec;
use crate::session::ledger::LedgerSecret;
use crate::session::policy::Policy;
use crate::session::realm::Realm;
use crate::session::sessions::Sessions;
use crate::store::l1::{LockError, Table, WriteLock};
use crate::store::pace::Pace;
use crate::store::said::Said;
use crate::store::throttle::Throttle;
use crate::store::tiers::{Budget, Store};
use std::sync::Arc;
use std::time::Duration;

/// The table of this server, with httpd's global mutex as its writers' lock.
pub(crate) type HostTable = Table<'static, HostLock>;

/// httpd's global mutex as the table's lock.
pub(crate) struct HostLock(pub(super) GlobalMutex);

impl HostLock {
    /// How long a login or logout waits for the lock. A writer holds it for microseconds, so a request that waits
    /// longer waits for a process that is stopped, and tells its client so.
    const PATIENCE: Duration = Duration::from_secs(2);

    /// The mutex, for a new child.
    pub(crate) fn mutex(&self) -> &GlobalMutex {
        &self.0
    }
}

impl WriteLock for HostLock {
    type Guard<'a> = GlobalGuard<'a>;

    fn lock(&self) -> Result<Self::Guard<'_>, LockError> {
        self.0.lock(Self::PATIENCE).map_err(LockError)
    }
}

/// The table, and the store of the cluster behind it if there is one.
pub(crate) type HostStore = Store<'static, HostLock>;

/// What all virtual hosts of a server share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// The table, and the store behind it.
    pub(crate) store: Arc<HostStore>,
    /// Who has to wait for their next login.
    pub(crate) throttle: Arc<Throttle<'static>>,
    /// How long it takes to look at a password.
    pub(crate) pace: Pace<'static>,
    /// What was said in the log already.
    pub(crate) said: Arc<Said<'static>>,
    /// What the list of each user's sessions is derived from, if one is kept.
    pub(crate) ledger: Option<LedgerSecret>,
    /// What a request may spend waiting for the store.
    pub(crate) patience: Duration,
}

/// What a virtual host needs to answer requests.
pub struct VirtualHost {
    shared: Shared,
    name: String,
    realm: Realm,
    policy: Policy,
    cookie: CookieSpec,
}

impl VirtualHost {
    /// The virtual host whose realm has that name.
    pub(crate) fn new(shared: Shared, name: String, policy: Policy, cookie: CookieSpec) -> Self {
        let realm = Realm::new(&name);
        VirtualHost { shared, name, realm, policy, cookie }
    }

    /// Its sessions, for a request with that budget.
    pub(crate) fn sessions<'t>(&'t self, budget: &'t Budget) -> Sessions<'t, 'static, HostLock> {
        Sessions::new(&self.shared.store, &self.realm, self.policy, budget)
    }

    /// The time of [`VirtualHost::budget`].
    pub(crate) fn patience(&self) -> Duration {
        self.shared.patience
    }

    /// What a request may spend waiting for the store of the cluster.
    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.shared.patience)
    }

    /// The present instant: by the clock of the cluster's store, or this machine's where there is none.
    pub(crate) fn now(&self) -> Timestamp {
        self.store().now(|| SystemClock.now())
    }

    /// The store, which all virtual hosts share.
    pub(crate) fn store(&self) -> &Arc<HostStore> {
        &self.shared.store
    }

    /// Who has to wait for their next login.
    pub(crate) fn throttle(&self) -> &Throttle<'static> {
        &self.shared.throttle
    }

    /// How long it takes to look at a password.
    pub(crate) fn pace(&self) -> Pace<'static> {
        self.shared.pace
    }

    /// What was said in the log already.
    pub(crate) fn said(&self) -> &Said<'static> {
        &self.shared.said
    }

    /// What the list of each user's sessions is derived from, if one is kept.
    pub(crate) fn ledger(&self) -> Option<&LedgerSecret> {
        self.shared.ledger.as_ref()
    }

    /// The name of its realm.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its realm.
    pub(crate) fn realm(&self) -> &Realm {
        &self.realm
    }

    /// Its session cookie.
    pub(crate) fn cookie(&self) -> &CookieSpec {
        &self.cookie
    }
}
