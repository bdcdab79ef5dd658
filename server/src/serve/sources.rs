// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many connections each source prefix has, in fixed memory shared by the workers.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

const CELLS: usize = 1 << 16;

/// Counts by prefix: two rows of cells, indexed by hashes under keys an attacker does not know.
/// The smaller of a prefix's two cells bounds its count from above (count-min sketch, Cormode and
/// Muthukrishnan 2005): a prefix is refused wrongly only if both its cells are shared with busy ones.
pub struct Sources {
    rows: [(RandomState, Box<[AtomicU32]>); 2],
    limit: u32,
    ipv4_prefix: u8,
    ipv6_prefix: u8,
}

/// Where a prefix is counted.
#[derive(Clone, Copy, Debug)]
pub struct Place([u16; 2]);

/// A connection that is counted, until this is dropped.
pub struct Entry {
    sources: Arc<Sources>,
    place: Place,
}

impl Entry {
    /// Where it is counted.
    pub const fn place(&self) -> Place {
        self.place
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.sources.cells(self.place).for_each(|cell| {
            cell.fetch_sub(1, Relaxed);
        });
    }
}

impl Place {
    /// A hash of the source prefix under keys that an attacker does not know.
    pub const fn hash(self) -> u64 {
        (self.0[0] as u64) << 16 | self.0[1] as u64
    }
}

impl Sources {
    /// At most `limit` connections (0: any number) per prefix of the given lengths in bits.
    pub fn new(limit: u32, ipv4_prefix: u8, ipv6_prefix: u8) -> Self {
        let row = || (RandomState::new(), (0..CELLS).map(|_| AtomicU32::new(0)).collect());
        Self { rows: [row(), row()], limit, ipv4_prefix, ipv6_prefix }
    }

    /// Counts a connection in; `None` if its prefix has as many as allowed.
    pub fn enter(self: &Arc<Self>, source: IpAddr) -> Option<Entry> {
        let place = self.place(source);
        let least = self.cells(place).map(|cell| cell.fetch_add(1, Relaxed)).fold(u32::MAX, u32::min);
        let entry = Entry { sources: Arc::clone(self), place };
        (self.limit == 0 || least < self.limit).then_some(entry)
    }

    fn cells(&self, place: Place) -> impl Iterator<Item = &AtomicU32> {
        self.rows.iter().zip(place.0).filter_map(|((_, row), cell)| row.get(usize::from(cell)))
    }

    /// The place of a source's prefix, without counting.
    pub fn place(&self, source: IpAddr) -> Place {
        let prefix = self.prefix(source);
        Place(self.rows.each_ref().map(|(hasher, _)| {
            let [a, b, ..] = hasher.hash_one(prefix).to_ne_bytes();
            u16::from_ne_bytes([a, b])
        }))
    }

    fn prefix(&self, source: IpAddr) -> (bool, u128) {
        match source.to_canonical() {
            IpAddr::V4(v4) => {
                (false, u128::from(v4.to_bits()) >> 32_u8.saturating_sub(self.ipv4_prefix).min(127))
            }
            IpAddr::V6(v6) => {
                (true, v6.to_bits().checked_shr(128_u32.saturating_sub(self.ipv6_prefix.into())).unwrap_or(0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_prefixes() {
        let sources = Arc::new(Sources::new(2, 24, 64));
        let a: IpAddr = "192.0.2.1".parse().unwrap();
        let b: IpAddr = "192.0.2.200".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        let other: IpAddr = "192.0.3.1".parse().unwrap();
        let first = sources.enter(a).unwrap();
        let _second = sources.enter(b).unwrap();
        assert!(sources.enter(mapped).is_none());
        assert!(sources.enter(other).is_some());
        drop(first);
        let _third = sources.enter(b).unwrap();
        assert!(sources.enter(a).is_none());
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        let same: IpAddr = "2001:db8::ffff:0:0:1".parse().unwrap();
        let _both = [sources.enter(v6).unwrap(), sources.enter(same).unwrap()];
        assert!(sources.enter(same).is_none());
        assert!(sources.enter("2001:db8:0:1::1".parse().unwrap()).is_some());
    }

    #[test]
    fn a_whole_family_is_a_prefix_too() {
        let sources = Arc::new(Sources::new(1, 0, 0));
        let _v4 = sources.enter("192.0.2.1".parse().unwrap()).unwrap();
        assert!(sources.enter("203.0.113.1".parse().unwrap()).is_none());
        let _v6 = sources.enter("2001:db8::1".parse().unwrap()).unwrap();
        assert!(sources.enter("fe80::1".parse().unwrap()).is_none());
    }

    #[test]
    fn without_a_limit_everyone_comes_in() {
        let sources = Arc::new(Sources::new(0, 32, 64));
        let all: Option<Vec<_>> = (0..1000).map(|_| sources.enter("192.0.2.1".parse().unwrap())).collect();
        assert!(all.is_some());
    }
}
