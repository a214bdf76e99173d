//! Sessions over a table in one process, for tests of this floor.

use super::id::SessionId;
use super::payload::{Means, Payload, Principal};
use super::policy::Policy;
use super::realm::Realm;
use super::sessions::{Resumed, Sessions};
use crate::clock::Timestamp;
use crate::store::l1::{Geometry, ProcessLock, Table};
use crate::store::tiers::{Budget, Store};
use crate::store::tombstone::Reason;
use crate::sync::AtomicU64;
use std::time::Duration;

pub(super) const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub(super) fn words() -> (Geometry, Vec<AtomicU64>) {
    let geometry = Geometry::new(2 << 20, 4096).unwrap();
    let words = (0..geometry.words()).map(|_| AtomicU64::new(0)).collect();
    (geometry, words)
}

pub(super) fn budget() -> &'static Budget {
    Box::leak(Box::new(Budget::new(Duration::from_millis(50))))
}

pub(super) fn with_sessions(test: impl FnOnce(&Sessions<'_, '_, ProcessLock>)) {
    with_grace(Policy::default().grace, test);
}

pub(super) fn with_grace(grace: Duration, test: impl FnOnce(&Sessions<'_, '_, ProcessLock>)) {
    let (geometry, words) = words();
    let store = Store::alone(Table::format(&words, ProcessLock::new(), geometry, START));
    test(&Sessions::new(&store, &Realm::new("test"), Policy { grace, ..Policy::default() }, budget()));
}

pub(super) fn alice() -> Payload {
    of("alice")
}

pub(super) fn of(user: &str) -> Payload {
    let means = Means { auth_type: "Session".into(), auth_name: None };
    Payload { principal: Some(Principal { user: user.into(), means, typed: None }), ..Payload::default() }
}

pub(super) fn after(seconds: u64) -> Timestamp {
    START.after(Duration::from_secs(seconds))
}

pub(super) fn found(
    sessions: &Sessions<'_, '_, ProcessLock>,
    id: &SessionId,
    at: u64,
) -> Result<Payload, Option<Reason>> {
    match sessions.resume(id, after(at)).unwrap() {
        Resumed::Found { session, .. } => Ok(session.payload().clone()),
        Resumed::Absent(reason) => Err(reason),
    }
}
