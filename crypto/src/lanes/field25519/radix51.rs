// SPDX-License-Identifier: MIT OR Apache-2.0
//! Five limbs of 51 bits, for IFMA.
//!
//! Bounds, by type, so that no sum overflows 64 bits and no factor exceeds the 52 bits IFMA reads:
//! - [`Fe`], carried: limbs < 2^51 + 2^15.
//! - [`Product`]: limbs < 2^59 + 2^54. The largest is limb 0 of a multiplication: one low product,
//!   and 19 times (four low products < 2^52 and five doubled high products < 2^50 + 2^16).
//! - [`Loose`], a sum or difference of few products: limbs < 2^61.5. What a carry takes out of a limb is
//!   then below 2^10.5, and 19 of it below 2^15: the result is an [`Fe`].

use super::invertible;
use crate::cpu::Ifma;
#[cfg(feature = "std")]
use crate::lanes::avx::{Evex, Half, Vex};
use crate::lanes::simd::{Simd52, Vector as _, Vector52 as _};
use crate::lanes::vector::MASK51;
use crate::wipe::Plain;

/// Carried limbs: a factor.
#[derive(Clone, Copy)]
pub(crate) struct Fe<S: Simd52>([S::Vector; 5]);

/// The uncarried outcome of one multiplication.
#[derive(Clone, Copy)]
pub(crate) struct Product<S: Simd52>([S::Vector; 5]);

/// An uncarried sum or difference.
#[derive(Clone, Copy)]
pub(crate) struct Loose<S: Simd52>([S::Vector; 5]);

/// [`super::carry`] by IFMA, which multiplies by 19 in one instruction.
#[inline(always)]
fn carry<S: Simd52>(t: S, a: [S::Vector; 5]) -> Fe<S> {
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
fn add<S: Simd52>(a: [S::Vector; 5], b: [S::Vector; 5]) -> [S::Vector; 5] {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4]]
}

/// `a − b` plus 2^9·p, whose limbs (about 2^60) exceed every limb of a product.
#[inline(always)]
fn sub<S: Simd52>(t: S, a: [S::Vector; 5], b: [S::Vector; 5]) -> [S::Vector; 5] {
    let (low, high) = (t.splat((MASK51 - 18) << 9), t.splat(MASK51 << 9));
    [a[0] + low - b[0], a[1] + high - b[1], a[2] + high - b[2], a[3] + high - b[3], a[4] + high - b[4]]
}

/// Ten columns of weight 2^(51 k) to five.
#[inline(always)]
fn fold<S: Simd52>(t: S, c: [S::Vector; 10]) -> Product<S> {
    let mut low = [c[0], c[1], c[2], c[3], c[4]];
    for k in 0..5 {
        low[k] = low[k] + t.times19(c[k + 5]);
    }
    Product(low)
}

#[inline(always)]
fn select<S: Simd52>(mut a: [S::Vector; 5], mask: S::Mask, other: [S::Vector; 5]) -> [S::Vector; 5] {
    for i in 0..5 {
        a[i] = a[i].select(mask, other[i]);
    }
    a
}

impl<S: Simd52> super::Field<S> for Fe<S> {
    type Product = Product<S>;

    #[inline(always)]
    fn small(t: S, value: u64) -> Self {
        let zero = t.zero();
        Self([t.splat(value), zero, zero, zero, zero])
    }

    #[inline(always)]
    fn from_limbs(_t: S, limbs: [S::Vector; 5]) -> Self {
        Self(limbs)
    }

    #[inline(always)]
    fn to_limbs(self, _t: S) -> [S::Vector; 5] {
        self.0
    }

    #[inline(always)]
    fn times(self, t: S, other: Self) -> Product<S> {
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
    fn squared(self, t: S) -> Product<S> {
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

    #[inline(always)]
    fn select(self, mask: S::Mask, other: Self) -> Self {
        Self(select::<S>(self.0, mask, other.0))
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
}

impl<S: Simd52> From<Fe<S>> for Product<S> {
    #[inline(always)]
    fn from(carried: Fe<S>) -> Self {
        Self(carried.0)
    }
}

impl<S: Simd52> super::Product<S> for Product<S> {
    type Carried = Fe<S>;
    type Loose = Loose<S>;

    #[inline(always)]
    fn carry(self, t: S) -> Fe<S> {
        carry(t, self.0)
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Loose<S> {
        Loose(add::<S>(self.0, other.0))
    }

    #[inline(always)]
    fn minus(self, t: S, other: Self) -> Loose<S> {
        Loose(sub(t, self.0, other.0))
    }

    #[inline(always)]
    fn plus_small_multiple(self, t: S, factor: u64, other: Fe<S>) -> Loose<S> {
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
}

impl<S: Simd52> super::Loose<S> for Loose<S> {
    type Carried = Fe<S>;
    type Product = Product<S>;

    #[inline(always)]
    fn carry(self, t: S) -> Fe<S> {
        carry(t, self.0)
    }

    #[inline(always)]
    fn plus(self, other: Product<S>) -> Self {
        Self(add::<S>(self.0, other.0))
    }

    #[inline(always)]
    fn minus(self, t: S, other: Product<S>) -> Self {
        Self(sub(t, self.0, other.0))
    }

    #[inline(always)]
    fn select(self, mask: S::Mask, other: Self) -> Self {
        Self(select::<S>(self.0, mask, other.0))
    }
}

// SAFETY: integers.
unsafe impl<S: Simd52> Plain for Fe<S> {}

impl super::Curve25519 for Ifma {
    type Field = Fe<Self>;
}

#[cfg(feature = "std")]
impl super::Curve25519 for Half<Vex> {
    type Field = Fe<Self>;
}

#[cfg(feature = "std")]
impl super::Curve25519 for Half<Evex> {
    type Field = Fe<Self>;
}

invertible!(Fe, Simd52);
