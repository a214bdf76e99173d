//! The type that stands for this module towards httpd. What it is made of is said in [`super`].

/// The module.
pub struct SessionCluster;
