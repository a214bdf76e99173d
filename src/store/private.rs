//! Files that hold a secret: read only where nobody else on the host may read or change them, and in memory that is
//! wiped.
//!
//! Links are followed, and what they lead to is judged: Kubernetes and certbot put links in the way. The group may
//! read: keys often belong to root and a group for them (Debian's `ssl-cert`), and a server that is not started by root
//! has no other way.

use rustix::fs::OFlags;
use std::fs::{Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// No secret is larger.
pub const LARGEST: usize = 64 << 10;

/// What is in the file.
///
/// # Errors
/// Why it cannot be read or must not be used, and what to do.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    // A pipe without a writer would be waited for.
    let no_waiting = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(no_waiting).open(path);
    let mut file = file.map_err(|e| wrong(&e))?;
    check(path, &file.metadata().map_err(|e| wrong(&e))?)?;
    // As much room as there may be, so that no copy is left where it grew from.
    let mut contents = Zeroizing::new(Vec::with_capacity(LARGEST + 1));
    file.by_ref().take(LARGEST as u64 + 1).read_to_end(&mut contents).map_err(|e| wrong(&e))?;
    if contents.len() > LARGEST {
        return Err(wrong(&"is larger than 64 KiB, which no secret is"));
    }
    Ok(contents)
}

fn check(path: &Path, metadata: &Metadata) -> Result<(), String> {
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a directory" } else { "no regular file" };
        return Err(format!("{} is {what}: name a file", path.display()));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o027 != 0 {
        return Err(format!(
            "{} is open to others on its host (mode {mode:04o}): chmod g-w,o-rwx {0} (a secret of Docker or \
             Kubernetes: mount it with mode 0400, or 0440 if httpd is not started by root)",
            path.display()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::symlink;

    fn file(directory: &Path, name: &str, mode: u32) -> std::path::PathBuf {
        let path = directory.join(name);
        fs::write(&path, "0123456789abcdef\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_secret_that_others_may_read_or_change_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o400, 0o640, 0o440] {
            assert!(read(&file(directory.path(), "secret", mode)).is_ok(), "{mode:o}");
        }
        for mode in [0o644, 0o604, 0o602, 0o660, 0o444, 0o601] {
            let said = read(&file(directory.path(), "secret", mode)).unwrap_err();
            assert!(said.contains("chmod") && said.contains(&format!("{mode:04o}")), "{said}");
        }
    }

    #[test]
    fn a_link_is_followed_and_what_it_leads_to_is_judged() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        symlink(file(directory.path(), "private", 0o600), &link).unwrap();
        assert!(read(&link).is_ok());
        fs::remove_file(&link).unwrap();
        symlink(file(directory.path(), "open", 0o644), &link).unwrap();
        assert!(read(&link).is_err());
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read(directory.path()).unwrap_err().contains("directory"));
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg("-m").arg("600").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert!(read(&pipe).unwrap_err().contains("regular"));
        assert!(read(&directory.path().join("nowhere")).is_err());
        let large = file(directory.path(), "large", 0o600);
        fs::write(&large, vec![b'x'; LARGEST + 1]).unwrap();
        assert!(read(&large).unwrap_err().contains("larger"));
    }
}
