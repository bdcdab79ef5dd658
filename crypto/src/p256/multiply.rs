// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scalar multiplication on P-256, in constant time.
//!
//! Both ways add odd signed windows with formulas that fail only for equal points. As integers, a partial sum is never
//! its next addend; modulo n it could be one at the last addition only, where k = 2d + i·n for the last digit d and some i.
//! By windows of 5, no odd k in 1..n has the digit that this takes. On the comb one has, 30·2^252 − n with d = 15·2^252:
//! its last addition adds a point to itself, so that one, and only it, can also double.

use zeroize::Zeroize;

use super::field::Element;
use super::point::{Affine, Jacobian};
use super::scalar::Scalar;
use super::table::{self, TABLE};
use crate::ct;
use crate::limbs::Limbs;
use crate::recode::{self, Digit, digit, top_digit};

/// Window for points not known in advance.
const WINDOW: usize = 5;
const TOP_WINDOW: usize = 256 / WINDOW;

/// An odd scalar and the mask that says it is n − k rather than k, for k in 1..n.
fn make_odd(k: &Scalar) -> (Limbs, u64) {
    let even = !ct::mask_low_bit(k.0[0]);
    (ct::select_limbs(even, &k.neg().0, &k.0), even)
}

/// k·G for k in 1..n: one addition per window and no doubling.
pub(crate) fn multiply_base(k: &Scalar) -> Jacobian {
    let (mut odd, flipped) = make_odd(k);
    let last = table::WINDOWS - 1;
    let mut sum = Jacobian::from(base_multiple(0, digit::<{ table::WINDOW }>(&odd, 0)));
    for window in 1..last {
        sum = sum.add_different_affine(&base_multiple(window, digit::<{ table::WINDOW }>(&odd, window)));
    }
    sum = sum.add_affine(&base_multiple(last, top_digit::<{ table::WINDOW }>(&odd, last)));
    odd.zeroize();
    sum.negated_if(flipped)
}

/// digit·2^(7·window)·G
#[inline(always)]
fn base_multiple(window: usize, digit: Digit) -> Affine {
    let [x0, x1, x2, x3, y0, y1, y2, y3] = recode::lookup(&TABLE[window], digit.index);
    let point = Affine { x: Element([x0, x1, x2, x3]), y: Element([y0, y1, y2, y3]) };
    point.negated_if(digit.negative)
}

/// k·point for k in 1..n.
pub(crate) fn multiply(k: &Scalar, point: &Affine) -> Jacobian {
    let (mut odd, flipped) = make_odd(k);
    let multiples = odd_multiples(point);
    let mut sum = select_multiple(&multiples, top_digit::<WINDOW>(&odd, TOP_WINDOW));
    for window in (0..TOP_WINDOW).rev() {
        sum = sum.double_times(WINDOW);
        let addend = select_multiple(&multiples, digit::<WINDOW>(&odd, window));
        sum = sum.add_different(&addend);
    }
    odd.zeroize();
    sum.negated_if(flipped)
}

/// 1, 3, …, 31 times the point, by columns as [`recode::lookup`] reads them.
///
/// Added up on the isomorphic curve where twice the point has Z = 1: addition does not see a curve's
/// coefficients, and a multiple (X, Y, Z) there is (X, Y, Z·Z₂) here.
fn odd_multiples(point: &Affine) -> [[u64; 16]; 12] {
    let Jacobian { x, y, z: z2 } = Jacobian::from(*point).double();
    let twice = Affine { x, y };
    let zz = z2.square();
    let mut multiple = Jacobian::from(Affine { x: point.x.mul(&zz), y: point.y.mul(&zz.mul(&z2)) });
    let mut columns = [[0; 16]; 12];
    for entry in 0..16 {
        if entry > 0 {
            multiple = multiple.add_different_affine(&twice);
        }
        let z = multiple.z.mul(&z2);
        let limbs = multiple.x.0.iter().chain(&multiple.y.0).chain(&z.0);
        for (column, limb) in columns.iter_mut().zip(limbs) {
            column[entry] = *limb;
        }
    }
    columns
}

#[inline(always)]
fn select_multiple(multiples: &[[u64; 16]; 12], digit: Digit) -> Jacobian {
    let [x0, x1, x2, x3, y0, y1, y2, y3, z0, z1, z2, z3] = recode::lookup(multiples, digit.index);
    let point =
        Jacobian { x: Element([x0, x1, x2, x3]), y: Element([y0, y1, y2, y3]), z: Element([z0, z1, z2, z3]) };
    point.negated_if(digit.negative)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limbs;
    use crate::p256::scalar::N;

    /// Odd k in 1..n whose last digit, times its weight 2^`shift`, is half of k modulo n.
    fn exceptional(
        digits: impl Iterator<Item = i64>,
        shift: usize,
        last: impl Fn(&Limbs) -> Digit,
    ) -> Vec<Limbs> {
        let mut found = Vec::new();
        for d in digits {
            // 2·|d|·2^shift, below 2^257, less n where it is not below n.
            let (low, high) = (2 * d.unsigned_abs()).carrying_mul(1 << (shift % 64), 0);
            let mut double: Limbs = [0; 4];
            double[shift / 64] = low;
            // Where something goes above the limb, that is the top one.
            double = limbs::reduce_once(&double, high, &N.limbs);
            let k = if d < 0 { limbs::sub(&N.limbs, &double).0 } else { double };
            let digit = last(&k);
            let value = i64::try_from(2 * digit.index + 1).unwrap();
            if k[0] & 1 == 1 && d == if digit.negative == 0 { value } else { -value } {
                found.push(k);
            }
        }
        found
    }

    #[test]
    fn the_one_scalar_that_doubles() {
        let odd = |most: i64| (-most..=most).filter(|d| d % 2 != 0);
        assert!(exceptional(odd(31), 0, |k| digit::<WINDOW>(k, 0)).is_empty());
        let last = table::WINDOWS - 1;
        let top = (1..16).step_by(2);
        let found = exceptional(top, table::WINDOW * last, |k| top_digit::<{ table::WINDOW }>(k, last));
        let expected = [0x0c46_353d_039c_daaf, 0x4319_0552_58e8_617b, 0, 0xe000_0000_ffff_ffff];
        assert_eq!(found, [expected]);
    }
}
