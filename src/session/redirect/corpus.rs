//! The addresses of `tests/data` that return addresses are tested with. Knows nothing of the code under test, and is
//! read by the live tests as well.

/// Addresses that must all be refused.
pub(crate) fn hostile() -> Vec<String> {
    read(include_str!("../../../tests/data/hostile-return-addresses.txt"))
}

/// Addresses that look hostile and are plain paths of this host, some of them outside of `/app`.
pub(crate) fn puzzling() -> Vec<String> {
    read(include_str!("../../../tests/data/puzzling-return-addresses.txt"))
}

/// The lines that are no remarks, whose characters may be written with Rust's escapes.
fn read(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.starts_with("# ")).map(unescaped).collect()
}

fn unescaped(line: &str) -> String {
    let mut text = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let meant = match (c, if c == '\\' { chars.next() } else { None }) {
            (_, None) if c != '\\' => Some(c),
            (_, Some('t')) => Some('\t'),
            (_, Some('n')) => Some('\n'),
            (_, Some('r')) => Some('\r'),
            (_, Some('\\')) => Some('\\'),
            (_, Some('u')) => {
                let digits: String = chars.by_ref().skip(1).take_while(|&c| c != '}').collect();
                u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)
            }
            _ => None,
        };
        text.push(meant.unwrap_or_else(|| panic!("unknown escape in {line:?}")));
    }
    text
}
