// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses in good standing: those that completed a handshake and used the connection, in memory of a fixed size.
//!
//! A set-associative table under a keyed hash. Half of each set is for addresses that were here once, the other half for
//! those that came again after [`PROBATION`]. Who is new can only push out others that were here once; to push out
//! one that came again, an attacker needs addresses of its own that completed and used handshakes in two different
//! minutes, as many as half the table.

/// Milliseconds after which a second use counts as coming again.
pub const PROBATION: u64 = 60_000;

/// Milliseconds of a tick, the unit in which entries note time.
const TICK: u64 = 1024;

const WAYS: usize = 4;

/// An address's entry.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// By what the shell knows it; 0 in an entry that is free.
    key: u32,
    /// Ticks of its last use that counted.
    seen: u32,
}

impl Entry {
    const FREE: Self = Self { key: 0, seen: 0 };

    fn is(self, key: u32, now: u32, lifetime: u32) -> bool {
        self.key == key && key != 0 && now.saturating_sub(self.seen) <= lifetime
    }
}

/// Entries that a part of the hash selects.
#[derive(Clone, Copy, Debug)]
pub struct Set {
    once: [Entry; WAYS],
    again: [Entry; WAYS],
}

impl Set {
    /// A set with nobody in it.
    pub const EMPTY: Self = Self { once: [Entry::FREE; WAYS], again: [Entry::FREE; WAYS] };
}

/// The table.
pub struct Standing<S> {
    sets: S,
    /// Ticks for which good standing lasts after the last use.
    lifetime: u32,
}

impl<S: AsRef<[Set]> + AsMut<[Set]>> Standing<S> {
    /// A table in `sets`, which are [`Set::EMPTY`], 64 bytes and eight addresses each. Good standing lasts for `lifetime` milliseconds
    /// after the last use.
    pub fn new(sets: S, lifetime: u64) -> Self {
        Self { sets, lifetime: ticks(lifetime) }
    }

    /// Whether an address is in good standing at `now`, in milliseconds of a clock that does not jump.
    pub fn is_good(&self, hash: u64, key: u32, now: u64) -> bool {
        let now = ticks(now);
        let set = self.sets.as_ref().get(self.place(hash));
        set.is_some_and(|set| {
            set.once.iter().chain(&set.again).any(|entry| entry.is(key, now, self.lifetime))
        })
    }

    /// Notes that an address has completed a handshake and used the connection. `hash` is its keyed hash, which an
    /// attacker can not compute; `key` is what the shell will know it by where [`Self::iter`] names it, an
    /// IPv4 address or as much of an IPv6 prefix; nobody has the key 0.
    pub fn used(&mut self, hash: u64, key: u32, now: u64) {
        let lifetime = self.lifetime;
        let (tick, place) = (ticks(now), self.place(hash));
        let Some(set) = self.sets.as_mut().get_mut(place) else { return };
        if let Some(entry) = set.again.iter_mut().find(|entry| entry.is(key, tick, lifetime)) {
            entry.seen = tick;
            return;
        }
        let fresh = Entry { key, seen: tick };
        match set.once.iter_mut().find(|entry| entry.is(key, tick, lifetime)) {
            Some(entry) if tick.saturating_sub(entry.seen) >= ticks(PROBATION) => {
                *entry = Entry::FREE;
                put(&mut set.again, fresh, lifetime);
            }
            // Its probation goes on from the first use. A clock that stepped back begins it again.
            Some(entry) => entry.seen = entry.seen.min(tick),
            None => put(&mut set.once, fresh, lifetime),
        }
    }

    /// The keys of all that are in good standing: first of those that came again, then of those that were here once.
    pub fn iter(&self, now: u64) -> impl Iterator<Item = u32> + '_ {
        let (now, lifetime) = (ticks(now), self.lifetime);
        let again = self.sets.as_ref().iter().flat_map(|set| &set.again);
        let once = self.sets.as_ref().iter().flat_map(|set| &set.once);
        again.chain(once).filter(move |entry| entry.is(entry.key, now, lifetime)).map(|entry| entry.key)
    }

    fn place(&self, hash: u64) -> usize {
        let low = u32::try_from(hash & u64::from(u32::MAX)).unwrap_or(0);
        usize::try_from(low).unwrap_or(0).checked_rem(self.sets.as_ref().len()).unwrap_or(0)
    }
}

/// Puts an entry where one is free or over, otherwise in place of the one used longest ago.
fn put(ways: &mut [Entry; WAYS], fresh: Entry, lifetime: u32) {
    let over = |entry: &Entry| entry.key == 0 || fresh.seen.saturating_sub(entry.seen) > lifetime;
    // An entry of the future, from before a clock stepped back, is the first to go after those.
    let key = |entry: &Entry| (!over(entry), entry.seen <= fresh.seen, entry.seen);
    if let Some(way) = ways.iter_mut().min_by_key(|entry| key(entry)) {
        *way = fresh;
    }
}

fn ticks(milliseconds: u64) -> u32 {
    u32::try_from(milliseconds / TICK).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::mixed;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// Anything but 0.
    fn named(address: u64) -> u32 {
        u32::try_from(address).unwrap() + 1
    }

    const HOUR: u64 = 3_600_000;

    fn table(sets: usize) -> Standing<Vec<Set>> {
        Standing::new(vec![Set::EMPTY; sets], HOUR)
    }

    #[test]
    fn lasts_for_its_lifetime_after_the_last_use() {
        let mut standing = table(16);
        assert!(!standing.is_good(mixed(1), named(1), 5000));
        standing.used(mixed(1), named(1), 5000);
        assert!(standing.is_good(mixed(1), named(1), 5000 + HOUR - 2 * TICK));
        assert!(!standing.is_good(mixed(1), named(1), 5000 + HOUR + 2 * TICK));
        assert!(!standing.is_good(mixed(2), named(2), 5000));
        standing.used(mixed(1), named(1), 5000 + HOUR / 2);
        assert!(standing.is_good(mixed(1), named(1), 5000 + HOUR + HOUR / 4), "the second use prolongs it");
    }

    #[test]
    fn a_flood_of_new_addresses_pushes_out_none_that_came_again() {
        let mut standing = table(256);
        for key in 0..400 {
            standing.used(mixed(key), named(key), 1000);
            standing.used(mixed(key), named(key), 1000 + PROBATION + 2 * TICK);
        }
        let regulars = |standing: &Standing<_>, now| {
            (0..400).filter(|&key| standing.is_good(mixed(key), named(key), now)).count()
        };
        let before = regulars(&standing, 100_000);
        assert!(before >= 380, "{before} of 400 fit");
        for key in 1000..200_000 {
            standing.used(mixed(key), named(key), 100_000);
        }
        assert_eq!(regulars(&standing, 100_000), before);
    }

    #[test]
    fn uses_within_a_minute_are_one() {
        let mut standing = table(1);
        for key in 0..WAYS as u64 {
            for _ in 0..100 {
                standing.used(mixed(key), named(key), 1000);
            }
        }
        assert!(standing.sets[0].again.iter().all(|entry| entry.key == 0));
        standing.used(mixed(99), named(99), 2 * TICK);
        let left = (0..WAYS as u64).filter(|&key| standing.is_good(mixed(key), named(key), 2 * TICK)).count();
        assert_eq!(left, WAYS - 1, "one that was here once made room");
    }

    #[test]
    fn a_clock_may_step_either_way() {
        let mut standing = table(4);
        standing.used(mixed(1), named(1), 100 * HOUR);
        standing.used(mixed(1), named(1), 0);
        assert!(standing.is_good(mixed(1), named(1), 0));
        for key in 10..40 {
            standing.used(mixed(key), named(key), HOUR / 2);
        }
        assert!(!standing.is_good(mixed(2), named(2), u64::MAX));
        standing.used(mixed(3), named(3), u64::MAX);
        assert!(standing.is_good(mixed(3), named(3), u64::MAX));
        let mut keys: Vec<u32> = standing.iter(u64::MAX).collect();
        keys.sort_unstable();
        assert_eq!(keys, [named(3)]);
        let mut none = table(0);
        none.used(mixed(1), named(1), 0);
        assert!(!none.is_good(mixed(1), named(1), 0));
    }
}
