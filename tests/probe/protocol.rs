//! What a test and the probe say to each other: one operation a request, and what came of it. Each is postcard in
//! base64url. Stores' own types are put in plain ones here, because nothing else sends them over a wire.

use data_encoding::BASE64URL_NOPAD;
use mod_session_cluster::clock::Timestamp;
use mod_session_cluster::store::key::Key;
use mod_session_cluster::store::l2::{Mark, Metadata, NodeReport, NodeWord, Position, Pulse, Stored, wire};
use mod_session_cluster::store::record::Record;
use mod_session_cluster::store::tombstone::{Reason, Tombstone};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An operation, and where it is to be done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// The store is opened with this `prefix=`; without one if it is empty.
    pub(crate) prefix: String,
    /// The number of a client. Each has a store object of its own, as each process has.
    pub(crate) client: u64,
    /// How much time is left.
    pub(crate) left: Duration,
    pub(crate) op: Op,
}

/// A key, a time in milliseconds, a reason's code.
type Bytes = [u8; Key::LEN];

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Op {
    Create {
        key: Bytes,
        created: u64,
        deadline: u64,
        last_seen: u64,
        idle: Duration,
        sealed: Vec<u8>,
    },
    Load(Bytes),
    Retire {
        key: Bytes,
        deadline: u64,
        reason: u8,
    },
    Supersede {
        key: Bytes,
        by: u64,
        deadline: u64,
    },
    End {
        key: Bytes,
        tombstone: Vec<u8>,
    },
    Touch(Vec<(Bytes, u64)>),
    Mark {
        scope: Bytes,
        cutoff: Option<u64>,
        keep: Duration,
    },
    Cutoffs(Vec<Bytes>),
    HasLog,
    Revive,
    /// The client goes, and with it its store object and its readers.
    Leave,
    /// Opens a log under a number that the client chose.
    Log(u64),
    Pulse {
        log: u64,
        name: String,
        fingerprint: String,
        version: String,
    },
    /// The time that is left is the patience.
    Read {
        log: u64,
        position: (u64, u64),
    },
    Marks(u64),
    Nodes(u64),
    Purge {
        log: u64,
        before: u64,
    },
    Close(u64),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done,
    Truth(bool),
    Stored(PlainStored, Vec<u8>),
    /// Whether it was the first, until when the other answers if it is there, and why not.
    Succession(bool, Option<u64>, Option<u8>),
    Cutoffs(Vec<Option<u64>>),
    Pulse {
        now: u64,
        identity: u64,
        trimmed: (u64, u64),
        last: (u64, u64),
    },
    /// Each as the log has it.
    Events(Vec<((u64, u64), Vec<u8>)>),
    Marks(Vec<(Bytes, u64, u64)>),
    Nodes(Vec<(String, String, String, u64)>),
    Unavailable(String),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum PlainStored {
    Record { created: u64, born: u64, deadline: u64, ends_as: u8, idle: Duration, last_seen: u64 },
    Tombstone(Vec<u8>),
    Nothing,
}

/// Text for a form or a page.
pub(crate) fn write(what: &impl Serialize) -> String {
    BASE64URL_NOPAD.encode(&postcard::to_allocvec(what).expect("plain data"))
}

/// What [`write`] made text of.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|e| format!("{e}: {text:.200}"))?;
    postcard::from_bytes(&bytes).map_err(|e| e.to_string())
}

pub(crate) fn time(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

pub(crate) fn reason(code: u8) -> Reason {
    Reason::from_code(code).expect("a code that was sent is one that there is")
}

pub(crate) fn tombstone(bytes: &[u8]) -> Tombstone {
    match wire::read(bytes, &mut Vec::new()) {
        Ok(Stored::Tombstone(tombstone)) => tombstone,
        other => panic!("not a tombstone: {other:?}"),
    }
}

pub(crate) fn plain_record(record: &Record<'_>) -> Op {
    Op::Create {
        key: *record.key.as_bytes(),
        created: record.created.as_millis(),
        deadline: record.deadline.as_millis(),
        last_seen: record.last_seen.as_millis(),
        idle: record.idle,
        sealed: record.sealed.to_vec(),
    }
}

pub(crate) fn plain_position(position: Position) -> (u64, u64) {
    (position.major, position.minor)
}

pub(crate) fn position((major, minor): (u64, u64)) -> Position {
    Position { major, minor }
}

pub(crate) fn plain_pulse(pulse: Pulse) -> Answer {
    Answer::Pulse {
        now: pulse.now.as_millis(),
        identity: pulse.identity,
        trimmed: plain_position(pulse.trimmed),
        last: plain_position(pulse.last),
    }
}

pub(crate) fn plain_mark(mark: &Mark) -> (Bytes, u64, u64) {
    (*mark.scope.as_bytes(), mark.cutoff.as_millis(), mark.until.as_millis())
}

pub(crate) fn mark((scope, cutoff, until): (Bytes, u64, u64)) -> Mark {
    Mark { scope: Key::new(scope), cutoff: time(cutoff), until: time(until) }
}

pub(crate) fn plain_node(word: NodeWord) -> (String, String, String, u64) {
    (word.report.name, word.report.fingerprint, word.report.version, word.at.as_millis())
}

pub(crate) fn node((name, fingerprint, version, at): (String, String, String, u64)) -> NodeWord {
    NodeWord { report: NodeReport { name, fingerprint, version }, at: time(at) }
}

impl From<Stored> for PlainStored {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Record(metadata) => PlainStored::Record {
                created: metadata.created.as_millis(),
                born: metadata.born_deadline.as_millis(),
                deadline: metadata.deadline.as_millis(),
                ends_as: metadata.ends_as.code(),
                idle: metadata.idle,
                last_seen: metadata.last_seen.as_millis(),
            },
            Stored::Tombstone(tombstone) => PlainStored::Tombstone(wire::tombstone(&tombstone)),
            Stored::Nothing => PlainStored::Nothing,
        }
    }
}

impl From<PlainStored> for Stored {
    fn from(stored: PlainStored) -> Self {
        match stored {
            PlainStored::Record { created, born, deadline, ends_as, idle, last_seen } => {
                Stored::Record(Metadata {
                    created: time(created),
                    born_deadline: time(born),
                    deadline: time(deadline),
                    ends_as: reason(ends_as),
                    idle,
                    last_seen: time(last_seen),
                })
            }
            PlainStored::Tombstone(bytes) => Stored::Tombstone(tombstone(&bytes)),
            PlainStored::Nothing => Stored::Nothing,
        }
    }
}
