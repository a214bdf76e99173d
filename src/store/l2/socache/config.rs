//! The words of `socache:PROVIDER[:ARGUMENTS] [prefix=NAME]`.

/// What the words say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocacheConfig {
    pub(super) prefix: String,
    provider: String,
    arguments: Option<String>,
}

/// Longer ids do not fit into memcached's keys, which httpd makes of them by writing each byte as two digits.
const LONGEST_PREFIX: usize = 32;

impl SocacheConfig {
    /// Reads the words.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn parse(words: &[&str]) -> Result<Self, String> {
        let (first, options) = words.split_first().ok_or("no cache is named")?;
        let rest =
            first.strip_prefix("socache:").ok_or("a cache is written as socache:PROVIDER:ARGUMENTS")?;
        let (provider, arguments) = match rest.split_once(':') {
            Some((provider, arguments)) => (provider, Some(arguments).filter(|text| !text.is_empty())),
            None => (rest, None),
        };
        if provider.is_empty() {
            return Err(
                "socache: names no provider: write, for example, socache:memcache:10.0.0.5:11211".into()
            );
        }
        let over_network = ["memcache", "redis"].contains(&provider);
        if over_network && arguments.is_none() {
            return Err(format!("socache:{provider} needs a server: write socache:{provider}:10.0.0.5:PORT"));
        }
        if over_network && arguments.is_some_and(|servers| servers.contains(',')) {
            return Err(format!(
                "socache:{provider} takes one server only: while one of several is away, httpd would look for \
                 its entries on another, and an ended session could come back with it"
            ));
        }
        let mut prefix = "sc".to_owned();
        for option in options {
            match option.split_once('=') {
                Some(("prefix", value)) => prefix = checked(value)?,
                _ => {
                    return Err(format!(
                        "'{option}' is not known here: after socache: there may be prefix=NAME"
                    ));
                }
            }
        }
        Ok(SocacheConfig { prefix, provider: provider.into(), arguments: arguments.map(str::to_owned) })
    }

    /// The name of the provider.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// What the provider is told.
    #[must_use]
    pub fn arguments(&self) -> Option<&str> {
        self.arguments.as_deref()
    }
}

fn checked(prefix: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if prefix.is_empty() || prefix.len() > LONGEST_PREFIX || !prefix.chars().all(fits) {
        return Err(format!("prefix= takes 1 to {LONGEST_PREFIX} letters, digits and - _ . only"));
    }
    Ok(prefix.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_a_provider_and_what_it_is_told() {
        let config = SocacheConfig::parse(&["socache:memcache:10.0.0.5:11211", "prefix=a-b"]).unwrap();
        assert_eq!(
            (config.provider(), config.arguments(), &config.prefix[..]),
            ("memcache", Some("10.0.0.5:11211"), "a-b")
        );
        let config = SocacheConfig::parse(&["socache:shmcb"]).unwrap();
        assert_eq!((config.provider(), config.arguments(), &config.prefix[..]), ("shmcb", None, "sc"));
    }

    #[test]
    fn mistakes_are_named() {
        for (words, said) in [
            (&["socache:"][..], "names no provider"),
            (&["socache:memcache"], "needs a server"),
            (&["socache:memcache:a:1,b:2"], "one server only"),
            (&["socache:shmcb", "prefix="], "letters, digits"),
            (&["socache:shmcb", "db=3"], "'db=3' is not known"),
        ] {
            let error = SocacheConfig::parse(words).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
