// SPDX-License-Identifier: MIT OR Apache-2.0
//! What comes most often, in memory of a fixed size, whatever comes.
//!
//! Space-Saving (Metwally, Agrawal and El Abbadi 2005), which counts things that come one by one. With `n` places every item is found that made
//! up more than an `n`-th of all, and its count is above the truth by no more than an `n`-th of all, and never below.

/// An item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted<T> {
    /// What it is.
    pub item: T,
    /// How often it came, at most.
    pub count: u64,
    /// By how much that may be too high: what was counted in its place before.
    pub excess: u64,
}

/// The table.
#[derive(Debug)]
pub struct Frequent<T, const N: usize> {
    places: [Option<Counted<T>>; N],
    /// All that were noted.
    total: u64,
}

impl<T: Copy + PartialEq, const N: usize> Default for Frequent<T, N> {
    fn default() -> Self {
        Self { places: [None; N], total: 0 }
    }
}

impl<T: Copy + PartialEq, const N: usize> Frequent<T, N> {
    /// Notes that an item has come. Looks at all `N` places at most.
    pub fn note(&mut self, item: T) {
        self.total = self.total.saturating_add(1);
        if let Some(known) = self.places.iter_mut().flatten().find(|known| known.item == item) {
            known.count = known.count.saturating_add(1);
            return;
        }
        // One that is free counts as 0.
        let least = self.places.iter_mut().min_by_key(|place| place.map_or(0, |known| known.count));
        if let Some(place) = least {
            let excess = place.map_or(0, |known| known.count);
            *place = Some(Counted { item, count: excess.saturating_add(1), excess });
        }
    }

    /// The items, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Counted<T>> + '_ {
        self.places.iter().flatten().copied()
    }

    /// How many were noted in all.
    pub const fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::mixed;
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn who_comes_often_is_found_among_whatever_comes() {
        for seed in 0..20 {
            let mut frequent = Frequent::<u64, 16>::default();
            let mut truth: HashMap<u64, u64> = HashMap::new();
            for number in 0..20_000 {
                let random = mixed(seed * 20_000 + number);
                // A tenth each are three items; others are mostly never seen again.
                let item = if random % 10 < 3 { random % 10 } else { random % (100 << seed) };
                frequent.note(item);
                *truth.entry(item).or_default() += 1;
            }
            let bound = frequent.total() / 16;
            for known in frequent.iter() {
                let came = truth[&known.item];
                assert!(known.count - known.excess <= came && came <= known.count, "{known:?}: {came}");
                assert!(known.count <= came + bound, "{known:?}: {came}");
            }
            for (item, came) in truth.into_iter().filter(|(_, came)| *came > bound) {
                assert!(frequent.iter().any(|known| known.item == item), "{item} came {came} times");
            }
        }
    }

    #[test]
    fn a_table_without_places_holds_nothing() {
        let mut none = Frequent::<u8, 0>::default();
        none.note(1);
        assert_eq!((none.iter().count(), none.total()), (0, 1));
    }
}
