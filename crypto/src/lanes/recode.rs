// SPDX-License-Identifier: MIT OR Apache-2.0
//! Odd signed windows, eight scalars at once, and the tables they select from
//! (the scalar twin, [`crate::recode`], says why the digits are what they are).

use super::LANES;
use super::vector::{Mask, V};
use crate::cpu::Ifma;

/// Each scalar if odd, else `order` minus it, with a fifth word of zeros; and the lanes that were even.
#[inline(always)]
pub(crate) fn odd(t: Ifma, scalar: [V; 4], order: &[u64; 4]) -> ([V; 5], Mask) {
    let even = !scalar[0].test(t.splat(1));
    let zero = t.zero();
    let mut result = [zero; 5];
    let mut borrow = zero;
    for i in 0..4 {
        // order − scalar − borrow; the new borrow is the carry out of the complement's majority.
        let (a, b) = (t.splat(order[i]), scalar[i]);
        let difference = a - b - borrow;
        let not_a = a ^ t.splat(u64::MAX);
        borrow = ((not_a & b) | ((not_a | b) & difference)).shr::<63>();
        result[i] = scalar[i].select(even, difference);
    }
    (result, even)
}

/// One window of eight scalars: the digits are ±(2·index + 1).
#[derive(Clone, Copy)]
pub(crate) struct Digit {
    index: V,
    /// Bits 4 and 5 of the index, which choose among groups of sixteen entries.
    bit4: Mask,
    bit5: Mask,
    /// Lanes whose digit is negative.
    pub(crate) negative: Mask,
}

impl Digit {
    /// Digit `window` of odd scalars in windows of `W` bits (at most 7); the top one is positive.
    #[inline(always)]
    pub(crate) fn new<const W: usize>(t: Ifma, scalar: [V; 5], window: usize, top: bool) -> Self {
        let position = W * window + 1;
        let (word, offset) = (position / 64, position % 64);
        let next = if word < 4 { scalar[word + 1] } else { t.zero() };
        let bits = scalar[word].bits_from(next, offset as u64, t);
        let negative = if top { Mask::NONE } else { !bits.test(t.splat(1 << (W - 1))) };
        let index = bits.select(negative, bits ^ t.splat(u64::MAX)) & t.splat((1 << (W - 1)) - 1);
        Self { index, bit4: index.test(t.splat(16)), bit5: index.test(t.splat(32)), negative }
    }

    /// Entry `index` of a column of 32 or 64, in each lane, reading all of the column.
    #[inline(always)]
    pub(crate) fn lookup<const ENTRIES: usize>(&self, t: Ifma, column: &[u64; ENTRIES]) -> V {
        let (groups, _) = column.as_chunks::<LANES>();
        let a = self.index.pick16(t.load(&groups[0]), t.load(&groups[1]));
        let b = self.index.pick16(t.load(&groups[2]), t.load(&groups[3]));
        let low = a.select(self.bit4, b);
        if ENTRIES == 32 {
            return low;
        }
        let a = self.index.pick16(t.load(&groups[4]), t.load(&groups[5]));
        let b = self.index.pick16(t.load(&groups[6]), t.load(&groups[7]));
        low.select(self.bit5, a.select(self.bit4, b))
    }

    /// Lanes whose index is `entry`.
    #[inline(always)]
    pub(crate) fn is(&self, t: Ifma, entry: u64) -> Mask {
        self.index.equals(t.splat(entry))
    }
}
