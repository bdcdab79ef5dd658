// SPDX-License-Identifier: MIT OR Apache-2.0
//! The field of P-256: integers modulo p = 2^256 − 2^224 + 2^192 + 2^96 − 1.

#[cfg(target_arch = "x86_64")]
mod x86_64;

use zeroize::Zeroize;

#[cfg(target_arch = "x86_64")]
use crate::cpu::Bmi2;
use crate::ct;
use crate::inversion::{self, Modulus};
use crate::limbs::{self, Limbs};

/// p; its lowest limb is −1 modulo 2^64, which spares Montgomery reduction its multiplications by −p⁻¹.
pub(crate) const P: Modulus = Modulus {
    limbs: [0xffff_ffff_ffff_ffff, 0x0000_0000_ffff_ffff, 0, 0xffff_ffff_0000_0001],
    minus_inverse: 1,
};
/// 2^512 mod p.
const R2: Element = Element([3, 0xffff_fffb_ffff_ffff, 0xffff_ffff_ffff_fffe, 0x0000_0004_ffff_fffd]);
/// 2^768 mod p.
const R3: Element =
    Element([0xffff_fffd_0000_000a, 0xffff_ffed_ffff_fff7, 0x0000_0005_ffff_fffc, 0x0000_0018_0000_0001]);

/// A field element x as x·2^256 mod p (Montgomery form), always below p.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub(crate) struct Element(pub(crate) Limbs);

impl Element {
    pub(crate) const ZERO: Self = Self([0; 4]);
    pub(crate) const ONE: Self =
        Self([1, 0xffff_ffff_0000_0000, 0xffff_ffff_ffff_ffff, 0x0000_0000_ffff_fffe]);
    /// The curve's b (SP 800-186 §3.2.1.3).
    pub(crate) const B: Self =
        Self([0xd89c_df62_29c4_bddf, 0xacf0_05cd_7884_3090, 0xe5a2_20ab_f721_2ed6, 0xdc30_061d_0487_4834]);

    /// Reads a big-endian integer; `None` unless below p. The comparison's result is public.
    pub(crate) fn from_be_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let value = limbs::from_be_bytes(bytes);
        let (_, below) = limbs::sub(&value, &P.limbs);
        below.then(|| Self(value).mul(&R2))
    }

    /// The integer below p.
    pub(crate) fn to_limbs(self) -> Limbs {
        let [a, b, c, d] = self.0;
        reduce([a, b, c, d, 0, 0, 0, 0]).0
    }

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
        Self(limbs::reduce_once(&sum, u64::from(carry), &P.limbs))
    }

    #[inline(always)]
    pub(crate) fn double(&self) -> Self {
        self.add(self)
    }

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
        let (difference, _) = limbs::add(&difference, &limbs::and(&P.limbs, ct::mask(borrow)));
        Self(difference)
    }

    /// self/2
    #[inline(always)]
    pub(crate) fn halve(&self) -> Self {
        // The sum is even: self, or self + p.
        let odd = ct::mask_low_bit(self.0[0]);
        let ([a, b, c, d], carry) = limbs::add(&self.0, &limbs::and(&P.limbs, odd));
        Self([a >> 1 | b << 63, b >> 1 | c << 63, c >> 1 | d << 63, d >> 1 | u64::from(carry) << 63])
    }

    #[inline(always)]
    pub(crate) fn neg(&self) -> Self {
        Self::ZERO.sub(self)
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
        reduce(limbs::mul(&self.0, &other.0))
    }

    /// `yes` where `mask` is ones, `no` where it is zeros.
    #[inline(always)]
    pub(crate) fn select(mask: u64, yes: &Self, no: &Self) -> Self {
        Self(ct::select_limbs(mask, &yes.0, &no.0))
    }

    /// All ones if zero.
    #[inline(always)]
    pub(crate) fn mask_zero(&self) -> u64 {
        limbs::mask_zero(&self.0)
    }

    /// 1/x, and 0 for 0.
    pub(crate) fn invert(&self) -> Self {
        // The inverse of x·2^256 lacks a factor of 2^512; multiplying by 2^768 removes one 2^256.
        Self(inversion::invert(&self.0, &P)).mul(&R3)
    }
}

impl Zeroize for Element {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// `t / 2^256` modulo p, for `t` below p·2^256 (Montgomery reduction).
#[inline(always)]
fn reduce(t: [u64; 8]) -> Element {
    let [mut t0, mut t1, mut t2, mut t3, t4, t5, t6, t7] = t;
    // Adding t0·p clears the lowest limb, because p = −1 modulo 2^64; what is left to add of
    // t0·p = t0·(2^96 − 1 + p3·2^192), after −t0 has cleared the limb, is t0·2^96 + t0·p3·2^192.
    // Each round divides by 2^64 and keeps its carry out of four limbs below 2^64.
    for _ in 0..4 {
        let (p3_low, p3_high) = t0.carrying_mul(P.limbs[3], 0);
        let (r0, c) = t1.carrying_add(t0 << 32, false);
        let (r1, c) = t2.carrying_add(t0 >> 32, c);
        let (r2, c) = t3.carrying_add(p3_low, c);
        let r3 = p3_high.wrapping_add(u64::from(c));
        (t0, t1, t2, t3) = (r0, r1, r2, r3);
    }
    let (sum, carry) = limbs::add(&[t0, t1, t2, t3], &[t4, t5, t6, t7]);
    Element(limbs::reduce_once(&sum, u64::from(carry), &P.limbs))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Limbs near the edges of carries and of the modulus, in all combinations: 4,096 elements below p.
    fn elements() -> impl Iterator<Item = Element> {
        const EDGES: [u64; 8] =
            [0, 1, 2, 0xffff_ffff, 0x1_0000_0000, 0xffff_ffff_0000_0000, u64::MAX - 1, u64::MAX];
        (0..8_usize.pow(4))
            .map(|n| [EDGES[n % 8], EDGES[n / 8 % 8], EDGES[n / 64 % 8], EDGES[n / 512]])
            .filter(|limbs| limbs::sub(limbs, &P.limbs).1)
            .map(Element)
    }

    /// The sum of shifted copies: multiplication that shares nothing with the fast one but addition.
    fn slow_mul(a: &Element, b: &Element) -> Element {
        let mut product = Element::ZERO;
        for bit in (0..256).rev() {
            product = product.double();
            if limbs::bits_from(&b.0, bit) & 1 == 1 {
                product = product.add(a);
            }
        }
        product
    }

    #[test]
    fn products_agree_with_repeated_addition() {
        let all: Vec<_> = elements().collect();
        for (i, a) in all.iter().enumerate().step_by(5) {
            let b = &all[i * 7919 % all.len()];
            assert_eq!(slow_mul(&a.mul(b), &Element::ONE), slow_mul(a, b));
            assert_eq!(slow_mul(&a.square(), &Element::ONE), slow_mul(a, a));
        }
    }

    #[test]
    fn all_products_agree() {
        let all: Vec<_> = elements().collect();
        for (i, a) in all.iter().enumerate() {
            assert_eq!(a.square(), a.portable_mul(a));
            for b in all.iter().skip(i % 61).step_by(61) {
                assert_eq!(a.mul(b), a.portable_mul(b));
            }
        }
    }

    #[test]
    fn sums_and_inverses() {
        let all: Vec<_> = elements().collect();
        for (i, a) in all.iter().enumerate() {
            let b = &all[i * 7919 % all.len()];
            assert_eq!(a.add(b).sub(b), *a);
            assert_eq!(a.add(b), a.portable_add(b));
            assert_eq!(a.sub(b), a.portable_sub(b));
            assert_eq!(a.sub(b), b.sub(a).neg());
            assert_eq!(a.halve().double(), *a);
            assert_eq!(a.double().halve(), *a);
            assert!(limbs::sub(&a.add(b).0, &P.limbs).1 && limbs::sub(&a.sub(b).0, &P.limbs).1);
            let one = if a.mask_zero() == 0 { Element::ONE } else { Element::ZERO };
            assert_eq!(a.mul(&a.invert()), one);
            assert_eq!(Element::from_be_bytes(&limbs::to_be_bytes(&a.to_limbs())), Some(*a));
        }
    }
}
