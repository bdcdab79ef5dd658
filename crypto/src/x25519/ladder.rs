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
    let mut high = low.double();
    let mut swapped = 0;
    for position in (3..254).rev() {
        let bit = ct::mask_low_bit(limbs::bits_from(scalar, position));
        let swap = bit ^ swapped;
        swapped = bit;
        step(&mut low, &mut high, swap, u);
    }
    let mut point =
        Point { x: Element::select(swapped, &high.x, &low.x), z: Element::select(swapped, &high.z, &low.z) };
    // The last three bits are zero.
    for _ in 0..3 {
        point = point.double();
    }
    low.zeroize();
    high.zeroize();
    let fraction = (point.x, point.z);
    point.zeroize();
    fraction
}

/// Replaces (Q, R) by (2Q, Q + R), or by (2R, Q + R) where `swap` is ones.
#[inline(always)]
fn step(q: &mut Point, r: &mut Point, swap: u64, u: &Element) {
    let (a, b) = (q.x.add(&q.z), q.x.sub(&q.z));
    let (c, d) = (r.x.add(&r.z), r.x.sub(&r.z));
    let (da, cb) = (d.mul(&a), c.mul(&b));
    // The sum is the same for either order, so only the doubled point is selected.
    *r = Point { x: da.add(&cb).square(), z: u.mul(&da.sub(&cb).square()) };
    *q = double(&Element::select(swap, &c, &a), &Element::select(swap, &d, &b));
}

/// 2·(X : Z) from X + Z and X − Z.
#[inline(always)]
fn double(sum: &Element, difference: &Element) -> Point {
    let (aa, bb) = (sum.square(), difference.square());
    let e = aa.sub(&bb);
    Point { x: aa.mul(&bb), z: e.mul(&bb.add(&e.mul_small(A24))) }
}

impl Point {
    fn double(&self) -> Self {
        double(&self.x.add(&self.z), &self.x.sub(&self.z))
    }
}

impl Zeroize for Point {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.z.zeroize();
    }
}
