//! Who may in, and what they may: the steps of a request before it is answered, and the gates that its answer passes.

pub(crate) mod adopt;
pub(crate) mod answers;
pub(crate) mod authz;
pub(crate) mod door;
pub(crate) mod export;
pub(crate) mod expr;
pub(crate) mod fixups;
pub(crate) mod here;
pub(crate) mod kept;
pub(crate) mod name;
pub(crate) mod orders;
pub(crate) mod provider;
pub(crate) mod refusal;
pub(crate) mod rights;
pub(crate) mod sticky;
pub(crate) mod vouched;
