//! Two requests that change one session, on any two nodes: each looks it up, creates its successor, and asks the store
//! for the place. An answer may be lost, and is asked for again; a process may die between any two steps. There is no
//! grace: a session whose place is taken is over.

use super::search::{Model, Next, Step};
use std::fmt::{Display, Formatter, Result as Written};

/// A rule of the succession that is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wrong {
    /// Who was first is told by the instant of the retirement.
    TheInstantDecides,
    /// The store keeps no name.
    WhoAsksAgainIsNotKnown,
    ThePlaceIsTakenBeforeThereIsASuccessor,
    TheSecondKeepsItsSession,
}

/// What one run explores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changes {
    pub(crate) losses: u8,
    pub(crate) deaths: u8,
    pub(crate) wrong: Option<Wrong>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Request {
    Begun,
    /// Its node found the session alive, perhaps in a table that has not heard.
    Looked,
    Created,
    Told {
        first: bool,
    },
    /// The store did it, or would not, and the answer is lost.
    NotTold,
    HasCookie,
    WasSecond,
    /// Died, or was answered 503.
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    requests: [Request; 2],
    /// Whose successor is in the store.
    sessions: [bool; 2],
    /// Who has the place.
    place: Option<u8>,
    /// The store's clock has moved since the place was taken.
    later: bool,
    losses: u8,
    deaths: u8,
}

pub(crate) const ONE_SUCCESSOR: &str = "S1: two sessions have the place of one";
pub(crate) const SOMEBODY_HAS_IT: &str = "S2: the place is taken, and nobody has a session";

impl Changes {
    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == Some(wrong)
    }

    /// The store's one step: the first who asks has the place.
    fn ask(&self, state: &mut State, who: usize) -> bool {
        let name = who as u8;
        match state.place {
            None => {
                state.place = Some(name);
                true
            }
            Some(_) if self.is(Wrong::TheInstantDecides) => !state.later,
            Some(first) => first == name && !self.is(Wrong::WhoAsksAgainIsNotKnown),
        }
    }

    fn of(&self, who: usize, from: &State, add: &mut impl FnMut(usize, &'static str, State)) {
        let mut state = *from;
        let order = if self.is(Wrong::ThePlaceIsTakenBeforeThereIsASuccessor) {
            [Request::Created, Request::Looked]
        } else {
            [Request::Looked, Request::Created]
        };
        match from.requests[who] {
            Request::Begun => {
                state.requests[who] = order[0];
                add(who, "looks the session up, request", state);
            }
            Request::Looked => {
                state.sessions[who] = true;
                let told = self.is(Wrong::ThePlaceIsTakenBeforeThereIsASuccessor);
                state.requests[who] = if told { Request::Told { first: true } } else { Request::Created };
                add(who, "creates a successor, request", state);
            }
            Request::Created | Request::NotTold => {
                let first = self.ask(&mut state, who);
                let early = self.is(Wrong::ThePlaceIsTakenBeforeThereIsASuccessor) && first;
                state.requests[who] = if early { order[1] } else { Request::Told { first } };
                add(who, "asks for the place, request", state);
                if from.losses > 0 {
                    (state.requests[who], state.losses) = (Request::NotTold, from.losses - 1);
                    add(who, "asks for the place and hears nothing, request", state);
                }
            }
            Request::Told { first: true } => {
                state.requests[who] = Request::HasCookie;
                add(who, "hands out the cookie, request", state);
            }
            Request::Told { first: false } => {
                state.sessions[who] = self.is(Wrong::TheSecondKeepsItsSession);
                state.requests[who] = Request::WasSecond;
                add(who, "ends its own successor, request", state);
            }
            Request::HasCookie | Request::WasSecond | Request::Gone => return,
        }
        if from.deaths > 0 {
            let mut state = *from;
            (state.requests[who], state.deaths) = (Request::Gone, from.deaths - 1);
            add(who, "dies, request", state);
        }
    }

    fn judge(&self, state: &State) -> Option<&'static str> {
        let is = |wanted: Request| state.requests.iter().filter(|request| **request == wanted).count();
        let kept = (0..2).filter(|&who| {
            let over = matches!(state.requests[who], Request::HasCookie | Request::WasSecond);
            over && state.sessions[who]
        });
        let nobody_comes = is(Request::HasCookie) == 0 && is(Request::WasSecond) + is(Request::Gone) == 2;
        // Who died with the answer in hand has told nobody; else there is a session that somebody will be given.
        let taken_by_none = state.place.is_some_and(|first| !state.sessions[usize::from(first)]);
        if kept.count() > 1 {
            Some(ONE_SUCCESSOR)
        } else if taken_by_none && (nobody_comes || is(Request::Gone) > 0) {
            Some(SOMEBODY_HAS_IT)
        } else {
            None
        }
    }
}

impl Model for Changes {
    type State = State;

    fn initial(&self) -> State {
        State {
            requests: [Request::Begun; 2],
            sessions: [false; 2],
            place: None,
            later: false,
            losses: self.losses,
            deaths: self.deaths,
        }
    }

    fn steps(&self, state: &State, next: &mut Vec<Next<State>>) {
        let mut add = |who: usize, what: &'static str, state: State| {
            let step = Step { who: ["node 0", "node 1", "world"][who], what, number: who };
            next.push(Next { step, state, broken: self.judge(&state) });
        };
        for who in 0..2 {
            self.of(who, state, &mut add);
        }
        if state.place.is_some() && !state.later {
            add(2, "the store's clock moves on, by", State { later: true, ..*state });
        }
    }
}

impl Display for State {
    fn fmt(&self, out: &mut Formatter<'_>) -> Written {
        write!(out, "| the place is of {:?}, successors in the store: {:?}", self.place, self.sessions)
    }
}
