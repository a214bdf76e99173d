//! A visit: what one request of a browser (with its subrequests and internal redirects) has to do with sessions. The
//! cookie is taken out of the request once, the session is looked up at most once, and a new cookie is set at most
//! once.

mod changes;
mod cookie;
mod lookup;
mod notes;
mod private;
mod remembered;
mod state;

pub(crate) use notes::Inquiry;
pub(crate) use remembered::Remembered;
pub(crate) use state::{Known, State, Visit};
