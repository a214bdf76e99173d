//! `SessionClusterCacheControl`: what caches are told of a page that has to do with a session. A word of the page's own
//! is kept where it asks for more.

use std::ffi::CStr;

/// What is told; the later, the stricter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheControl {
    /// One browser may keep it, and show it again as long as the page's other headers say.
    Private,
    /// One browser may keep it, and asks each time whether it may show it.
    #[default]
    NoCache,
    /// Nobody keeps it.
    NoStore,
}

impl CacheControl {
    /// All, with the words that the directive takes.
    pub const ALL: [(&str, CacheControl); 3] = [
        ("private", CacheControl::Private),
        ("no-cache", CacheControl::NoCache),
        ("no-store", CacheControl::NoStore),
    ];

    /// As a header says it.
    #[must_use]
    pub fn header(self) -> &'static CStr {
        match self {
            CacheControl::Private => c"private",
            CacheControl::NoCache => c"private, no-cache",
            CacheControl::NoStore => c"no-store",
        }
    }

    /// What a header says that is to say this and has said `own` so far: its weaker words are left out. `None` if it
    /// says enough already.
    #[must_use]
    pub fn in_place_of(self, own: &str) -> Option<String> {
        let words: Vec<&str> = own.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
        let says = |wanted: &str| words.iter().any(|word| word.eq_ignore_ascii_case(wanted));
        let ours = self.header().to_str().unwrap_or_default();
        // A quoted list of headers: the rest of the page would be free.
        let weak = own.contains('"') || words.iter().any(|word| self.outdoes(word));
        if says("no-store") || (!weak && ours.split(", ").all(says)) {
            return None;
        }
        if own.contains('"') {
            return Some(ours.to_owned());
        }
        let kept = words.iter().filter(|word| !self.outdoes(word));
        let kept = kept.filter(|word| !ours.split(", ").any(|said| word.eq_ignore_ascii_case(said)));
        Some(kept.fold(ours.to_owned(), |all, word| all + ", " + word))
    }

    /// Whether a word of a header would have a cache do what this forbids.
    fn outdoes(self, word: &str) -> bool {
        let name = word.split('=').next().unwrap_or_default().trim_end().to_ascii_lowercase();
        match name.as_str() {
            "public" | "s-maxage" => true,
            "max-age" | "immutable" | "stale-while-revalidate" | "stale-if-error" => {
                self > CacheControl::Private
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stricter_word_of_the_page_stays_and_a_weaker_one_goes() {
        use CacheControl::{NoCache, NoStore, Private};
        let cases = [
            (NoCache, "private, no-cache", None),
            (NoCache, "No-Cache , must-revalidate, PRIVATE", None),
            (NoCache, "no-store", None),
            (NoCache, "private", Some("private, no-cache")),
            (NoCache, "no-cache", Some("private, no-cache")),
            (NoCache, "max-age=600", Some("private, no-cache")),
            (NoCache, "Public, Max-Age = 600, no-transform", Some("private, no-cache, no-transform")),
            (NoCache, "private, no-cache, s-maxage=9", Some("private, no-cache")),
            (NoCache, "private=\"Set-Cookie, X\", no-cache", Some("private, no-cache")),
            (NoCache, "private, no-cache=\"X\"", Some("private, no-cache")),
            (NoCache, "immutable,stale-while-revalidate=60,,stale-if-error=1", Some("private, no-cache")),
            (NoCache, "", Some("private, no-cache")),
            (Private, "public, max-age=600", Some("private, max-age=600")),
            (Private, "private, max-age=600", None),
            (Private, "no-cache", Some("private, no-cache")),
            (NoStore, "private, no-cache", Some("no-store, private, no-cache")),
            (NoStore, "public", Some("no-store")),
        ];
        for (ours, own, wanted) in cases {
            assert_eq!(ours.in_place_of(own).as_deref(), wanted, "{ours:?} over '{own}'");
        }
    }
}
