//! Removes what is over: entries of the log, marks, temporary files that a dead process left, and sessions. A bounded
//! piece at a time, as much as can be done in a few milliseconds; the next piece goes on where this one stopped.
//! Several hosts may be at it.
//!
//! Only what was listed is removed, and a directory only when it is empty: what is put there meanwhile stays. In
//! passing, an end that the log was not told of, because its writer died, is told now.

use super::disk::{self, fault};
use super::sessions::{self, FAN, Listing, TOLD};
use super::shared::{Round, Shared, key_of};
use crate::chance;
use crate::clock::{Instant, Timestamp};
use crate::store::key::Key;
use crate::store::l2::contract::Stored;
use crate::store::l2::wire;
use crate::store::l2::workers::Fault;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// How long one purge goes on.
const SPELL: Duration = Duration::from_millis(50);
/// How long a record stays past its deadline, so that it can still be told why it ended.
const AFTERLIFE: Duration = Duration::from_secs(60);
/// What a process left that died is removed after so long.
const LEFT_OVER: Duration = Duration::from_secs(3600);
/// As much of a record or tombstone as says when it is over.
const HEAD: u64 = 44;
/// Directories that sessions lie in.
const FANS: u16 = 1 << (4 * FAN);

impl Shared {
    /// Removes what is over, until about a third of the time is, and 50 ms at most. Does nothing while an earlier one
    /// is stuck.
    pub(super) fn purge(&self, before: Timestamp, within: Instant) -> Result<(), Fault> {
        let Some(mut round) = self.purge.try_lock() else { return Ok(()) };
        let start = Instant::now();
        let spell = SPELL.min(within.saturating_duration_since(start) / 3);
        let now = self.now()?;
        // That something cannot be removed is no reason to believe the store away.
        let failed = |e: io::Error| Fault::Odd(format!("what is over cannot be removed: {e}"));
        self.trim(before, start + spell / 4).map_err(failed)?;
        self.purge_marks(now, &mut round.scope, start + spell / 2).map_err(failed)?;
        self.purge_temporary(now, start + spell / 2).map_err(failed)?;
        self.purge_sessions(now, &mut round, start + spell)
    }

    fn purge_temporary(&self, now: Timestamp, until: Instant) -> io::Result<()> {
        let tmp = self.disk.root.join("tmp");
        for name in disk::names_if_any(&tmp)? {
            let path = tmp.join(name);
            if fs::metadata(&path).is_ok_and(|file| disk::modified(&file).after(LEFT_OVER) <= now) {
                disk::remove(&path)?;
            }
            if Instant::now() >= until {
                break;
            }
        }
        Ok(())
    }

    /// At most one round through all of them.
    fn purge_sessions(&self, now: Timestamp, round: &mut Round, until: Instant) -> Result<(), Fault> {
        let failed = fault("sessions that are over cannot be looked up");
        for _ in 0..=FANS {
            let fan = *round.fan.get_or_insert_with(|| {
                let drawn = chance::u32().unwrap_or_default() % u32::from(FANS);
                u16::try_from(drawn).unwrap_or_default()
            });
            let prefix = format!("{fan:03x}");
            let dir = self.disk.root.join("sessions").join(&prefix);
            let mut names = disk::names_if_any(&dir).map_err(&failed)?;
            names.retain(|name| *name > round.session);
            names.sort_unstable();
            for name in names {
                if Instant::now() >= until {
                    return Ok(());
                }
                let (path, key) = (dir.join(&name), key_of(&format!("{prefix}{name}")));
                // The next purge goes on behind it, also when it cannot be removed.
                round.session = name;
                if let Some(key) = key {
                    self.purge_session(&path, &key, now)?;
                }
            }
            round.fan = Some((fan + 1) % FANS);
            round.session.clear();
            if Instant::now() >= until {
                break;
            }
        }
        Ok(())
    }

    /// Removes a session whose time is over.
    fn purge_session(&self, dir: &Path, key: &Key, now: Timestamp) -> Result<(), Fault> {
        let failed = |e: io::Error| Fault::Odd(format!("a session that is over cannot be removed: {e}"));
        let listing = match sessions::list(dir) {
            Ok(Some(listing)) => listing,
            Ok(None) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Ok(()),
            Err(e) => return Err(failed(e)),
        };
        let mut sealed = Vec::new();
        let head = |name| disk::read_head(&dir.join(name), HEAD).map_err(failed);
        let is_over = if listing.ended {
            let Some((bytes, metadata)) = head("ended")? else { return Ok(()) };
            let Ok(Stored::Tombstone(tombstone)) = wire::read(&bytes, &mut sealed) else { return Ok(()) };
            let is_tidy = metadata.mode() & 0o777 == TOLD && listing.names.len() == 1;
            if tombstone.until > now && !is_tidy && self.tombstone(dir, key)?.is_some() {
                sessions::clear(dir, &listing).map_err(failed)?;
            }
            tombstone.until <= now
        } else if listing.unknown {
            false
        } else if listing.record {
            match head("record")?.map(|(bytes, _)| listing.metadata(&bytes, &mut sealed)) {
                Some(Ok(metadata)) => metadata.deadline.after(AFTERLIFE) <= now,
                _ => false,
            }
        } else {
            match fs::metadata(dir) {
                Ok(metadata) => disk::modified(&metadata).after(LEFT_OVER) <= now,
                Err(e) if e.kind() == io::ErrorKind::NotFound => false,
                Err(e) => return Err(failed(e)),
            }
        };
        if is_over { remove_listed(dir, &listing).map_err(failed) } else { Ok(()) }
    }
}

/// Removes what was there when it was listed. What others have made since, an end or a new session, stays.
fn remove_listed(dir: &Path, listing: &Listing) -> io::Result<()> {
    sessions::clear(dir, listing)?;
    if listing.ended {
        disk::remove(&dir.join("ended"))?;
    }
    match fs::remove_dir(dir) {
        Err(e) if !matches!(e.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::super::backend::FilesBackend;
    use super::super::config::FilesConfig;
    use super::*;
    use crate::store::l2::workers::PlainThreads;
    use crate::store::record::Record;
    use crate::store::tombstone::{Reason, Tombstone};
    use std::sync::Arc;

    #[test]
    fn what_came_since_a_purge_looked_stays() {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let config = FilesConfig { root: root.path().to_owned(), fsync: false };
        let store = FilesBackend::new(&config, Arc::new(PlainThreads)).shared;
        store.identity().unwrap();
        let now = store.now().unwrap();
        let (until, idle) = (now.after(LEFT_OVER), Duration::from_secs(60));
        let tombstone = Tombstone { reason: Reason::Logout, node: 1, at: now, until, ends_line: false };
        // Ended since, and visited, and begun in a directory that somebody had left empty.
        let keys = [1, 2, 3].map(|byte| Key::new([byte; 32]));
        let [ended, visited, begun] = &keys;
        let bytes = keys.map(|key| {
            wire::record(&Record { key, created: now, deadline: now, last_seen: now, idle, sealed: b"x" })
        });
        for (key, bytes) in [ended, visited].into_iter().zip(&bytes) {
            assert_eq!(store.create(key, bytes), Ok(true));
        }
        fs::create_dir_all(store.session(begun)).unwrap();
        let listings = keys.map(|key| sessions::list(&store.session(&key)).unwrap().unwrap());
        store.end(ended, &tombstone).unwrap();
        store.touch(visited, now.after(idle)).unwrap();
        assert_eq!(store.create(begun, &bytes[2]), Ok(true));
        for (key, listing) in keys.iter().zip(&listings) {
            remove_listed(&store.session(key), listing).unwrap();
        }
        let stored = keys.map(|key| store.load(&key, &mut Vec::new()).unwrap());
        assert_eq!(stored[..2], [Stored::Tombstone(tombstone), Stored::Nothing]);
        assert!(matches!(stored[2], Stored::Record(_)));
    }
}
