//! How a session comes about: for whom, by whose word, in whose place, and what of an earlier one goes on in it. The
//! front doors translate what they see into these verbs; what follows from it is decided here, without httpd.

use super::id::SessionId;
use super::ledger::LedgerSecret;
use super::payload::Payload;
use super::rights::Rights;
use super::sessions::{Begun, Resumed, Session, SessionError, Sessions};
use crate::clock::Timestamp;
use crate::store::l1::WriteLock;
use crate::store::tombstone::Reason;

/// What is new about a session that takes the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It keeps other data.
    Data,
    /// An application ordered other rights.
    Order,
    /// The user's rights were evaluated anew.
    Rights,
    /// The user's rights were evaluated for the first time: nothing had asked for them before.
    FirstRights,
    /// Somebody vouched for the user anew.
    Login,
}

/// How a session begins.
#[derive(Clone, Copy)]
pub enum Beginning<'a> {
    /// With no session before it.
    Anew {
        /// What it says.
        payload: &'a Payload,
        /// Whether it ends soon unless it is visited.
        probation: bool,
    },
    /// Beside another, for the same login: it ends when that would have.
    Beside {
        /// The other.
        old: &'a Session,
        /// What it says.
        payload: &'a Payload,
    },
    /// In the place of another, which answers on for the grace.
    InPlaceOf {
        /// The other.
        old: &'a Session,
        /// What the new one says.
        payload: &'a Payload,
        /// What is new about it.
        change: Change,
    },
}

/// What a request knows when a session begins in it.
#[derive(Clone, Copy)]
pub struct Occasion<'a> {
    /// What it is born under: the watermark of marks before anybody vouched for the user.
    pub watermark: Timestamp,
    /// The list of logins, if one is kept.
    pub list: Option<&'a LedgerSecret>,
    /// The client's address, and what it says it is.
    pub client: [&'a str; 2],
    /// The present instant.
    pub now: Timestamp,
}

/// A session that has begun.
pub struct Established {
    /// The session, and what it pushed out of the table.
    pub begun: Begun,
    /// Why it is missing in the list of the user's logins. That takes nothing from the login.
    pub unlisted: Option<SessionError>,
    /// Whether the sessions that came with the request were ended for it.
    pub ended_shown: bool,
}

/// By whose word a session begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voucher {
    /// The login form's: it checked a password.
    Form,
    /// Another authentication module's, which checked whatever it checks, on a page of its own.
    Module,
    /// An application's.
    Application,
    /// mod_session's, whose entries may be a login that only their owner understands.
    ModSession,
}

/// What of an earlier session goes on in a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inheritance {
    /// Nothing: the earlier one ends, for its id may be known to others.
    Nothing,
    /// What mod_session keeps; the session itself ends.
    Entries,
    /// All that it says and that is not said anew: the new one takes its place.
    All,
}

impl Voucher {
    /// What a session that says `new` inherits of one that said `old`. Nothing of another person's may pass on.
    #[must_use]
    pub fn inheritance(self, old: &Payload, new: &Payload) -> Inheritance {
        let same = match (&old.principal, &new.principal) {
            (None, _) => true,
            (Some(old), Some(new)) => old.is(new),
            (Some(_), None) => false,
        };
        match self {
            // Somebody else may have planted a session that is nobody's, and what is in it.
            Voucher::Module if same && (old.principal.is_some() || logs_in_within_session(new)) => {
                Inheritance::All
            }
            Voucher::Application if same => Inheritance::Entries,
            _ => Inheritance::Nothing,
        }
    }

    /// Whether a client must show the session before long: one that keeps no cookies would leave one behind with each
    /// request.
    const fn is_on_probation(self) -> bool {
        matches!(self, Voucher::Module)
    }

    /// What ended the sessions that came with the request.
    const fn reason(self) -> Reason {
        match self {
            Voucher::ModSession => Reason::Logout,
            Voucher::Form | Voucher::Module | Voucher::Application => Reason::Replaced,
        }
    }
}

/// Whether a user logged in within a session of mod_session's, as those of mod_auth_form do: it keeps name and password
/// there, beside all else, and looks at both for each page.
fn logs_in_within_session(new: &Payload) -> bool {
    new.principal.as_ref().is_some_and(|principal| principal.means.auth_type.eq_ignore_ascii_case("form"))
}

/// The sessions that came with a request.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The one that counts, if there is one.
    pub session: Option<&'a Session>,
    /// All ids that cookies have.
    pub ids: &'a [SessionId],
}

impl Session {
    /// Whether a change of that kind may start from this session. Not once another took its place: rights may have been
    /// taken with that, and must not come back by a change that comes late. Where there are no rights, data may still
    /// change, and rights that are evaluated now may still come, by a login or because something asks for them.
    ///
    /// # Errors
    /// [`SessionError::Superseded`] if it may not.
    pub fn permits(&self, change: Change) -> Result<(), SessionError> {
        if self.is_superseded() && !self.takes_any(change) { Err(SessionError::Superseded) } else { Ok(()) }
    }

    /// Whether a change of that kind may win although another did: so that requests which a browser sends at once keep
    /// what each of them says. There are no rights that the other can have taken, and those that come are evaluated
    /// now. Not an order of an application: what it gives, the other may have been told not to.
    fn takes_any(&self, change: Change) -> bool {
        matches!(change, Change::Data | Change::Login | Change::FirstRights)
            && self.payload().rights == Rights::default()
    }
}

impl<L: WriteLock> Sessions<'_, '_, L> {
    /// Begins a session, and enters it into the list of the user's logins if it is one. `None` if another request has
    /// taken the place of the old session first: then all stays as it is.
    ///
    /// # Errors
    /// When it was not stored: nobody may be given its id.
    pub fn establish(
        &self,
        beginning: Beginning<'_>,
        occasion: Occasion<'_>,
    ) -> Result<Option<Established>, SessionError> {
        let Occasion { watermark, list, client, now } = occasion;
        let (watermark, auth_time) = (watermark.as_millis(), now.as_millis());
        let (begun, is_login) = match beginning {
            Beginning::Anew { payload, probation } => {
                let payload =
                    Payload { born_under: watermark, fresh_under: watermark, auth_time, ..payload.clone() };
                (self.begin(&payload, probation, now)?, true)
            }
            Beginning::Beside { old, payload } => {
                let payload = Payload { born_under: watermark, ..payload.clone() };
                (self.renew(old, &payload, now)?, true)
            }
            Beginning::InPlaceOf { old, payload, change } => {
                let mut payload = payload.clone();
                if change == Change::Login {
                    (payload.auth_time, payload.fresh_under) = (auth_time, watermark);
                }
                if change != Change::Data {
                    self.carry_marks(old, &mut payload)?;
                }
                let superseded = old.permits(change).and_then(|()| match old.takes_any(change) {
                    true => self.supersede_too(old, &payload, now),
                    false => self.supersede(old, &payload, now),
                });
                match superseded {
                    // The first change wins, and the browser has its cookie.
                    Err(SessionError::Superseded) => return Ok(None),
                    begun => (begun?, old.payload().principal.is_none()),
                }
            }
        };
        let unlisted = match (list, &begun.session.payload().principal) {
            (Some(list), Some(principal)) if is_login => {
                self.enter(list, &begun.session, principal, client, now).err()
            }
            _ => None,
        };
        Ok(Some(Established { begun, unlisted, ended_shown: false }))
    }

    /// Signs in whom `payload` names, by the word of `voucher`. `from`: the session that counts where that happened,
    /// whose owner may be the same. Of the sessions that came with the request, all that do not go on in the new one
    /// are ended: their ids may be known to others. `None` as in [`Sessions::establish`].
    ///
    /// # Errors
    /// When an end or the new session was not stored.
    pub fn sign_in(
        &self,
        voucher: Voucher,
        payload: Payload,
        from: Option<&Session>,
        shown: Shown<'_>,
        occasion: Occasion<'_>,
    ) -> Result<Option<Established>, SessionError> {
        let inheritance = from.map(|old| (old, voucher.inheritance(old.payload(), &payload)));
        if let Some((old, Inheritance::All)) = inheritance {
            let Payload { principal, rights, headers, .. } = payload;
            let payload = Payload { principal, rights, headers, ..old.payload().clone() };
            let change = Change::Login;
            return self.establish(Beginning::InPlaceOf { old, payload: &payload, change }, occasion);
        }
        let payload = match inheritance {
            Some((old, Inheritance::Entries)) => {
                Payload { entries: old.payload().entries.clone(), ..payload }
            }
            _ => payload,
        };
        // A module authenticates each page: where there was no session, there is nothing to end.
        let ended_shown = voucher != Voucher::Module || shown.session.is_some();
        if ended_shown {
            self.end_shown(shown, voucher.reason(), occasion.now)?;
        }
        let probation = voucher.is_on_probation();
        let established = self.establish(Beginning::Anew { payload: &payload, probation }, occasion)?;
        Ok(established.map(|established| Established { ended_shown, ..established }))
    }

    /// Ends every session that came with a request.
    ///
    /// # Errors
    /// When an end was not stored, or nobody could tell of a session: it may go on.
    pub fn end_shown(&self, shown: Shown<'_>, reason: Reason, now: Timestamp) -> Result<(), SessionError> {
        if let Some(session) = shown.session {
            self.end(session, reason, now)?;
        }
        for id in shown.ids {
            if let Resumed::Found { session, .. } = self.resume(id, now)? {
                self.end(&session, reason, now)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
