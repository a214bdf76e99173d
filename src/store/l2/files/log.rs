//! The log: numbered files, `log/THOUSANDS/NUMBER`. A writer places its entry under the number after the last one; when
//! somebody else has just taken that, under the next. So there is no gap, and an order that all agree on; a reader
//! opens one number after the other until there is none.
//!
//! `trimmed/NUMBER` says up to where entries may be gone. It is placed before any is removed, and the largest counts,
//! so that two hosts can purge at a time. A writer that has found a place at or before it, because it was asleep for so
//! long, takes another.

use super::disk::{self, fault};
use super::shared::{Shared, TRIES};
use crate::clock::{Instant, Timestamp};
use crate::store::l2::contract::{Event, Position};
use crate::store::l2::wire;
use crate::store::l2::workers::Fault;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// Entries of a directory.
const THOUSAND: u64 = 1000;

impl Shared {
    /// Writes an entry.
    pub(super) fn tell(&self, event: &Event) -> Result<(), Fault> {
        self.tell_from(self.last()? + 1, event)
    }

    /// Writes an entry under the first number from that one on that nobody has, and that is still read.
    fn tell_from(&self, mut number: u64, event: &Event) -> Result<(), Fault> {
        let failed = fault("the log cannot be written");
        let draft = self.disk.draft(&wire::event(event)).map_err(&failed)?;
        let mut misses = 0;
        loop {
            let path = self.entry(number);
            match draft.place(&path) {
                Ok(true) if number > self.trimmed().map_err(&failed)? => break,
                // Nobody reads there any more.
                Ok(true) => {
                    disk::remove(&path).map_err(&failed)?;
                    number = self.last()? + 1;
                }
                Ok(false) => number += 1,
                Err(e) if e.kind() == ErrorKind::NotFound && misses < TRIES && self.is_there()? => {
                    self.disk.directory(path.parent().unwrap_or(&path)).map_err(&failed)?;
                    misses += 1;
                }
                Err(e) => return Err(failed(e)),
            }
        }
        self.last.store(number, Ordering::Relaxed);
        Ok(())
    }

    /// The number of the last entry; 0 when there was none yet.
    pub(super) fn last(&self) -> Result<u64, Fault> {
        let failed = fault("the log cannot be read");
        let exists = |number: u64| self.entry(number).try_exists().map_err(&failed);
        let mut trimmed = self.trimmed().map_err(&failed)?;
        // Where it was last time, if that is still there: an older state of the directory may have been put back.
        let before = self.last.load(Ordering::Relaxed);
        let mut known = if before > trimmed && exists(before)? { before } else { trimmed };
        loop {
            // There are no gaps: an entry is there exactly if none before it is missing.
            let mut step = 1;
            while exists(known + step)? {
                known += step;
                step *= 2;
            }
            while step > 1 {
                step /= 2;
                if exists(known + step)? {
                    known += step;
                }
            }
            if known > trimmed {
                break;
            }
            // No entry was seen. Either there is none, or they were removed meanwhile, or all of the log is away.
            fs::metadata(self.disk.root.join("log")).map_err(&failed)?;
            trimmed = self.trimmed().map_err(&failed)?;
            if trimmed <= known {
                break;
            }
            known = trimmed;
        }
        self.last.store(known, Ordering::Relaxed);
        Ok(known)
    }

    /// The entries after `position` that are there, at most so many. Fewer mean that there were no more.
    pub(super) fn entries(&self, position: Position, most: usize) -> Result<Vec<(Position, Event)>, Fault> {
        let failed = fault("the log cannot be read");
        let mut entries = Vec::new();
        while entries.len() < most {
            let number = position.major + entries.len() as u64 + 1;
            let Some((bytes, _)) = disk::read(&self.entry(number)).map_err(&failed)? else { break };
            entries.push((Position { major: number, minor: 0 }, wire::read_event(&bytes)));
        }
        let end = position.major + entries.len() as u64;
        if entries.len() < most && end < self.trimmed().map_err(failed)? {
            return Err(Fault::Odd("the log has lost entries that were not read yet".into()));
        }
        Ok(entries)
    }

    /// Whether the entry after `position` is there: a look that costs one call.
    pub(super) fn has_news(&self, position: Position) -> Result<bool, Fault> {
        self.entry(position.major + 1).try_exists().map_err(fault("the log cannot be read"))
    }

    /// Up to where entries may be gone.
    pub(super) fn trimmed(&self) -> io::Result<u64> {
        let numbers = disk::names(&self.disk.root.join("trimmed"))?;
        let numbers = numbers.ok_or_else(|| io::Error::other("its directory trimmed is gone"))?;
        Ok(numbers.iter().filter_map(|name| name.parse().ok()).max().unwrap_or(0))
    }

    /// Removes entries that were written before `before`, until the time is over, and those that somebody else meant
    /// to.
    pub(super) fn trim(&self, before: Timestamp, until: Instant) -> io::Result<()> {
        let first = self.trimmed()?;
        let mut last = first;
        while Instant::now() < until && last - first < THOUSAND {
            match fs::metadata(self.entry(last + 1)) {
                Ok(metadata) if disk::modified(&metadata) < before => last += 1,
                Ok(_) => break,
                Err(e) if e.kind() == ErrorKind::NotFound => break,
                Err(e) => return Err(e),
            }
        }
        if last > first {
            self.disk.mark(&self.disk.root.join("trimmed").join(last.to_string()))?;
            for number in disk::names_if_any(&self.disk.root.join("trimmed"))? {
                if number.parse().is_ok_and(|number: u64| number < last) {
                    disk::remove(&self.disk.root.join("trimmed").join(number))?;
                }
            }
        }
        self.remove_entries(last, until)
    }

    /// Removes the entries up to that one, until the time is over.
    fn remove_entries(&self, last: u64, until: Instant) -> io::Result<()> {
        let log = self.disk.root.join("log");
        for thousand in disk::names_if_any(&log)? {
            let Some(number) = thousand.parse().ok().filter(|number: &u64| *number <= last / THOUSAND) else {
                continue;
            };
            let dir = log.join(thousand);
            for name in disk::names_if_any(&dir)? {
                if Instant::now() >= until {
                    return Ok(());
                }
                if name.parse().is_ok_and(|number: u64| number <= last) {
                    disk::remove(&dir.join(name))?;
                }
            }
            if number < last / THOUSAND {
                // Unless a writer that slept has just put something there.
                let _ = fs::remove_dir(dir);
            }
        }
        Ok(())
    }

    fn entry(&self, number: u64) -> PathBuf {
        self.disk.root.join("log").join((number / THOUSAND).to_string()).join(number.to_string())
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::super::backend::FilesBackend;
    use super::super::config::FilesConfig;
    use super::*;
    use crate::store::key::Key;
    use crate::store::l2::contract::Mark;
    use crate::store::l2::workers::PlainThreads;
    use std::sync::Arc;

    fn marked(cutoff: u64) -> Event {
        let cutoff = Timestamp::from_millis(cutoff);
        Event::Marked(Mark { scope: Key::new([7; 32]), cutoff, until: cutoff })
    }

    #[test]
    fn a_writer_that_slept_through_purges_takes_a_number_that_is_read() {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let config = FilesConfig { root: root.path().to_owned(), fsync: false };
        let store = FilesBackend::new(&config, Arc::new(PlainThreads)).shared;
        store.identity().unwrap();
        for cutoff in 1..=1200 {
            store.tell(&marked(cutoff)).unwrap();
        }
        let soon = Instant::now() + std::time::Duration::from_secs(60);
        while store.trimmed().unwrap() < 1200 {
            store.trim(Timestamp::MAX, soon).unwrap();
        }
        // These numbers, and the directories of some, are free again.
        for (stale, cutoff) in [(3, 2001), (1200, 2002), (1201, 2003), (1201, 2004)] {
            store.tell_from(stale, &marked(cutoff)).unwrap();
        }
        let told = store.entries(Position { major: 1200, minor: 0 }, 500).unwrap();
        let expected =
            (1201..).zip(2001..=2004).map(|(major, cutoff)| (Position { major, minor: 0 }, marked(cutoff)));
        assert_eq!(told, expected.collect::<Vec<_>>());
        assert!(
            !store.entry(3).exists() && !store.entry(1200).exists(),
            "nothing is left where nobody reads"
        );
    }
}
