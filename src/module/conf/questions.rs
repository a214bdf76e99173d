//! What is asked at a login: grants of authz providers, and attributes of expressions.

use crate::ffi::ap_expr::Expr;
use crate::ffi::mod_auth::Requirement;
use crate::session::rights::digest;
use std::sync::Arc;

/// What `SessionClusterGrant` and `SessionClusterAttribute` ask at a login.
#[derive(Clone, Default)]
pub struct Questions {
    /// `SessionClusterGrant`, line by line. Of lines for the same name, one yes is enough.
    pub grants: Vec<Arc<Grant>>,
    /// `SessionClusterAttribute`, line by line. Lines for the same name make a list.
    pub attributes: Vec<Arc<Value>>,
    /// What tells these questions from others: see [`digest`].
    pub digest: u64,
}

impl Questions {
    /// Notes the words of one more line, of a grant or of an attribute.
    pub fn note(&mut self, kind: &str, words: &[&str]) {
        self.digest = digest(self.digest, &[&[kind], words].concat());
    }
}

/// A question that an authz provider answers with yes or no.
pub struct Grant {
    /// What is granted.
    pub name: String,
    /// By which answer.
    pub requirement: Requirement,
}

/// A value that an expression gives.
pub struct Value {
    /// Name of the attribute.
    pub name: String,
    /// What gives its value.
    pub expr: Expr,
    /// What separates the values of a list; `None` for one value.
    pub separators: Option<String>,
    /// Whether it can only be told where a password was just checked.
    pub only_at_login: bool,
}
