//! Rights: what a user was found to be and to have. Grants are yes or no, attributes are values; both are kept in the
//! session, so that no page has to ask for them. Questions that were asked together are a set, and each set of answers
//! has an age of its own: what was asked in one place vouches for nothing that another place asks.
//!
//! A name is in one set at most, the one that was answered last: what somebody is denied now lives on nowhere.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::time::Duration;

/// The rights of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// The login whose questions are asked anew; `None` where the page itself says how.
    pub place: Option<Place>,
    sets: Vec<Answers>,
}

/// A login that asks questions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Name and port of its virtual host.
    pub host: String,
    /// Its path.
    pub path: String,
    /// The digest of its questions: see [`digest`].
    pub questions: u64,
}

/// Where a set of answers comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The questions of the login, at its place.
    Login,
    /// The questions of this digest, wherever they stand.
    Page(u64),
    /// What an application ordered. Nobody can be asked for it again, so that it has no age.
    Orders,
}

/// What a set of questions was answered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    source: Source,
    /// When they were asked, ms since 1970.
    at: u64,
    /// The watermark before they were, ms since 1970: later marks of the session's scopes have them asked again.
    under: u64,
    /// Whether such a mark came before the session lost the group that it was for.
    stale: bool,
    /// Names of what was granted. Each is also a group, whose sessions can be ended or refreshed at once.
    grants: Vec<String>,
    attributes: Vec<Attribute>,
}

/// What came of asking for a user's rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evaluated {
    /// These are their rights.
    Rights(Rights),
    /// The user may not log in, or may not stay.
    NotAllowed,
    /// Nobody can tell; why.
    Failed(String),
}

/// A name and its values: none, one, or a list, each of any bytes but NUL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its values, in their order.
    pub values: Vec<ByteBuf>,
}

/// A user who is not granted this one cannot log in; one who loses it has the session ended.
pub const LOGIN: &str = "login";

/// What stands between the values of a list where only one text can be shown.
pub const SEPARATOR: &[u8] = b";";

impl Rights {
    /// The most grants, and the most attributes, of a set.
    pub const MAX: usize = 64;
    /// The most sets that are asked at pages. Of more, the one that was asked longest ago has to be asked again.
    pub const MAX_PAGES: usize = 16;
    /// Bytes of all values of an attribute.
    pub const MAX_VALUE: usize = 8 << 10;

    /// Those of a login by that place, before its questions are asked.
    #[must_use]
    pub fn of_login(place: Place) -> Self {
        Rights { place: Some(place), sets: Vec::new() }
    }

    /// Those of a session that an application orders, before it orders any.
    #[must_use]
    pub fn ordered() -> Self {
        Rights { place: None, sets: vec![Answers::of(Source::Orders)] }
    }

    /// Whether `name` was granted.
    #[must_use]
    pub fn grants(&self, name: &str) -> bool {
        self.sets.iter().any(|answers| answers.grants(name))
    }

    /// All that was granted.
    pub fn all_grants(&self) -> impl Iterator<Item = &str> {
        self.sets.iter().flat_map(|answers| &answers.grants).map(String::as_str)
    }

    /// The values of an attribute; none if it is not there.
    #[must_use]
    pub fn values(&self, name: &str) -> &[ByteBuf] {
        // Not by one iterator over all: each page with exports comes here for each of them.
        for answers in &self.sets {
            for attribute in &answers.attributes {
                if attribute.name == name {
                    return &attribute.values;
                }
            }
        }
        &[]
    }

    /// All attributes.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.sets.iter().flat_map(|answers| &answers.attributes)
    }

    /// The answers of one source.
    #[must_use]
    pub fn answers_of(&self, source: Source) -> Option<&Answers> {
        self.sets.iter().find(|answers| answers.source == source)
    }

    /// The answers that have an age.
    pub fn asked(&self) -> impl Iterator<Item = &Answers> {
        self.sets.iter().filter(|answers| answers.source != Source::Orders)
    }

    /// Begins to ask a set of questions: its answers so far go, but for the attributes that it `keeps`. `under`: the
    /// watermark before anything of it is asked.
    pub fn ask(&mut self, source: Source, at: Timestamp, under: Timestamp, keeps: impl Fn(&str) -> bool) {
        let mut answers = self.take(source).unwrap_or(Answers::of(source));
        answers.grants.clear();
        answers.attributes.retain(|attribute| keeps(&attribute.name));
        self.sets.push(Answers { at: at.as_millis(), under: under.as_millis(), stale: false, ..answers });
        let pages = || self.asked().filter(|answers| answers.source != Source::Login);
        if pages().count() > Self::MAX_PAGES
            && let Some(oldest) = pages().min_by_key(|answers| answers.at).map(|answers| answers.source)
        {
            self.take(oldest);
        }
    }

    fn take(&mut self, source: Source) -> Option<Answers> {
        let found = self.sets.iter().position(|answers| answers.source == source)?;
        Some(self.sets.remove(found))
    }

    fn answers_of_mut(&mut self, source: Source) -> &mut Answers {
        let found = self.sets.iter().position(|answers| answers.source == source).unwrap_or(self.sets.len());
        if found == self.sets.len() {
            self.sets.push(Answers::of(source));
        }
        &mut self.sets[found]
    }

    /// Grants `name`, by the word of `source` and of nobody else any more.
    pub fn grant(&mut self, source: Source, name: &str) {
        if !self.answers_of(source).is_some_and(|answers| answers.grants(name)) {
            self.revoke(name);
            self.answers_of_mut(source).grants.push(name.to_owned());
        }
    }

    /// Grants `name` no longer, whoever said so.
    pub fn revoke(&mut self, name: &str) {
        self.sets.iter_mut().for_each(|answers| answers.grants.retain(|grant| grant != name));
    }

    /// Gives an attribute these values in place of those that it has, by the word of `source` and of nobody else any
    /// more; with none, removes it.
    pub fn set(&mut self, source: Source, name: &str, values: Vec<ByteBuf>) {
        let (elsewhere, none) = (|answers: &Answers| answers.source != source, values.is_empty());
        for answers in self.sets.iter_mut().filter(|answers| none || elsewhere(answers)) {
            answers.attributes.retain(|attribute| attribute.name != name);
        }
        if none {
            return;
        }
        let attributes = &mut self.answers_of_mut(source).attributes;
        match attributes.iter_mut().find(|attribute| attribute.name == name) {
            Some(attribute) => attribute.values = values,
            None => attributes.push(Attribute { name: name.to_owned(), values }),
        }
    }

    /// Takes all grants and attributes. What was asked stays known as asked, and has its age.
    pub fn clear(&mut self) {
        for answers in &mut self.sets {
            (answers.grants, answers.attributes) = (Vec::new(), Vec::new());
        }
    }

    /// These, without the answers of some sources.
    #[must_use]
    pub fn without(&self, sources: &[Source]) -> Self {
        let others = self.sets.iter().filter(|answers| !sources.contains(&answers.source));
        Rights { place: self.place.clone(), sets: others.cloned().collect() }
    }

    /// Has the answers of some sources asked again before they count.
    pub(super) fn age(&mut self, sources: &[Source]) {
        for answers in self.sets.iter_mut().filter(|answers| sources.contains(&answers.source)) {
            answers.stale = true;
        }
    }

    /// Whether a session may hold what an application ordered.
    #[must_use]
    pub fn are_few_enough(&self) -> bool {
        self.answers_of(Source::Orders)
            .is_none_or(|answers| answers.grants.len() <= Self::MAX && answers.attributes.len() <= Self::MAX)
    }
}

impl Answers {
    fn of(source: Source) -> Self {
        Answers { source, at: 0, under: 0, stale: false, grants: Vec::new(), attributes: Vec::new() }
    }

    /// Where they come from.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// Whether `name` is granted by them.
    #[must_use]
    pub fn grants(&self, name: &str) -> bool {
        self.grants.iter().any(|grant| grant == name)
    }

    /// Whether they have to be asked again before they count anywhere.
    #[must_use]
    pub fn are_stale(&self) -> bool {
        self.stale
    }

    /// The watermark that they were asked under.
    #[must_use]
    pub fn under(&self) -> Timestamp {
        Timestamp::from_millis(self.under)
    }

    /// Whether they are older than `age`.
    #[must_use]
    pub fn are_older_than(&self, age: Duration, now: Timestamp) -> bool {
        now.since(Timestamp::from_millis(self.at)) > age
    }
}

/// The digest of a set of questions: that of the lines before, and of the words of one more. The same lines have the
/// same digest after a restart and on every node. 0 is that of no questions.
#[must_use]
pub fn digest(before: u64, words: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("mod_session_cluster v1 questions");
    hasher.update(&before.to_le_bytes());
    for word in words {
        hasher.update(&(word.len() as u64).to_le_bytes()).update(word.as_bytes());
    }
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_le_bytes(first)
}

/// Whether `name` can name a grant or an attribute: 1 to 64 letters, digits, `-`, `_` and `.`, a letter first.
#[must_use]
pub fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// `value` as a list: split at any of `separators`, spaces around each trimmed, empty ones left out.
#[must_use]
pub fn split(value: &[u8], separators: &str) -> Vec<ByteBuf> {
    let parts = value.split(|byte| separators.as_bytes().contains(byte)).map(<[u8]>::trim_ascii);
    parts.filter(|part| !part.is_empty()).map(ByteBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const A: Source = Source::Page(1);
    const B: Source = Source::Page(2);

    fn list(values: &[&str]) -> Vec<ByteBuf> {
        values.iter().map(|value| ByteBuf::from(value.as_bytes())).collect()
    }

    fn ask(rights: &mut Rights, source: Source, grants: &[&str]) {
        rights.ask(source, NOW, NOW, |_| false);
        grants.iter().for_each(|name| rights.grant(source, name));
    }

    #[test]
    fn an_attribute_is_set_replaced_and_removed() {
        let mut rights = Rights::ordered();
        rights.set(Source::Orders, "role", list(&["tutor"]));
        rights.set(Source::Orders, "role", list(&["tutor", "marker"]));
        assert_eq!(rights.values("role"), list(&["tutor", "marker"]));
        rights.set(Source::Orders, "role", Vec::new());
        assert_eq!(rights, Rights::ordered());
        assert!(rights.values("role").is_empty());
    }

    #[test]
    fn the_last_word_on_a_name_is_the_only_one() {
        let mut rights = Rights::default();
        ask(&mut rights, A, &["staff", "here"]);
        rights.set(A, "role", list(&["tutor"]));
        ask(&mut rights, B, &[]);
        rights.grant(B, "staff");
        rights.set(B, "role", list(&["marker"]));
        assert!(rights.grants("staff") && rights.grants("here"));
        assert_eq!(rights.values("role"), list(&["marker"]));
        // What B says no longer does not come back from A.
        rights.revoke("staff");
        rights.set(B, "role", Vec::new());
        assert!(!rights.grants("staff") && rights.grants("here"));
        assert!(rights.values("role").is_empty());
        assert_eq!(rights.all_grants().collect::<Vec<_>>(), ["here"]);
    }

    #[test]
    fn a_set_that_is_asked_again_loses_its_answers_and_no_others() {
        let mut rights = Rights::ordered();
        rights.grant(Source::Orders, "ordered");
        ask(&mut rights, A, &["a"]);
        ask(&mut rights, B, &["b"]);
        rights.set(A, "kept", list(&["x"]));
        rights.set(A, "gone", list(&["x"]));
        rights.ask(A, NOW, NOW, |name| name == "kept");
        assert!(!rights.grants("a") && rights.grants("b") && rights.grants("ordered"));
        assert!(rights.values("gone").is_empty() && !rights.values("kept").is_empty());
    }

    #[test]
    fn each_set_has_its_own_age() {
        let mut rights = Rights::default();
        let later = NOW.after(Duration::from_secs(10));
        ask(&mut rights, A, &["a"]);
        rights.ask(B, later, NOW, |_| false);
        let old = |source| rights.answers_of(source).unwrap().are_older_than(Duration::from_secs(5), later);
        assert!(old(A) && !old(B));
        let here = rights.without(&[A]);
        assert!(!here.grants("a") && here.answers_of(B).is_some());
    }

    #[test]
    fn the_set_that_was_asked_longest_ago_makes_room() {
        let mut rights = Rights::of_login(Place::default());
        rights.ask(Source::Login, NOW, NOW, |_| false);
        for n in 1..40 {
            let at = NOW.after(Duration::from_secs(n));
            rights.ask(Source::Page(n), at, NOW, |_| false);
            assert!(
                rights.answers_of(Source::Page(n)).is_some() && rights.answers_of(Source::Login).is_some()
            );
        }
        assert_eq!(rights.asked().count(), Rights::MAX_PAGES + 1);
    }

    #[test]
    fn questions_of_the_same_words_are_the_same_and_no_others() {
        let staff = digest(0, &["grant", "staff", "group", "staff"]);
        // As it was computed by every server so far.
        assert_eq!(staff, digest(0, &["grant", "staff", "group", "staff"]));
        for other in [
            digest(0, &["grant", "staff", "group", "staff2"]),
            digest(0, &["grant", "staff", "groupstaff"]),
            digest(0, &["attribute", "staff", "group", "staff"]),
            digest(staff, &["grant", "staff", "group", "staff"]),
            digest(0, &["grant", "staff", "group", "", "staff"]),
            0,
        ] {
            assert_ne!(staff, other);
        }
    }

    #[test]
    fn lists_are_split_and_trimmed() {
        assert_eq!(split(b" a; b ,c;;", ";,"), list(&["a", "b", "c"]));
        assert_eq!(split(b"", ";"), list(&[]));
        assert_eq!(split(b"a b", ";"), list(&["a b"]));
    }

    #[test]
    fn names_are_short_and_plain() {
        for name in ["a", "Role-2_x.y"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "2a", "a b", "a\r\nb", "é", &"a".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
