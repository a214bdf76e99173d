//! The reference, in memory.

use super::store::Store;
use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::store::l2::{Backend, MemoryBackend};
use std::sync::Mutex;
use std::time::Duration;

struct InMemory {
    backend: MemoryBackend,
    now: Mutex<Timestamp>,
}

impl Store for InMemory {
    fn client(&self) -> Box<dyn Backend> {
        Box::new(self.backend.clone())
    }

    fn pass(&self, span: Duration) {
        let mut now = self.now.lock().unwrap();
        *now = now.after(span);
        self.backend.set_now(*now);
    }
}

fn store() -> InMemory {
    let now = Timestamp::from_millis(1_700_000_000_000);
    InMemory { backend: MemoryBackend::new(now), now: Mutex::new(now) }
}

hold_to_the_laws!(store());
