//! The route: the name of a node behind the session id in the cookie, `<id>.<route>`, by which a balancer gives each
//! browser to the node that it was with before (mod_proxy_balancer's `stickysession` goes by what follows the first
//! dot). It says nothing about the session: anybody may write anything there, and is the same visitor.

use super::error::CookieError;
use memchr::memchr;

/// The route of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route(String);

impl Route {
    /// Longest route, in bytes.
    pub const MAX_LEN: usize = 32;

    /// A route of that name.
    ///
    /// # Errors
    /// When it is not made of 1 to [`Route::MAX_LEN`] letters, digits, `-` and `_`.
    pub fn new(name: &str) -> Result<Self, CookieError> {
        let is_mark = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=Self::MAX_LEN).contains(&name.len()) && name.bytes().all(is_mark) {
            Ok(Route(name.to_owned()))
        } else {
            Err(CookieError::Route(name.to_owned()))
        }
    }

    /// As it stands in the cookie.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a cookie's value carries this very route: all that follows its first dot.
    #[must_use]
    pub fn is_in(&self, value: &[u8]) -> bool {
        let found = memchr(b'.', value).and_then(|dot| value.get(dot..)?.split_first());
        found.is_some_and(|(_, found)| found == self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::cookie::CookieSpec;
    use crate::session::id::SessionId;
    use proptest::prelude::*;

    fn web1() -> CookieSpec {
        CookieSpec::new("SCID").unwrap().with_attributes(&["Route=web1"]).unwrap()
    }

    #[test]
    fn a_route_is_a_short_word() {
        for name in ["a", "web1", "Web-1_b", &"r".repeat(Route::MAX_LEN)] {
            assert_eq!(Route::new(name).unwrap().as_str(), name);
        }
        let long = "r".repeat(Route::MAX_LEN + 1);
        for name in ["", "a.b", "a b", "a;b", "a,b", "a=b", "\u{e4}", "a\r\nb", &long] {
            assert_eq!(Route::new(name), Err(CookieError::Route(name.into())), "{name:?}");
        }
    }

    #[test]
    fn the_route_stands_behind_the_value_that_is_set_and_not_behind_one_that_is_cleared() {
        assert_eq!(web1().set(false, "v"), "SCID=v.web1; Path=/; HttpOnly; SameSite=Lax");
        assert!(web1().clear(true).starts_with("__Host-SCID=; "));
    }

    #[test]
    fn a_value_leads_here_by_this_route_alone() {
        assert!(web1().leads_here(b"id.web1"));
        let long = format!("id.{}.web1", "r".repeat(5000));
        for other in
            ["", "id", "web1", "idweb1", "id.", "id.web", "id.web11", "id.web2", "id.WEB1", "id.web1.", &long]
        {
            assert!(!web1().leads_here(other.as_bytes()), "{other:?}");
        }
        assert!(!web1().leads_here(b"id.web1.web1"), "balancers go by the first dot");
        // Where no route was given, there is nothing to be led to.
        for any in ["id", "id.web1", "id.web2.web3"] {
            assert!(CookieSpec::new("SCID").unwrap().leads_here(any.as_bytes()));
        }
    }

    #[test]
    fn nodes_differ_by_their_routes_and_agree_on_the_rest() {
        let spec =
            |attributes: &[&str]| CookieSpec::new("SCID").unwrap().with_attributes(attributes).unwrap();
        assert_eq!(spec(&["Route=web1", "Path=/app"]).common(), spec(&["Path=/app", "route=web2"]).common());
        assert_eq!(spec(&["Route=web1"]).common(), spec(&[]));
        assert_ne!(spec(&["Route=web1", "Path=/app"]).common(), spec(&["Route=web1"]).common());
        assert_ne!(spec(&["Route=web1", "Secure"]).common(), spec(&["Route=web1"]).common());
    }

    /// What mod_proxy_balancer goes by.
    fn balanced(value: &[u8]) -> Option<&[u8]> {
        let dot = value.iter().position(|&byte| byte == b'.')?;
        value.get(dot + 1..)
    }

    proptest! {
        #[test]
        fn the_node_and_the_balancer_read_the_same_route(
            value in "[a-c]{0,3}(\\.[a-c]{0,3}){0,3}",
            name in "[a-c]{1,3}",
        ) {
            let ours = Route::new(&name).unwrap().is_in(value.as_bytes());
            prop_assert_eq!(ours, balanced(value.as_bytes()) == Some(name.as_bytes()));
        }

        #[test]
        fn whatever_follows_the_dot_the_session_is_the_same(route in proptest::collection::vec(any::<u8>(), 0..100)) {
            let id = SessionId::random().unwrap();
            let value = [id.to_text().as_bytes(), b".", &route].concat();
            prop_assert!(SessionId::from_cookie_value(&value) == Some(id));
        }

        #[test]
        fn what_is_set_leads_here(name in "[A-Za-z0-9_-]{1,32}", https: bool) {
            let spec = CookieSpec::new("SCID").unwrap().with_attributes(&[&format!("Route={name}")]).unwrap();
            let id = SessionId::random().unwrap();
            let set = spec.set(https, &id.to_text());
            let sent = set.split(';').next().unwrap();
            let value = spec.find(https, sent.as_bytes()).next().unwrap();
            prop_assert!(spec.leads_here(value));
            prop_assert_eq!(balanced(value), Some(name.as_bytes()));
            prop_assert!(SessionId::from_cookie_value(value) == Some(id));
        }
    }
}
