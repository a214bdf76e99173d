//! For administrators: figures, and the power over everybody's sessions.

pub(crate) mod admin;
mod figures;
pub(crate) mod mod_status;
