//! Threads for stores that block, started as httpd's children need them.

use crate::ffi::threads;
use crate::store::l2::workers::Spawn;
use std::io;

/// Threads that take none of httpd's signals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpdThreads;

impl Spawn for HttpdThreads {
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        threads::start(name, body).map(drop)
    }
}
