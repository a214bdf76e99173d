//! Where a row plays: a directory that its httpds share, and what keeps its sessions.

use crate::stores::Store;
use harness::apxs;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What must be installed for a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    /// `mod_NAME.so`.
    Module(&'static str),
    /// A program.
    Program(&'static str),
    /// A driver of APR for databases.
    Driver(&'static str),
}

impl Need {
    /// What is not installed, in words; `None` if it is.
    pub(crate) fn missing(self) -> Option<String> {
        match self {
            Need::Module(name) => {
                let file = format!("mod_{name}.so");
                (!Path::new(&apxs("LIBEXECDIR")).join(&file).exists()).then_some(file)
            }
            Need::Program(name) => program(name).is_none().then(|| name.to_owned()),
            Need::Driver(name) => {
                let file = format!("apr_dbd_{name}.so");
                drivers().is_none_or(|directory| !directory.join(&file).exists()).then_some(file)
            }
        }
    }
}

/// A program in `PATH`, or where Debian keeps those of servers.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// Where APR keeps its drivers.
fn drivers() -> Option<PathBuf> {
    let output = Command::new("apu-1-config").arg("--libdir").output().ok();
    let said = output.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let libraries = fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let places = [PathBuf::from(said.trim())].into_iter().chain(libraries);
    places.map(|place| place.join("apr-util-1")).find(|place| place.is_dir())
}

pub(crate) struct Scene {
    directory: TempDir,
    pub(crate) store: Option<Box<dyn Store>>,
}

impl Scene {
    pub(crate) fn new(store: Option<Box<dyn Store>>) -> Self {
        let directory = tempfile::Builder::new().prefix("msc-strategies-").tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        Scene { directory, store }
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// Writes a file that httpd may read.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A path in a directory that belongs to httpd's user, and to nobody else.
    pub(crate) fn own(&self, name: &str) -> String {
        let path = self.path(name);
        if !Path::new(&path).exists() {
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
            if harness::is_root() {
                let done = Command::new("chown").args(["-R", "www-data:www-data", &path]).status().unwrap();
                assert!(done.success(), "chown {path}");
            }
        }
        path
    }

    /// The address of the store. While a configuration is only looked at, nobody is there yet.
    pub(crate) fn address(&self) -> String {
        self.store.as_ref().map_or("redis://127.0.0.1:1".to_owned(), |store| store.address())
    }

    /// The address without what stands before `//`: `HOST:PORT`.
    pub(crate) fn host(&self) -> String {
        let address = self.address();
        address.split_once("//").map_or(address.clone(), |(_, host)| host.to_owned())
    }
}
