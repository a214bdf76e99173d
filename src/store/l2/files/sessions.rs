//! A session is a directory, and what happens to it are files in it, which are only ever added:
//!
//! | file | says |
//! |---|---|
//! | `record` | the record, as `wire` describes it. Placed once |
//! | `ended` | the tombstone. Placed once; the first one wins. Its owner cannot write to it once the log tells of it |
//! | `ends-DEADLINE-REASON` | empty: the deadline was moved earlier. The earliest counts |
//! | `superseded` | who has the session's place, and until when it answers. Placed once; the first one has it |
//! | `seen-TIME` | empty: a visit. The latest counts |
//!
//! So no lock is needed: a reader merges what is there. A create places the record and then looks for a tombstone; an
//! end places the tombstone and then looks for a record: of two that race, at least one sees the other.

use super::disk::{self, fault};
use super::shared::{Shared, TRIES};
use crate::clock::Timestamp;
use crate::store::key::Key;
use crate::store::l2::contract::{Event, Metadata, Stored};
use crate::store::l2::wire;
use crate::store::l2::workers::Fault;
use crate::store::succession::{Succession, Successor};
use crate::store::tombstone::{Reason, Tombstone};
use data_encoding::HEXLOWER;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What the directory of a session says beside the contents of its files.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) record: bool,
    pub(super) ended: bool,
    /// Until when it answers since another has its place, and which one has.
    pub(super) superseded: Option<(Timestamp, Successor)>,
    /// The earliest of the deadlines that it was given.
    pub(super) ends: Option<(Timestamp, Reason)>,
    pub(super) seen: Option<Timestamp>,
    /// There is something else, perhaps of a newer version of this module.
    pub(super) unknown: bool,
    pub(super) names: Vec<String>,
}

/// Permissions of an `ended` that the log tells of.
pub(super) const TOLD: u32 = 0o400;

impl Shared {
    pub(super) fn create(&self, key: &Key, record: &[u8]) -> Result<bool, Fault> {
        let failed = fault("a session cannot be stored");
        let dir = self.session(key);
        let path = dir.join("record");
        for _ in 0..TRIES {
            self.disk.directory(&dir).map_err(&failed)?;
            let placed = match self.disk.place(&path, record) {
                // A purge has taken the empty directory away.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && self.is_there()? => continue,
                placed => placed.map_err(&failed)?,
            };
            let listing = self.listing(&dir)?.unwrap_or_default();
            if listing.ended {
                if self.tombstone(&dir, key)?.is_none() {
                    continue;
                }
                if placed {
                    disk::remove(&path).map_err(&failed)?;
                }
                return Ok(false);
            }
            if placed && listing.record {
                return Ok(true);
            }
            // The same bytes are those of a second try, for keys are random.
            if let Some((there, _)) = disk::read(&path).map_err(&failed)? {
                return Ok(there == record);
            }
        }
        Err(unsettled())
    }

    pub(super) fn load(&self, key: &Key, sealed: &mut Vec<u8>) -> Result<Stored, Fault> {
        let failed = fault("a session cannot be read");
        let dir = self.session(key);
        for _ in 0..TRIES {
            let Some(listing) = self.listing(&dir)? else { return Ok(Stored::Nothing) };
            if listing.ended {
                match self.tombstone(&dir, key)? {
                    Some(tombstone) => return Ok(Stored::Tombstone(tombstone)),
                    None if listing.unknown => return Err(unknown()),
                    None if listing.record => {}
                    None => return Ok(Stored::Nothing),
                }
            } else if !listing.record {
                // A writer died and left it so; or this is not the directory of the store.
                self.is_there()?;
                return Ok(Stored::Nothing);
            } else if let Some((bytes, _)) = disk::read(&dir.join("record")).map_err(&failed)? {
                return Ok(Stored::Record(listing.metadata(&bytes, sealed)?));
            }
        }
        Err(unsettled())
    }

    pub(super) fn retire(&self, key: &Key, deadline: Timestamp, reason: Reason) -> Result<Stored, Fault> {
        let failed = fault("a session's deadline cannot be moved");
        let stored = self.load(key, &mut Vec::new())?;
        let Stored::Record(metadata) = stored else { return Ok(stored) };
        let dir = self.session(key);
        if deadline < metadata.deadline {
            let name = format!("ends-{}-{}", deadline.as_millis(), reason.code());
            match self.disk.mark(&dir.join(name)) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && self.is_there()? => {
                    return Ok(Stored::Nothing);
                }
                marked => marked.map_err(failed)?,
            };
        } else if (deadline, reason) != (metadata.deadline, metadata.ends_as) {
            return Ok(stored);
        }
        // Also when it stood so before: the writer of that may have died before it told the log.
        self.tell(&Event::Retired { key: *key, deadline, reason })?;
        self.load(key, &mut Vec::new())
    }

    pub(super) fn supersede(
        &self,
        key: &Key,
        by: Successor,
        deadline: Timestamp,
    ) -> Result<Succession, Fault> {
        let failed = fault("a session cannot be superseded");
        let (dir, reason) = (self.session(key), Reason::Superseded);
        for _ in 0..TRIES {
            // The name first: what is loaded then knows of it.
            let taken = list(&dir).map_err(&failed)?.and_then(|listing| listing.superseded);
            let stored = self.load(key, &mut Vec::new())?;
            let Stored::Record(metadata) = stored else { return Ok(stored.succession(false)) };
            // Of one that was superseded by another version of this module, or is said again to be, nobody is named.
            if taken.is_none() && metadata.ends_as != reason {
                let word = [by.number(), deadline.min(metadata.deadline).as_millis()];
                let word: Vec<u8> = word.into_iter().flat_map(u64::to_be_bytes).collect();
                match self.disk.place(&dir.join(SUPERSEDED), &word) {
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => drop(self.is_there()?),
                    placed => drop(placed.map_err(&failed)?),
                }
                // Whose name it is now, the next look tells.
                continue;
            }
            let succession = stored.succession(taken.is_some_and(|(_, first)| first == by));
            if let Succession::First(deadline) | Succession::Second(deadline) = succession {
                // By the second one, too: the first may have died before it told the log.
                self.tell(&Event::Retired { key: *key, deadline, reason })?;
            }
            return Ok(succession);
        }
        Err(unsettled())
    }

    pub(super) fn end(&self, key: &Key, tombstone: &Tombstone) -> Result<Stored, Fault> {
        let failed = fault("the end of a session cannot be stored");
        let dir = self.session(key);
        for _ in 0..TRIES {
            self.disk.directory(&dir).map_err(&failed)?;
            let placed = match self.disk.place(&dir.join("ended"), &wire::tombstone(tombstone)) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && self.is_there()? => continue,
                placed => placed.map_err(&failed)?,
            };
            let listing = list(&dir).map_err(&failed)?.unwrap_or_default();
            let before =
                if listing.record { disk::read(&dir.join("record")).map_err(&failed)? } else { None };
            // The log is told in any case, also of an earlier one. One whose time was over is gone.
            let Some(there) = self.tombstone(&dir, key)? else { continue };
            clear(&dir, &listing).map_err(&failed)?;
            return match before {
                _ if !placed => Ok(Stored::Tombstone(there)),
                _ if listing.unknown => Err(unknown()),
                Some((record, _)) => listing.metadata(&record, &mut Vec::new()).map(Stored::Record),
                None => Ok(Stored::Nothing),
            };
        }
        Err(unsettled())
    }

    pub(super) fn touch(&self, key: &Key, at: Timestamp) -> Result<(), Fault> {
        let failed = fault("a visit cannot be noted");
        let dir = self.session(key);
        let Some(listing) = self.listing(&dir)? else { return Ok(()) };
        if !listing.record || listing.ended || listing.seen >= Some(at) {
            return Ok(());
        }
        // What a power loss takes back of it is told again, or ends a session early.
        match self.disk.note(&dir.join(format!("seen-{}", at.as_millis()))) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && self.is_there()? => return Ok(()),
            marked => marked.map_err(&failed)?,
        };
        let earlier = |name: &&String| matches!(word(name), Some(Word::Seen(seen)) if seen < at);
        listing
            .names
            .iter()
            .filter(earlier)
            .try_for_each(|name| disk::remove(&dir.join(name)))
            .map_err(failed)
    }

    /// The tombstone in that directory, which the log tells of from now on; `None` when its time is over, and it is
    /// gone.
    pub(super) fn tombstone(&self, dir: &Path, key: &Key) -> Result<Option<Tombstone>, Fault> {
        let failed = fault("the end of a session cannot be read");
        let path = dir.join("ended");
        let Some((bytes, metadata)) = disk::read(&path).map_err(&failed)? else { return Ok(None) };
        let Ok(Stored::Tombstone(tombstone)) = wire::read(&bytes, &mut Vec::new()) else {
            return Err(unreadable());
        };
        if tombstone.until <= self.now()? {
            let listing = list(dir).map_err(&failed)?.unwrap_or_default();
            clear(dir, &listing).and_then(|()| disk::remove(&path)).map_err(&failed)?;
            return Ok(None);
        }
        if metadata.mode() & 0o777 != TOLD {
            self.tell(&Event::Ended { key: *key, tombstone })?;
            match fs::set_permissions(&path, Permissions::from_mode(TOLD)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
                _ => {}
            }
        }
        Ok(Some(tombstone))
    }

    /// What the directory of a session says; `None` when there is none, and the store is there to say so.
    fn listing(&self, dir: &Path) -> Result<Option<Listing>, Fault> {
        let failed = fault("a session cannot be looked up");
        let listing = match list(dir).map_err(&failed)? {
            None if self.is_there()? => list(dir).map_err(failed)?,
            listing => listing,
        };
        match listing {
            // A tombstone wins over whatever there may be.
            Some(listing) if listing.unknown && !listing.ended => Err(unknown()),
            listing => Ok(listing),
        }
    }

    /// The directory of a session.
    pub(super) fn session(&self, key: &Key) -> PathBuf {
        let hex = HEXLOWER.encode(key.as_bytes());
        let (fan, rest) = hex.split_at(FAN);
        self.disk.root.join("sessions").join(fan).join(rest)
    }
}

/// The file that says who has a session's place.
const SUPERSEDED: &str = "superseded";

/// Hex digits of a key that name the directory which its own lies in.
pub(super) const FAN: usize = 3;

impl Listing {
    /// What is known of a record of these bytes.
    pub(super) fn metadata(&self, bytes: &[u8], sealed: &mut Vec<u8>) -> Result<Metadata, Fault> {
        let Ok(Stored::Record(mut metadata)) = wire::read(bytes, sealed) else { return Err(unreadable()) };
        if let Some((deadline, reason)) = self.ends.filter(|(deadline, _)| *deadline < metadata.deadline) {
            (metadata.deadline, metadata.ends_as) = (deadline, reason);
        }
        if let Some((until, _)) = self.superseded.filter(|(until, _)| *until <= metadata.deadline) {
            (metadata.deadline, metadata.ends_as) = (until, Reason::Superseded);
        }
        metadata.last_seen = metadata.last_seen.max(self.seen.unwrap_or_default());
        Ok(metadata)
    }
}

/// What the file says; `None` for something that this version of the module cannot read.
fn successor(bytes: &[u8]) -> Option<(Timestamp, Successor)> {
    let (by, until) = bytes.split_first_chunk()?;
    let until = u64::from_be_bytes(until.try_into().ok()?);
    Some((Timestamp::from_millis(until), Successor::from_number(u64::from_be_bytes(*by))?))
}

enum Word {
    Record,
    Ended,
    Superseded,
    Ends(Timestamp, Reason),
    Seen(Timestamp),
}

fn word(name: &str) -> Option<Word> {
    let ms = |text: &str| text.parse().ok().map(Timestamp::from_millis);
    match name {
        "record" => Some(Word::Record),
        "ended" => Some(Word::Ended),
        SUPERSEDED => Some(Word::Superseded),
        _ => match name.split_once('-')? {
            ("seen", at) => ms(at).map(Word::Seen),
            ("ends", rest) => {
                let (at, reason) = rest.split_once('-')?;
                Some(Word::Ends(ms(at)?, Reason::from_code(reason.parse().ok()?)?))
            }
            _ => None,
        },
    }
}

pub(super) fn list(dir: &Path) -> std::io::Result<Option<Listing>> {
    let Some(names) = disk::names(dir)? else { return Ok(None) };
    let mut listing = Listing::default();
    for name in &names {
        match word(name) {
            Some(Word::Record) => listing.record = true,
            Some(Word::Ended) => listing.ended = true,
            // An end may have taken it away since, but then the record first.
            Some(Word::Superseded) => {
                if let Some((bytes, _)) = disk::read(&dir.join(name))? {
                    listing.superseded = successor(&bytes);
                    listing.unknown |= listing.superseded.is_none();
                }
            }
            Some(Word::Seen(at)) => listing.seen = listing.seen.max(Some(at)),
            Some(Word::Ends(at, reason)) => {
                let earlier =
                    |(known, as_known): (Timestamp, Reason)| (at, reason.code()) < (known, as_known.code());
                if listing.ends.is_none_or(earlier) {
                    listing.ends = Some((at, reason));
                }
            }
            None => listing.unknown = true,
        }
    }
    listing.names = names;
    Ok(Some(listing))
}

/// Removes what was listed and is of no use beside a tombstone. The record first, so that no death on the way gives it
/// back what it had lost.
pub(super) fn clear(dir: &Path, listing: &Listing) -> std::io::Result<()> {
    if listing.record {
        disk::remove(&dir.join("record"))?;
    }
    let rest = |name: &&String| matches!(word(name), Some(Word::Ends(..) | Word::Superseded | Word::Seen(_)));
    listing.names.iter().filter(rest).try_for_each(|name| disk::remove(&dir.join(name)))
}

fn unreadable() -> Fault {
    Fault::Odd(wire::Unreadable.to_string())
}

fn unknown() -> Fault {
    Fault::Odd("a session's directory holds something that this version of the module cannot read".into())
}

fn unsettled() -> Fault {
    Fault::Odd("a session changed again and again while it was looked at".into())
}
