// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sources that have cost most lately, in memory of a fixed size.
//!
//! Space-Saving (Metwally, Agrawal and El Abbadi 2005) over estimates that [`super::Demand`] gives: who has cost
//! more than the least of the table's members takes its place. With `n` members every source is found that has
//! cost more than an `n`-th of all, however many others there are.

/// A source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Its keyed hash.
    pub hash: u64,
    /// By what the shell knows it: see [`super::Standing::used`].
    pub key: u32,
    /// What it has cost, in microseconds; 0 in a place that is free.
    pub demand: u32,
}

/// The table.
pub struct Heaviest<S> {
    sources: S,
}

impl<S: AsRef<[Source]> + AsMut<[Source]>> Heaviest<S> {
    /// A table in `sources`, which are `Source::default()`. Each note looks at all of them, so they should be few hundred.
    pub const fn new(sources: S) -> Self {
        Self { sources }
    }

    /// Notes what a source has cost.
    pub fn note(&mut self, source: Source) {
        let sources = self.sources.as_mut();
        let place = match sources.iter().position(|known| known.demand > 0 && known.hash == source.hash) {
            Some(known) => sources.get_mut(known),
            None => sources
                .iter_mut()
                .min_by_key(|known| known.demand)
                .filter(|least| least.demand < source.demand),
        };
        if let Some(place) = place {
            *place = source;
        }
    }

    /// Asks `demand` anew for each member's hash, and drops those below `least`.
    pub fn refresh(&mut self, least: u32, mut demand: impl FnMut(u64) -> u32) {
        for source in self.sources.as_mut().iter_mut().filter(|source| source.demand > 0) {
            source.demand = demand(source.hash);
            if source.demand < least {
                *source = Source::default();
            }
        }
    }

    /// The members, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.sources.as_ref().iter().filter(|source| source.demand > 0)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::mixed;
    use super::*;
    use std::vec::Vec;

    fn keys(heaviest: &Heaviest<[Source; 8]>) -> Vec<u32> {
        let mut keys: Vec<u32> = heaviest.iter().map(|source| source.key).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn finds_the_heavy_among_many() {
        let mut heaviest = Heaviest::new([Source::default(); 8]);
        for round in 1..=100_u32 {
            for key in 0..1000_u32 {
                let demand = if key < 8 { 1000 * round } else { round * 9 };
                heaviest.note(Source { hash: mixed(key.into()), key, demand });
            }
        }
        assert_eq!(keys(&heaviest), [0, 1, 2, 3, 4, 5, 6, 7]);
        heaviest.refresh(500, |hash| if hash == mixed(3) { 499 } else { 500 });
        assert_eq!(keys(&heaviest), [0, 1, 2, 4, 5, 6, 7]);
        heaviest.note(Source { hash: mixed(9), key: 9, demand: 1 });
        assert_eq!(keys(&heaviest), [0, 1, 2, 4, 5, 6, 7, 9]);
        heaviest.note(Source { hash: mixed(10), key: 10, demand: 1 });
        assert_eq!(keys(&heaviest), [0, 1, 2, 4, 5, 6, 7, 9], "no heavier than the least");
    }

    #[test]
    fn a_table_of_nothing_holds_nothing() {
        let nothing: [Source; 0] = [];
        let mut none = Heaviest::new(nothing);
        none.note(Source { hash: 1, key: 1, demand: u32::MAX });
        none.refresh(0, |_| 1);
        assert_eq!(none.iter().count(), 0);
    }
}
