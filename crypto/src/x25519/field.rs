// SPDX-License-Identifier: MIT OR Apache-2.0
//! The field of Curve25519: integers modulo p = 2^255 − 19, in five limbs of 51 bits.

use zeroize::Zeroize;

use crate::ct;
use crate::inversion::{self, Modulus};
use crate::limbs::{self, Limbs};

const P: Modulus = Modulus {
    limbs: [0xffff_ffff_ffff_ffed, 0xffff_ffff_ffff_ffff, 0xffff_ffff_ffff_ffff, 0x7fff_ffff_ffff_ffff],
    minus_inverse: 0x86bc_a1af_286b_ca1b,
};
const MASK: u64 = (1 << 51) - 1;

/// A field element, not necessarily below p. Products leave limbs below 2^51 + 2^13 ("tight");
/// one addition or subtraction of tight elements leaves limbs below 2^54, which a product accepts.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Element(pub(crate) [u64; 5]);

impl Element {
    pub(crate) const ZERO: Self = Self([0; 5]);
    pub(crate) const ONE: Self = Self([1, 0, 0, 0, 0]);

    /// Reads a little-endian integer; the top bit is ignored.
    pub(crate) fn from_le_bytes(bytes: &[u8; 32]) -> Self {
        Self::from_limbs(&limbs::from_le_bytes(bytes))
    }

    fn from_limbs(a: &Limbs) -> Self {
        Self([
            a[0] & MASK,
            (a[0] >> 51 | a[1] << 13) & MASK,
            (a[1] >> 38 | a[2] << 26) & MASK,
            (a[2] >> 25 | a[3] << 39) & MASK,
            (a[3] >> 12) & MASK,
        ])
    }

    /// The integer below p.
    pub(crate) fn to_limbs(self) -> Limbs {
        let mut a = self.0;
        // Two passes leave 0 ≤ value < 2^255 + small; the second can carry at most one out of the top.
        for _ in 0..2 {
            a = carry(a);
        }
        // The quotient by p is 0 or 1: 1 exactly if adding 19 carries out of bit 255.
        let mut quotient = (a[0] + 19) >> 51;
        for limb in &a[1..] {
            quotient = (limb + quotient) >> 51;
        }
        a[0] += 19 * quotient;
        for i in 0..4 {
            a[i + 1] += a[i] >> 51;
            a[i] &= MASK;
        }
        a[4] &= MASK;
        [a[0] | a[1] << 51, a[1] >> 13 | a[2] << 38, a[2] >> 26 | a[3] << 25, a[3] >> 39 | a[4] << 12]
    }

    #[inline(always)]
    pub(crate) fn add(&self, other: &Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    /// `other` must have limbs below 2^53 − 2^7.
    #[inline(always)]
    pub(crate) fn sub(&self, other: &Self) -> Self {
        // 4·p limb by limb keeps every difference positive.
        const FOUR_P: [u64; 5] = [4 * (MASK - 18), 4 * MASK, 4 * MASK, 4 * MASK, 4 * MASK];
        Self(core::array::from_fn(|i| self.0[i] + FOUR_P[i] - other.0[i]))
    }

    #[inline(always)]
    pub(crate) fn mul(&self, other: &Self) -> Self {
        let (a, b) = (&self.0, &other.0);
        let [_, b1, b2, b3, b4] = b.map(|limb| 19 * limb);
        reduce([
            m(a[0], b[0]) + m(a[1], b4) + m(a[2], b3) + m(a[3], b2) + m(a[4], b1),
            m(a[0], b[1]) + m(a[1], b[0]) + m(a[2], b4) + m(a[3], b3) + m(a[4], b2),
            m(a[0], b[2]) + m(a[1], b[1]) + m(a[2], b[0]) + m(a[3], b4) + m(a[4], b3),
            m(a[0], b[3]) + m(a[1], b[2]) + m(a[2], b[1]) + m(a[3], b[0]) + m(a[4], b4),
            m(a[0], b[4]) + m(a[1], b[3]) + m(a[2], b[2]) + m(a[3], b[1]) + m(a[4], b[0]),
        ])
    }

    #[inline(always)]
    pub(crate) fn square(&self) -> Self {
        let a = &self.0;
        let (a0, a1, a2) = (2 * a[0], 2 * a[1], 2 * a[2]);
        let (a3, a4) = (19 * a[3], 19 * a[4]);
        reduce([
            m(a[0], a[0]) + m(a1, a4) + m(a2, a3),
            m(a0, a[1]) + m(a2, a4) + m(a[3], a3),
            m(a0, a[2]) + m(a[1], a[1]) + m(2 * a[3], a4),
            m(a0, a[3]) + m(a1, a[2]) + m(a[4], a4),
            m(a0, a[4]) + m(a1, a[3]) + m(a[2], a[2]),
        ])
    }

    /// self·factor.
    #[inline(always)]
    pub(crate) fn mul_small(&self, factor: u32) -> Self {
        reduce(self.0.map(|limb| m(limb, u64::from(factor))))
    }

    /// `yes` where `mask` is ones, `no` where it is zeros.
    #[inline(always)]
    pub(crate) fn select(mask: u64, yes: &Self, no: &Self) -> Self {
        Self(ct::select_limbs(mask, &yes.0, &no.0))
    }

    /// 1/x, and 0 for 0.
    pub(crate) fn invert(&self) -> Self {
        Self::from_limbs(&inversion::invert(&self.to_limbs(), &P))
    }
}

impl Zeroize for Element {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// The full product.
#[inline(always)]
fn m(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// One pass of carries, the top one times 19 into the lowest limb.
#[inline(always)]
fn carry(mut a: [u64; 5]) -> [u64; 5] {
    for i in 0..4 {
        a[i + 1] += a[i] >> 51;
        a[i] &= MASK;
    }
    a[0] += 19 * (a[4] >> 51);
    a[4] &= MASK;
    a
}

/// Carries sums of products, each below 2^115, down to tight limbs.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // the low half is what is wanted
fn reduce(mut c: [u128; 5]) -> Element {
    c[1] += c[0] >> 51;
    c[2] += c[1] >> 51;
    c[3] += c[2] >> 51;
    c[4] += c[3] >> 51;
    let mut a = c.map(|sum| sum as u64 & MASK);
    a[0] += 19 * (c[4] >> 51) as u64;
    a[1] += a[0] >> 51;
    a[0] &= MASK;
    Element(a)
}
