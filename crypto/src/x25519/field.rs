// SPDX-License-Identifier: MIT OR Apache-2.0
//! The field of Curve25519: integers modulo p = 2^255 − 19.

#[cfg(target_arch = "x86_64")]
mod x86_64;

use zeroize::Zeroize;

#[cfg(target_arch = "x86_64")]
use crate::cpu::Bmi2;
use crate::ct;
use crate::inversion::{self, Modulus};
use crate::limbs::{self, Limbs};

const P: Modulus = Modulus {
    limbs: [0xffff_ffff_ffff_ffed, 0xffff_ffff_ffff_ffff, 0xffff_ffff_ffff_ffff, 0x7fff_ffff_ffff_ffff],
    minus_inverse: 0x86bc_a1af_286b_ca1b,
};
/// 2^256 mod p.
const FOLD: u64 = 38;

/// A field element as any of its representatives below 2^256. It is tight if below 2^255 + 2^38:
/// products are, and so is what is read from bytes or from the table.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Element(Limbs);

impl Element {
    pub(crate) const ZERO: Self = Self([0; 4]);
    pub(crate) const ONE: Self = Self([1, 0, 0, 0]);

    /// Reads a little-endian integer; the top bit is ignored.
    pub(crate) fn from_le_bytes(bytes: &[u8; 32]) -> Self {
        let mut value = limbs::from_le_bytes(bytes);
        value[3] &= u64::MAX >> 1;
        Self(value)
    }

    /// From five limbs of 51 bits, as the table of base multiples holds them.
    #[inline(always)]
    pub(crate) fn from_radix_51([a, b, c, d, e]: [u64; 5]) -> Self {
        Self([a | b << 51, b >> 13 | c << 38, c >> 26 | d << 25, d >> 39 | e << 12])
    }

    /// The integer below p.
    pub(crate) fn to_limbs(self) -> Limbs {
        let [a, b, c, d] = self.0;
        let (folded, _) = limbs::add(&[a, b, c, d & (u64::MAX >> 1)], &[19 * (d >> 63), 0, 0, 0]);
        limbs::reduce_once(&folded, 0, &P.limbs)
    }

    /// self + other, for a tight `other`.
    #[inline(always)]
    pub(crate) fn add(&self, other: &Self) -> Self {
        #[cfg(target_arch = "x86_64")]
        return Self(x86_64::add(&self.0, &other.0));
        #[cfg(not(target_arch = "x86_64"))]
        self.portable_add(other)
    }

    #[cfg(any(test, not(target_arch = "x86_64")))]
    fn portable_add(&self, other: &Self) -> Self {
        let (sum, carry) = limbs::add(&self.0, &other.0);
        let (mut sum, carry) = limbs::add(&sum, &[ct::mask(carry) & FOLD, 0, 0, 0]);
        // A second carry leaves the lowest limb small.
        sum[0] = sum[0].wrapping_add(ct::mask(carry) & FOLD);
        Self(sum)
    }

    /// self − other, for a tight `other`.
    #[inline(always)]
    pub(crate) fn sub(&self, other: &Self) -> Self {
        #[cfg(target_arch = "x86_64")]
        return Self(x86_64::sub(&self.0, &other.0));
        #[cfg(not(target_arch = "x86_64"))]
        self.portable_sub(other)
    }

    #[cfg(any(test, not(target_arch = "x86_64")))]
    fn portable_sub(&self, other: &Self) -> Self {
        let (difference, borrow) = limbs::sub(&self.0, &other.0);
        let (mut difference, borrow) = limbs::sub(&difference, &[ct::mask(borrow) & FOLD, 0, 0, 0]);
        // A second borrow leaves the lowest limb near its top.
        difference[0] = difference[0].wrapping_sub(ct::mask(borrow) & FOLD);
        Self(difference)
    }

    #[inline(always)]
    pub(crate) fn mul(&self, other: &Self) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(token) = Bmi2::get() {
            return Self(x86_64::mul(token, &self.0, &other.0));
        }
        let Self([a, b, c, d]) = self.portable_mul(other);
        Self([a, b, c, d])
    }

    #[inline(always)]
    pub(crate) fn square(&self) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(token) = Bmi2::get() {
            return Self(x86_64::square(token, &self.0));
        }
        let Self([a, b, c, d]) = self.portable_mul(self);
        Self([a, b, c, d])
    }

    #[cfg_attr(target_arch = "x86_64", cold)]
    #[inline(never)]
    fn portable_mul(&self, other: &Self) -> Self {
        let t = limbs::mul(&self.0, &other.0);
        let mut folded = [0; 4];
        let mut top = 0;
        for i in 0..4 {
            (folded[i], top) = t[i + 4].carrying_mul_add(FOLD, top, t[i]);
        }
        fold_top(&folded, top)
    }

    /// self·factor.
    #[inline(always)]
    pub(crate) fn mul_small(&self, factor: u32) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(token) = Bmi2::get() {
            return Self(x86_64::mul_small(token, &self.0, factor));
        }
        let Self([a, b, c, d]) = self.portable_mul_small(factor);
        Self([a, b, c, d])
    }

    #[cfg_attr(target_arch = "x86_64", cold)]
    #[inline(never)]
    fn portable_mul_small(&self, factor: u32) -> Self {
        let mut product = [0; 4];
        let mut top = 0;
        for (product, limb) in product.iter_mut().zip(&self.0) {
            (*product, top) = limb.carrying_mul(u64::from(factor), top);
        }
        fold_top(&product, top)
    }

    /// `yes` where `mask` is ones, `no` where it is zeros.
    #[inline(always)]
    pub(crate) fn select(mask: u64, yes: &Self, no: &Self) -> Self {
        Self(ct::select_limbs(mask, &yes.0, &no.0))
    }

    /// 1/x, and 0 for 0.
    pub(crate) fn invert(&self) -> Self {
        Self(inversion::invert(&self.to_limbs(), &P))
    }
}

impl Zeroize for Element {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// `top·2^256 + low`, tight, for `top` below 2^32.
#[inline(always)]
fn fold_top(&[a, b, c, d]: &Limbs, top: u64) -> Element {
    let from_bit_255 = top << 1 | d >> 63;
    let (folded, _) = limbs::add(&[a, b, c, d & (u64::MAX >> 1)], &[19 * from_bit_255, 0, 0, 0]);
    Element(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Limbs near the edges of carries and of the modulus, in all combinations.
    fn elements() -> impl Iterator<Item = Element> {
        const EDGES: [u64; 8] = [0, 1, 19, 38, 1 << 63, u64::MAX >> 1, u64::MAX - 18, u64::MAX];
        (0..8_usize.pow(4))
            .map(|n| Element([EDGES[n % 8], EDGES[n / 8 % 8], EDGES[n / 64 % 8], EDGES[n / 512]]))
    }

    impl Element {
        fn is_tight(&self) -> bool {
            limbs::sub(&self.0, &[1 << 38, 0, 0, 1 << 63]).1
        }
    }

    fn same(a: Element, b: Element) -> bool {
        a.to_limbs() == b.to_limbs()
    }

    /// The sum of shifted copies: multiplication that shares nothing with the fast one but addition.
    fn slow_mul(a: &Element, b: &Element) -> Element {
        let mut product = Element::ZERO;
        for bit in (0..256).rev() {
            product = product.portable_add(&product);
            if limbs::bits_from(&b.0, bit) & 1 == 1 {
                product = product.portable_add(a);
            }
        }
        product
    }

    #[test]
    fn products_agree_with_repeated_addition() {
        let all: Vec<_> = elements().collect();
        for (i, a) in all.iter().enumerate().step_by(5) {
            let b = &all[i * 7919 % all.len()];
            assert!(same(a.mul(b), slow_mul(a, b)));
            assert!(same(a.square(), slow_mul(a, a)));
            assert!(same(a.mul_small(u32::MAX), slow_mul(a, &Element([u64::from(u32::MAX), 0, 0, 0]))));
        }
    }

    #[test]
    fn all_products_agree() {
        let all: Vec<_> = elements().collect();
        for (i, a) in all.iter().enumerate() {
            assert!(same(a.square(), a.portable_mul(a)));
            assert!(same(a.mul_small(u32::MAX), a.portable_mul_small(u32::MAX)));
            for b in all.iter().skip(i % 61).step_by(61) {
                assert!(same(a.mul(b), a.portable_mul(b)));
            }
        }
    }

    #[test]
    fn sums_and_inverses() {
        let all: Vec<_> = elements().collect();
        for (i, a) in all.iter().enumerate() {
            for b in all.iter().skip(i % 61).step_by(61) {
                let mut tight = *b;
                tight.0[3] &= u64::MAX >> 1;
                assert!(same(a.add(&tight).sub(&tight), *a));
                assert_eq!(a.add(&tight).0, a.portable_add(&tight).0);
                assert_eq!(a.sub(&tight).0, a.portable_sub(&tight).0);
                assert!(a.mul(b).is_tight() && a.square().is_tight() && a.mul_small(u32::MAX).is_tight());
            }
            let canonical = a.to_limbs();
            assert!(limbs::sub(&canonical, &P.limbs).1);
            let one = if canonical == [0; 4] { Element::ZERO } else { Element::ONE };
            assert!(same(a.mul(&a.invert()), one));
        }
    }

    /// Multiples of p and their neighbours have one canonical form.
    #[test]
    fn representatives() {
        for small in 0..19 {
            let [p0, p1, p2, p3] = P.limbs;
            assert_eq!(Element([p0 + small, p1, p2, p3]).to_limbs(), [small, 0, 0, 0]);
            // 2p = 2^256 − 38
            assert_eq!(
                Element([u64::MAX - 37 + small, u64::MAX, u64::MAX, u64::MAX]).to_limbs(),
                [small, 0, 0, 0]
            );
        }
    }
}
