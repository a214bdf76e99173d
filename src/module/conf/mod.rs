//! What was said: the directives, what they set, and how inner settings go before outer ones.

pub mod cache_control;
pub mod directives;
pub(crate) mod exports;
pub(crate) mod names;
mod parsing;
pub(crate) mod questions;
pub mod settings;
pub(crate) mod stores;

use super::session_cluster::SessionCluster;
use crate::ffi::http_config::{dir_config, server_config};
use crate::ffi::httpd::{Request, Server};
use settings::{DirConfig, ServerConfig};

/// The settings of the directory or location that `r` goes to.
pub(crate) fn dir(r: Request<'_>) -> &DirConfig {
    dir_config::<SessionCluster>(r)
}

/// The settings of a virtual host.
pub(crate) fn server(server: Server<'_>) -> &ServerConfig {
    server_config::<SessionCluster>(server)
}
