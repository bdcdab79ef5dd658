// SPDX-License-Identifier: MIT OR Apache-2.0
//! Odd signed windows, eight scalars at once, and the tables they select from
//! (the scalar twin, [`crate::recode`], says why the digits are what they are).

use super::simd::{Simd, Vector as _};

/// Each scalar if odd, else `order` minus it, with a fifth word of zeros; and the lanes that were even.
#[inline(always)]
pub(crate) fn odd<S: Simd>(t: S, scalar: [S::Vector; 4], order: &[u64; 4]) -> ([S::Vector; 5], S::Mask) {
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

/// One window of eight scalars: the digits are ±(2·number + 1).
#[derive(Clone, Copy)]
pub(crate) struct Digit<S: Simd> {
    number: S::Vector,
    index: S::Index,
    /// Lanes whose digit is negative.
    pub(crate) negative: S::Mask,
}

impl<S: Simd> Digit<S> {
    /// Digit `window` of odd scalars in windows of `W` bits (at most 7); the top one is positive.
    #[inline(always)]
    pub(crate) fn new<const W: usize>(t: S, scalar: [S::Vector; 5], window: usize, top: bool) -> Self {
        let position = W * window + 1;
        let (word, offset) = (position / 64, position % 64);
        let next = if word < 4 { scalar[word + 1] } else { t.zero() };
        let bits = t.bits_from(scalar[word], next, offset as u64);
        let negative = if top { t.none() } else { !bits.test(t.splat(1 << (W - 1))) };
        let number = bits.select(negative, bits ^ t.splat(u64::MAX)) & t.splat((1 << (W - 1)) - 1);
        Self { number, index: t.index(number), negative }
    }

    /// The entry of a column of 32 or 64, in each lane, reading all of the column.
    #[inline(always)]
    pub(crate) fn lookup<const ENTRIES: usize>(&self, t: S, column: &[u64; ENTRIES]) -> S::Vector {
        t.lookup(self.index, column)
    }

    /// Lanes whose entry is `entry`.
    #[inline(always)]
    pub(crate) fn is(&self, t: S, entry: u64) -> S::Mask {
        self.number.equals(t.splat(entry))
    }
}
