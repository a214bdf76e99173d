//! Slows down guessing: logins that fail are counted, by name and by address.

use crate::clock::{Clock, SystemClock};
use crate::ffi::mod_auth::AuthnProvider;
use crate::module::conf;
use crate::module::visit::Visit;
use crate::store::throttle::{Limit, Throttle};
use icu_normalizer::DecomposingNormalizer;
use std::net::IpAddr;
use std::time::Duration;

/// Logins that may fail where `SessionClusterThrottle` says nothing.
const DEFAULT_LIMIT: Limit = Limit { failures: 10, within: Duration::from_secs(300) };

/// A login that is counted as failed, until it is known better: for the name from its address, for the name from all
/// addresses, and for the address with all names.
pub(crate) struct Attempt<'a> {
    throttle: &'a Throttle<'static>,
    counters: Vec<(String, Limit)>,
}

/// Too many have failed before it.
pub(crate) struct TooMany {
    /// How long to wait.
    pub(crate) wait: Duration,
    /// What was counted.
    pub(crate) counter: String,
    /// How long it takes until all is forgiven.
    pub(crate) within: Duration,
}

impl<'a> Attempt<'a> {
    /// How many more may fail for all names of an address, or from all addresses for a name: many share an address, and
    /// nobody must be able to lock somebody else out with a few attempts.
    const MANY: u32 = 10;

    /// Counts it; or says how long to wait, and counts nothing.
    pub(crate) fn take(visit: Visit<'a>, user: &str) -> Result<Self, TooMany> {
        let r = visit.request();
        let limit = conf::dir(r).throttle.get().copied().unwrap_or(Some(DEFAULT_LIMIT));
        let mut attempt = Attempt { throttle: visit.host().throttle(), counters: Vec::new() };
        let Some(limit) = limit else { return Ok(attempt) };
        let (user, address) = (folded(user), network(r.client_address()));
        let login = format!("{}\0{limit:?}", login(visit));
        let many = limit.times(Self::MANY);
        for (who, limit) in [
            (format!("{login}\0{user}\0{address}"), limit),
            (format!("{login}\0{user}\0"), many),
            (format!("{login}\0\0{address}"), many),
        ] {
            if let Err(wait) = attempt.throttle.take(who.as_bytes(), limit, SystemClock.now()) {
                attempt.give_back();
                return Err(TooMany { wait, counter: who, within: limit.within });
            }
            attempt.counters.push((who, limit));
        }
        Ok(attempt)
    }

    /// It did not fail, whatever came of it.
    pub(crate) fn give_back(&self) {
        self.counters.iter().for_each(|(who, limit)| self.throttle.give_back(who.as_bytes(), *limit));
    }

    /// It succeeded: what failed before was perhaps mistyped.
    pub(crate) fn succeeded(&self) {
        self.give_back();
        if let Some((who, _)) = self.counters.first() {
            self.throttle.forgive(who.as_bytes());
        }
    }
}

/// What tells a login from others: what is configured for it, and nothing that a client writes. Its path is: a location
/// answers for every longer path as well.
pub(super) fn login(visit: Visit<'_>) -> String {
    let r = visit.request();
    let providers = conf::dir(r).authn.get().map_or(&[][..], |providers| providers);
    let providers: Vec<&str> = providers.iter().map(AuthnProvider::name).collect();
    format!("{:?}", (visit.host().name(), r.auth_type(), r.auth_name(), providers))
}

/// A name without all by which directories do not tell names apart: case, white space, widths and other forms of the
/// same letters, accents, punctuation. Some directories do, and there two people share a counter.
fn folded(user: &str) -> String {
    let letters: String =
        DecomposingNormalizer::new_nfkd().normalize(user).chars().filter(|c| c.is_alphanumeric()).collect();
    // A small letter may have none of its own that is large, and the other way round.
    let letters = letters.to_uppercase().to_lowercase();
    if letters.is_empty() { user.to_owned() } else { letters }
}

/// What counts as one address: with IPv6, the network that a customer gets.
fn network(address: &str) -> String {
    match address.parse().map(|address: IpAddr| address.to_canonical()) {
        Ok(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Ok(v4) => v4.to_string(),
        Err(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{folded, network};

    #[test]
    fn names_that_a_directory_takes_for_one_are_one() {
        for same in [
            "alice smith",
            " Alice  Smith ",
            "ALICE\u{a0}SMITH",
            "\u{ff21}lice Smith",
            "a\u{200b}lice\u{ad}smith",
            "álice\u{301} smith",
            "alice.ſmith",
        ] {
            assert_eq!(folded(same), "alicesmith", "{same}");
        }
        assert_eq!(folded("STRASSE"), folded("straße"));
        assert_eq!(folded("ΣΊΣΥΦΟΣ"), folded("σίσυφος"));
        assert_ne!(folded("alice"), folded("alive"));
        assert_ne!(folded("+"), folded("-"));
    }

    #[test]
    fn an_ipv6_customer_is_one_address_and_a_mapped_ipv4_address_is_itself() {
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
