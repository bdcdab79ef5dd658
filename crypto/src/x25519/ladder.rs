// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Montgomery ladder (RFC 7748 §5).

use zeroize::Zeroize;

use super::field::Element;
use crate::ct;
use crate::limbs::{self, Limbs};

/// (a + 2)/4 for the curve's a = 486662.
const A24: u32 = 121_666;

/// A u-coordinate X/Z; Z = 0 for the point at infinity and the point of u = 0 alike.
struct Point {
    x: Element,
    z: Element,
}

/// The u-coordinate of scalar·(point of coordinate `u`) as a fraction, for a clamped scalar.
pub(crate) fn multiply(scalar: &Limbs, u: &Element) -> (Element, Element) {
    // Invariant: `low` = k·P and `high` = (k + 1)·P for the bits k seen so far, swapped if `swapped`.
    // Bit 254 is always set: start behind it.
    let mut low = Point { x: *u, z: Element::ONE };
    let mut high = Point { x: *u, z: Element::ONE };
    high.double();
    let mut swapped = 0;
    for position in (3..254).rev() {
        let bit = ct::mask_low_bit(limbs::bits_from(scalar, position));
        let swap = bit ^ swapped;
        swapped = bit;
        low.step(&mut high, swap, u);
    }
    let mut point =
        Point { x: Element::select(swapped, &high.x, &low.x), z: Element::select(swapped, &high.z, &low.z) };
    // The last three bits are zero.
    for _ in 0..3 {
        point.double();
    }
    low.zeroize();
    high.zeroize();
    let fraction = (point.x, point.z);
    point.zeroize();
    fraction
}

impl Point {
    /// Makes (self, other) twice self and self + other; where `swap` is ones, twice other and the sum.
    ///
    /// Results are written in place, because whole copies stall on limbs just stored one by one, and
    /// independent products stand together, because the CPU looks ahead three or four of them.
    #[inline(always)]
    fn step(&mut self, other: &mut Self, swap: u64, u: &Element) {
        let (a, b) = (self.x.add(&self.z), self.x.sub(&self.z));
        let (c, d) = (other.x.add(&other.z), other.x.sub(&other.z));
        // The sum is the same for either order, so only the point to double is selected.
        let (sum, difference) = (Element::select(swap, &c, &a), Element::select(swap, &d, &b));
        let (aa, bb) = (sum.square(), difference.square());
        let (da, cb) = (d.mul(&a), c.mul(&b));
        let e = aa.sub(&bb);
        let f = bb.add(&e.mul_small(A24));
        let g = da.sub(&cb).square();
        other.x = da.add(&cb).square();
        self.x = aa.mul(&bb);
        other.z = g.mul(u);
        self.z = e.mul(&f);
    }

    fn double(&mut self) {
        let (aa, bb) = (self.x.add(&self.z).square(), self.x.sub(&self.z).square());
        let e = aa.sub(&bb);
        self.x = aa.mul(&bb);
        self.z = bb.add(&e.mul_small(A24)).mul(&e);
    }
}

impl Zeroize for Point {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.z.zeroize();
    }
}
