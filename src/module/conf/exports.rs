//! What `SessionClusterExport` tells programs and backends, and by what names.

use super::names::{self, Right};
use crate::session::facts::FACTS;
use std::ffi::CString;

/// One thing to export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Fact or attribute.
    pub what: String,
    /// Environment or header.
    pub target: Target,
    /// Name of the variable or header.
    pub name: CString,
}

/// Where something is exported to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The environment of programs.
    Env,
    /// The headers that a backend gets.
    Header,
}

impl Export {
    /// Reads `NAME[=AS]`.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub(super) fn parse(target: Target, word: &str) -> Result<Self, String> {
        let (what, name) = word.split_once('=').map_or((word, None), |(what, name)| (what, Some(name)));
        let what = Right::Attribute.check(what)?.to_owned();
        if !FACTS.contains(&what.as_str()) {
            names::ask(Right::Attribute, &what);
        }
        let name = match (name, target) {
            (Some(name), _) => name.to_owned(),
            (None, Target::Env) => format!("SESSION_{}", what.to_ascii_uppercase().replace(['-', '.'], "_")),
            (None, Target::Header) => format!("X-Session-{}", what.replace(['_', '.'], "-")),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (b == b'-' && target == Target::Header);
        if name.is_empty() || name.len() > 100 || !name.bytes().all(plain) {
            return Err(format!(
                "'{name}' is no name for a variable or header: write letters, digits and _ or -"
            ));
        }
        if target == Target::Env && name.to_ascii_uppercase().starts_with("HTTP_") {
            return Err(format!(
                "'{name}' looks like a header that a client sent: write a name without HTTP_"
            ));
        }
        let name = CString::new(name).map_err(|e| e.to_string())?;
        Ok(Export { what, target, name })
    }
}
