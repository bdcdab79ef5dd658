// SPDX-License-Identifier: MIT OR Apache-2.0
//! Points of P-256, y² = x³ − 3x + b.

use zeroize::Zeroize;

use super::field::Element;
use crate::limbs;

/// Length of an uncompressed point (SEC 1 §2.3.3), in bytes.
pub const POINT: usize = 65;
/// Length of a scalar, in bytes.
pub const SCALAR: usize = 32;

/// The bytes are not a point of the curve in uncompressed form, or not a scalar in 1..n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// A point other than infinity.
#[derive(Clone, Copy)]
pub(crate) struct Affine {
    pub(crate) x: Element,
    pub(crate) y: Element,
}

/// (X/Z², Y/Z³); infinity has Z = 0.
#[derive(Clone, Copy)]
pub(crate) struct Jacobian {
    pub(crate) x: Element,
    pub(crate) y: Element,
    pub(crate) z: Element,
}

impl Affine {
    /// Reads an uncompressed point (SEC 1 §2.3.4) and checks that it lies on the curve.
    /// That is all there is to check: the group has prime order. Not constant-time.
    pub(crate) fn from_bytes(bytes: &[u8; POINT]) -> Result<Self, Invalid> {
        let (tag, coordinates) = bytes.split_first().ok_or(Invalid)?;
        let (coordinates, _) = coordinates.as_chunks::<32>();
        let x = Element::from_be_bytes(&coordinates[0]).ok_or(Invalid)?;
        let y = Element::from_be_bytes(&coordinates[1]).ok_or(Invalid)?;
        let three_x = x.double().add(&x);
        let right = x.square().mul(&x).sub(&three_x).add(&Element::B);
        let on_curve = y.square().sub(&right).mask_zero() != 0;
        if *tag == 4 && on_curve { Ok(Self { x, y }) } else { Err(Invalid) }
    }

    /// The uncompressed encoding (SEC 1 §2.3.3).
    pub(crate) fn to_bytes(self) -> [u8; POINT] {
        let mut bytes = [4; POINT];
        bytes[1..33].copy_from_slice(&limbs::to_be_bytes(&self.x.to_limbs()));
        bytes[33..].copy_from_slice(&limbs::to_be_bytes(&self.y.to_limbs()));
        bytes
    }

    /// The negative where `mask` is ones.
    #[inline(always)]
    pub(crate) fn negated_if(&self, mask: u64) -> Self {
        Self { x: self.x, y: Element::select(mask, &self.y.neg(), &self.y) }
    }
}

impl Jacobian {
    /// 2·self.
    pub(crate) fn double(&self) -> Self {
        self.double_times(1)
    }

    /// 2^times·self (Hankerson, Menezes, Vanstone, "Guide to Elliptic Curve Cryptography", algorithm 3.23):
    /// 4 M + 4 S each, and 2 S.
    #[inline(always)]
    pub(crate) fn double_times(&self, times: usize) -> Self {
        // Invariants: y = 2·Y, w = Z⁴.
        let (mut x, mut y, mut z) = (self.x, self.y.double(), self.z);
        let mut w = z.square().square();
        for doubling in 1..=times {
            // Independent products stand together: the CPU looks ahead three or four of them.
            let (x_squared, y_squared) = (x.square(), y.square());
            let difference = x_squared.sub(&w);
            let a = difference.double().add(&difference);
            let b = x.mul(&y_squared);
            let (a_squared, y_fourth) = (a.square(), y_squared.square());
            z = z.mul(&y);
            if doubling < times {
                w = w.mul(&y_fourth);
            }
            x = a_squared.sub(&b.double());
            y = a.mul(&b.sub(&x)).double().sub(&y_fourth);
        }
        Self { x, y: y.halve(), z }
    }

    /// self + other for points known to differ, neither of them infinity; right for self = −other, which gives infinity.
    /// 12 M + 4 S.
    pub(crate) fn add_different(&self, other: &Self) -> Self {
        let (z1z1, z2z2) = (self.z.square(), other.z.square());
        let z1z2 = self.z.mul(&other.z);
        let (z1_cubed, z2_cubed) = (self.z.mul(&z1z1), other.z.mul(&z2z2));
        let (u1, u2) = (self.x.mul(&z2z2), other.x.mul(&z1z1));
        let (s1, s2) = (self.y.mul(&z2_cubed), other.y.mul(&z1_cubed));
        let (x, y, h, _) = finish(&u1, &u2, &s1, &s2);
        Self { x, y, z: z1z2.mul(&h) }
    }

    /// self + other, and the mask of self = other, in which case the sum is wrong (Z = 0). 8 M + 3 S.
    #[inline(always)]
    fn add_affine_parts(&self, other: &Affine) -> (Self, u64) {
        let z1z1 = self.z.square();
        let u2 = other.x.mul(&z1z1);
        let s2 = other.y.mul(&self.z.mul(&z1z1));
        let (x, y, h, equal) = finish(&self.x, &u2, &self.y, &s2);
        (Self { x, y, z: self.z.mul(&h) }, equal)
    }

    /// self + other for points known to differ, self not infinity.
    pub(crate) fn add_different_affine(&self, other: &Affine) -> Self {
        self.add_affine_parts(other).0
    }

    /// self + other, equal or not, self not infinity.
    pub(crate) fn add_affine(&self, other: &Affine) -> Self {
        let (sum, equal) = self.add_affine_parts(other);
        Self::select(equal, &self.double(), &sum)
    }

    #[inline(always)]
    fn select(mask: u64, yes: &Self, no: &Self) -> Self {
        Self {
            x: Element::select(mask, &yes.x, &no.x),
            y: Element::select(mask, &yes.y, &no.y),
            z: Element::select(mask, &yes.z, &no.z),
        }
    }

    /// The negative where `mask` is ones.
    #[inline(always)]
    pub(crate) fn negated_if(&self, mask: u64) -> Self {
        Self { x: self.x, y: Element::select(mask, &self.y.neg(), &self.y), z: self.z }
    }

    /// The x-coordinate; 0 for infinity.
    pub(crate) fn affine_x(&self) -> Element {
        self.x.mul(&self.z.invert().square())
    }

    /// Both coordinates; (0, 0) for infinity.
    pub(crate) fn to_affine(self) -> Affine {
        let inverse = self.z.invert();
        let square = inverse.square();
        Affine { x: self.x.mul(&square), y: self.y.mul(&square.mul(&inverse)) }
    }
}

/// What all additions share: X and Y of the sum, h to multiply its Z by, and the mask of equal points.
#[inline(always)]
fn finish(u1: &Element, u2: &Element, s1: &Element, s2: &Element) -> (Element, Element, Element, u64) {
    let h = u2.sub(u1);
    let r = s2.sub(s1);
    let (hh, rr) = (h.square(), r.square());
    let (v, hhh) = (u1.mul(&hh), h.mul(&hh));
    let s1hhh = s1.mul(&hhh);
    let x = rr.sub(&hhh).sub(&v.double());
    let y = r.mul(&v.sub(&x)).sub(&s1hhh);
    (x, y, h, h.mask_zero() & r.mask_zero())
}

impl From<Affine> for Jacobian {
    fn from(point: Affine) -> Self {
        Self { x: point.x, y: point.y, z: Element::ONE }
    }
}

impl Zeroize for Jacobian {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
        self.z.zeroize();
    }
}
