//! How records, tombstones and log entries are written in a store: a version byte, a kind byte, then fields of fixed
//! width, big-endian, so that an engine's own scripts can read and move single fields. Bytes of another version are
//! refused, and so never taken for an absent session.
//!
//! | | 0 | 1 | 2 | 3 | 4 | 12 | 20 | 28 | 36 | 44 |
//! |---|---|---|---|---|---|---|---|---|---|---|
//! | record | version | `R` | ends as | 0 | created | born deadline | deadline | idle, ms | last seen | payload |
//! | tombstone | version | `T` | reason | ends a line | at | until | node (2 bytes) | | | |
//!
//! A record whose session has a successor is of kind `S`, with the successor's number in 8 bytes behind the payload.
//!
//! A log entry: version, kind (`T` ended, `R` retired, `M` marked), key (32 bytes), and then of the tombstone all from
//! its byte 2 on; or reason and deadline; or cutoff and until.

use crate::clock::Timestamp;
use crate::store::key::Key;
use crate::store::l2::contract::{Event, Mark, Metadata, Stored};
use crate::store::record::Record;
use crate::store::succession::Successor;
use crate::store::tombstone::{Reason, Tombstone};
use std::time::Duration;

/// The version of the format.
pub const VERSION: u8 = 1;

const RECORD: u8 = b'R';
/// A record whose session has a successor. A kind of its own, so that a version of the module which does not know of
/// successors refuses it as unreadable, and takes no successor for payload.
const SUPERSEDED: u8 = b'S';
const TOMBSTONE: u8 = b'T';
const MARK: u8 = b'M';

/// Bytes were written by another version of this module, or by something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store holds something that this version of the module cannot read")]
pub struct Unreadable;

/// A record, as stored.
#[must_use]
pub fn record(record: &Record<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(44 + record.sealed.len());
    bytes.extend([VERSION, RECORD, Reason::Lifetime.code(), 0]);
    let idle = u64::try_from(record.idle.as_millis()).unwrap_or(u64::MAX);
    for field in [
        record.created.as_millis(),
        record.deadline.as_millis(),
        record.deadline.as_millis(),
        idle,
        record.last_seen.as_millis(),
    ] {
        bytes.extend(field.to_be_bytes());
    }
    bytes.extend(record.sealed);
    bytes
}

/// A record that was stored before, as it stands now.
#[must_use]
pub fn stored_record(metadata: &Metadata, successor: Option<Successor>, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(52 + payload.len());
    let kind = if successor.is_some() { SUPERSEDED } else { RECORD };
    bytes.extend([VERSION, kind, metadata.ends_as.code(), 0]);
    let idle = u64::try_from(metadata.idle.as_millis()).unwrap_or(u64::MAX);
    let [created, born, deadline, seen] =
        [metadata.created, metadata.born_deadline, metadata.deadline, metadata.last_seen]
            .map(Timestamp::as_millis);
    for field in [created, born, deadline, idle, seen] {
        bytes.extend(field.to_be_bytes());
    }
    bytes.extend(payload);
    if let Some(successor) = successor {
        bytes.extend(successor.number().to_be_bytes());
    }
    bytes
}

/// Who has the place of the session that is stored so, if it is a record and somebody has.
#[must_use]
pub fn successor(bytes: &[u8]) -> Option<Successor> {
    match bytes {
        [VERSION, SUPERSEDED, ..] => {
            bytes.last_chunk().and_then(|last| Successor::from_number(u64::from_be_bytes(*last)))
        }
        _ => None,
    }
}

/// A tombstone, as stored.
#[must_use]
pub fn tombstone(tombstone: &Tombstone) -> Vec<u8> {
    let mut bytes = vec![VERSION, TOMBSTONE];
    put_tombstone(&mut bytes, tombstone);
    bytes
}

/// Reads what is stored under a key; the payload of a record replaces what `sealed` holds.
///
/// # Errors
/// When the bytes are of another version, or damaged.
pub fn read(bytes: &[u8], sealed: &mut Vec<u8>) -> Result<Stored, Unreadable> {
    let mut fields = Fields(bytes);
    sealed.clear();
    match fields.bytes()? {
        [VERSION, kind @ (RECORD | SUPERSEDED)] => {
            let [reason, _] = fields.bytes()?;
            let metadata = Metadata {
                ends_as: Reason::from_code(reason).ok_or(Unreadable)?,
                created: fields.timestamp()?,
                born_deadline: fields.timestamp()?,
                deadline: fields.timestamp()?,
                idle: Duration::from_millis(fields.number()?),
                last_seen: fields.timestamp()?,
            };
            let payload = match kind {
                SUPERSEDED => fields.0.split_last_chunk::<8>().ok_or(Unreadable)?.0,
                _ => fields.0,
            };
            sealed.extend_from_slice(payload);
            Ok(Stored::Record(metadata))
        }
        [VERSION, TOMBSTONE] => Ok(Stored::Tombstone(fields.tombstone()?)),
        _ => Err(Unreadable),
    }
}

/// A log entry. [`Event::Unknown`] cannot be written; it gives nothing.
#[must_use]
pub fn event(event: &Event) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    match event {
        Event::Ended { key, tombstone } => {
            bytes.push(TOMBSTONE);
            bytes.extend(key.as_bytes());
            put_tombstone(&mut bytes, tombstone);
        }
        Event::Retired { key, deadline, reason } => {
            bytes.push(RECORD);
            bytes.extend(key.as_bytes());
            bytes.push(reason.code());
            bytes.extend(deadline.as_millis().to_be_bytes());
        }
        Event::Marked(Mark { scope, cutoff, until }) => {
            bytes.push(MARK);
            bytes.extend(scope.as_bytes());
            bytes.extend(cutoff.as_millis().to_be_bytes());
            bytes.extend(until.as_millis().to_be_bytes());
        }
        Event::Unknown => bytes.clear(),
    }
    bytes
}

/// Reads a log entry. What another version wrote is [`Event::Unknown`].
#[must_use]
pub fn read_event(bytes: &[u8]) -> Event {
    known_event(bytes).unwrap_or(Event::Unknown)
}

fn known_event(bytes: &[u8]) -> Result<Event, Unreadable> {
    let mut fields = Fields(bytes);
    let head = fields.bytes()?;
    let key = Key::new(fields.bytes()?);
    match head {
        [VERSION, TOMBSTONE] => Ok(Event::Ended { key, tombstone: fields.tombstone()? }),
        [VERSION, RECORD] => {
            let [reason] = fields.bytes()?;
            let reason = Reason::from_code(reason).ok_or(Unreadable)?;
            Ok(Event::Retired { key, deadline: fields.timestamp()?, reason })
        }
        [VERSION, MARK] => {
            let (cutoff, until) = (fields.timestamp()?, fields.timestamp()?);
            Ok(Event::Marked(Mark { scope: key, cutoff, until }))
        }
        _ => Err(Unreadable),
    }
}

fn put_tombstone(bytes: &mut Vec<u8>, tombstone: &Tombstone) {
    bytes.extend([tombstone.reason.code(), u8::from(tombstone.ends_line)]);
    bytes.extend(tombstone.at.as_millis().to_be_bytes());
    bytes.extend(tombstone.until.as_millis().to_be_bytes());
    bytes.extend(tombstone.node.to_be_bytes());
}

/// The bytes that have not been read yet.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Unreadable)?;
        self.0 = rest;
        Ok(*field)
    }

    fn number(&mut self) -> Result<u64, Unreadable> {
        self.bytes().map(u64::from_be_bytes)
    }

    fn timestamp(&mut self) -> Result<Timestamp, Unreadable> {
        self.number().map(Timestamp::from_millis)
    }

    fn tombstone(&mut self) -> Result<Tombstone, Unreadable> {
        let [reason, ends_line] = self.bytes()?;
        Ok(Tombstone {
            reason: Reason::from_code(reason).ok_or(Unreadable)?,
            ends_line: ends_line != 0,
            at: self.timestamp()?,
            until: self.timestamp()?,
            node: self.bytes().map(u16::from_be_bytes)?,
        })
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn mark() -> Tombstone {
        Tombstone { reason: Reason::Logout, node: 513, at: AT, until: AT, ends_line: true }
    }

    #[test]
    fn the_format_is_what_the_table_above_says() {
        let key = Key::new([7; 32]);
        let idle = Duration::from_secs(1);
        let new = Record { key, created: AT, deadline: AT, last_seen: AT, idle, sealed: b"x" };
        let bytes = record(&new);
        assert_eq!((bytes.len(), bytes[0], bytes[1], bytes[2], bytes[44]), (45, 1, b'R', 3, b'x'));
        assert_eq!(bytes[28..36], 1000u64.to_be_bytes());
        let Ok(Stored::Record(metadata)) = read(&bytes, &mut Vec::new()) else { panic!("not a record") };
        let superseded = stored_record(&metadata, Successor::from_number(0x102), b"x");
        assert_eq!((superseded.len(), superseded[1], &superseded[2..45]), (53, b'S', &bytes[2..]));
        assert_eq!(superseded[45..], 0x102u64.to_be_bytes());
        let bytes = tombstone(&mark());
        assert_eq!((bytes.len(), bytes[1], bytes[2], bytes[3]), (22, b'T', 1, 1));
        assert_eq!(bytes[20..22], [2, 1]);
        let ended = event(&Event::Ended { key, tombstone: mark() });
        assert_eq!((&ended[..2], &ended[2..34], &ended[34..]), (&b"\x01T"[..], &[7; 32][..], &bytes[2..]));
    }

    #[test]
    fn another_version_is_unreadable_and_not_absent() {
        let mut sealed = Vec::new();
        let mut bytes = tombstone(&mark());
        assert_eq!(read(&bytes, &mut sealed), Ok(Stored::Tombstone(mark())));
        bytes[0] = 2;
        assert_eq!(read(&bytes, &mut sealed), Err(Unreadable));
        assert_eq!(read(&[], &mut sealed), Err(Unreadable));
        assert_eq!(read_event(&[2, b'T']), Event::Unknown);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(key: [u8; 32], ms in 0u64..1 << 48, code in 1u8..9, node: u16, ends_line: bool) {
            let (key, at) = (Key::new(key), Timestamp::from_millis(ms));
            let reason = Reason::from_code(code).unwrap();
            let tombstone = Tombstone { reason, node, at, until: at, ends_line };
            for written in [
                Event::Ended { key, tombstone },
                Event::Retired { key, deadline: at, reason },
                Event::Marked(Mark { scope: key, cutoff: at, until: at }),
            ] {
                prop_assert_eq!(read_event(&event(&written)), written);
            }
        }

        #[test]
        fn what_was_read_can_be_written_again(
            ms in 0u64..1 << 48,
            payload in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let (key, at) = (Key::new([7; 32]), Timestamp::from_millis(ms));
            let idle = Duration::from_secs(1);
            let new = Record { key, created: AT, deadline: at, last_seen: at, idle, sealed: &payload };
            let (bytes, mut sealed) = (record(&new), Vec::new());
            let Ok(Stored::Record(metadata)) = read(&bytes, &mut sealed) else { panic!("not a record") };
            prop_assert_eq!(stored_record(&metadata, None, &sealed), bytes);
            let successor = Successor::of(&key);
            let bytes = stored_record(&metadata, Some(successor), &sealed);
            prop_assert_eq!(super::successor(&bytes), Some(successor));
            let mut again = Vec::new();
            prop_assert_eq!(read(&bytes, &mut again), Ok(Stored::Record(metadata)));
            prop_assert_eq!(again, sealed);
        }

        #[test]
        fn noise_is_never_more_than_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (read(&bytes, &mut Vec::new()), read_event(&bytes));
        }
    }
}
