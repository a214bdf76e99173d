//! Who may do what with a directory, told by looking only: this process, which starts the server, and its children,
//! which may be another user's. Where an access list decides, only trying would tell, and nothing is said.

use crate::ffi::unixd::Account;
use rustix::fs::{Access, access, getxattr};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const READ: u32 = 4;
const WRITE: u32 = 2;
const SEARCH: u32 = 1;

/// Whether this process may make files in a directory.
///
/// # Errors
/// Why not.
pub(super) fn may_make_files_in(directory: &Path) -> io::Result<()> {
    if !fs::metadata(directory)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(access(directory, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Whether httpd's children may read and write in a directory.
///
/// # Errors
/// Why not, and what to do.
pub(super) fn children_may_use(directory: &Path) -> Result<(), String> {
    children_may(directory, READ | WRITE | SEARCH)
}

/// Whether httpd's children come as far as a directory, so that they can open files that lie in it.
///
/// # Errors
/// Why not, and what to do.
pub(super) fn children_may_enter(directory: &Path) -> Result<(), String> {
    children_may(directory, SEARCH)
}

fn children_may(directory: &Path, what: u32) -> Result<(), String> {
    let failed = |e: io::Error| format!("{}: {e}", directory.display());
    let account = Account::of_children();
    let real = fs::canonicalize(directory).map_err(failed)?;
    for at in real.ancestors() {
        let metadata = fs::metadata(at).map_err(failed)?;
        let wanted = if at == real { what } else { SEARCH };
        if !may(&account, &metadata, wanted) && !has_list(at) {
            let (uid, mode) = (account.uid, metadata.mode() & 0o777);
            let remedy =
                if wanted == SEARCH { "let it in" } else { "make it theirs (chown), with mode 0700" };
            return Err(format!(
                "{}: the processes of httpd (user number {uid}) may not use it, for {} has mode {mode:04o} and \
                 belongs to user number {}: {remedy}",
                directory.display(),
                at.display(),
                metadata.uid()
            ));
        }
    }
    Ok(())
}

fn may(account: &Account, metadata: &Metadata, wanted: u32) -> bool {
    let shift = match () {
        () if account.uid == 0 => return true,
        () if account.uid == metadata.uid() => 6,
        () if account.groups.contains(&metadata.gid()) => 3,
        () => 0,
    };
    (metadata.mode() >> shift) & wanted == wanted
}

/// Whether an access list says more than the mode does.
fn has_list(path: &Path) -> bool {
    getxattr(path, "system.posix_acl_access", &mut [0_u8; 0]).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_first_class_that_fits_decides() {
        let directory = tempfile::tempdir().unwrap();
        let (uid, gid) =
            fs::metadata(directory.path()).map(|metadata| (metadata.uid(), metadata.gid())).unwrap();
        let somebody = |uid: u32, groups: &[u32]| Account { uid, groups: groups.to_vec() };
        let (member, stranger) = (somebody(uid + 7, &[gid]), somebody(uid + 7, &[gid + 7]));
        for (mode, account, wanted, expected) in [
            (0o070, &member, READ | WRITE | SEARCH, true),
            (0o707, &member, SEARCH, false),
            (0o750, &member, WRITE, false),
            (0o705, &stranger, READ | SEARCH, true),
            (0o770, &stranger, SEARCH, false),
        ] {
            fs::set_permissions(directory.path(), Permissions::from_mode(mode)).unwrap();
            let metadata = fs::metadata(directory.path()).unwrap();
            assert_eq!(may(account, &metadata, wanted), expected, "{mode:o} {account:?}");
        }
        assert!(may(&somebody(0, &[]), &fs::metadata(directory.path()).unwrap(), WRITE));
    }

    #[test]
    fn files_are_made_in_directories_only() {
        let directory = tempfile::tempdir().unwrap();
        assert!(may_make_files_in(directory.path()).is_ok());
        assert!(may_make_files_in(&directory.path().join("nowhere")).is_err());
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(may_make_files_in(&file).is_err());
    }
}
