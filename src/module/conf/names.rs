//! Names of grants and attributes in the configuration: which it gives and which it asks for, so that a misspelt one is
//! found when the server is checked. Collected while directives are read, by whatever reads them; forgotten before the
//! next reading.

use crate::session::rights::is_name;
use parking_lot::Mutex;
use std::collections::BTreeSet;

/// A right that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Right {
    /// Given by `SessionClusterGrant`.
    Grant,
    /// Given by `SessionClusterAttribute`.
    Attribute,
}

impl Right {
    /// The name, if such a right can have it.
    pub(crate) fn check(self, name: &str) -> Result<&str, String> {
        let what = match self {
            Right::Grant => "a grant",
            Right::Attribute => "an attribute",
        };
        is_name(name).then_some(name).ok_or_else(|| {
            format!("'{name}' cannot be the name of {what}: write up to 64 letters, digits, - _ .")
        })
    }
}

#[derive(Default)]
struct Names {
    given: BTreeSet<(Right, String)>,
    asked: BTreeSet<(Right, String)>,
}

static NAMES: Mutex<Option<Names>> = Mutex::new(None);

/// Forgets all names; the configuration is about to be read.
pub(crate) fn forget() {
    *NAMES.lock() = Some(Names::default());
}

/// Notes that the configuration gives `name`.
pub(crate) fn give(right: Right, name: &str) {
    if let Some(names) = &mut *NAMES.lock() {
        names.given.insert((right, name.to_owned()));
    }
}

/// Notes that the configuration asks for `name`.
pub(crate) fn ask(right: Right, name: &str) {
    if let Some(names) = &mut *NAMES.lock() {
        names.asked.insert((right, name.to_owned()));
    }
}

/// The first name that is asked for and not given. Ends the collection: what `.htaccess` files ask for is not known
/// now.
pub(crate) fn missing() -> Option<(Right, String)> {
    let Names { given, asked } = NAMES.lock().take()?;
    asked.difference(&given).next().cloned()
}
