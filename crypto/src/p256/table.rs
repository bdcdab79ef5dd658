// SPDX-License-Identifier: MIT OR Apache-2.0
//! Multiples of the base point of P-256.

use crate::aligned::Aligned;

/// Bits per window.
pub(crate) const WINDOW: usize = 7;
/// Windows that cover 256 bits.
pub(crate) const WINDOWS: usize = 37;
/// Odd multiples per window.
pub(crate) const ENTRIES: usize = 1 << (WINDOW - 1);

/// `TABLE[i][limb][e]`: the point (2e + 1)·2^(7i)·G, its x in limbs 0–3 and its y in limbs 4–7, both in
/// Montgomery form for 2^256, below p. 149 KiB.
///
/// By columns, so that one permutation of eight lanes looks up one limb. Five limbs of 52 bits with
/// Montgomery form for 2^260 need no other table: take 4·x and 2·y as they are (shifts while the limbs
/// are cut anew). These are the coordinates x/4, y/8 on the isomorphic curve with Z = 1/2, and the
/// addition formulas do not see a curve's coefficients.
pub(crate) static TABLE: Aligned<[[[u64; ENTRIES]; 8]; WINDOWS]> =
    Aligned::from_le_bytes(include_bytes!("base_multiples.bin"));
