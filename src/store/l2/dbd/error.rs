//! Why the database did not do what it was asked, as a type, so that what is done about it never goes by the words of a
//! message. The words of a driver are looked at here, where they come in, and nowhere else.

use crate::chance;

/// How SQLite's driver says that somebody has made a table, of any name, since the last statement.
const SCHEMA_CHANGED: &str = "schema has changed";

/// Why a statement, or an operation made of some, failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DbdError {
    /// The driver or the database refused, in these words.
    #[error("{0}")]
    Refused(String),
    /// SQLite's driver takes it for an error, once, that a table was made. The same statement then succeeds.
    #[error("{0}")]
    SchemaChanged(String),
    /// A row is not as it should be: another version wrote it, or somebody changed the tables.
    #[error("the tables hold something that this version of the module cannot read")]
    Unreadable,
    /// The database answered something that says neither yes nor no.
    #[error("{0}")]
    Unexpected(&'static str),
    /// The system gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(#[from] chance::Error),
}

impl DbdError {
    /// What the words of a driver mean.
    pub(super) fn of_driver(said: String) -> Self {
        if said.contains(SCHEMA_CHANGED) { DbdError::SchemaChanged(said) } else { DbdError::Refused(said) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_changed_is_told_from_every_other_refusal() {
        let said = |words: &str| DbdError::of_driver(words.into());
        assert_eq!(
            said("database schema has changed"),
            DbdError::SchemaChanged("database schema has changed".into())
        );
        // Also a driver that says the very words of ours.
        let ours = DbdError::Unreadable.to_string();
        assert_eq!(said(&ours), DbdError::Refused(ours.clone()));
        assert_eq!(said("database is locked"), DbdError::Refused("database is locked".into()));
    }
}
