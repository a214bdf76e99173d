//! The session cookie: its name and attributes, finding it in a request, hiding it from backends, setting and
//! clearing it. Knows the header's syntax only; what a value means is for [`SessionId`] to say.
//!
//! Over TLS the name carries the prefix `__Host-` (or `__Secure-` with a path or a domain), which browsers let
//! only this host set. The page path is [`CookieSpec::take`].

mod error;
mod pairs;
mod route;

pub use error::CookieError;
pub use route::Route;

use super::id::SessionId;
use pairs::{is_ows, is_separator, pairs};
use std::array;
use std::fmt::Write;
use std::iter::Take;

/// The most values that [`CookieSpec::find`] hands out. A browser sends two cookies of one name when they were set
/// for different paths; more than a few are somebody's attempt to make us work.
pub const MAX_CANDIDATES: usize = 4;

/// What browsers do with the cookie on requests that other sites cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SameSite {
    Strict,
    Lax,
    None,
}

impl SameSite {
    const fn as_str(self) -> &'static str {
        match self {
            SameSite::Strict => "Strict",
            SameSite::Lax => "Lax",
            SameSite::None => "None",
        }
    }
}

/// The cookie of a virtual host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieSpec {
    plain: String,
    host_prefixed: String,
    secure_prefixed: String,
    path: String,
    domain: Option<String>,
    same_site: SameSite,
    /// `Secure` on plain HTTP too, because a proxy in front ends TLS.
    always_secure: bool,
    route: Option<Route>,
}

impl CookieSpec {
    /// Longest cookie name, in bytes, without its prefix.
    pub const MAX_NAME: usize = 64;
    /// Longest path, in bytes: browsers ignore the attribute beyond that.
    pub const MAX_PATH: usize = 1024;

    /// A cookie called `name`, for the whole host, `SameSite=Lax`.
    ///
    /// # Errors
    /// When `name` is no RFC 6265 token of at most [`CookieSpec::MAX_NAME`] bytes, or already carries a prefix.
    pub fn new(name: &str) -> Result<Self, CookieError> {
        let is_token = !name.is_empty() && name.len() <= Self::MAX_NAME && name.bytes().all(is_token_byte);
        if !is_token {
            return Err(CookieError::Name);
        }
        // Browsers compare prefixes without regard to case.
        let lower = name.to_ascii_lowercase();
        if ["__host-", "__secure-", "__http-"].iter().any(|prefix| lower.starts_with(prefix)) {
            return Err(CookieError::Prefixed);
        }
        Ok(CookieSpec {
            plain: name.to_owned(),
            host_prefixed: format!("__Host-{name}"),
            secure_prefixed: format!("__Secure-{name}"),
            path: "/".to_owned(),
            domain: None,
            same_site: SameSite::Lax,
            always_secure: false,
            route: None,
        })
    }

    /// The same cookie with these attributes, each written as in a `Set-Cookie` header: `Path=/app`,
    /// `Domain=example.com`, `SameSite=Strict`, `Secure`; and `Route=web1`, which goes into the value. Names and
    /// keywords in any case, each at most once.
    ///
    /// # Errors
    /// The first attribute that cannot stand, with what to write instead.
    pub fn with_attributes(mut self, attributes: &[&str]) -> Result<Self, CookieError> {
        let mut seen: Vec<String> = Vec::new();
        for attribute in attributes {
            let (name, value) = match attribute.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (*attribute, None),
            };
            let name = name.to_ascii_lowercase();
            match (name.as_str(), value) {
                ("path", Some(path)) => self.path = parse_path(path)?,
                ("domain", Some(domain)) => self.domain = Some(parse_domain(domain)?),
                ("samesite", Some(keyword)) => self.same_site = parse_same_site(keyword)?,
                ("secure", None) => self.always_secure = true,
                ("route", Some(route)) => self.route = Some(Route::new(route)?),
                ("httponly", _) => return Err(CookieError::HttpOnly),
                ("max-age" | "expires", _) => return Err(CookieError::Age),
                _ => return Err(CookieError::Unknown((*attribute).to_owned())),
            }
            if seen.contains(&name) {
                return Err(CookieError::Twice((*attribute).to_owned()));
            }
            seen.push(name);
        }
        if self.same_site == SameSite::None && !self.always_secure {
            return Err(CookieError::NoneNeedsSecure);
        }
        Ok(self)
    }

    /// The name on a connection of that kind: prefixed wherever the cookie is `Secure`, else as configured.
    #[must_use]
    pub fn name(&self, https: bool) -> &str {
        if !self.is_secure(https) {
            &self.plain
        } else if self.path == "/" && self.domain.is_none() {
            &self.host_prefixed
        } else {
            &self.secure_prefixed
        }
    }

    /// The same cookie without what is a single node's own: what all nodes of a cluster must agree upon.
    #[must_use]
    pub fn common(&self) -> Self {
        CookieSpec { route: None, ..self.clone() }
    }

    /// Whether a balancer that goes by the cookie's `value` comes to this node; always, where no route was given.
    #[must_use]
    pub fn leads_here(&self, value: &[u8]) -> bool {
        self.route.as_ref().is_none_or(|route| route.is_in(value))
    }

    /// The values of the cookies of exactly [`CookieSpec::name`] in a `Cookie` header, in its order, at most
    /// [`MAX_CANDIDATES`]. They may be of any bytes but `;` and `,`, and empty.
    ///
    /// Two `Cookie` headers reach us folded with `", "`, so a comma separates as well, except that a *prefixed* name
    /// is not read behind a comma: a neighbouring site can set `x=1, __Host-SCID=...` as the value of a cookie of
    /// its own, and the prefix is there to keep exactly that site out.
    pub fn find<'h>(&self, https: bool, header: &'h [u8]) -> Candidates<'h> {
        self.take(https, header).0
    }

    /// A `Cookie` header without this cookie, under its plain and both prefixed names, wherever a backend might
    /// read it. All else stays byte for byte; each removed cookie takes one separator with it, and white space at
    /// the beginning of the header goes.
    #[must_use]
    pub fn strip(&self, header: &[u8]) -> Stripped {
        self.take(false, header).1
    }

    /// [`CookieSpec::find`] and [`CookieSpec::strip`] by reading the header once, as each page does. Allocates nothing
    /// unless other cookies come along with ours.
    #[must_use]
    pub fn take<'h>(&self, https: bool, header: &'h [u8]) -> (Candidates<'h>, Stripped) {
        self.split(https, header, |_| true)
    }

    /// As [`CookieSpec::strip`], where the name may be another application's as well: only cookies that hold the id of
    /// a session go.
    #[must_use]
    pub fn strip_ids(&self, header: &[u8]) -> Stripped {
        self.split(false, header, |value| SessionId::from_cookie_value(value).is_some()).1
    }

    fn split<'h>(
        &self,
        https: bool,
        header: &'h [u8],
        is_ours: impl Fn(&[u8]) -> bool,
    ) -> (Candidates<'h>, Stripped) {
        let name = self.name(https).as_bytes();
        let prefixed = self.is_secure(https);
        let mut values: [&[u8]; MAX_CANDIDATES] = [&[]; MAX_CANDIDATES];
        let (mut len, mut owned, mut rest) = (0, false, Vec::new());
        // Where the first cookie that stays begins, and where the next pair does.
        let (mut kept, mut next) = (None, 0);
        for pair in pairs(header) {
            let begin = next;
            next += pair.separator.len() + pair.text.len();
            match pair.name_and_value() {
                Some((found, value)) if self.owns(found) && is_ours(value) => {
                    if !owned {
                        owned = true;
                        // What stands before it, as it stands.
                        rest.extend_from_slice(
                            kept.and_then(|kept| header.get(kept..begin)).unwrap_or_default(),
                        );
                    }
                    if found == name
                        && !(prefixed && pair.folded)
                        && let Some(room) = values.get_mut(len)
                    {
                        *room = value;
                        len += 1;
                    }
                }
                _ => {
                    if owned {
                        rest.extend_from_slice(kept.map_or(&[], |_| pair.separator));
                        rest.extend_from_slice(pair.text);
                    }
                    kept = kept.or(Some(begin + pair.separator.len()));
                }
            }
        }
        let stripped = if !owned {
            Stripped::Unchanged
        } else if rest.iter().all(|&byte| is_separator(byte) || is_ows(byte)) {
            Stripped::Empty
        } else {
            Stripped::Changed(rest)
        };
        (Candidates(values.into_iter().take(len)), stripped)
    }

    /// The `Set-Cookie` header that gives the cookie `value`, with the route behind it, until the browser is closed.
    /// The value must be made of RFC 6265 cookie octets other than `.`, as a written session id is.
    #[must_use]
    pub fn set(&self, https: bool, value: &str) -> String {
        debug_assert!(value.bytes().all(|byte| is_cookie_octet(byte) && byte != b'.'));
        match &self.route {
            Some(route) => self.written(https, &format!("{value}.{}", route.as_str())),
            None => self.written(https, value),
        }
    }

    /// The `Set-Cookie` header that makes the browser forget the cookie.
    #[must_use]
    pub fn clear(&self, https: bool) -> String {
        let mut header = self.written(https, "");
        header.push_str("; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
        header
    }

    fn written(&self, https: bool, value: &str) -> String {
        let (name, path, same_site) = (self.name(https), &self.path, self.same_site.as_str());
        let mut header = format!("{name}={value}; Path={path}; HttpOnly; SameSite={same_site}");
        if self.is_secure(https) {
            header.push_str("; Secure");
        }
        if let Some(domain) = &self.domain {
            // Writing to a String does not fail.
            let _ = write!(header, "; Domain={domain}");
        }
        header
    }

    const fn is_secure(&self, https: bool) -> bool {
        https || self.always_secure
    }

    fn owns(&self, found: &[u8]) -> bool {
        [&self.plain, &self.host_prefixed, &self.secure_prefixed].iter().any(|name| name.as_bytes() == found)
    }
}

/// The values that a request shows under the cookie's name; see [`CookieSpec::find`].
#[derive(Clone, Debug)]
pub struct Candidates<'h>(Take<array::IntoIter<&'h [u8], MAX_CANDIDATES>>);

impl<'h> Iterator for Candidates<'h> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

/// What [`CookieSpec::strip`] leaves of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stripped {
    /// Our cookie was not in it.
    Unchanged,
    /// There was nothing else in it: the header goes.
    Empty,
    /// This.
    Changed(Vec<u8>),
}

/// A `tchar` of RFC 9110.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A `cookie-octet` of RFC 6265.
const fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

fn parse_path(path: &str) -> Result<String, CookieError> {
    let fits = path.len() <= CookieSpec::MAX_PATH && path.bytes().all(is_cookie_octet);
    if fits && path.starts_with('/') { Ok(path.to_owned()) } else { Err(CookieError::Path(path.to_owned())) }
}

fn parse_domain(domain: &str) -> Result<String, CookieError> {
    // A leading dot is an old spelling that browsers ignore.
    let name = domain.strip_prefix('.').unwrap_or(domain);
    let is_label = |label: &str| {
        let fits = (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
        fits && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if name.len() <= 253 && name.split('.').all(is_label) {
        Ok(name.to_ascii_lowercase())
    } else {
        Err(CookieError::Domain(domain.to_owned()))
    }
}

fn parse_same_site(keyword: &str) -> Result<SameSite, CookieError> {
    [SameSite::Strict, SameSite::Lax, SameSite::None]
        .into_iter()
        .find(|same_site| same_site.as_str().eq_ignore_ascii_case(keyword))
        .ok_or_else(|| CookieError::SameSite(keyword.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scid() -> CookieSpec {
        CookieSpec::new("SCID").unwrap()
    }

    fn with(attributes: &[&str]) -> Result<CookieSpec, CookieError> {
        scid().with_attributes(attributes)
    }

    fn found<'h>(spec: &CookieSpec, https: bool, header: &'h str) -> Vec<&'h str> {
        spec.find(https, header.as_bytes()).map(|value| std::str::from_utf8(value).unwrap()).collect()
    }

    fn stripped(header: &str) -> Stripped {
        scid().strip(header.as_bytes())
    }

    #[test]
    fn the_name_carries_the_strictest_prefix_that_browsers_accept() {
        assert_eq!(scid().name(false), "SCID");
        assert_eq!(scid().name(true), "__Host-SCID");
        assert_eq!(with(&["Secure"]).unwrap().name(false), "__Host-SCID");
        assert_eq!(with(&["Path=/app"]).unwrap().name(true), "__Secure-SCID");
        assert_eq!(with(&["Domain=example.com"]).unwrap().name(true), "__Secure-SCID");
        assert_eq!(with(&["Domain=example.com"]).unwrap().name(false), "SCID");
    }

    #[test]
    fn a_name_that_is_no_token_or_carries_a_prefix_is_refused() {
        let long = "x".repeat(CookieSpec::MAX_NAME + 1);
        for name in ["", "a b", "a=b", "a;b", "a,b", "a\tb", "\u{e4}", "\"a\"", "a\0", &long] {
            assert_eq!(CookieSpec::new(name), Err(CookieError::Name), "{name:?}");
        }
        for name in ["__Host-SCID", "__secure-scid", "__HOST-", "__Http-x", "__Host-Http-x"] {
            assert_eq!(CookieSpec::new(name), Err(CookieError::Prefixed), "{name:?}");
        }
        assert!(CookieSpec::new(&long[1..]).is_ok());
    }

    #[test]
    fn attributes_are_written_as_configured() {
        assert_eq!(scid().set(false, "v"), "SCID=v; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(scid().set(true, "v"), "__Host-SCID=v; Path=/; HttpOnly; SameSite=Lax; Secure");
        let spec = with(&["path=/app", "DOMAIN=.Example.COM", "samesite=none", "secure"]).unwrap();
        assert_eq!(
            spec.set(false, "v"),
            "__Secure-SCID=v; Path=/app; HttpOnly; SameSite=None; Secure; Domain=example.com"
        );
        let cleared =
            "SCID=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
        assert_eq!(scid().clear(false), cleared);
    }

    #[test]
    fn an_attribute_that_cannot_stand_is_refused_with_the_right_advice() {
        let advice = |attributes: &[&str]| with(attributes).unwrap_err().to_string();
        for path in ["Path=", "Path=app", "Path=/a;b", "Path=/a b", "Path=/a,b", "Path=/\r\nX:"] {
            assert!(advice(&[path]).contains("Path=/app"), "{path:?}");
        }
        for domain in [
            "Domain=",
            "Domain=.",
            "Domain=a..b",
            "Domain=*.a.b",
            "Domain=a.b:80",
            "Domain=http://a.b",
            "Domain=a;b",
        ] {
            assert!(advice(&[domain]).contains("Domain=example.com"), "{domain:?}");
        }
        assert!(advice(&["SameSite=Maybe"]).contains("SameSite=Lax"));
        assert!(advice(&["SameSite=None"]).contains("without Secure"));
        assert!(advice(&["HttpOnly"]).contains("leave it out"));
        assert!(advice(&["Max-Age=60"]).contains("SessionClusterLifetime"));
        assert!(advice(&["Path=/a", "path=/b"]).contains("each once"));
        assert!(advice(&["Route=a", "ROUTE=b"]).contains("each once"));
        for unknown in ["Path", "Secure=1", "Domian=a.b", "Route", ""] {
            assert_eq!(with(&[unknown]), Err(CookieError::Unknown(unknown.into())));
        }
    }

    #[test]
    fn every_cookie_of_exactly_that_name_is_a_candidate_in_order() {
        assert_eq!(found(&scid(), false, "a=1; SCID=x;SCID = y ,SCID=;b=2"), ["x", "y", ""]);
        assert_eq!(found(&scid(), false, "scid=x; SCIDE=x; XSCID=x; SCID; =SCID; a=SCID=x"), [""; 0]);
        assert_eq!(found(&scid(), false, "__Host-SCID=x; __Secure-SCID=x"), [""; 0]);
        assert_eq!(found(&scid(), true, "SCID=x; __Secure-SCID=x; __Host-SCID=y"), ["y"]);
    }

    #[test]
    fn more_candidates_than_a_browser_sends_are_left_alone() {
        let header = "SCID=1;SCID=2;SCID=3;SCID=4;SCID=5";
        assert_eq!(found(&scid(), false, header), ["1", "2", "3", "4"]);
    }

    #[test]
    fn a_neighbour_cannot_smuggle_a_prefixed_cookie_in_the_value_of_its_own() {
        assert_eq!(found(&scid(), true, "x=1, __Host-SCID=evil; __Host-SCID=good"), ["good"]);
        assert_eq!(found(&scid(), true, "__Host-SCID=good, folded=1"), ["good"]);
        assert_eq!(found(&scid(), false, "x=1, SCID=folded"), ["folded"]);
    }

    #[test]
    fn strip_takes_each_cookie_with_one_separator() {
        let changed = |text: &str| Stripped::Changed(text.into());
        assert_eq!(stripped("a=1; SCID=x; b=2"), changed("a=1; b=2"));
        assert_eq!(stripped("SCID=x; a=1;  b=2"), changed("a=1;  b=2"));
        assert_eq!(stripped("a=1;b=\"2\" , SCID=x"), changed("a=1;b=\"2\" "));
        assert_eq!(stripped("a=1; __Host-SCID=x, SCID=y;__Secure-SCID=z; b=2"), changed("a=1; b=2"));
        assert_eq!(stripped("SCID=x"), Stripped::Empty);
        assert_eq!(stripped(" SCID=x; ;SCID=y,"), Stripped::Empty);
        for header in ["", "a=1; scid=x", "SCID", "a=SCID=x", "XSCID=1"] {
            assert_eq!(stripped(header), Stripped::Unchanged, "{header:?}");
        }
    }

    /// Headers of many cookies, ours among them, in every spelling.
    fn headers() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"SCID=v".to_vec()),
            Just(b"__Host-SCID=v".to_vec()),
            Just(b" __Secure-SCID = v\t".to_vec()),
            Just(b"other=1".to_vec()),
            "[;,= \t]{1,3}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..6),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    /// The cookies of a header that are not ours, found in another way than the code under test finds them.
    fn foreign(header: &[u8]) -> Vec<String> {
        let names = ["SCID", "__Host-SCID", "__Secure-SCID"];
        let text: String = header.iter().map(|&byte| char::from(byte)).collect();
        let ows = [' ', '\t'];
        text.split([';', ','])
            .filter(|pair| {
                !pair.split_once('=').is_some_and(|(name, _)| names.contains(&name.trim_matches(ows)))
            })
            .map(|pair| pair.trim_start_matches(ows).to_owned())
            .collect()
    }

    proptest! {
        #[test]
        fn what_is_set_is_found_among_other_cookies(
            value in "[A-Za-z0-9_-]{1,60}",
            https: bool,
            before in "(a=[a-z\"]{0,9}; ){0,3}",
            after in "(; b=[a-z]{0,9}){0,3}",
        ) {
            let set = scid().set(https, &value);
            let sent = set.split(';').next().unwrap();
            let header = format!("{before}{sent}{after}");
            prop_assert_eq!(found(&scid(), https, &header), [value.as_str()]);
        }

        #[test]
        fn strip_hides_ours_and_keeps_the_others(header in headers()) {
            let rest = match scid().strip(&header) {
                Stripped::Unchanged => header.clone(),
                Stripped::Empty => Vec::new(),
                Stripped::Changed(rest) => rest,
            };
            for https in [false, true] {
                prop_assert_eq!(scid().find(https, &rest).count(), 0);
            }
            prop_assert_eq!(scid().strip(&rest), Stripped::Unchanged);
            let (kept, expected) = (foreign(&rest), foreign(&header));
            // A header of separators alone is dropped whole.
            if !rest.is_empty() {
                prop_assert_eq!(kept, expected);
            } else {
                prop_assert!(expected.iter().all(String::is_empty));
            }
        }
    }
}
