// SPDX-License-Identifier: MIT OR Apache-2.0
//! Integers of 256 bits as four 64-bit limbs, least significant first; all in constant time.

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_64;

use crate::ct;

/// An integer below 2^256.
pub(crate) type Limbs = [u64; 4];

/// `a + b` and the carry out.
#[inline(always)]
pub(crate) fn add(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let (r0, c) = a[0].carrying_add(b[0], false);
    let (r1, c) = a[1].carrying_add(b[1], c);
    let (r2, c) = a[2].carrying_add(b[2], c);
    let (r3, c) = a[3].carrying_add(b[3], c);
    ([r0, r1, r2, r3], c)
}

/// `a - b` modulo 2^256 and the borrow out.
#[inline(always)]
pub(crate) fn sub(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let (r0, c) = a[0].borrowing_sub(b[0], false);
    let (r1, c) = a[1].borrowing_sub(b[1], c);
    let (r2, c) = a[2].borrowing_sub(b[2], c);
    let (r3, c) = a[3].borrowing_sub(b[3], c);
    ([r0, r1, r2, r3], c)
}

/// `a · b`.
#[inline(always)]
pub(crate) fn mul(a: &Limbs, b: &Limbs) -> [u64; 8] {
    let mut t = [0; 8];
    for i in 0..4 {
        let mut carry = 0;
        for j in 0..4 {
            (t[i + j], carry) = a[i].carrying_mul_add(b[j], carry, t[i + j]);
        }
        t[i + 4] = carry;
    }
    t
}

/// `a & mask`.
#[inline(always)]
pub(crate) fn and(a: &Limbs, mask: u64) -> Limbs {
    a.map(|limb| limb & mask)
}

/// `carry·2^256 + a`, less than `2·modulus`, reduced below `modulus`.
#[inline(always)]
pub(crate) fn reduce_once(a: &Limbs, carry: u64, modulus: &Limbs) -> Limbs {
    let (reduced, borrow) = sub(a, modulus);
    let (_, borrow) = carry.borrowing_sub(0, borrow);
    ct::select_limbs(ct::mask(borrow), a, &reduced)
}

/// All ones if `a` is zero.
#[inline(always)]
pub(crate) fn mask_zero(a: &Limbs) -> u64 {
    ct::mask_zero(a[0] | a[1] | a[2] | a[3])
}

/// The 64 bits of `a` from bit `position` on; zeros follow the top.
#[inline(always)]
pub(crate) fn bits_from(a: &Limbs, position: usize) -> u64 {
    let (limb, shift) = (position / 64, position % 64);
    let low = a.get(limb).map_or(0, |word| word >> shift);
    // Two shifts, because a shift by 64 is not defined.
    let high = a.get(limb + 1).map_or(0, |word| (word << 1) << (63 - shift));
    low | high
}

/// Reads 32 bytes, most significant first.
#[inline(always)]
pub(crate) fn from_be_bytes(bytes: &[u8; 32]) -> Limbs {
    let mut limbs = from_le_bytes(bytes);
    limbs.reverse();
    limbs.map(u64::swap_bytes)
}

/// Writes 32 bytes, most significant first.
#[inline(always)]
pub(crate) fn to_be_bytes(limbs: &Limbs) -> [u8; 32] {
    let mut reversed = limbs.map(u64::swap_bytes);
    reversed.reverse();
    to_le_bytes(&reversed)
}

/// Reads 32 bytes, least significant first.
#[inline(always)]
pub(crate) fn from_le_bytes(bytes: &[u8; 32]) -> Limbs {
    let (words, _) = bytes.as_chunks::<8>();
    core::array::from_fn(|i| u64::from_le_bytes(words[i]))
}

/// Writes 32 bytes, least significant first.
#[inline(always)]
pub(crate) fn to_le_bytes(limbs: &Limbs) -> [u8; 32] {
    let mut bytes = [0; 32];
    let (words, _) = bytes.as_chunks_mut::<8>();
    for (word, limb) in words.iter_mut().zip(limbs) {
        *word = limb.to_le_bytes();
    }
    bytes
}
