//! The user that httpd's children become when they have been started by root.

use super::sys;
use std::ptr;

/// A user of the system, with all its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Number of the user.
    pub uid: u32,
    /// Numbers of the groups.
    pub groups: Vec<u32>,
}

impl Account {
    /// Whom children will run as. Once the configuration has been read.
    #[must_use]
    pub fn of_children() -> Self {
        // SAFETY: asks for a number.
        let own = unsafe { libc::geteuid() };
        if own != 0 {
            return Account { uid: own, groups: own_groups() };
        }
        // SAFETY: set by directives, and not changed once the configuration has been read.
        let sys::unixd_config_rec { user_id: uid, group_id: gid, .. } = unsafe { sys::ap_unixd_config };
        Account { uid, groups: groups_of(uid, gid) }
    }
}

fn own_groups() -> Vec<u32> {
    let mut groups = vec![0; MOST];
    // SAFETY: at most MOST numbers go where `groups` is.
    let count = unsafe { libc::getgroups(MOST as i32, groups.as_mut_ptr()) };
    groups.truncate(usize::try_from(count).unwrap_or(0));
    // SAFETY: asks for a number.
    groups.push(unsafe { libc::getegid() });
    groups
}

/// The group that httpd gives to its children, and those that `initgroups` adds by the user's name.
fn groups_of(uid: u32, gid: u32) -> Vec<u32> {
    // SAFETY: the answer is null or lives until the next such question, and the configuration is read by one thread.
    let entry = unsafe { libc::getpwuid(uid) };
    // SAFETY: as above.
    let Some(entry) = (unsafe { entry.as_ref() }) else { return vec![gid] };
    let mut groups = vec![gid; MOST];
    let mut count = MOST as i32;
    // SAFETY: the name lives until the next question; at most `count` numbers go where `groups` is.
    let fits =
        unsafe { libc::getgrouplist(entry.pw_name, gid, groups.as_mut_ptr(), ptr::from_mut(&mut count)) };
    groups.truncate(if fits < 0 { MOST } else { usize::try_from(count).unwrap_or(0) });
    groups
}

/// More groups are not looked at.
const MOST: usize = 1024;
