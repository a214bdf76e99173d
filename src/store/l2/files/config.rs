//! What an operator says about a store in files: the words of a directive, made into a [`FilesConfig`].

use super::shared;
use std::path::{Path, PathBuf};

/// Where the files are, and how much is done for them to outlive a power loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesConfig {
    pub(super) root: PathBuf,
    pub(super) fsync: bool,
}

impl FilesConfig {
    /// Reads `file:/DIRECTORY [fsync=on|off]`.
    ///
    /// # Errors
    /// One line that says what is wrong and what to write instead.
    pub fn parse(words: &[&str]) -> Result<Self, String> {
        const FORM: &str = "write file:/DIRECTORY [fsync=on|off]";
        let (url, options) = words.split_first().ok_or_else(|| format!("no directory is named: {FORM}"))?;
        let root = url.strip_prefix("file:").ok_or_else(|| format!("'{url}' names no directory: {FORM}"))?;
        // As in a URL with an empty host.
        let root = root.strip_prefix("//").filter(|rest| rest.starts_with('/')).unwrap_or(root);
        if !root.starts_with('/') || root.starts_with("//") {
            return Err(format!("'{url}' has no absolute path: {FORM}"));
        }
        let mut config = FilesConfig { root: root.into(), fsync: true };
        for option in options {
            config.fsync = match *option {
                "fsync=on" => true,
                "fsync=off" => false,
                _ => return Err(format!("'{option}' is no option of a store in files: {FORM}")),
            };
        }
        Ok(config)
    }

    /// Whether the directory can be a store, as far as looking at it tells. Makes nothing, and waits for as long as the
    /// file server does.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub fn inspect(&self) -> Result<(), String> {
        shared::inspect(&self.root)
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_named_by_its_absolute_path() {
        for (url, root) in [("file:/srv/sessions", "/srv/sessions"), ("file:///srv/s", "/srv/s")] {
            assert_eq!(FilesConfig::parse(&[url]).unwrap(), FilesConfig { root: root.into(), fsync: true });
        }
        for wrong in ["file:", "file:sessions", "file://host/srv", "/srv", "file:////srv"] {
            let said = FilesConfig::parse(&[wrong]).unwrap_err();
            assert!(said.contains("write file:/DIRECTORY"), "{wrong}: {said}");
        }
        assert!(FilesConfig::parse(&[]).is_err());
    }

    #[test]
    fn whether_writes_are_waited_for_is_an_option() {
        let fsync = |word| FilesConfig::parse(&["file:/s", word]).map(|config| config.fsync);
        assert_eq!((fsync("fsync=on"), fsync("fsync=off")), (Ok(true), Ok(false)));
        for wrong in ["fsync=maybe", "sync=on", "fsync"] {
            assert!(fsync(wrong).unwrap_err().contains(wrong));
        }
    }
}
