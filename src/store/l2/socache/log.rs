//! What stands in for a log where there is none: it tells whether the cache can be reached, and when the highest cutoff
//! has risen, so that sessions are born under it on every host.

use super::engine::{Engine, now};
use crate::clock::{Instant, Timestamp, sleep};
use crate::store::key::Key;
use crate::store::l2::contract::{Event, Log, Mark, NodeReport, NodeWord, Position, Pulse, Unavailable};
use crate::store::l2::workers::Workers;
use std::sync::Arc;
use std::time::Duration;

/// There is one log, and it is always at its beginning.
const IDENTITY: u64 = 1;
/// How long the cache may take to answer.
const ANSWER: Duration = Duration::from_millis(250);
/// The scope of no session.
const NOBODY: Key = Key::new([0; Key::LEN]);

pub(super) struct NoLog {
    engine: Arc<Engine>,
    workers: Arc<Workers>,
    /// The highest cutoff that was told.
    told: Timestamp,
    /// What this node said of itself. Others cannot be heard.
    own: Option<NodeWord>,
}

impl NoLog {
    pub(super) fn new(engine: Arc<Engine>, workers: Arc<Workers>) -> Self {
        NoLog { engine, workers, told: Timestamp::default(), own: None }
    }
}

impl Log for NoLog {
    fn pulse(&mut self, node: &NodeReport, within: Instant) -> Result<Pulse, Unavailable> {
        let engine = Arc::clone(&self.engine);
        self.workers.run(within, move || engine.check())?;
        let now = now();
        self.own = Some(NodeWord { report: node.clone(), at: now });
        let (trimmed, last) = Default::default();
        Ok(Pulse { now, identity: IDENTITY, trimmed, last })
    }

    fn read(
        &mut self,
        position: Position,
        patience: Duration,
    ) -> Result<Vec<(Position, Event)>, Unavailable> {
        sleep(patience);
        let engine = Arc::clone(&self.engine);
        let cutoff = self.workers.run(Instant::now() + ANSWER, move || engine.highest())?;
        if cutoff <= self.told {
            return Ok(Vec::new());
        }
        self.told = cutoff;
        Ok(vec![(position, Event::Marked(Mark { scope: NOBODY, cutoff, until: Timestamp::MAX }))])
    }

    fn marks(&mut self, _within: Instant) -> Result<Vec<Mark>, Unavailable> {
        Ok(Vec::new())
    }

    fn nodes(&mut self, _within: Instant) -> Result<Vec<NodeWord>, Unavailable> {
        Ok(self.own.iter().cloned().collect())
    }

    /// Entries go by themselves when their time is over.
    fn purge(&mut self, _before: Timestamp, _within: Instant) -> Result<(), Unavailable> {
        Ok(())
    }
}
