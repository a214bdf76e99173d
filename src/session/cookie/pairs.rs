//! Reading a `Cookie` header: from bytes to pairs and not a byte lost, so that a header can be put together again
//! from the pairs that are to stay. Takes any bytes; copies none.

use memchr::{memchr, memchr2};
use std::iter;

/// One cookie of a `Cookie` header.
pub(super) struct Pair<'h> {
    /// What stood before it: a separator and the white space behind that, or nothing at the beginning.
    pub(super) separator: &'h [u8],
    /// Everything up to the next separator.
    pub(super) text: &'h [u8],
    /// Whether that separator is a comma, as where two headers were folded into one.
    pub(super) folded: bool,
}

impl<'h> Pair<'h> {
    /// Its name and value without white space around them; `None` if there is no `=`.
    pub(super) fn name_and_value(&self) -> Option<(&'h [u8], &'h [u8])> {
        let equals = memchr(b'=', self.text)?;
        let (name, value) = self.text.split_at_checked(equals)?;
        let (_, value) = value.split_first()?;
        Some((trim(name), trim(value)))
    }
}

/// The cookies of a header, in its order. Their separators and texts, one after the other, are the header.
pub(super) fn pairs(header: &[u8]) -> impl Iterator<Item = Pair<'_>> {
    let mut rest = Some(header);
    let mut at_start = true;
    iter::from_fn(move || {
        let from = rest?;
        let separators = usize::from(!at_start);
        let begin = from.iter().skip(separators).take_while(|&&byte| is_ows(byte)).count() + separators;
        let (separator, from) = from.split_at_checked(begin)?;
        let end = memchr2(b';', b',', from).unwrap_or(from.len());
        let (text, next) = from.split_at_checked(end)?;
        // What follows begins with its separator, so it is empty at the end only.
        (rest, at_start) = ((!next.is_empty()).then_some(next), false);
        Some(Pair { separator, text, folded: separator.first() == Some(&b',') })
    })
}

pub(super) const fn is_separator(byte: u8) -> bool {
    matches!(byte, b';' | b',')
}

/// Optional white space of RFC 9110.
pub(super) const fn is_ows(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_ows(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_ows(*last)
    {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(header: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let owned = |(name, value): (&[u8], &[u8])| (name.to_vec(), value.to_vec());
        pairs(header.as_bytes()).filter_map(|pair| pair.name_and_value()).map(owned).collect()
    }

    #[test]
    fn white_space_around_names_and_values_does_not_count() {
        let expected = vec![(b"a".to_vec(), b"1 2".to_vec()), (b"b".to_vec(), b"=".to_vec())];
        assert_eq!(read(" a =\t1 2 ;b== "), expected);
    }

    #[test]
    fn a_text_without_an_equals_sign_is_no_cookie() {
        assert_eq!(read(";; a ,\t;").len(), 0);
        assert_eq!(pairs(b";; a ,\t;").count(), 5);
    }

    #[test]
    fn only_a_comma_counts_as_a_fold() {
        let folds: Vec<bool> = pairs(b"a=1, b=2; c=3,d=4").map(|pair| pair.folded).collect();
        assert_eq!(folds, [false, true, false, true]);
    }

    proptest! {
        #[test]
        fn the_pairs_of_a_header_are_the_header(header in "[a=;, \t]{0,40}") {
            let mut joined = Vec::new();
            for pair in pairs(header.as_bytes()) {
                joined.extend_from_slice(pair.separator);
                joined.extend_from_slice(pair.text);
            }
            prop_assert_eq!(joined, header.as_bytes());
        }
    }
}
