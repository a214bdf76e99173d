//! Breadth-first search over all states that can be reached. The first violation it meets has a shortest trace.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::{Display, Formatter, Result as Written, Write};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::time::Instant;

/// One step of a trace.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) who: &'static str,
    pub(crate) what: &'static str,
    /// A key, or how many writes: what `what` says.
    pub(crate) number: usize,
}

impl Display for Step {
    fn fmt(&self, out: &mut Formatter<'_>) -> Written {
        write!(out, "{}: {} {}", self.who, self.what, self.number)
    }
}

/// A state after a step, and the property that the step broke.
pub(crate) struct Next<S> {
    pub(crate) step: Step,
    pub(crate) state: S,
    pub(crate) broken: Option<&'static str>,
}

/// What can be searched.
pub(crate) trait Model {
    type State: Copy + Eq + Hash + Display;
    fn initial(&self) -> Self::State;
    /// Puts every state that is one step away into `next`.
    fn steps(&self, state: &Self::State, next: &mut Vec<Next<Self::State>>);
}

/// What a search found.
pub(crate) struct Report {
    pub(crate) states: usize,
    pub(crate) transitions: usize,
    pub(crate) depth: usize,
    pub(crate) seconds: f64,
    /// The property that was broken first, and how.
    pub(crate) violation: Option<(&'static str, String)>,
}

/// Visits every state, or the first `most` or a few more, or ends at the first violation.
pub(crate) fn search<M: Model>(model: &M, most: usize) -> Report {
    let started = Instant::now();
    let mut known: HashMap<M::State, (), BuildHasherDefault<Mixer>> = HashMap::default();
    let mut visited: Vec<(M::State, usize, Option<Step>)> = vec![(model.initial(), 0, None)];
    known.insert(model.initial(), ());
    let (mut transitions, mut depth, mut level_ends, mut at) = (0, 0, 1, 0);
    let mut next = Vec::new();
    let mut violation = None;
    'search: while at < visited.len() && visited.len() < most {
        if at == level_ends {
            (depth, level_ends) = (depth + 1, visited.len());
        }
        let state = visited[at].0;
        model.steps(&state, &mut next);
        for Next { step, state, broken } in next.drain(..) {
            transitions += 1;
            if let Some(property) = broken {
                let mut trace = trace(&visited, at);
                let _ = writeln!(trace, "  {step}\n  => broken: {property}");
                violation = Some((property, trace));
                break 'search;
            }
            if let Entry::Vacant(place) = known.entry(state) {
                place.insert(());
                visited.push((state, at, Some(step)));
            }
        }
        at += 1;
    }
    let seconds = started.elapsed().as_secs_f64();
    Report { states: visited.len(), transitions, depth, seconds, violation }
}

fn trace<S: Display>(visited: &[(S, usize, Option<Step>)], mut at: usize) -> String {
    let mut steps = Vec::new();
    while let (state, before, Some(step)) = &visited[at] {
        steps.push(format!("  {step:<64} {state}\n"));
        at = *before;
    }
    steps.reverse();
    steps.concat()
}

/// A fast hash; nobody hostile chooses the states.
#[derive(Default)]
pub(crate) struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(value.cast_unsigned() as u64);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
}
