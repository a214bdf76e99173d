//! A disk that is full, or cannot be written to. It is a small one in memory, for which this has to run as root.

use super::*;
use std::process::Command;
use tempfile::TempDir;

struct SmallDisk {
    root: TempDir,
}

impl SmallDisk {
    /// `None`, with a word of it, where this user cannot mount one.
    fn new() -> Option<Self> {
        let root = tempfile::Builder::new().prefix("msc-small-").tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=0700", "msc-small"])
            .arg(root.path())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(SmallDisk { root });
        }
        eprintln!("this user cannot mount a small disk here: not tested");
        None
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount").args(["-o", &options]).arg(self.root.path()).status();
        assert!(status.unwrap().success(), "{options}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.root.path()).status();
    }
}

/// Takes all that is left of the disk.
fn fill(root: &Path) -> PathBuf {
    use std::io::Write;
    let path = root.join("ballast");
    let mut file = File::create(&path).unwrap();
    while file.write_all(&[7; 4096]).is_ok() {}
    path
}

#[test]
fn on_a_full_disk_nothing_is_half_done_and_what_is_there_is_served() {
    let Some(disk) = SmallDisk::new() else { return };
    let root = disk.root.path();
    let client = backend(root, "on");
    let (there, refused, now) = (key(), key(), pulse(&client).now);
    let new = record(there, now, b"payload");
    client.create(&new, soon()).unwrap();
    let (mut log, mut fresh) = (log(&client), log(&client));
    log.pulse(&node(), soon()).unwrap();
    let ballast = fill(root);
    let identity = log.pulse(&node(), soon()).unwrap().identity;
    for _ in 0..3 {
        let said = client.create(&record(refused, now, &[7; 9000]), soon()).unwrap_err();
        assert!(said.0.contains("No space left on device"), "{said}");
        // At once, without a pause after the failure.
        assert_eq!(load(&client, &there), (Stored::Record(metadata(&new)), b"payload".into()));
        let said = client.end(&there, &tombstone(Reason::Logout, now), soon()).unwrap_err();
        assert!(said.0.contains("No space left on device"), "{said}");
        assert_eq!(load(&client, &there).0, Stored::Record(metadata(&new)));
        assert_eq!(load(&client, &refused).0, Stored::Nothing);
    }
    assert_eq!(log.read(Position::default(), Duration::ZERO).unwrap(), []);
    // Who cannot leave word of itself hears the others nevertheless.
    assert_eq!(fresh.pulse(&node(), soon()).map(|pulse| pulse.identity), Ok(identity));
    let left: Vec<_> =
        fs::read_dir(root.join("tmp")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().starts_with("clock-")), "{left:?}");
    fs::remove_file(ballast).unwrap();
    assert_eq!(client.create(&record(refused, now, &[7; 9000]), soon()), Ok(true));
    let mark = tombstone(Reason::Logout, now);
    assert_eq!(client.end(&there, &mark, soon()), Ok(Stored::Record(metadata(&new))));
    assert_eq!(all_events(&client), [Event::Ended { key: there, tombstone: mark }]);
}

#[test]
fn without_inodes_nothing_is_half_done_either() {
    let Some(disk) = SmallDisk::new() else { return };
    let root = disk.root.path();
    let client = backend(root, "off");
    let (there, now) = (key(), pulse(&client).now);
    client.create(&record(there, now, b"payload"), soon()).unwrap();
    disk.remount("nr_inodes=40");
    let mut stored = vec![there];
    let refused = loop {
        let key = key();
        match client.create(&record(key, now, b"payload"), soon()) {
            Ok(true) => stored.push(key),
            refused => break (key, refused.unwrap_err()),
        }
        assert!(stored.len() < 50);
    };
    assert!(refused.1.0.contains("No space left on device"), "{}", refused.1);
    assert_eq!(load(&client, &refused.0).0, Stored::Nothing);
    for key in &stored {
        assert_eq!(load(&client, key).1, b"payload");
    }
    let retired = client.retire(&there, now.after(Duration::from_secs(9)), Reason::Superseded, soon());
    assert!(retired.is_err(), "{retired:?}");
    disk.remount("nr_inodes=1000");
    assert_eq!(client.create(&record(refused.0, now, b"payload"), soon()), Ok(true));
}

#[test]
fn what_cannot_be_written_to_is_unavailable_and_never_absent() {
    let Some(disk) = SmallDisk::new() else { return };
    let client = backend(disk.root.path(), "on");
    let (there, over, now) = (key(), key(), pulse(&client).now);
    let new = record(there, now, b"payload");
    client.create(&new, soon()).unwrap();
    let mark = tombstone(Reason::Logout, now);
    client.end(&over, &mark, soon()).unwrap();
    disk.remount("ro");
    let answers = |key: &Key| {
        client.revive();
        let answer = client.load(key, &mut Vec::new(), soon());
        client.revive();
        answer
    };
    for client in [&client, &backend(disk.root.path(), "on")] {
        let said = client.create(&record(key(), now, b"x"), soon()).unwrap_err();
        assert!(said.0.contains("Read-only file system"), "{said}");
        client.revive();
        let said = client.end(&there, &mark, soon()).unwrap_err();
        assert!(said.0.contains("Read-only file system"), "{said}");
    }
    assert!(answers(&there).is_ok_and(|stored| stored == Stored::Record(metadata(&new))));
    assert!(answers(&over).is_ok_and(|stored| stored == Stored::Tombstone(mark)), "the clock is known yet");
    // When it is not, what would need it cannot be told.
    let later = backend(disk.root.path(), "on");
    assert!(later.load(&over, &mut Vec::new(), soon()).is_err());
    disk.remount("rw");
    client.revive();
    assert_eq!(client.end(&there, &mark, soon()), Ok(Stored::Record(metadata(&new))));
}
