// SPDX-License-Identifier: MIT OR Apache-2.0
//! Integers modulo 2^255 − 19, eight lanes, five limbs of 51 bits.
//!
//! Bounds, by type, so that no sum overflows 64 bits and no factor exceeds the 52 bits IFMA reads:
//! - [`Fe`], carried: limbs < 2^51 + 2^15.
//! - [`Product`]: limbs < 2^59 + 2^54. The largest is limb 0 of a multiplication: one low product,
//!   and 19 times (four low products < 2^52 and five doubled high products < 2^50 + 2^16).
//! - [`Loose`], a sum or difference of few products: limbs < 2^61.5. What a carry takes out of a limb is
//!   then below 2^10.5, and 19 of it below 2^15: the result is an [`Fe`].

use super::LANES;
use super::invert::Invert;
use super::simd::{Simd, Vector as _};
use super::vector::{Block, MASK51};
use crate::inversion::{self, Modulus};
use crate::limbs::Limbs;

/// 2^255 − 19.
const P: Modulus = Modulus {
    limbs: [0xffff_ffff_ffff_ffed, u64::MAX, u64::MAX, 0x7fff_ffff_ffff_ffff],
    minus_inverse: 0x86bc_a1af_286b_ca1b,
};

/// Carried limbs: a factor.
#[derive(Clone, Copy)]
pub(crate) struct Fe<S: Simd>([S::Vector; 5]);

/// The uncarried outcome of one multiplication.
#[derive(Clone, Copy)]
pub(crate) struct Product<S: Simd>([S::Vector; 5]);

/// An uncarried sum or difference.
#[derive(Clone, Copy)]
pub(crate) struct Loose<S: Simd>([S::Vector; 5]);

/// One carry step, all limbs at once.
#[inline(always)]
fn carry<S: Simd>(t: S, a: [S::Vector; 5]) -> Fe<S> {
    let mask = t.splat(MASK51);
    // 2^255 = 19: what leaves the top limb comes back 19-fold.
    Fe([
        (a[0] & mask).madd_lo(a[4].shr::<51>(), t.splat(19)),
        (a[1] & mask) + a[0].shr::<51>(),
        (a[2] & mask) + a[1].shr::<51>(),
        (a[3] & mask) + a[2].shr::<51>(),
        (a[4] & mask) + a[3].shr::<51>(),
    ])
}

#[inline(always)]
fn add<S: Simd>(a: [S::Vector; 5], b: [S::Vector; 5]) -> [S::Vector; 5] {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4]]
}

/// `a − b` plus 2^9·p, whose limbs (about 2^60) exceed every limb of a product.
#[inline(always)]
fn sub<S: Simd>(t: S, a: [S::Vector; 5], b: [S::Vector; 5]) -> [S::Vector; 5] {
    let (low, high) = (t.splat((MASK51 - 18) << 9), t.splat(MASK51 << 9));
    [a[0] + low - b[0], a[1] + high - b[1], a[2] + high - b[2], a[3] + high - b[3], a[4] + high - b[4]]
}

/// Ten columns of weight 2^(51 k) to five.
#[inline(always)]
fn fold<S: Simd>(t: S, c: [S::Vector; 10]) -> Product<S> {
    let mut low = [c[0], c[1], c[2], c[3], c[4]];
    for k in 0..5 {
        low[k] = low[k] + t.times19(c[k + 5]);
    }
    Product(low)
}

impl<S: Simd> Fe<S> {
    #[inline(always)]
    pub(crate) fn small(t: S, value: u64) -> Self {
        let zero = t.zero();
        Self([t.splat(value), zero, zero, zero, zero])
    }

    /// From limbs that keep the bound.
    #[inline(always)]
    pub(crate) fn from_limbs(limbs: [S::Vector; 5]) -> Self {
        Self(limbs)
    }

    /// Reads little-endian integers of 255 bits; the top bit is ignored (RFC 7748 §5).
    #[inline(always)]
    pub(crate) fn from_words(t: S, words: &[Block; 4]) -> Self {
        let mask = t.splat(MASK51);
        let w = [t.load(&words[0].0), t.load(&words[1].0), t.load(&words[2].0), t.load(&words[3].0)];
        Self([
            w[0] & mask,
            (w[0].shr::<51>() | w[1].shl::<13>()) & mask,
            (w[1].shr::<38>() | w[2].shl::<26>()) & mask,
            (w[2].shr::<25>() | w[3].shl::<39>()) & mask,
            w[3].shr::<12>() & mask,
        ])
    }

    /// The limbs of the integer below p.
    #[inline(always)]
    fn canonical(self, t: S) -> [S::Vector; 5] {
        let (mask, nineteen) = (t.splat(MASK51), t.splat(19));
        // Twice carried, the value is below 2p; then q is 1 where it is p or more: the carry out of value + 19.
        let mut a = carry(t, carry(t, self.0).0).0;
        let mut q = (a[0] + nineteen).shr::<51>();
        for limb in &a[1..] {
            q = (*limb + q).shr::<51>();
        }
        a[0] = a[0].madd_lo(q, nineteen);
        for i in 0..4 {
            a[i + 1] = a[i + 1] + a[i].shr::<51>();
            a[i] = a[i] & mask;
        }
        a[4] = a[4] & mask;
        a
    }

    /// Writes the integers below p, little-endian.
    #[inline(always)]
    pub(crate) fn to_words(self, t: S, words: &mut [Block; 4]) {
        let a = self.canonical(t);
        t.store(a[0] | a[1].shl::<51>(), &mut words[0]);
        t.store(a[1].shr::<13>() | a[2].shl::<38>(), &mut words[1]);
        t.store(a[2].shr::<26>() | a[3].shl::<25>(), &mut words[2]);
        t.store(a[3].shr::<39>() | a[4].shl::<12>(), &mut words[3]);
    }

    #[inline(always)]
    pub(crate) fn mul(self, t: S, other: Self) -> Product<S> {
        let (a, b) = (self.0, other.0);
        let mut c = [t.zero(); 10];
        // A high product has weight 2^52, twice its column's: all of them first, doubled at once.
        for i in 0..5 {
            for j in 0..5 {
                c[i + j + 1] = c[i + j + 1].madd_hi(a[i], b[j]);
            }
        }
        for column in &mut c[1..] {
            *column = *column + *column;
        }
        for i in 0..5 {
            for j in 0..5 {
                c[i + j] = c[i + j].madd_lo(a[i], b[j]);
            }
        }
        fold(t, c)
    }

    #[inline(always)]
    pub(crate) fn square(self, t: S) -> Product<S> {
        let a = self.0;
        let mut c = [t.zero(); 10];
        // Products of different limbs count twice, high products of them four times.
        for i in 0..5 {
            for j in i + 1..5 {
                c[i + j + 1] = c[i + j + 1].madd_hi(a[i], a[j]);
            }
        }
        for column in &mut c[2..9] {
            *column = *column + *column;
        }
        for i in 0..5 {
            for j in i + 1..5 {
                c[i + j] = c[i + j].madd_lo(a[i], a[j]);
            }
        }
        for i in 0..5 {
            c[2 * i + 1] = c[2 * i + 1].madd_hi(a[i], a[i]);
        }
        for column in &mut c[1..] {
            *column = *column + *column;
        }
        for i in 0..5 {
            c[2 * i] = c[2 * i].madd_lo(a[i], a[i]);
        }
        fold(t, c)
    }

    /// `self` in the lanes of `mask` replaced by `other`.
    #[inline(always)]
    pub(crate) fn select(self, mask: S::Mask, other: Self) -> Self {
        let mut limbs = self.0;
        for i in 0..5 {
            limbs[i] = limbs[i].select(mask, other.0[i]);
        }
        Self(limbs)
    }
}

impl<S: Simd> Product<S> {
    #[inline(always)]
    pub(crate) fn carry(self, t: S) -> Fe<S> {
        carry(t, self.0)
    }

    #[inline(always)]
    pub(crate) fn plus(self, other: Self) -> Loose<S> {
        Loose(add::<S>(self.0, other.0))
    }

    #[inline(always)]
    pub(crate) fn minus(self, t: S, other: Self) -> Loose<S> {
        Loose(sub(t, self.0, other.0))
    }

    /// `self + factor·other`, for a factor below 2^17.
    #[inline(always)]
    pub(crate) fn plus_small_multiple(self, t: S, factor: u64, other: Fe<S>) -> Loose<S> {
        let (mut sum, factor) = (self.0, t.splat(factor));
        let mut high = [t.zero(); 5];
        for i in 0..5 {
            sum[i] = sum[i].madd_lo(other.0[i], factor);
            high[i] = high[i].madd_hi(other.0[i], factor);
        }
        for i in 0..4 {
            sum[i + 1] = sum[i + 1] + high[i] + high[i];
        }
        sum[0] = sum[0].madd_lo(high[4], t.splat(38));
        Loose(sum)
    }

    #[inline(always)]
    pub(crate) fn select(self, mask: S::Mask, other: Self) -> Self {
        Self(Fe::<S>(self.0).select(mask, Fe(other.0)).0)
    }
}

impl<S: Simd> From<Fe<S>> for Product<S> {
    #[inline(always)]
    fn from(carried: Fe<S>) -> Self {
        Self(carried.0)
    }
}

impl<S: Simd> Loose<S> {
    #[inline(always)]
    pub(crate) fn carry(self, t: S) -> Fe<S> {
        carry(t, self.0)
    }

    #[inline(always)]
    pub(crate) fn plus(self, other: Product<S>) -> Self {
        Self(add::<S>(self.0, other.0))
    }

    #[inline(always)]
    pub(crate) fn minus(self, t: S, other: Product<S>) -> Self {
        Self(sub(t, self.0, other.0))
    }

    #[inline(always)]
    pub(crate) fn select(self, mask: S::Mask, other: Self) -> Self {
        Self(Fe::<S>(self.0).select(mask, Fe(other.0)).0)
    }
}

impl<S: Simd> Invert<S> for Fe<S> {
    #[inline(always)]
    fn one(t: S) -> Self {
        Self::small(t, 1)
    }

    #[inline(always)]
    fn mul(self, t: S, other: Self) -> Self {
        self.mul(t, other).carry(t)
    }

    #[inline(always)]
    fn select(self, mask: S::Mask, other: Self) -> Self {
        self.select(mask, other)
    }

    #[inline(always)]
    fn is_zero(self, t: S) -> S::Mask {
        let a = self.canonical(t);
        (a[0] | a[1] | a[2] | a[3] | a[4]).is_zero()
    }

    #[inline(always)]
    fn rotate<const N: i32>(self) -> Self {
        let a = self.0;
        Self([
            a[0].rotate::<N>(),
            a[1].rotate::<N>(),
            a[2].rotate::<N>(),
            a[3].rotate::<N>(),
            a[4].rotate::<N>(),
        ])
    }

    #[inline(always)]
    fn invert_first_lane(self, t: S) -> Self {
        let mut words = [Block::ZERO; 4];
        self.to_words(t, &mut words);
        let value: Limbs = [words[0].0[0], words[1].0[0], words[2].0[0], words[3].0[0]];
        let inverse = inversion::invert(&value, &P);
        for i in 0..4 {
            words[i].0 = [inverse[i]; LANES];
        }
        Self::from_words(t, &words)
    }
}
