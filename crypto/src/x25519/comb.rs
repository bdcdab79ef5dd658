// SPDX-License-Identifier: MIT OR Apache-2.0
//! Multiples of the base point: on the twisted Edwards form of the curve (RFC 7748 §4.1), whose
//! addition has no exceptions, from a table and without doublings.

use zeroize::Zeroize;

use super::field::Element;
use super::table::{TABLE, WINDOW, WINDOWS};
use crate::ct;
use crate::limbs::{self, Limbs};
use crate::recode::{self, Digit};

/// The order of the prime subgroup, L = 2^252 + 27742317777372353535851937790883648493.
const ORDER: Limbs = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6, 0, 0x1000_0000_0000_0000];

/// Extended coordinates (Hisil, Wong, Carter, Dawson, ASIACRYPT 2008): x = X/Z, y = Y/Z, x·y = T/Z.
struct Extended {
    x: Element,
    y: Element,
    z: Element,
    t: Element,
}

/// A table entry.
struct Entry {
    sum: Element,
    difference: Element,
    product: Element,
}

/// The u-coordinate of scalar·B as a fraction, for a clamped scalar.
pub(crate) fn multiply_base(scalar: &Limbs) -> (Element, Element) {
    // Eight is in the table. An even multiple m becomes L − m: the negative point has the same u.
    let mut eighth = core::array::from_fn(|i| limbs::bits_from(scalar, 64 * i + 3));
    let (mut flipped, _) = limbs::sub(&ORDER, &eighth);
    let mut odd = ct::select_limbs(ct::mask_low_bit(eighth[0]), &eighth, &flipped);

    let last = WINDOWS - 1;
    let mut point = Extended::from(base_multiple(0, recode::digit::<WINDOW>(&odd, 0)));
    for window in 1..last {
        point = point.add(&base_multiple(window, recode::digit::<WINDOW>(&odd, window)));
    }
    point = point.add(&base_multiple(last, recode::top_digit::<WINDOW>(&odd, last)));
    eighth.zeroize();
    flipped.zeroize();
    odd.zeroize();
    // u = (1 + y)/(1 − y)
    let fraction = (point.z.add(&point.y), point.z.sub(&point.y));
    point.zeroize();
    fraction
}

/// digit·2^(6·window)·8·B
#[inline(always)]
fn base_multiple(window: usize, digit: Digit) -> Entry {
    let found = recode::lookup(&TABLE[window], digit.index);
    let [a0, a1, a2, a3, a4, b0, b1, b2, b3, b4, c0, c1, c2, c3, c4] = found;
    let sum = Element::from_radix_51([a0, a1, a2, a3, a4]);
    let difference = Element::from_radix_51([b0, b1, b2, b3, b4]);
    let product = Element::from_radix_51([c0, c1, c2, c3, c4]);
    // −(x, y) = (−x, y)
    Entry {
        sum: Element::select(digit.negative, &difference, &sum),
        difference: Element::select(digit.negative, &sum, &difference),
        product: Element::select(digit.negative, &Element::ZERO.sub(&product), &product),
    }
}

impl Extended {
    /// 7 M; complete, because −1 is a square and d is not.
    #[inline(always)]
    fn add(&self, other: &Entry) -> Self {
        let a = self.y.sub(&self.x).mul(&other.difference);
        let b = self.y.add(&self.x).mul(&other.sum);
        let c = self.t.mul(&other.product);
        let d = self.z.add(&self.z);
        let (e, f, g, h) = (b.sub(&a), d.sub(&c), d.add(&c), b.add(&a));
        Self { x: e.mul(&f), y: g.mul(&h), z: f.mul(&g), t: e.mul(&h) }
    }
}

impl From<Entry> for Extended {
    /// Scaled by 2: X = 2x·2, Y = 2y·2, Z = 4, T = 2x·2y.
    fn from(entry: Entry) -> Self {
        let (x, y) = (entry.sum.sub(&entry.difference), entry.sum.add(&entry.difference));
        Self { x: x.mul_small(2), y: y.mul_small(2), z: Element::ONE.mul_small(4), t: x.mul(&y) }
    }
}

impl Zeroize for Extended {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
        self.z.zeroize();
        self.t.zeroize();
    }
}
