// SPDX-License-Identifier: MIT OR Apache-2.0
//! Integers modulo the two primes of P-256, its field and its order: eight lanes, five limbs of
//! 52 bits, Montgomery form for R = 2^260.
//!
//! 260 bits hold sixteen times the modulus m. So sums need no reduction while the formulas that use
//! them keep every factor below 16m; they state their bounds as multiples of m. A multiplication of
//! factors below αm and βm gives less than (αβ/16 + 1)·m, because m² / R < m/16.
//!
//! - [`Fe`], carried: a factor. Limbs are below 2^52, the value is below 16m.
//! - [`Loose`]: signed limbs below 2^61, the value not negative and below 16m when carried.
//! - [`Wide`]: signed limbs of a double-width product or a difference of two.

pub(crate) mod columns26;
pub(crate) mod columns52;

use core::marker::PhantomData;

use super::LANES;
use super::invert::Invert;
use super::simd::{Simd, Simd32, Simd52, Vector as _, Vector32 as _, Vector52 as _};
use super::vector::{Block, MASK52};
use crate::inversion::{self, Modulus};
use crate::limbs::Limbs;
use crate::wipe::Plain;

/// How an instruction set multiplies numbers of five limbs, as columns that are reduced later.
pub(crate) trait Montgomery: Simd {
    /// Signed columns of a double-width integer.
    type Wide: Copy;
    /// What the proof of bounds knows of a number; nothing where code serves.
    type Value: Value;

    fn product(self, a: [Self::Vector; 5], b: [Self::Vector; 5]) -> Self::Wide;
    fn square(self, a: [Self::Vector; 5]) -> Self::Wide;
    fn difference(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    fn times8(a: Self::Wide) -> Self::Wide;
    /// `wide / 2^260` modulo the prime, not carried.
    fn reduce<M: Prime>(self, wide: Self::Wide) -> [Self::Vector; 5];
    /// The limbs of `value` once they are carried: where the proof of bounds learns about the top one.
    #[inline(always)]
    fn carried(_value: Self::Value, limbs: [Self::Vector; 5]) -> [Self::Vector; 5] {
        limbs
    }
}

/// Bounds of a number as a whole, as [`crate::lanes::bounds`] follows them along the formulas.
pub(crate) trait Value: Copy {
    fn constant(limbs: [u64; 5]) -> Self;
    /// Any 256 bits, times 2^`shift`.
    fn words(shift: usize) -> Self;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn plus_modulus<M: Prime>(self, count: u64) -> Self;
    fn shl(self, shift: u32) -> Self;
    fn times(self, other: Self) -> Self;
    /// Divided by 2^260 once a multiple of the prime is added.
    fn reduced<M: Prime>(self) -> Self;
    /// Less the prime where that is not negative; of a number below two primes.
    fn reduced_once<M: Prime>(self) -> Self;
    /// Less the prime as often as 2^256 is in it.
    fn folded<M: Prime>(self) -> Self;
    fn either(self, other: Self) -> Self;
}

impl Value for () {
    #[inline(always)]
    fn constant(_: [u64; 5]) -> Self {}
    #[inline(always)]
    fn words(_: usize) -> Self {}
    #[inline(always)]
    fn plus(self, (): Self) -> Self {}
    #[inline(always)]
    fn minus(self, (): Self) -> Self {}
    #[inline(always)]
    fn plus_modulus<M: Prime>(self, _: u64) -> Self {}
    #[inline(always)]
    fn shl(self, _: u32) -> Self {}
    #[inline(always)]
    fn times(self, (): Self) -> Self {}
    #[inline(always)]
    fn reduced<M: Prime>(self) -> Self {}
    #[inline(always)]
    fn reduced_once<M: Prime>(self) -> Self {}
    #[inline(always)]
    fn folded<M: Prime>(self) -> Self {}
    #[inline(always)]
    fn either(self, (): Self) -> Self {}
}

/// A prime between 2^255 and 2^256.
pub(crate) trait Prime: Copy {
    const MODULUS: &'static Modulus;
    /// The modulus in limbs of 52 bits.
    const LIMBS: [u64; 5];
    /// 2^260, 2^520 and 2^780 modulo the prime.
    const R: [u64; 5];
    const R2: [u64; 5];
    const R3: [u64; 5];
    /// [`Montgomery::reduce`] of columns of 52 bits.
    fn reduce52<S: Simd52>(t: S, wide: columns52::Columns<S>) -> [S::Vector; 5];
    /// [`Montgomery::reduce`] of columns of 26 bits.
    fn reduce26<S: Simd32>(t: S, wide: columns26::Columns<S>) -> columns26::Limbs<S>;
}

/// A carried residue.
#[derive(Clone, Copy)]
pub(crate) struct Fe<S: Montgomery, M>([S::Vector; 5], S::Value, PhantomData<M>);

// SAFETY: integers.
unsafe impl<S: Montgomery, M: Copy> Plain for Fe<S, M> {}

/// An uncarried residue.
#[derive(Clone, Copy)]
pub(crate) struct Loose<S: Montgomery, M>([S::Vector; 5], S::Value, PhantomData<M>);

/// A double-width integer to be reduced.
#[derive(Clone, Copy)]
pub(crate) struct Wide<S: Montgomery, M>(S::Wide, S::Value, PhantomData<M>);

/// Carries from limb to limb, signs included; the top limb keeps what is left.
#[inline(always)]
fn carry<S: Simd>(t: S, mut a: [S::Vector; 5]) -> [S::Vector; 5] {
    let mask = t.splat(MASK52);
    for i in 0..4 {
        a[i + 1] = a[i + 1] + a[i].sar::<52>();
        a[i] = a[i] & mask;
    }
    a
}

impl<S: Montgomery, M: Prime> Fe<S, M> {
    #[inline(always)]
    pub(crate) fn constant(t: S, limbs: [u64; 5]) -> Self {
        let mut result = [t.zero(); 5];
        for i in 0..5 {
            result[i] = t.splat(limbs[i]);
        }
        Self(result, S::Value::constant(limbs), PhantomData)
    }

    /// The integers of 256 bits, times 2^`SHIFT`, as they are: below 2^`SHIFT`·(1 + 2^-31)·m.
    /// The upper bits of each limb are left in place, so that the result is a factor and nothing else.
    #[inline(always)]
    pub(crate) fn factor_from_words<const SHIFT: usize>(words: [S::Vector; 4]) -> Self {
        let w = words;
        let [a, b, c, d, top] = match SHIFT {
            0 => [
                w[0],
                w[0].shr::<52>() | w[1].shl::<12>(),
                w[1].shr::<40>() | w[2].shl::<24>(),
                w[2].shr::<28>() | w[3].shl::<36>(),
                w[3].shr::<16>(),
            ],
            1 => [
                w[0].shl::<1>(),
                w[0].shr::<51>() | w[1].shl::<13>(),
                w[1].shr::<39>() | w[2].shl::<25>(),
                w[2].shr::<27>() | w[3].shl::<37>(),
                w[3].shr::<15>(),
            ],
            _ => [
                w[0].shl::<2>(),
                w[0].shr::<50>() | w[1].shl::<14>(),
                w[1].shr::<38>() | w[2].shl::<26>(),
                w[2].shr::<26>() | w[3].shl::<38>(),
                w[3].shr::<14>(),
            ],
        };
        let limbs = [a.low52(), b.low52(), c.low52(), d.low52(), top];
        Self(limbs, S::Value::words(SHIFT), PhantomData)
    }

    /// Clears what [`Self::factor_from_words`] left above 52 bits.
    #[inline(always)]
    pub(crate) fn masked(self, t: S) -> Self {
        let mask = t.splat(MASK52);
        let a = self.0;
        Self([a[0] & mask, a[1] & mask, a[2] & mask, a[3] & mask, a[4]], self.1, PhantomData)
    }

    /// Reads integers, below 1.01m.
    #[inline(always)]
    pub(crate) fn from_words(t: S, words: &[Block; 4]) -> Self {
        let [a, b, c, d] = words;
        Self::factor_from_words::<0>([t.load(&a.0), t.load(&b.0), t.load(&c.0), t.load(&d.0)]).masked(t)
    }

    /// Into Montgomery form, below 1.1m if `self` is below 1.01m.
    #[inline(always)]
    pub(crate) fn to_montgomery(self, t: S) -> Self {
        self.mul(t, Self::constant(t, M::R2)).carry(t)
    }

    /// Out of Montgomery form, below 2m.
    #[inline(always)]
    pub(crate) fn leave_montgomery(self, t: S) -> Self {
        self.mul(t, Self::constant(t, [1, 0, 0, 0, 0])).carry(t)
    }

    /// The lanes whose value is below m, and the values minus m where they are not; for values below 2m.
    #[inline(always)]
    pub(crate) fn reduce_once(self, t: S) -> (S::Mask, Self) {
        let mut difference = self.0;
        for i in 0..5 {
            difference[i] = difference[i] - t.splat(M::LIMBS[i]);
        }
        let difference = carry(t, difference);
        let below = difference[4].is_negative();
        let mut limbs = difference;
        for i in 0..5 {
            limbs[i] = limbs[i].select(below, self.0[i]);
        }
        let value = self.1.reduced_once::<M>();
        (below, Self(S::carried(value, limbs), value, PhantomData))
    }

    /// Writes integers below 2^256.
    #[inline(always)]
    pub(crate) fn to_words(self, t: S, words: &mut [Block; 4]) {
        let a = self.0;
        t.store(a[0] | a[1].shl::<52>(), &mut words[0]);
        t.store(a[1].shr::<12>() | a[2].shl::<40>(), &mut words[1]);
        t.store(a[2].shr::<24>() | a[3].shl::<28>(), &mut words[2]);
        t.store(a[3].shr::<36>() | a[4].shl::<16>(), &mut words[3]);
    }

    /// The lanes whose limbs are all zero.
    #[inline(always)]
    pub(crate) fn limbs_zero(self) -> S::Mask {
        let a = self.0;
        (a[0] | a[1] | a[2] | a[3] | a[4]).is_zero()
    }

    #[inline(always)]
    pub(crate) fn mul_wide(self, t: S, other: Self) -> Wide<S, M> {
        Wide(t.product(self.0, other.0), self.1.times(other.1), PhantomData)
    }

    #[inline(always)]
    pub(crate) fn square_wide(self, t: S) -> Wide<S, M> {
        Wide(t.square(self.0), self.1.times(self.1), PhantomData)
    }

    #[inline(always)]
    pub(crate) fn mul(self, t: S, other: Self) -> Loose<S, M> {
        self.mul_wide(t, other).reduce(t)
    }

    #[inline(always)]
    pub(crate) fn square(self, t: S) -> Loose<S, M> {
        self.square_wide(t).reduce(t)
    }

    /// For use in sums.
    #[inline(always)]
    pub(crate) fn loose(self) -> Loose<S, M> {
        Loose(self.0, self.1, PhantomData)
    }

    /// A copy that a secret mask may select from.
    #[inline(always)]
    pub(crate) fn read_whole(&self) -> Self {
        let a = &self.0;
        Self(
            [a[0].read_whole(), a[1].read_whole(), a[2].read_whole(), a[3].read_whole(), a[4].read_whole()],
            self.1,
            PhantomData,
        )
    }

    /// `other` in the lanes of `mask`.
    #[inline(always)]
    pub(crate) fn select(self, mask: S::Mask, other: Self) -> Self {
        let mut limbs = self.0;
        for i in 0..5 {
            limbs[i] = limbs[i].select(mask, other.0[i]);
        }
        Self(limbs, self.1.either(other.1), PhantomData)
    }
}

impl<S: Montgomery, M: Prime> Wide<S, M> {
    #[inline(always)]
    pub(crate) fn reduce(self, t: S) -> Loose<S, M> {
        Loose(t.reduce::<M>(self.0), self.1.reduced::<M>(), PhantomData)
    }

    #[inline(always)]
    pub(crate) fn minus(self, other: Self) -> Self {
        Self(S::difference(self.0, other.0), self.1.minus(other.1), PhantomData)
    }

    #[inline(always)]
    pub(crate) fn times8(self) -> Self {
        Self(S::times8(self.0), self.1.shl(3), PhantomData)
    }
}

impl<S: Montgomery, M: Prime> Loose<S, M> {
    #[inline(always)]
    pub(crate) fn zero(t: S) -> Self {
        Self([t.zero(); 5], S::Value::constant([0; 5]), PhantomData)
    }

    #[inline(always)]
    pub(crate) fn carry(self, t: S) -> Fe<S, M> {
        Fe(S::carried(self.1, carry(t, self.0)), self.1, PhantomData)
    }

    #[inline(always)]
    pub(crate) fn plus(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        let sums = [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4]];
        Self(sums, self.1.plus(other.1), PhantomData)
    }

    #[inline(always)]
    pub(crate) fn minus(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        let differences = [a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3], a[4] - b[4]];
        Self(differences, self.1.minus(other.1), PhantomData)
    }

    /// Adds `count`·m, so that a difference is not negative.
    #[inline(always)]
    pub(crate) fn plus_modulus(self, t: S, count: u64) -> Self {
        let mut limbs = self.0;
        for i in 0..5 {
            if M::LIMBS[i] != 0 {
                limbs[i] = limbs[i] + t.splat(count * M::LIMBS[i]);
            }
        }
        Self(limbs, self.1.plus_modulus::<M>(count), PhantomData)
    }

    /// Times 2^`SHIFT`.
    #[inline(always)]
    pub(crate) fn shl<const SHIFT: u32>(self) -> Self {
        let a = self.0;
        Self(
            [
                a[0].shl::<SHIFT>(),
                a[1].shl::<SHIFT>(),
                a[2].shl::<SHIFT>(),
                a[3].shl::<SHIFT>(),
                a[4].shl::<SHIFT>(),
            ],
            self.1.shl(SHIFT),
            PhantomData,
        )
    }

    /// `self + other`, or `self − other` in the lanes of `mask`.
    #[inline(always)]
    pub(crate) fn plus_or_minus(self, mask: S::Mask, other: Self) -> Self {
        let (plus, minus) = (self.plus(other), self.minus(other));
        let mut limbs = plus.0;
        for i in 0..5 {
            limbs[i] = plus.0[i].select(mask, minus.0[i]);
        }
        Self(limbs, plus.1.either(minus.1), PhantomData)
    }
}

/// The field of P-256, m = p = 2^256 − 2^224 + 2^192 + 2^96 − 1.
#[derive(Clone, Copy)]
pub(crate) struct P;

impl Prime for P {
    const MODULUS: &'static Modulus = &crate::p256::field::P;
    const LIMBS: [u64; 5] = [0xf_ffff_ffff_ffff, 0xfff_ffff_ffff, 0, 0x10_0000_0000, 0xffff_ffff_0000];
    const R: [u64; 5] = [0x10, 0xf_0000_0000_0000, 0xf_ffff_ffff_ffff, 0xf_feff_ffff_ffff, 0xf_ffff];
    const R2: [u64; 5] = [0x300, 0xf_ffff_fff0_0000, 0xf_fffe_ffff_fffb, 0xf_dfff_ffff_ffff, 0x4ff_ffff];
    const R3: [u64; 5] =
        [0xf_d000_0000_a000, 0xf_ffff_f7ff_ffff, 0xf_ffcf_ffff_fedf, 0x1_0000_0005_ffff, 0x1_8000_0000];

    #[inline(always)]
    fn reduce52<S: Simd52>(t: S, mut c: columns52::Columns<S>) -> [S::Vector; 5] {
        let (p1, p3, p4) = (t.splat(1 << 44), t.splat(1 << 36), t.splat(0xffff_ffff_0000));
        for i in 0..5 {
            // The lowest limb of p is −1 mod 2^52, so q is column i itself, of which IFMA reads 52 bits.
            // Adding q·(2^52 − 1) clears the column and leaves q more in the next: its limb of p,
            // 2^44 − 1, becomes 2^44. The limb between p1 and p3 is zero.
            let q = c[i].low52();
            c[i + 1] = (c[i + 1] + c[i].sar::<52>()).madd_lo(q, p1);
            c[i + 2] = c[i + 2].madd_hi(q, p1);
            c[i + 3] = c[i + 3].madd_lo(q, p3);
            c[i + 4] = c[i + 4].madd_hi(q, p3).madd_lo(q, p4);
            c[i + 5] = c[i + 5].madd_hi(q, p4);
        }
        [c[5], c[6], c[7], c[8], c[9]]
    }

    #[inline(always)]
    fn reduce26<S: Simd32>(t: S, mut c: columns26::Columns<S>) -> columns26::Limbs<S> {
        let mask = t.splat(columns26::MASK);
        // As above, for q = column i mod 2^26: −q clears the column, and the other powers of two lie in four more.
        macro_rules! step {
            ($($i:literal),+) => {$(
                let q = c[$i] & mask;
                c[$i + 1] = c[$i + 1] + c[$i].sar::<26>();
                c[$i + 3] = c[$i + 3] + q.shl::<18>();
                c[$i + 7] = c[$i + 7] + q.shl::<10>();
                c[$i + 8] = c[$i + 8] - q.shl::<16>();
                c[$i + 9] = c[$i + 9] + q.shl::<22>();
            )+};
        }
        step!(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
        columns26::upper_half(t, c)
    }
}

impl<S: Montgomery> Loose<S, P> {
    /// Carries and takes multiples of p off: below 1.01p for a value of 0 to 15p.
    #[inline(always)]
    pub(crate) fn fold(self, t: S) -> Fe<S, P> {
        let mut a = S::carried(self.1, carry(t, self.0));
        // 2^256 = 2^224 − 2^192 − 2^96 + 1
        let top = a[4].shr::<48>();
        a[4] = (a[4] & t.splat((1 << 48) - 1)) + top.shl::<16>();
        a[3] = a[3] - top.shl::<36>();
        a[1] = a[1] - top.shl::<44>();
        a[0] = a[0] + top;
        let value = self.1.folded::<P>();
        Fe(S::carried(value, carry(t, a)), value, PhantomData)
    }
}

/// −n⁻¹ mod 2^52.
const MINUS_INVERSE: u64 = 0x1_c8aa_ee00_bc4f;

/// The order of P-256, m = n.
#[derive(Clone, Copy)]
pub(crate) struct N;

impl Prime for N {
    const MODULUS: &'static Modulus = &crate::p256::scalar::N;
    const LIMBS: [u64; 5] =
        [0x9_cac2_fc63_2551, 0xa_da71_79e8_4f3b, 0xf_ffff_ffbc_e6fa, 0xf_ffff_ffff, 0xffff_ffff_0000];
    const R: [u64; 5] = [0x3_53d0_39cd_aaf0, 0x2_58e8_617b_0c46, 0x431_9055, 0xf_ff00_0000_0000, 0xf_ffff];
    const R2: [u64; 5] =
        [0x5_cc0d_ea6d_c3ba, 0x1_92a0_67d8_a084, 0xb_ec59_6155_71bb, 0x1_fc24_5b23_92b6, 0xe12d_9559_d956];
    const R3: [u64; 5] =
        [0x9_617f_757e_3b0d, 0x7_3e9f_d267_76fc, 0xe_93f2_6238_f08c, 0x4_d513_b924_6ba5, 0xa54e_7b43_7be6];

    #[inline(always)]
    fn reduce52<S: Simd52>(t: S, mut c: columns52::Columns<S>) -> [S::Vector; 5] {
        for i in 0..5 {
            let q = t.zero().madd_lo(c[i].low52(), t.splat(MINUS_INVERSE));
            for j in 0..5 {
                let limb = t.splat(Self::LIMBS[j]);
                c[i + j] = c[i + j].madd_lo(q, limb);
                c[i + j + 1] = c[i + j + 1].madd_hi(q, limb);
            }
            c[i + 1] = c[i + 1] + c[i].sar::<52>();
        }
        [c[5], c[6], c[7], c[8], c[9]]
    }

    #[inline(always)]
    fn reduce26<S: Simd32>(t: S, mut c: columns26::Columns<S>) -> columns26::Limbs<S> {
        let mask = t.splat(columns26::MASK);
        for i in 0..10 {
            let q = c[i].low32().mul32(t.splat(MINUS_INVERSE & columns26::MASK)) & mask;
            for j in 0..10 {
                let limb = Self::LIMBS[j / 2] >> (j % 2 * 26) & columns26::MASK;
                c[i + j] = c[i + j] + q.mul32(t.splat(limb));
            }
            c[i + 1] = c[i + 1] + c[i].sar::<26>();
        }
        columns26::upper_half(t, c)
    }
}

impl<S: Montgomery, M: Prime> Invert<S> for Fe<S, M> {
    #[inline(always)]
    fn one(t: S) -> Self {
        Self::constant(t, M::R)
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
        // A multiple of m times 2^-260 is 0 or m, because a multiplication by one gives at most m.
        let (_, reduced) = self.leave_montgomery(t).reduce_once(t);
        reduced.limbs_zero()
    }

    #[inline(always)]
    fn rotate<const K: i32>(self) -> Self {
        let a = self.0;
        Self(
            [
                a[0].rotate::<K>(),
                a[1].rotate::<K>(),
                a[2].rotate::<K>(),
                a[3].rotate::<K>(),
                a[4].rotate::<K>(),
            ],
            self.1,
            PhantomData,
        )
    }

    #[inline(always)]
    fn invert_first_lane(self, t: S) -> Self {
        let mut words = [Block::ZERO; 4];
        // Multiplication by R/R leaves the form as it is and the value below 2m.
        let (_, value) = self.mul(t, Self::constant(t, M::R)).carry(t).reduce_once(t);
        value.to_words(t, &mut words);
        let value: Limbs = [words[0].0[0], words[1].0[0], words[2].0[0], words[3].0[0]];
        let inverse = inversion::invert(&value, M::MODULUS);
        for i in 0..4 {
            words[i].0 = [inverse[i]; LANES];
        }
        // The inverse of x·R lacks a factor R²; multiplication by R³ brings R²·R/R.
        Self::from_words(t, &words).mul(t, Self::constant(t, M::R3)).carry(t)
    }
}
