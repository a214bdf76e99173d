//! The files of the project as text, and what a check says about one of them. A check is a function of a [`Tree`], so
//! that a test can plant a violation without a disk.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Error};
use std::path::Path;
use std::process::Command;

/// All text files that belong to the project, by their path from its root.
#[derive(Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads what git knows, and what it would add: neither build products nor what `.gitignore` names.
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let list = Command::new("git")
            // Also in a checkout that is somebody else's.
            .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()?;
        if !list.status.success() {
            return Err(Error::other(String::from_utf8_lossy(&list.stderr).into_owned()));
        }
        let mut files = BTreeMap::new();
        for name in String::from_utf8_lossy(&list.stdout).split('\0').filter(|name| !name.is_empty()) {
            // A file that was removed and not yet committed is still listed; a picture is no text.
            match std::fs::read_to_string(root.join(name)) {
                Ok(text) => drop(files.insert(name.to_owned(), text)),
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {}
                Err(e) => return Err(Error::new(e.kind(), format!("{name}: {e}"))),
            }
        }
        Ok(Self { files })
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect() }
    }

    pub(crate) fn text(&self, file: &str) -> Option<&str> {
        self.files.get(file).map(String::as_str)
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(file, text)| (file.as_str(), text.as_str()))
    }

    /// Whether this is a file or a directory of the project. The root is `""`.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty()
            || self.files.contains_key(path)
            || self.files.keys().any(|file| file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    }
}

/// What breaks a rule, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) file: String,
    /// Counted from one; zero for the file as a whole.
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl Finding {
    pub(crate) fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}: {}", self.file, self.what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_known_by_its_files() {
        let tree = Tree::of(&[("docs/stores.md", "")]);
        assert!(tree.has("docs") && tree.has("docs/") && tree.has("docs/stores.md") && tree.has(""));
        assert!(!tree.has("doc") && !tree.has("docs/stores"));
    }
}
