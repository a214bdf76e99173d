//! Forms as text: `name=value&name=value`, percent-encoded (WHATWG URL, application/x-www-form-urlencoded).

use super::redirect::encode_query;

/// The fields as text.
#[must_use]
pub fn encode(fields: &[(String, String)]) -> String {
    let pair = |(name, value): &(String, String)| format!("{}={}", encode_query(name), encode_query(value));
    fields.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// The fields of a text that [`encode`] wrote; `None` for any other.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<(String, String)>> {
    pairs(text.as_bytes())
        .map(|pair| {
            let (name, value) = pair?;
            Some((String::from_utf8(name).ok()?, String::from_utf8(value).ok()?))
        })
        .collect()
}

/// The pairs of a text, decoded to bytes; `None` in place of one that is not encoded as it should be: a percent sign
/// without two digits, a NUL, or a raw comma, space or control character. (Two headers of one name become one with a
/// comma; any encoder encodes that.)
pub(super) fn pairs(text: &[u8]) -> impl Iterator<Item = Option<(Vec<u8>, Vec<u8>)>> {
    text.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let mut halves = pair.splitn(2, |&byte| byte == b'=');
        let mut next = || unescape(halves.next().unwrap_or_default());
        Some((next()?, next()?))
    })
}

fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b',' | ..=b' ' | b'\x7f' => return None,
            b'%' => u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?,
            byte => byte,
        });
    }
    (!decoded.contains(&0)).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_encoded_is_refused() {
        for wrong in ["a=%0", "a=%zz", "a=%00", "a=b,c=d", "a b=c", "a=b\nc", "%ff=x"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
        assert_eq!(decode("&a&=b&"), Some(vec![("a".into(), String::new()), (String::new(), "b".into())]));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(fields: Vec<(String, String)>) {
            let fields: Vec<_> = fields
                .into_iter()
                .map(|(name, value)| (name.replace('\0', "") + "x", value.replace('\0', "")))
                .collect();
            prop_assert_eq!(decode(&encode(&fields)), Some(fields));
        }
    }
}
