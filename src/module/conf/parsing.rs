//! Arguments of directives, one at a time.

use crate::ffi::http_config::Args;
use crate::store::record::Record;
use std::time::Duration;

pub(super) fn flag(args: &Args<'_>) -> Result<bool, String> {
    let word = args.first();
    match () {
        () if word.eq_ignore_ascii_case("on") => Ok(true),
        () if word.eq_ignore_ascii_case("off") => Ok(false),
        () => Err(format!("'{word}' is neither On nor Off")),
    }
}

/// A timeout: from a tenth of a second to 49 days, the longest that a record may have.
pub(super) fn span(args: &Args<'_>) -> Result<Duration, String> {
    let span = args.duration(args.first())?;
    if (Duration::from_millis(100)..=Record::LONGEST).contains(&span) {
        Ok(span)
    } else {
        Err(format!("'{}' is out of range: write a time from 100ms to 49d", args.first()))
    }
}

pub(super) fn size(text: &str) -> Result<usize, String> {
    let (digits, shift) = match text.char_indices().last() {
        Some((i, 'k' | 'K')) => (&text[..i], 10),
        Some((i, 'm' | 'M')) => (&text[..i], 20),
        Some((i, 'g' | 'G')) => (&text[..i], 30),
        _ => (text, 0),
    };
    let size = digits.parse::<usize>().ok().and_then(|n| n.checked_mul(1 << shift)).filter(|&n| n > 0);
    size.ok_or_else(|| format!("'{text}' is not a size: write a number with K, M or G, such as 64M"))
}

/// A word as it has to be written for httpd to read it as one.
pub(super) fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains([' ', '\t', '"', '\'', '\\']) {
        format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("1g"), Ok(1 << 30));
        assert_eq!(size("4096"), Ok(4096));
        for wrong in ["", "M", "-1M", "1T", "0", "1.5G", "99999999999999999999", "99999999999999G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
