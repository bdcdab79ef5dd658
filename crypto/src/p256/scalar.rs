// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scalars of P-256: integers modulo the group order n.

use zeroize::Zeroize;

use crate::inversion::{self, Modulus};
use crate::limbs::{self, Limbs};

/// n, the order of the base point (SP 800-186 §3.2.1.3).
pub(crate) const N: Modulus = Modulus {
    limbs: [0xf3b9_cac2_fc63_2551, 0xbce6_faad_a717_9e84, 0xffff_ffff_ffff_ffff, 0xffff_ffff_0000_0000],
    minus_inverse: 0xccd1_c8aa_ee00_bc4f,
};
/// 2^512 mod n.
const R2: Limbs =
    [0x8324_4c95_be79_eea2, 0x4699_799c_49bd_6fa6, 0x2845_b239_2b6b_ec59, 0x66e1_2d94_f3d9_5620];

/// An integer below n, as itself.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub(crate) struct Scalar(pub(crate) Limbs);

impl Scalar {
    /// Reads a big-endian integer; `None` unless it lies in 1..n. Only this answer is not constant-time.
    pub(crate) fn from_be_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let value = limbs::from_be_bytes(bytes);
        let (_, below) = limbs::sub(&value, &N.limbs);
        let nonzero = limbs::mask_zero(&value) == 0;
        (below & nonzero).then_some(Self(value))
    }

    /// Any 256-bit integer modulo n; n is above 2^255, so that one subtraction does.
    pub(crate) fn reduced(value: &Limbs) -> Self {
        Self(limbs::reduce_once(value, 0, &N.limbs))
    }

    /// Big-endian bytes.
    pub(crate) fn to_be_bytes(self) -> [u8; 32] {
        limbs::to_be_bytes(&self.0)
    }

    /// Whether it is zero; the answer is public.
    pub(crate) fn is_zero(&self) -> bool {
        limbs::mask_zero(&self.0) != 0
    }

    /// n − self, for self in 1..n.
    pub(crate) fn neg(&self) -> Self {
        let (difference, _) = limbs::sub(&N.limbs, &self.0);
        Self(difference)
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        let (sum, carry) = limbs::add(&self.0, &other.0);
        Self(limbs::reduce_once(&sum, u64::from(carry), &N.limbs))
    }

    /// self·other·2^−256 mod n.
    fn montgomery_mul(&self, other: &Limbs) -> Self {
        let mut t = [0_u64; 5];
        for &limb in &self.0 {
            let mut carry = 0;
            for j in 0..4 {
                (t[j], carry) = limb.carrying_mul_add(other[j], carry, t[j]);
            }
            let (t4, overflow) = t[4].overflowing_add(carry);
            let factor = t[0].wrapping_mul(N.minus_inverse);
            let (_, mut carry) = N.limbs[0].carrying_mul_add(factor, 0, t[0]);
            for j in 1..4 {
                (t[j - 1], carry) = N.limbs[j].carrying_mul_add(factor, carry, t[j]);
            }
            let (t3, carry) = t4.overflowing_add(carry);
            t[3] = t3;
            t[4] = u64::from(overflow) + u64::from(carry);
        }
        Self(limbs::reduce_once(&[t[0], t[1], t[2], t[3]], t[4], &N.limbs))
    }

    /// self·other mod n.
    pub(crate) fn mul(&self, other: &Self) -> Self {
        self.montgomery_mul(&other.0).montgomery_mul(&R2)
    }

    /// 1/self modulo n, and 0 for 0.
    pub(crate) fn invert(&self) -> Self {
        Self(inversion::invert(&self.0, &N))
    }
}

impl Zeroize for Scalar {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}
