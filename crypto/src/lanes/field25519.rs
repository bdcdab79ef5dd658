// SPDX-License-Identifier: MIT OR Apache-2.0
//! Integers modulo 2^255 − 19, a lane each, in the limbs that an instruction set multiplies best.
//!
//! Carries wait, and types say where: a [`Field`] element is carried and may be multiplied, a [`Product`] is the outcome of
//! one multiplication, a [`Loose`] a sum or difference of few of those. Each representation gives its bounds.

pub(crate) mod radix25;
pub(crate) mod radix51;

use super::LANES;
use super::invert::Invert;
use super::simd::{Simd, Vector as _};
use super::vector::{Block, MASK51};
use crate::inversion::{self, Modulus};
use crate::limbs::Limbs;
use crate::wipe::Plain;

/// 2^255 − 19.
const P: Modulus = Modulus {
    limbs: [0xffff_ffff_ffff_ffed, u64::MAX, u64::MAX, 0x7fff_ffff_ffff_ffff],
    minus_inverse: 0x86bc_a1af_286b_ca1b,
};

/// An instruction set and its limbs.
pub(crate) trait Curve25519: Simd {
    type Field: Field<Self>;
}

/// Carried: a factor.
pub(crate) trait Field<S: Simd>: Invert<S> + Plain {
    type Product: Product<S, Carried = Self>;

    fn small(t: S, value: u64) -> Self;
    /// Five limbs of 51 bits, none larger.
    fn from_limbs(t: S, limbs: [S::Vector; 5]) -> Self;
    /// Five limbs of 51 bits, each less than 2^52.
    fn to_limbs(self, t: S) -> [S::Vector; 5];
    fn times(self, t: S, other: Self) -> Self::Product;
    fn squared(self, t: S) -> Self::Product;
    /// `other` in the lanes of `mask`.
    fn select(self, mask: S::Mask, other: Self) -> Self;
    /// Lane i takes lane i + N (modulo the lanes of a register).
    fn rotate<const N: i32>(self) -> Self;
}

/// The uncarried outcome of one multiplication, or a factor.
pub(crate) trait Product<S: Simd>: Copy + From<Self::Carried> {
    type Carried: Copy;
    type Loose: Loose<S, Carried = Self::Carried, Product = Self>;

    fn carry(self, t: S) -> Self::Carried;
    fn plus(self, other: Self) -> Self::Loose;
    fn minus(self, t: S, other: Self) -> Self::Loose;
    /// `self + factor·other`, for a factor below 2^17.
    fn plus_small_multiple(self, t: S, factor: u64, other: Self::Carried) -> Self::Loose;
}

/// An uncarried sum or difference of at most four products.
pub(crate) trait Loose<S: Simd>: Copy {
    type Carried;
    type Product;

    fn carry(self, t: S) -> Self::Carried;
    fn plus(self, other: Self::Product) -> Self;
    fn minus(self, t: S, other: Self::Product) -> Self;
    fn select(self, mask: S::Mask, other: Self) -> Self;
}

/// Reads little-endian integers of 255 bits; the top bit is ignored (RFC 7748 §5).
#[inline(always)]
pub(crate) fn from_words<S: Simd, F: Field<S>>(t: S, words: &[Block; 4]) -> F {
    let mask = t.splat(MASK51);
    let w = [t.load(&words[0].0), t.load(&words[1].0), t.load(&words[2].0), t.load(&words[3].0)];
    F::from_limbs(
        t,
        [
            w[0] & mask,
            (w[0].shr::<51>() | w[1].shl::<13>()) & mask,
            (w[1].shr::<38>() | w[2].shl::<26>()) & mask,
            (w[2].shr::<25>() | w[3].shl::<39>()) & mask,
            w[3].shr::<12>() & mask,
        ],
    )
}

/// Writes the integers below p, little-endian.
#[inline(always)]
pub(crate) fn to_words<S: Simd, F: Field<S>>(t: S, value: F, words: &mut [Block; 4]) {
    let a = canonical(t, value.to_limbs(t));
    t.store(a[0] | a[1].shl::<51>(), &mut words[0]);
    t.store(a[1].shr::<13>() | a[2].shl::<38>(), &mut words[1]);
    t.store(a[2].shr::<26>() | a[3].shl::<25>(), &mut words[2]);
    t.store(a[3].shr::<39>() | a[4].shl::<12>(), &mut words[3]);
}

/// The limbs of the integer below p.
#[inline(always)]
fn canonical<S: Simd>(t: S, a: [S::Vector; 5]) -> [S::Vector; 5] {
    let mask = t.splat(MASK51);
    // Twice carried, the value is below 2p; then q is 1 where it is p or more: the carry out of value + 19.
    let mut a = carry(t, carry(t, a));
    let mut q = (a[0] + t.splat(19)).shr::<51>();
    for limb in &a[1..] {
        q = (*limb + q).shr::<51>();
    }
    a[0] = a[0] + t.times19(q);
    for i in 0..4 {
        a[i + 1] = a[i + 1] + a[i].shr::<51>();
        a[i] = a[i] & mask;
    }
    a[4] = a[4] & mask;
    a
}

/// One carry step of limbs of 51 bits, all at once.
#[inline(always)]
fn carry<S: Simd>(t: S, a: [S::Vector; 5]) -> [S::Vector; 5] {
    let mask = t.splat(MASK51);
    // 2^255 = 19: what leaves the top limb comes back 19-fold.
    [
        (a[0] & mask) + t.times19(a[4].shr::<51>()),
        (a[1] & mask) + a[0].shr::<51>(),
        (a[2] & mask) + a[1].shr::<51>(),
        (a[3] & mask) + a[2].shr::<51>(),
        (a[4] & mask) + a[3].shr::<51>(),
    ]
}

/// The lanes that are zero modulo p.
#[inline(always)]
pub(crate) fn is_zero<S: Simd, F: Field<S>>(t: S, value: F) -> S::Mask {
    let a = canonical(t, value.to_limbs(t));
    (a[0] | a[1] | a[2] | a[3] | a[4]).is_zero()
}

/// The inverse of lane 0, in every lane.
#[inline(always)]
pub(crate) fn invert_first_lane<S: Simd, F: Field<S>>(t: S, value: F) -> F {
    let mut words = [Block::ZERO; 4];
    to_words(t, value, &mut words);
    let value: Limbs = [words[0].0[0], words[1].0[0], words[2].0[0], words[3].0[0]];
    let inverse = inversion::invert(&value, &P);
    for i in 0..4 {
        words[i].0 = [inverse[i]; LANES];
    }
    from_words(t, &words)
}

/// Implements [`super::invert::Invert`] for a [`Field`].
macro_rules! invertible {
    ($field:ident, $set:ident) => {
        impl<S: $set> $crate::lanes::invert::Invert<S> for $field<S> {
            #[inline(always)]
            fn one(t: S) -> Self {
                super::Field::small(t, 1)
            }

            #[inline(always)]
            fn mul(self, t: S, other: Self) -> Self {
                super::Product::carry(super::Field::times(self, t, other), t)
            }

            #[inline(always)]
            fn select(self, mask: S::Mask, other: Self) -> Self {
                super::Field::select(self, mask, other)
            }

            #[inline(always)]
            fn is_zero(self, t: S) -> S::Mask {
                super::is_zero(t, self)
            }

            #[inline(always)]
            fn rotate<const N: i32>(self) -> Self {
                super::Field::<S>::rotate::<N>(self)
            }

            #[inline(always)]
            fn invert_first_lane(self, t: S) -> Self {
                super::invert_first_lane(t, self)
            }
        }
    };
}
pub(crate) use invertible;
