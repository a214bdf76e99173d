//! A directory that the nodes share.

use super::super::chaos::Torment;
use super::{Kind, hold_to_the_laws_of_a_cluster};
use harness::is_root;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A directory in one that can be read, as that of a mount point is.
pub(in super::super) struct Directory {
    _place: TempDir,
    root: PathBuf,
}

impl Directory {
    pub(in super::super) fn new() -> Self {
        let place = tempfile::Builder::new().prefix("msc-store-").tempdir().unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        let root = place.path().join("sessions");
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, Permissions::from_mode(0o700)).unwrap();
        if is_root() {
            let chown = Command::new("chown").arg("www-data:www-data").arg(&root).status();
            assert!(chown.expect("chown(1) is needed").success());
        }
        Directory { _place: place, root }
    }

    fn elsewhere(&self) -> PathBuf {
        self.root.with_extension("elsewhere")
    }
}

impl Torment for Directory {
    fn ways(&self) -> usize {
        3
    }

    /// As when the file server is gone: nothing is there, or an empty mount point, or nothing may be read.
    fn begin(&self, way: usize) {
        if way == 2 {
            return fs::set_permissions(&self.root, Permissions::from_mode(0o000)).unwrap();
        }
        fs::rename(&self.root, self.elsewhere()).unwrap();
        if way == 1 {
            fs::create_dir(&self.root).unwrap();
        }
    }

    fn end(&self) {
        if self.elsewhere().exists() {
            let _ = fs::remove_dir(&self.root);
            fs::rename(self.elsewhere(), &self.root).unwrap();
        }
        fs::set_permissions(&self.root, Permissions::from_mode(0o700)).unwrap();
    }
}

impl Kind for Directory {
    fn words(&self) -> String {
        format!("file:{}", self.root.display())
    }
}

hold_to_the_laws_of_a_cluster!(Directory::new());
