// SPDX-License-Identifier: MIT OR Apache-2.0
//! Odd signed windows of a scalar, and the tables they select from.
//!
//! An odd k is the sum of dᵢ·2^(W·i) with odd dᵢ, |dᵢ| < 2^W, and a positive top digit
//! (M. Joye, M. Tunstall, AFRICACRYPT 2009). No digit is zero, so every window costs the same
//! addition, and a table holds only the odd multiples 1, 3, …, 2^W − 1.

use crate::ct;
use crate::limbs::{self, Limbs};

/// One window: the digit is ±(2·index + 1).
#[derive(Clone, Copy)]
pub(crate) struct Digit {
    /// Which odd multiple, below 2^(W−1).
    pub(crate) index: u64,
    /// All ones if the digit is negative.
    pub(crate) negative: u64,
}

/// Digit `window` of the odd scalar `k` in windows of `W` bits, below the top one.
#[inline(always)]
pub(crate) fn digit<const W: usize>(k: &Limbs, window: usize) -> Digit {
    let bits = limbs::bits_from(k, W * window + 1);
    let negative = !ct::mask_low_bit(bits >> (W - 1));
    Digit { index: (bits ^ negative) & ((1 << (W - 1)) - 1), negative }
}

/// The top digit, which is positive; `k` must be below 2^(W·(window + 1)).
#[inline(always)]
pub(crate) fn top_digit<const W: usize>(k: &Limbs, window: usize) -> Digit {
    Digit { index: limbs::bits_from(k, W * window + 1), negative: 0 }
}

/// Entry `index` of a table stored by columns, reading all of it.
#[inline(always)]
pub(crate) fn lookup<const COLUMNS: usize, const ENTRIES: usize>(
    table: &[[u64; ENTRIES]; COLUMNS],
    index: u64,
) -> [u64; COLUMNS] {
    // One below zero exactly where the candidate is the index: its top bit makes the mask.
    let mut masks = [0; ENTRIES];
    for (mask, candidate) in masks.iter_mut().zip(0_u64..) {
        *mask = ((candidate ^ index).wrapping_sub(1) >> 63).wrapping_neg();
    }
    ct::barrier_all(&mut masks);
    let masked = |column: &[u64; ENTRIES]| {
        column.iter().zip(&masks).fold(0, |found, (limb, mask)| found | limb & mask)
    };
    core::array::from_fn(|column| masked(&table[column]))
}
