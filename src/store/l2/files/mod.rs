//! A store in the files of a directory, on this host or on a file server that all nodes share. There is no lock and no
//! lock file: everything is a file that is added or removed as a whole (`disk`), and a reader merges what is there
//! (`sessions`, `marks`, and `log`, which all nodes read). Made for file systems where making a file, a directory or a
//! hard link is one step for all hosts, as it is on NFS.
//!
//! Every call is made by a thread that may hang with the file server; see `workers`.

mod backend;
mod config;
mod disk;
mod log;
mod marks;
mod mounts;
mod purge;
mod sessions;
mod shared;

pub use backend::FilesBackend;
pub use config::FilesConfig;
