//! A store in files.

use super::store::Store;
use mod_session_cluster::store::l2::Backend;
use mod_session_cluster::store::l2::files::{FilesBackend, FilesConfig};
use mod_session_cluster::store::l2::workers::PlainThreads;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A directory of its own.
pub(crate) struct InFiles {
    pub(crate) root: TempDir,
    fsync: &'static str,
}

impl InFiles {
    pub(crate) fn new(fsync: &'static str) -> Self {
        let root = tempfile::Builder::new().prefix("msc-files-").tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o700)).unwrap();
        InFiles { root, fsync }
    }

    pub(crate) fn backend(&self) -> FilesBackend {
        backend(self.root.path(), self.fsync)
    }
}

pub(crate) fn backend(root: &Path, fsync: &str) -> FilesBackend {
    let config = FilesConfig::parse(&[&format!("file:{}", root.display()), &format!("fsync={fsync}")]);
    FilesBackend::new(&config.unwrap(), Arc::new(PlainThreads))
}

impl Store for InFiles {
    fn client(&self) -> Box<dyn Backend> {
        Box::new(self.backend())
    }

    fn pass(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

mod lasting {
    use super::*;

    hold_to_the_laws!(InFiles::new("on"));
}

mod quick {
    use super::*;

    hold_to_the_laws!(InFiles::new("off"));
}
