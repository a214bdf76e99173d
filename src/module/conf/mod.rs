//! What was said: the directives, what they set and how inner settings go before outer ones.

pub mod directives;
pub(crate) mod names;
pub mod settings;
