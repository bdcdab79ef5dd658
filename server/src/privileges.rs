// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changing to another user once addresses are bound and keys are read. Only while there is one thread.

use nix::unistd::{Gid, Group, Uid, User, initgroups, setgid, setgroups, setuid};
use std::ffi::CString;
use std::os::fd::AsFd;

/// Whom to change to.
#[derive(Debug)]
pub struct Target {
    account: Option<User>,
    group: Option<Gid>,
}

impl Target {
    /// Without `user` only the group changes; `group` defaults to the user's.
    ///
    /// # Errors
    /// Unknown names.
    pub fn find(user: Option<&str>, group: Option<&str>) -> Result<Self, String> {
        let account = user.map(find_user).transpose()?;
        let group = match group {
            Some(group) => Some(find_group(group)?),
            None => account.as_ref().map(|account| account.gid),
        };
        Ok(Self { account, group })
    }

    /// Gives away what this process's present user owns: a log that is to be opened again after the change, a listening socket
    /// beside which the other user is to bind another. Does nothing where that is not allowed.
    pub fn give(&self, fd: impl AsFd) {
        if let Some(account) = &self.account
            && rustix::fs::fstat(&fd).is_ok_and(|stat| stat.st_uid == Uid::effective().as_raw())
        {
            let _ = rustix::fs::fchown(&fd, Some(rustix::fs::Uid::from_raw(account.uid.as_raw())), None);
        }
    }

    /// Why this process can not change to the user.
    pub fn obstacle(&self) -> Option<String> {
        let account = self.account.as_ref()?;
        let can = Uid::effective().is_root() || account.uid == Uid::effective();
        (!can).then(|| {
            format!(
                "user {}: only root can change to another user, and this process is not root. Under systemd the unit chooses the \
                 user: remove `user`, or say User={} in `systemctl edit ttls`",
                account.name, account.name
            )
        })
    }

    /// Changes user and group.
    ///
    /// # Errors
    /// This process may not.
    pub fn assume(self) -> Result<(), String> {
        if let Some(obstacle) = self.obstacle() {
            // Before any call that a sandbox would end the process for.
            return Err(obstacle);
        }
        let Self { account, group } = self;
        if !Uid::effective().is_root() {
            return match group.filter(|&gid| gid != Gid::effective()) {
                None => Ok(()),
                Some(gid) => setgid(gid).map_err(|e| format!("can not change to group {gid}: {e}")),
            };
        }
        if let Some(gid) = group {
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
        let unknown = |user, group| Target::find(user, group).unwrap_err();
        assert_eq!(unknown(Some("no-such-user"), None), "there is no user no-such-user");
        assert_eq!(unknown(None, Some("no-such-group")), "there is no group no-such-group");
        assert_eq!(Target::find(None, None).unwrap().assume(), Ok(()));
    }
}
