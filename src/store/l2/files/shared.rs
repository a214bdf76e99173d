//! What a store in files and the readers of its log share: the directory, the threads that look into it, and whether it
//! is still the one that was found here first. What is kept in it is in `sessions`, `marks` and `log`.

use super::disk::{self, Disk, fault};
use crate::chance;
use crate::clock::{Instant, Timestamp, sleep};
use crate::store::key::Key;
use crate::store::l2::contract::{Position, Unavailable};
use crate::store::l2::workers::{Fault, Workers};
use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// The version of what is in the directory.
const FORMAT: &str = "mod_session_cluster 1";
/// How often what changes under the reader is looked at again.
pub(super) const TRIES: usize = 4;
/// Between two looks at the log.
const LOOK: Duration = Duration::from_millis(5);
/// Between two looks at the server's clock.
const CLOCK: Duration = Duration::from_secs(1);

/// What a backend and its logs share.
pub(super) struct Shared {
    pub(super) disk: Disk,
    pub(super) workers: Workers,
    /// Tells this store from another one in the same place; known once it was looked at.
    pub(super) identity: Mutex<Option<u64>>,
    pub(super) clock: Mutex<Option<(Instant, Timestamp)>>,
    /// An entry of the log that is, or was, there.
    pub(super) last: AtomicU64,
    /// Where the next purge goes on.
    pub(super) purge: Mutex<Round>,
}

/// How far the rounds through sessions and marks have come.
#[derive(Default)]
pub(super) struct Round {
    /// The directory of sessions. The first is drawn, so that each is looked at even if no process lives for a round.
    pub(super) fan: Option<u16>,
    /// The last session in it that was looked at.
    pub(super) session: String,
    /// The last scope of marks.
    pub(super) scope: String,
}

impl Shared {
    /// Has a worker do something with the store, which is there, or is made.
    pub(super) fn run<R: Send + 'static>(
        self: &Arc<Self>,
        within: Instant,
        work: impl FnOnce(&Shared) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Unavailable> {
        let shared = Arc::clone(self);
        self.workers.run(within, move || {
            shared.identity()?;
            work(&shared)
        })
    }

    /// The same of what changes something: in the store that was found here first, and in no other that is there now.
    pub(super) fn change<R: Send + 'static>(
        self: &Arc<Self>,
        within: Instant,
        work: impl FnOnce(&Shared) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Unavailable> {
        self.run(within, move |store| {
            store.is_there()?;
            work(store)
        })
    }

    /// The identity of the store that was found here first.
    pub(super) fn identity(&self) -> Result<u64, Fault> {
        let mut known = self.identity.lock();
        if let Some(known) = *known {
            return Ok(known);
        }
        let identity = self.open()?;
        *known = Some(identity);
        Ok(identity)
    }

    /// Looks at the directory, and makes a store of it if it is empty.
    fn open(&self) -> Result<u64, Fault> {
        let root = &self.disk.root;
        let failed = |e: io::Error| Fault::Down(format!("{}: {e}", root.display()));
        is_private(root).map_err(Fault::Down)?;
        if let Some(identity) = self.format()? {
            return Ok(identity);
        }
        for part in ["tmp", "sessions", "log", "trimmed", "stamps", "marks", "nodes"] {
            self.disk.directory(&root.join(part)).map_err(failed)?;
        }
        let random = chance::u64().map_err(|e| Fault::Odd(format!("no random number: {e}")))?;
        let text = format!("{FORMAT} {random:016x}\n");
        // The first process makes it.
        self.disk.place(&root.join("format"), text.as_bytes()).map_err(failed)?;
        self.format()?.ok_or_else(|| Fault::Down(format!("{} does not stay as it is", root.display())))
    }

    fn format(&self) -> Result<Option<u64>, Fault> {
        format(&self.disk.root)
    }

    /// That nothing was found counts only where the store is: always true, or a failure.
    pub(super) fn is_there(&self) -> Result<bool, Fault> {
        if self.format()? == Some(self.identity()?) {
            let sessions = fs::metadata(self.disk.root.join("sessions"));
            return sessions.map(|_| true).map_err(fault("the directory of the sessions is gone"));
        }
        Err(Fault::Down(format!(
            "{} is not the store that was there: is it mounted? If it was emptied on purpose, restart httpd on \
             all nodes",
            self.disk.root.display()
        )))
    }

    /// The server's clock.
    pub(super) fn now(&self) -> Result<Timestamp, Fault> {
        let mut clock = self.clock.lock();
        if let Some((at, then)) = *clock
            && at.elapsed() < CLOCK
        {
            return Ok(then.after(at.elapsed()));
        }
        let before = Instant::now();
        let now = self.disk.clock().map_err(fault("the store's clock cannot be read"))?;
        *clock = Some((before, now));
        Ok(now)
    }
}

impl Shared {
    /// Looks for an entry after `position` until then.
    pub(super) fn await_news(&self, position: Position, until: Instant) -> Result<(), Fault> {
        while !self.has_news(position)? {
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                break;
            }
            sleep(rest.min(LOOK));
        }
        Ok(())
    }
}

/// What the directory says that it is; `None` when it says nothing.
fn format(root: &Path) -> Result<Option<u64>, Fault> {
    let path = root.join("format");
    let contents = disk::read(&path).map_err(|e| Fault::Down(format!("{}: {e}", path.display())))?;
    let Some((bytes, _)) = contents else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    let identity = text.strip_prefix(FORMAT).and_then(|rest| u64::from_str_radix(rest.trim(), 16).ok());
    let other = || Fault::Odd(format!("{} is not of a store that this version knows", path.display()));
    identity.map(|identity| Some(identity | 1)).ok_or_else(other)
}

fn is_private(root: &Path) -> Result<(), String> {
    let mode = fs::metadata(root).map_err(|e| format!("{}: {e}", root.display()))?.permissions().mode();
    if mode & 0o007 == 0 {
        return Ok(());
    }
    Err(format!("{} is open to everybody on its host: chmod o-rwx {0}", root.display()))
}

/// Whether the directory can be a store, as far as looking at it tells. Makes nothing. Where this user may not look,
/// nothing is told: to a file server, root may be nobody, and httpd's own user somebody.
pub(super) fn inspect(root: &Path) -> Result<(), String> {
    match fs::read_dir(root).map(drop) {
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => return Ok(()),
        _ => is_private(root)?,
    }
    match format(root) {
        Ok(_) => Ok(()),
        Err(Fault::Down(why) | Fault::Odd(why)) => Err(why),
    }
}

pub(super) fn key_of(hex: &str) -> Option<Key> {
    Some(Key::new(HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()?))
}
