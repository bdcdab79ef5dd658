// SPDX-License-Identifier: MIT OR Apache-2.0
//! Multiples of the base point of edwards25519.

use crate::aligned::Aligned;

/// Bits per window.
pub(crate) const WINDOW: usize = 6;
/// Windows that cover the 252 bits of a clamped scalar divided by 8.
pub(crate) const WINDOWS: usize = 42;
/// Odd multiples per window.
pub(crate) const ENTRIES: usize = 1 << (WINDOW - 1);

/// `TABLE[i][limb][e]`: the point (2e + 1)·2^(6i)·8·B as y + x (limbs 0–4), y − x (5–9) and 2·d·x·y (10–14),
/// each below p in five limbs of 51 bits. B is the base point (RFC 8032 §5.1); its cofactor 8 is what
/// clamping leaves in every scalar. By columns, so that one permutation of eight lanes looks up one
/// limb. 158 KiB.
pub(crate) static TABLE: Aligned<[[[u64; ENTRIES]; 15]; WINDOWS]> =
    Aligned::from_le_bytes(include_bytes!("base_multiples.bin"));
