//! The shared store, as the sequence of writes that it executed. What is kept of a key, and the log, follow from them;
//! so a fail-over that loses the last writes is a shorter sequence.

/// Writes of one run at most.
const MOST: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Write {
    Create(u8),
    /// A deadline that is over at once, and its entry in the log.
    Retire(u8),
    /// A tombstone and its entry in the log, in one.
    End(u8),
    /// Only the tombstone.
    Bury(u8),
    /// Only the entry in the log.
    Append(u8),
}

/// How a key stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stored {
    Nothing,
    Live,
    Retired,
    Tombstone,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    writes: [Option<Write>; MOST],
    pub(crate) identity: u8,
    /// Entries up to this position are gone from the log.
    pub(crate) trimmed: u8,
}

impl Store {
    pub(crate) fn new() -> Self {
        Store { writes: [None; MOST], identity: 1, trimmed: 0 }
    }

    pub(crate) fn writes(&self) -> impl DoubleEndedIterator<Item = Write> {
        self.writes.into_iter().flatten()
    }

    pub(crate) fn stored(&self, key: u8) -> Stored {
        let mut stored = Stored::Nothing;
        for write in self.writes() {
            match (write, stored) {
                (Write::Create(k), Stored::Nothing) if k == key => stored = Stored::Live,
                (Write::Retire(k), Stored::Live) if k == key => stored = Stored::Retired,
                (Write::End(k) | Write::Bury(k), _) if k == key => stored = Stored::Tombstone,
                _ => {}
            }
        }
        stored
    }

    /// The log: entries with their positions, counted from 1.
    pub(crate) fn log(&self) -> impl Iterator<Item = (u8, Write)> {
        let logged = |write: &Write| !matches!(write, Write::Create(_) | Write::Bury(_));
        (1..).zip(self.writes().filter(logged)).skip(self.trimmed.into())
    }

    pub(crate) fn last(&self) -> u8 {
        self.log().last().map_or(self.trimmed, |(position, _)| position)
    }

    pub(crate) fn has_logged_end_of(&self, key: u8) -> bool {
        self.writes().any(|write| write == Write::Append(key) || write == Write::End(key))
    }

    pub(crate) fn retire(&mut self, key: u8) {
        if self.stored(key) == Stored::Live {
            self.push(Write::Retire(key));
        }
    }

    pub(crate) fn end(&mut self, key: u8) {
        if self.stored(key) != Stored::Tombstone {
            self.push(Write::End(key));
        }
    }

    pub(crate) fn bury(&mut self, key: u8) {
        if self.stored(key) != Stored::Tombstone {
            self.push(Write::Bury(key));
        }
    }

    /// To write what is the last entry already would tell no reader anything, and make runs endless: it is left out.
    pub(crate) fn append(&mut self, key: u8) {
        if self.log().last().map(|(_, entry)| entry) != Some(Write::Append(key)) {
            self.push(Write::Append(key));
        }
    }

    pub(crate) fn push(&mut self, write: Write) {
        let free = self.writes.iter().position(Option::is_none);
        self.writes[free.expect("more writes than a run has room for")] = Some(write);
    }

    /// Another replica takes over, which never got the last writes.
    pub(crate) fn fail_over(&mut self, lost: usize) {
        let kept = self.writes().count() - lost;
        self.writes[kept..].fill(None);
        self.identity += 1;
        self.trimmed = self.trimmed.min(self.last());
    }

    /// The server that holds the keys, but not the log, fails over and loses its last write.
    pub(crate) fn fail_over_of_keys(&mut self) {
        let of_keys = |write: &Option<Write>| matches!(write, Some(Write::Create(_) | Write::Bury(_)));
        if let Some(last) = self.writes.iter().rposition(of_keys) {
            self.writes.copy_within(last + 1.., last);
            self.writes[MOST - 1] = None;
        }
    }
}
