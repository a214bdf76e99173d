//! What an operator says about a store in a database: the words of a directive, made into a [`DbdConfig`]. Which
//! database it is stands in the directives of mod_dbd.

const PREFIX: &str = "sc";
/// Longer names of tables are cut off by some databases.
const LONGEST: usize = 24;

/// How the tables are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DbdConfig {
    pub(super) prefix: String,
}

impl DbdConfig {
    /// Parses `dbd [prefix=NAME]`.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn parse(words: &[&str]) -> Result<Self, String> {
        let (scheme, options) = words.split_first().ok_or("no store is named: write dbd")?;
        if *scheme != "dbd" {
            return Err("after dbd comes nothing: what database it is says DBDriver and DBDParams".into());
        }
        let mut prefix = None;
        for word in options {
            let name = word.strip_prefix("prefix=").ok_or_else(|| {
                format!("\"{word}\" is no option of a store in a database: there is prefix=")
            })?;
            if prefix.is_some() {
                return Err("prefix= is given twice".into());
            }
            if !is_prefix(name) {
                return Err(format!(
                    "prefix={name}: a prefix of tables begins with a small letter, and has small letters, digits \
                     and _, at most {LONGEST}"
                ));
            }
            prefix = Some(name.to_owned());
        }
        Ok(DbdConfig { prefix: prefix.unwrap_or_else(|| PREFIX.into()) })
    }
}

/// Whatever a database makes of capital letters, these are the same names in all.
fn is_prefix(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= LONGEST && name.bytes().all(allowed) && name.starts_with(|c: char| c.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_part_of_names_of_tables() {
        let prefix = |words: &[&str]| DbdConfig::parse(words).map(|config| config.prefix);
        assert_eq!(prefix(&["dbd"]), Ok("sc".into()));
        assert_eq!(prefix(&["dbd", "prefix=shop_1"]), Ok("shop_1".into()));
        for (words, complaint) in [
            (&["dbd", "prefix="][..], "begins with a small letter"),
            (&["dbd", "prefix=1a"], "begins with a small letter"),
            (&["dbd", "prefix=a'; DROP TABLE x"], "begins with a small letter"),
            (&["dbd", "prefix=Shop"], "begins with a small letter"),
            (&["dbd", "prefix=a123456789012345678901234"], "at most 24"),
            (&["dbd", "prefix=a", "prefix=b"], "given twice"),
            (&["dbd", "user=x"], "no option of a store in a database"),
            (&["dbd:mysql"], "DBDriver and DBDParams"),
        ] {
            let said = prefix(words).unwrap_err();
            assert!(said.contains(complaint), "{said}");
        }
    }
}
