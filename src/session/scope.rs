//! Scopes: all sessions, those of a realm, of a name, of a person, of a group. Each has a mark in the store; to raise
//! it ends (or has refreshed) every session of the scope that was born before, however many they are.

use super::payload::{Payload, Principal};
use super::realm::Realm;
use crate::store::key::Key;
use std::fmt;

/// A set of sessions that can be ended or refreshed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Every session, of any realm.
    All,
    /// Every session of the realm.
    Realm,
    /// The sessions of whoever has that name in the realm, by any login: for administrators, who know a name.
    User(&'a str),
    /// The sessions of one person: see [`Principal::is`].
    Person(&'a Principal),
    /// The sessions of the realm whose user was granted something: see [`super::rights::Rights::grants`].
    Group(&'a str),
}

/// What happens to the sessions of a scope whose mark rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// They end.
    End,
    /// The source of the login is asked again, on the next page.
    Refresh,
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::All => f.write_str("all sessions"),
            Scope::Realm => f.write_str("the realm's sessions"),
            Scope::User(name) => write!(f, "the sessions of user {name}"),
            Scope::Person(person) => write!(f, "the sessions of user {}", person.user),
            Scope::Group(name) => write!(f, "the sessions of group {name}"),
        }
    }
}

impl Scope<'_> {
    /// The key of the mark: a digest, so that no store holds a user's name.
    #[must_use]
    pub fn key(self, realm: &Realm, effect: Effect) -> Key {
        let kind = match self {
            Scope::All => 0,
            Scope::Realm => 1,
            Scope::User(_) => 2,
            Scope::Group(_) => 3,
            Scope::Person(_) => 4,
        };
        let mut hasher = blake3::Hasher::new_derive_key("mod_session_cluster v1 scope");
        hasher.update(&[kind, effect as u8]);
        if self != Scope::All {
            hasher.update(realm.as_bytes());
        }
        match self {
            Scope::All | Scope::Realm => {}
            Scope::User(name) | Scope::Group(name) => drop(hasher.update(name.as_bytes())),
            Scope::Person(principal) => principal.digest(&mut hasher),
        }
        Key::new(*hasher.finalize().as_bytes())
    }

    /// The scopes that a session belongs to.
    pub fn of(payload: &Payload) -> impl Iterator<Item = Scope<'_>> {
        let user = payload.principal.iter();
        let user = user.flat_map(|principal| [Scope::User(&principal.user), Scope::Person(principal)]);
        let groups = payload.rights.all_grants().map(Scope::Group);
        [Scope::All, Scope::Realm].into_iter().chain(user).chain(groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_scope_has_a_key_of_its_own() {
        let realms = [Realm::new("a"), Realm::new("b")];
        let x = Principal { user: "x".into(), ..Principal::default() };
        let named =
            [Scope::User("x"), Scope::Group("x"), Scope::Person(&x), Scope::User(""), Scope::User("y")];
        let scopes = [Scope::Realm].into_iter().chain(named);
        let mut keys = HashSet::new();
        for effect in [Effect::End, Effect::Refresh] {
            assert!(keys.insert(Scope::All.key(&realms[0], effect)));
            assert!(!keys.insert(Scope::All.key(&realms[1], effect)), "all realms");
            for (realm, scope) in
                realms.iter().flat_map(|realm| scopes.clone().map(move |scope| (realm, scope)))
            {
                assert!(keys.insert(scope.key(realm, effect)), "{scope:?} {effect:?}");
            }
        }
    }
}
