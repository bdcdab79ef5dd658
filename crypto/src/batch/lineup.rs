// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which items stand in the lanes of a pass, and where.

use crate::lanes::LANES;

/// A lane of a vector.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) vector: usize,
    pub(super) lane: usize,
}

/// Items by their place, from the first lane of the first vector on. Integers: valid when all bytes are zero.
pub(super) struct Lineup<const CAPACITY: usize> {
    items: [usize; CAPACITY],
    count: usize,
}

impl<const CAPACITY: usize> Lineup<CAPACITY> {
    pub(super) const fn is_full(&self) -> bool {
        self.count == CAPACITY
    }

    /// Number of items.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Vectors that hold them.
    pub(super) const fn vectors(&self) -> usize {
        self.count.div_ceil(LANES)
    }

    /// Takes an item in, by its index in the batch; there must be room.
    pub(super) const fn push(&mut self, item: usize) -> Place {
        let place = Place { vector: self.count / LANES, lane: self.count % LANES };
        self.items[self.count] = item;
        self.count += 1;
        place
    }

    /// The items in order, with their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, usize)> {
        let items = self.items[..self.count].iter().enumerate();
        items.map(|(i, &item)| (Place { vector: i / LANES, lane: i % LANES }, item))
    }

    pub(super) const fn clear(&mut self) {
        self.count = 0;
    }
}
