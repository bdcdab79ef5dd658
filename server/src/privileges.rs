// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changing to another user once addresses are bound and keys are read. Only while there is one thread.

use nix::unistd::{Gid, Group, Uid, User, initgroups, setgid, setgroups, setuid};
use std::ffi::CString;

/// Changes user and group. Without `user` only the group changes; `group` defaults to the user's.
///
/// # Errors
/// Unknown names, or this process may not change its user.
pub fn drop_to(user: Option<&str>, group: Option<&str>) -> Result<(), String> {
    let account = user.map(find_user).transpose()?;
    let gid = match (group, &account) {
        (Some(group), _) => Some(find_group(group)?),
        (None, Some(account)) => Some(account.gid),
        (None, None) => None,
    };
    if let Some(gid) = gid {
        let groups = match &account {
            Some(account) => {
                let name = CString::new(account.name.clone()).map_err(|e| e.to_string())?;
                initgroups(&name, gid)
            }
            None => setgroups(&[gid]),
        };
        groups.map_err(|e| format!("can not give up supplementary groups: {e}"))?;
        setgid(gid).map_err(|e| format!("can not change to group {gid}: {e}"))?;
    }
    if let Some(account) = account {
        setuid(account.uid).map_err(|e| format!("can not change to user {}: {e}", account.name))?;
        if account.uid != Uid::from_raw(0) && setuid(Uid::from_raw(0)).is_ok() {
            return Err("could change back to root: privileges were not given up".into());
        }
    }
    Ok(())
}

fn find_user(name: &str) -> Result<User, String> {
    let found = match name.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(name),
    };
    found.map_err(|e| format!("user {name}: {e}"))?.ok_or_else(|| format!("there is no user {name}"))
}

fn find_group(name: &str) -> Result<Gid, String> {
    if let Ok(number) = name.parse() {
        return Ok(Gid::from_raw(number));
    }
    let found = Group::from_name(name).map_err(|e| format!("group {name}: {e}"))?;
    Ok(found.ok_or_else(|| format!("there is no group {name}"))?.gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_named() {
        assert_eq!(drop_to(Some("no-such-user"), None), Err("there is no user no-such-user".into()));
        assert_eq!(drop_to(None, Some("no-such-group")), Err("there is no group no-such-group".into()));
        assert_eq!(drop_to(None, None), Ok(()));
    }
}
