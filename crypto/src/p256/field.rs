// SPDX-License-Identifier: MIT OR Apache-2.0
//! The field of P-256: integers modulo p = 2^256 − 2^224 + 2^192 + 2^96 − 1.

use zeroize::Zeroize;

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
        let (sum, carry) = limbs::add(&self.0, &other.0);
        Self(limbs::reduce_once(&sum, u64::from(carry), &P.limbs))
    }

    #[inline(always)]
    pub(crate) fn double(&self) -> Self {
        self.add(self)
    }

    #[inline(always)]
    pub(crate) fn sub(&self, other: &Self) -> Self {
        let (difference, borrow) = limbs::sub(&self.0, &other.0);
        let (difference, _) = limbs::add(&difference, &limbs::and(&P.limbs, ct::mask(borrow)));
        Self(difference)
    }

    #[inline(always)]
    pub(crate) fn neg(&self) -> Self {
        Self::ZERO.sub(self)
    }

    #[inline(always)]
    pub(crate) fn mul(&self, other: &Self) -> Self {
        let (a, b) = (&self.0, &other.0);
        let mut t = [0; 8];
        for i in 0..4 {
            let mut carry = 0;
            for j in 0..4 {
                (t[i + j], carry) = a[i].carrying_mul_add(b[j], carry, t[i + j]);
            }
            t[i + 4] = carry;
        }
        reduce(t)
    }

    #[inline(always)]
    pub(crate) fn square(&self) -> Self {
        self.mul(self)
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
