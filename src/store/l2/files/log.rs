//! The log: numbered files, `log/THOUSANDS/NUMBER`. A writer places its entry under the number after the last one; when somebody else
//! has just taken that, under the next. So there is no gap, and an order that all agree on; a reader opens one number after the
//! other until there is none.
//!
//! `trimmed/NUMBER` says up to where entries may be gone. It is placed before any is removed, and the largest counts, so that two
//! hosts can purge at a time. A writer that has found a place at or before it, because it was asleep for so long, takes another.

use super::Shared;
use super::disk::{self, fault};
use crate::clock::Timestamp;
use crate::store::l2::workers::Fault;
use crate::store::l2::{BATCH, Event, Position, wire};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Entries of a directory.
const THOUSAND: u64 = 1000;

impl Shared {
    /// Writes an entry.
    pub(super) fn tell(&self, event: &Event) -> Result<(), Fault> {
        let failed = fault("the log cannot be written");
        let entry = wire::event(event);
        let mut number = self.last()? + 1;
        loop {
            match self.disk.place(&self.entry(number), &entry) {
                Ok(true) if number > self.trimmed().map_err(&failed)? => break,
                // Nobody reads there any more.
                Ok(true) => number = self.last()? + 1,
                Ok(false) => number += 1,
                Err(e) if e.kind() == ErrorKind::NotFound && self.is_there()? => {
                    let path = self.entry(number);
                    self.disk.directory(path.parent().unwrap_or(&path)).map_err(&failed)?;
                }
                Err(e) => return Err(failed(e)),
            }
        }
        self.last.fetch_max(number, Ordering::Relaxed);
        Ok(())
    }

    /// The number of the last entry; 0 when there was none yet.
    pub(super) fn last(&self) -> Result<u64, Fault> {
        let failed = fault("the log cannot be read");
        let exists = |number: u64| self.entry(number).try_exists().map_err(&failed);
        // There are no gaps: an entry is there exactly if none before it is missing.
        let mut known = self.last.load(Ordering::Relaxed).max(self.trimmed().map_err(&failed)?);
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
        self.last.fetch_max(known, Ordering::Relaxed);
        Ok(known)
    }

    /// The entries after `position` that are there.
    pub(super) fn entries(&self, position: Position) -> Result<Vec<(Position, Event)>, Fault> {
        let failed = fault("the log cannot be read");
        let mut entries = Vec::new();
        while entries.len() < BATCH {
            let number = position.major + entries.len() as u64 + 1;
            let Some((bytes, _)) = disk::read(&self.entry(number)).map_err(&failed)? else { break };
            entries.push((Position { major: number, minor: 0 }, wire::read_event(&bytes)));
        }
        if entries.is_empty() && position.major < self.trimmed().map_err(failed)? {
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
        Ok(numbers.iter().flatten().filter_map(|name| name.parse().ok()).max().unwrap_or(0))
    }

    /// Removes entries that were written before `before`, until the time is over.
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
            let earlier = disk::names(&self.disk.root.join("trimmed"))?.into_iter().flatten();
            for number in earlier.filter(|name| name.parse().is_ok_and(|number: u64| number < last)) {
                disk::remove(&self.disk.root.join("trimmed").join(number))?;
            }
        }
        for number in first + 1..=last {
            disk::remove(&self.entry(number))?;
            if number % THOUSAND == THOUSAND - 1
                && let Some(full) = self.entry(number).parent()
            {
                // What another host had not removed yet keeps it for now.
                let _ = fs::remove_dir(full);
            }
        }
        Ok(())
    }

    fn entry(&self, number: u64) -> PathBuf {
        self.disk.root.join("log").join((number / THOUSAND).to_string()).join(number.to_string())
    }
}
