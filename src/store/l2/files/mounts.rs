//! What the mount table says of a directory: whether it is on a file system that other hosts write to, and whether this
//! one then looks often enough.

use std::path::Path;

/// What an administrator should change about the mount of `root`, by the text of `/proc/self/mountinfo`.
pub(super) fn advice(root: &Path, mountinfo: &str) -> Option<String> {
    let mount = Mount::of(root, mountinfo).filter(Mount::is_remote)?;
    let option = |wanted: &str| mount.options.split(',').any(|option| option == wanted);
    if option("noac") || option("acdirmax=0") {
        return None;
    }
    Some(format!(
        "{} is on NFS (mounted at {}) and this host looks at its directories only now and then, so that it hears of \
         logouts up to a minute late: mount it with the options actimeo=0 (or noac)",
        root.display(),
        mount.point
    ))
}

/// Whether `root`, as it is written, is on a file server, which may be away.
pub(super) fn is_remote(root: &Path, mountinfo: &str) -> bool {
    Mount::of(root, mountinfo).is_some_and(|mount| mount.is_remote())
}

struct Mount {
    point: String,
    kind: String,
    options: String,
}

impl Mount {
    /// The one that `root` is on.
    fn of(root: &Path, mountinfo: &str) -> Option<Self> {
        let mounts = mountinfo.lines().filter_map(Mount::read);
        mounts.filter(|mount| root.starts_with(&mount.point)).max_by_key(|mount| mount.point.len())
    }

    fn is_remote(&self) -> bool {
        self.kind.starts_with("nfs")
    }

    /// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`, see proc(5).
    fn read(line: &str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(4);
        let (point, own) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let (kind, of_all) = (after.next()?, after.nth(1)?);
        let point = point.replace("\\040", " ");
        Some(Mount { point, kind: kind.to_owned(), options: format!("{own},{of_all}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda rw
80 22 0:50 / /srv rw,relatime shared:2 - nfs4 nas:/srv rw,vers=4.2,acregmin=3,acdirmin=30,hard,proto=tcp
81 22 0:51 / /srv/fresh rw,relatime - nfs4 nas:/fresh rw,vers=4.2,acregmin=0,acregmax=0,acdirmin=0,acdirmax=0,hard
82 22 0:52 / /srv/no\\040cache rw,sync,relatime - nfs nas:/x rw,vers=3,noac,addr=10.0.0.1
";

    #[test]
    fn nfs_that_is_looked_at_now_and_then_is_warned_of() {
        let said = advice(Path::new("/srv/sessions"), TABLE).unwrap();
        assert!(
            said.contains("/srv/sessions is on NFS (mounted at /srv)") && said.contains("actimeo=0"),
            "{said}"
        );
    }

    #[test]
    fn nfs_that_is_always_asked_and_other_file_systems_are_not() {
        for root in ["/var/lib/sessions", "/srv/fresh/sessions", "/srv/no cache/sessions", "/srvother"] {
            assert_eq!(advice(Path::new(root), TABLE), None, "{root}");
        }
        assert_eq!(advice(Path::new("/srv"), "nonsense"), None);
    }

    #[test]
    fn what_is_on_a_file_server_is_known_without_a_look_at_it() {
        assert!(is_remote(Path::new("/srv/fresh/sessions"), TABLE));
        assert!(!is_remote(Path::new("/var/lib/sessions"), TABLE));
    }
}
