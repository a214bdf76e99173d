//! Marks, and word of the nodes. Both are files that are only added, and of which those that say less than another are
//! removed.
//!
//! `stamps/MS`: that cutoff was given out. A new one is above all that are there, and nobody else's, because only one
//! can make the file. `marks/SCOPE/STAMP-UNTIL`: the scope was marked; the highest cutoff and the latest time count.
//! `nodes/NAME`: what a node says of itself; when it did is when the file was written.
//!
//! Why a cutoff is above all before it: a process that was given one had made its file before. One that begins after
//! that finds it in the list, or a higher one for which it was removed, and takes one above both. Two that list the
//! same try to make the same file, and one of them goes on to the next. A file is removed only a minute after its time,
//! when a higher one is there: a process that listed before that, and could take the same cutoff once more, was given
//! up by its caller long since, and a mark that it makes still only rises.

use super::disk::{self, fault};
use super::shared::{Shared, TRIES, key_of};
use crate::clock::{Instant, Timestamp};
use crate::store::key::Key;
use crate::store::l2::contract::{Event, Mark, NodeReport, NodeWord};
use crate::store::l2::workers::Fault;
use data_encoding::HEXLOWER;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Cutoffs that were given out are kept for so long after a higher one: longer than anybody takes to choose one.
const CHOICE: Duration = Duration::from_secs(60);

/// A node that has said nothing for so long is forgotten.
const SILENT: Duration = Duration::from_secs(86_400);

impl Shared {
    pub(super) fn mark(
        &self,
        scope: &Key,
        cutoff: Option<Timestamp>,
        keep: Duration,
    ) -> Result<Timestamp, Fault> {
        let failed = fault("a mark cannot be stored");
        let now = self.now()?;
        let claimed = self.claim(cutoff, now).map_err(&failed)?;
        let dir = self.scope(scope);
        self.add(&dir, claimed, now.after(keep)).map_err(&failed)?;
        let mark = self.merged(scope, &dir, Timestamp::default()).map_err(&failed)?;
        let mark = mark.ok_or_else(|| Fault::Odd("a mark is gone that was just made".into()))?;
        if mark.cutoff > claimed || mark.until > now.after(keep) {
            // The highest of them may be kept for a shorter time.
            self.add(&dir, mark.cutoff, mark.until).map_err(&failed)?;
        }
        self.tell(&Event::Marked(mark))?;
        // Above it may be one that somebody else has claimed at the same time.
        Ok(if cutoff.is_some() { mark.cutoff } else { claimed })
    }

    pub(super) fn cutoffs(&self, scopes: &[Key]) -> Result<Vec<Option<Timestamp>>, Fault> {
        let failed = fault("marks cannot be read");
        let now = self.now()?;
        let cutoff =
            |scope| self.merged(scope, &self.scope(scope), now).map(|mark| mark.map(|mark| mark.cutoff));
        let cutoffs: Vec<_> = scopes.iter().map(cutoff).collect::<io::Result<_>>().map_err(failed)?;
        // That there is none counts only where there is a store.
        if cutoffs.contains(&None) {
            self.is_there()?;
        }
        Ok(cutoffs)
    }

    pub(super) fn marks(&self) -> Result<Vec<Mark>, Fault> {
        let failed = fault("marks cannot be read");
        let now = self.now()?;
        let scopes = disk::names(&self.disk.root.join("marks")).map_err(&failed)?;
        let scopes = scopes.ok_or_else(|| Fault::Down("the directory of the marks is gone".into()))?;
        let mark = |scope: &Key| self.merged(scope, &self.scope(scope), now).transpose();
        scopes
            .iter()
            .filter_map(|name| key_of(name))
            .filter_map(|scope| mark(&scope))
            .collect::<Result<_, _>>()
            .map_err(failed)
    }

    /// Removes marks whose time is over, those of the scope after that one first, until the time is. Notes how far it
    /// came.
    pub(super) fn purge_marks(&self, now: Timestamp, after: &mut String, until: Instant) -> io::Result<()> {
        let mut scopes = disk::names_if_any(&self.disk.root.join("marks"))?;
        scopes.sort_unstable();
        let from = scopes.partition_point(|scope| scope <= after);
        scopes.rotate_left(from);
        for scope in scopes {
            if Instant::now() >= until {
                break;
            }
            let dir = self.disk.root.join("marks").join(&scope);
            *after = scope;
            let names = disk::names_if_any(&dir)?;
            let over = |name: &&String| parts(name).is_some_and(|(_, until)| until <= now);
            let gone = names
                .iter()
                .filter(over)
                .map(|name| disk::remove(&dir.join(name)))
                .collect::<io::Result<Vec<_>>>()?;
            if gone.len() == names.len() {
                // Unless somebody has marked it just now.
                let _ = std::fs::remove_dir(&dir);
            }
        }
        Ok(())
    }

    pub(super) fn leave_word(&self, node: &NodeReport) -> Result<(), Fault> {
        let path = self.disk.root.join("nodes").join(HEXLOWER.encode(node.name.as_bytes()));
        let text = format!("{}\n{}\n", node.version, node.fingerprint);
        self.disk.replace(&path, text.as_bytes()).map_err(fault("word of this node cannot be left"))
    }

    pub(super) fn nodes(&self) -> Result<Vec<NodeWord>, Fault> {
        let failed = fault("word of the nodes cannot be read");
        let now = self.now()?;
        let dir = self.disk.root.join("nodes");
        let mut words = Vec::new();
        for file in disk::names(&dir).map_err(&failed)?.unwrap_or_default() {
            let path = dir.join(&file);
            let Some((text, metadata)) = disk::read(&path).map_err(&failed)? else { continue };
            let at = disk::modified(&metadata);
            if now.since(at) > SILENT {
                disk::remove(&path).map_err(&failed)?;
            } else if let Some(report) = report(&file, &text) {
                words.push(NodeWord { report, at });
            }
        }
        words.sort_by(|one, other| one.report.name.cmp(&other.report.name));
        Ok(words)
    }

    /// Has a cutoff given out: that one, or one above all so far.
    fn claim(&self, cutoff: Option<Timestamp>, now: Timestamp) -> io::Result<Timestamp> {
        let dir = self.disk.root.join("stamps");
        let given: Vec<u64> =
            disk::names(&dir)?.iter().flatten().filter_map(|name| name.parse().ok()).collect();
        let mut next = match cutoff {
            Some(cutoff) => cutoff.as_millis(),
            None => now.as_millis().max(given.iter().max().map_or(0, |highest| highest + 1)),
        };
        // One that was asked for may have been given out before.
        while !self.disk.mark(&dir.join(next.to_string()))? && cutoff.is_none() {
            next += 1;
        }
        let old = now.before(CHOICE).as_millis().min(next);
        for old in given.into_iter().filter(|given| *given < old) {
            disk::remove(&dir.join(old.to_string()))?;
        }
        Ok(Timestamp::from_millis(next))
    }

    /// Adds a mark to a scope.
    fn add(&self, dir: &Path, cutoff: Timestamp, until: Timestamp) -> io::Result<()> {
        let path = dir.join(format!("{}-{}", cutoff.as_millis(), until.as_millis()));
        let mut tries = 0;
        loop {
            self.disk.directory(dir)?;
            match self.disk.mark(&path) {
                // A purge has taken the empty directory away.
                Err(e) if e.kind() == ErrorKind::NotFound && tries < TRIES => tries += 1,
                added => return added.map(drop),
            }
        }
    }

    /// What the marks of a scope come to, of those that are kept after `now`. Those that say less are removed.
    fn merged(&self, scope: &Key, dir: &Path, now: Timestamp) -> io::Result<Option<Mark>> {
        let names = disk::names(dir)?.unwrap_or_default();
        let kept = || names.iter().filter_map(|name| parts(name)).filter(|(_, until)| *until > now);
        let Some((cutoff, _)) = kept().max() else { return Ok(None) };
        let until = kept().map(|(_, until)| until).max().unwrap_or_default();
        for name in &names {
            if parts(name).is_some_and(|(other, its)| {
                (other < cutoff && its <= until) || (other == cutoff && its < until)
            }) && kept().any(|mark| mark == (cutoff, until))
            {
                disk::remove(&dir.join(name))?;
            }
        }
        Ok(Some(Mark { scope: *scope, cutoff, until }))
    }

    fn scope(&self, scope: &Key) -> PathBuf {
        self.disk.root.join("marks").join(HEXLOWER.encode(scope.as_bytes()))
    }
}

/// `STAMP-UNTIL`.
fn parts(name: &str) -> Option<(Timestamp, Timestamp)> {
    let (cutoff, until) = name.split_once('-')?;
    let ms = |text: &str| text.parse().ok().map(Timestamp::from_millis);
    Some((ms(cutoff)?, ms(until)?))
}

fn report(file: &str, text: &[u8]) -> Option<NodeReport> {
    let name = String::from_utf8(HEXLOWER.decode(file.as_bytes()).ok()?).ok()?;
    let mut lines = std::str::from_utf8(text).ok()?.lines();
    let (version, fingerprint) = (lines.next()?.to_owned(), lines.next()?.to_owned());
    Some(NodeReport { name, fingerprint, version })
}
