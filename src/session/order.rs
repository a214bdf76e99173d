//! Orders: what an application asks for by a header of its answer, in the form of mod_session's entries:
//! `name=value&name=value`, percent-encoded. Read strictly: one wrong pair, and nothing of the order is carried out.

use super::facts::FACTS;
use super::form::pairs;
use super::payload::Payload;
use super::rights::{Attribute, Rights, Source, is_name};
use serde_bytes::ByteBuf;

/// The longest order, in bytes.
pub const MAX_ORDER: usize = 16 << 10;
/// The longest user name, in bytes.
pub const MAX_USER: usize = 255;

/// What an application says of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Who logged in (`user=`).
    pub user: Option<String>,
    /// What was granted (`grant=`).
    pub granted: Vec<String>,
    /// What is granted no longer (`revoke=`).
    pub revoked: Vec<String>,
    /// Attributes; without a value, one that is removed.
    pub attributes: Vec<Attribute>,
}

/// Why an order is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// Longer than [`MAX_ORDER`], or more names than a session may have.
    #[error("it is too long")]
    TooLong,
    /// A name that no attribute or grant can have.
    #[error("'{0}' is no name for an attribute or grant")]
    Name(String),
    /// A user name that is empty, too long or not plain text, or a second one.
    #[error("its user name is not one line of text")]
    User,
    /// A percent sign without two digits, a NUL, or something that should have been encoded.
    #[error("its percent-encoding is wrong")]
    Encoding,
}

impl Order {
    /// Reads an order.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, OrderError> {
        if text.len() > MAX_ORDER {
            return Err(OrderError::TooLong);
        }
        let mut order = Order::default();
        for pair in pairs(text.trim_ascii()) {
            let (name, value) = pair.ok_or(OrderError::Encoding)?;
            order.add(&String::from_utf8_lossy(&name), value)?;
        }
        if order.attributes.len() > Rights::MAX || order.granted.len() > Rights::MAX {
            return Err(OrderError::TooLong);
        }
        Ok(order)
    }

    fn add(&mut self, name: &str, value: Vec<u8>) -> Result<(), OrderError> {
        let text = || String::from_utf8(value.clone()).ok().filter(|text| !text.contains(char::is_control));
        let grant = || text().filter(|name| is_name(name)).ok_or_else(|| OrderError::Name(name.to_owned()));
        match name {
            "user" => {
                let user = text().filter(|user| (1..=MAX_USER).contains(&user.len()));
                if self.user.is_some() || user.is_none() {
                    return Err(OrderError::User);
                }
                self.user = user;
            }
            "grant" => self.granted.push(grant()?),
            "revoke" => self.revoked.push(grant()?),
            name if is_name(name) && !FACTS.contains(&name) => self.add_value(name, value)?,
            name => return Err(OrderError::Name(name.chars().take(64).collect())),
        }
        Ok(())
    }

    fn add_value(&mut self, name: &str, value: Vec<u8>) -> Result<(), OrderError> {
        let found = self.attributes.iter().position(|attribute| attribute.name == name);
        let i = found.unwrap_or(self.attributes.len());
        if found.is_none() {
            self.attributes.push(Attribute { name: name.to_owned(), values: Vec::new() });
        }
        if let Some(attribute) = self.attributes.get_mut(i).filter(|_| !value.is_empty()) {
            attribute.values.push(ByteBuf::from(value));
            if attribute.values.iter().map(|value| value.len()).sum::<usize>() > Rights::MAX_VALUE {
                return Err(OrderError::TooLong);
            }
        }
        Ok(())
    }

    /// The rights that a session has after this, if it had `rights` before: with `all`, those of the order and no
    /// other. What it names is the application's word from then on, and no answer that has an age.
    #[must_use]
    pub fn applied(&self, rights: &Rights, all: bool) -> Rights {
        let mut new = rights.clone();
        if all {
            new.clear();
        }
        self.revoked.iter().for_each(|grant| new.revoke(grant));
        self.granted.iter().for_each(|grant| new.grant(Source::Orders, grant));
        for Attribute { name, values } in &self.attributes {
            new.set(Source::Orders, name, values.clone());
        }
        new
    }

    /// Whether it names another user than a session of `payload` has.
    #[must_use]
    pub fn changes_user(&self, payload: &Payload) -> bool {
        let user = payload.principal.as_ref().map(|principal| &principal.user);
        self.user.is_some() && self.user.as_ref() != user
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_order_names_a_user_grants_and_lists() {
        let order = Order::parse(b"user=alice&grant=staff&role=tutor&role=marker+2&mail=a%40b&old=").unwrap();
        assert_eq!(order.user.as_deref(), Some("alice"));
        let rights = order.applied(&Rights::default(), true);
        assert!(rights.grants("staff"));
        assert_eq!(rights.values("role"), [ByteBuf::from(b"tutor"), ByteBuf::from(b"marker 2")]);
        assert_eq!(rights.values("mail"), [ByteBuf::from(b"a@b")]);
        assert!(rights.values("old").is_empty());
        assert_eq!(Order::parse(b"  "), Ok(Order::default()));
    }

    #[test]
    fn an_update_leaves_what_it_does_not_name() {
        let had = Order::parse(b"grant=staff&grant=admin&a=1&b=2").unwrap().applied(&Rights::default(), true);
        let new = Order::parse(b"revoke=admin&grant=staff&a=&c=3").unwrap().applied(&had, false);
        assert_eq!(new.all_grants().collect::<Vec<_>>(), ["staff"]);
        assert!(new.values("a").is_empty());
        assert_eq!((new.values("b").len(), new.values("c").len()), (1, 1));
    }

    #[test]
    fn one_wrong_pair_spoils_all() {
        for wrong in [
            "user=",
            "user=a&user=b",
            "user=a%0d%0aSet-Cookie:x",
            "user=a%00",
            "a=%0",
            "a=%zz",
            "a=x%00y",
            "gr%0aant=x",
            "grant=a b",
            "grant=a+b",
            "a=1, b=2",
            "grant=",
            "9a=1",
            "a b=1",
            "=1",
            "auth-time=1",
            "grants=a",
        ] {
            assert!(Order::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert_eq!(Order::parse(&vec![b'a'; MAX_ORDER + 1]), Err(OrderError::TooLong));
        let many: String = (0..65).map(|i| format!("a{i}=1&")).collect();
        assert_eq!(Order::parse(many.as_bytes()), Err(OrderError::TooLong));
    }

    #[test]
    fn an_order_goes_before_what_was_asked_and_leaves_its_age() {
        let (asked, now) = (Source::Page(1), crate::clock::Timestamp::from_millis(1_000));
        let mut had = Rights::default();
        had.ask(asked, now, now, |_| false);
        ["staff", "admin"].iter().for_each(|name| had.grant(asked, name));
        let new = Order::parse(b"grant=staff&revoke=admin").unwrap().applied(&had, false);
        assert!(new.answers_of(Source::Orders).unwrap().grants("staff"));
        assert!(!new.answers_of(asked).unwrap().grants("staff") && !new.grants("admin"));
        let new = Order::parse(b"grant=guest").unwrap().applied(&had, true);
        assert_eq!(new.all_grants().collect::<Vec<_>>(), ["guest"]);
        assert!(new.answers_of(asked).is_some(), "it was asked all the same");
    }

    proptest! {
        #[test]
        fn noise_is_never_more_than_an_error(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(order) = Order::parse(&text) {
                prop_assert!(order.user.is_none_or(|user| !user.contains(char::is_control)));
            }
        }
    }
}
