// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ticket keys: secrets are read, keys derived, and the secrets wiped. Workers share the keys, which move on with time
//! in one place, so that no worker's sleep and no long connection keeps what has run out.

use crate::files;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use ttls::ticket::TicketKeys;
use ttls_crypto::wipe::{Depth, wiping_stack};
use zeroize::Zeroizing;

/// Fewest bytes of a secret.
const SHORTEST: usize = 32;
/// Most of them.
const LONGEST: usize = 64 << 10;

/// Where ticket keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The secret's file; without one, the secret is random.
    pub secret: Option<PathBuf>,
    /// The file of the secret before, whose tickets are still accepted.
    pub before: Option<PathBuf>,
    /// Seconds.
    pub lifetime: u32,
}

impl Source {
    /// Reads the secrets and derives the keys at `now` (Unix time in milliseconds).
    ///
    /// # Errors
    /// The file that is not good, and why.
    pub fn derive(&self, now: u64) -> Result<Box<TicketKeys>, (PathBuf, String)> {
        let secret = |path: &PathBuf| read(path).map_err(|error| (path.clone(), error));
        let present = match &self.secret {
            Some(path) => secret(path)?,
            None => {
                let mut random = Zeroizing::new(vec![0; 2 * SHORTEST]);
                crate::serve::random::kernel(&mut random);
                random
            }
        };
        let before = self.before.as_ref().map(secret).transpose()?;
        let before = before.as_ref().map(|secret| secret.as_slice());
        TicketKeys::new(&present, before, self.lifetime, now)
            .map(Box::new)
            .map_err(|error| (self.secret.clone().unwrap_or_default(), error.to_string()))
    }
}

/// Reads a secret, into memory that is wiped.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    // One byte more, to see that it is too long.
    let secret = files::contents(path, LONGEST + 1)
        .map_err(|error| format!("{}: can not be read: {error}", path.display()))?;
    let length = secret.len();
    if !(SHORTEST..=LONGEST).contains(&length) {
        let bound = if length < SHORTEST { "at least 32 are needed" } else { "at most 65536 are read" };
        let path = path.display();
        return Err(format!("{path}: has {length} bytes, {bound}: make it with `head -c 64 /dev/urandom`"));
    }
    Ok(secret)
}

/// Keys of one configuration, until they are put to use.
pub struct Derived {
    /// Where they come from.
    pub source: Source,
    keys: Mutex<Option<Box<TicketKeys>>>,
}

impl Derived {
    /// What was derived of `source`.
    pub const fn new(source: Source, keys: Box<TicketKeys>) -> Self {
        Self { source, keys: Mutex::new(Some(keys)) }
    }

    /// The keys, once: those that keep the configuration do not keep them.
    pub fn take(&self) -> Option<Box<TicketKeys>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The keys that all workers use.
#[derive(Default)]
pub struct Tickets(RwLock<Option<Box<TicketKeys>>>);

impl Tickets {
    /// The keys. Whoever waits for this waits for microseconds.
    pub fn read(&self) -> RwLockReadGuard<'_, Option<Box<TicketKeys>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the keys.
    pub fn set(&self, keys: Box<TicketKeys>) {
        // The old ones are wiped after the lock is free.
        let _old = self.0.write().unwrap_or_else(PoisonError::into_inner).replace(keys);
    }

    /// Moves the keys on to `now` (Unix time in milliseconds); gives the time when they next have to.
    pub fn advance(&self, now: u64) -> u64 {
        if self.good_until() <= now {
            let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
            // Its only error is a broken hash.
            let _ = wiping_stack(Depth::Curves, || keys.as_mut().map(|keys| keys.advance(now)));
        }
        self.good_until()
    }

    /// Whether the keys have moved on to a time that is not yet.
    pub fn are_ahead(&self, now: u64) -> bool {
        self.read().as_ref().is_some_and(|keys| keys.are_ahead(now))
    }

    fn good_until(&self) -> u64 {
        self.read().as_ref().map_or(u64::MAX, |keys| keys.good_until())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_can_not_work_say_why() {
        let dir = std::env::temp_dir().join(format!("ttls-tickets-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("secret");
        let source = Source { secret: Some(path.clone()), before: None, lifetime: 3600 };
        let error = |bytes: Option<usize>| {
            if let Some(bytes) = bytes {
                std::fs::write(&path, vec![7; bytes]).unwrap();
            }
            source.derive(0).err().map(|(_, message)| message)
        };
        assert!(error(None).unwrap().contains("can not be read: No such file"));
        assert!(error(Some(31)).unwrap().contains("has 31 bytes, at least 32 are needed"));
        assert!(error(Some(LONGEST + 1)).unwrap().contains("at most 65536 are read"));
        assert_eq!((error(Some(32)), error(Some(LONGEST))), (None, None));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn keys_are_taken_once_and_move_on_together() {
        let source = Source { secret: None, before: None, lifetime: 3600 };
        let (hour, now) = (3_600_000, 36_000_000);
        let derived = Derived::new(source.clone(), source.derive(now).ok().unwrap());
        let tickets = Tickets::default();
        assert_eq!(tickets.advance(now), u64::MAX);
        tickets.set(derived.take().unwrap());
        assert!(derived.take().is_none());
        assert_eq!(tickets.advance(now), now + hour);
        assert_eq!(tickets.advance(now + 2 * hour), now + 3 * hour);
        assert!(!tickets.are_ahead(now + hour) && tickets.are_ahead(now));
    }
}
