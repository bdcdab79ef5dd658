// SPDX-License-Identifier: MIT OR Apache-2.0
//! One scalar inversion for all lanes of all vectors of a pass (P. Montgomery's trick).

use super::vector::Mask;
use crate::cpu::Ifma;

/// Eight field elements that can be inverted together.
pub(crate) trait Invert: Copy {
    fn one(t: Ifma) -> Self;
    fn mul(self, t: Ifma, other: Self) -> Self;
    fn select(self, mask: Mask, other: Self) -> Self;
    fn is_zero(self, t: Ifma) -> Mask;
    /// Lane i takes lane i + N (mod 8).
    fn rotate<const N: i32>(self) -> Self;
    /// The inverse of lane 0, in every lane.
    fn invert_first_lane(self, t: Ifma) -> Self;
}

/// Replaces all values by their inverses, and zero by one: a peer can choose a point that ends in
/// zero, and must not spoil the product for the others. Gives the lanes that were zero, per vector.
///
/// `products` is scratch of the same length; it then holds secrets. Lengths up to `N` are used.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma,bmi1,bmi2,lzcnt")]
pub(crate) fn invert_all<F: Invert, const N: usize>(
    t: Ifma,
    values: &mut [F],
    products: &mut [F],
) -> [Mask; N] {
    let mut zeros = [Mask::NONE; N];
    let one = F::one(t);
    let mut product = one;
    // products[i] = values[0]·…·values[i − 1]
    for ((value, before), zero) in values.iter_mut().zip(products.iter_mut()).zip(&mut zeros) {
        *zero = value.is_zero(t);
        *value = value.select(*zero, one);
        *before = product;
        product = product.mul(t, *value);
    }
    let mut inverse = invert_lanes(t, product);
    for (value, before) in values.iter_mut().zip(products.iter()).rev() {
        let next = inverse.mul(t, *value);
        *value = inverse.mul(t, *before);
        inverse = next;
    }
    zeros
}

/// Folds eight lanes into one product by three rotations, inverts it and unfolds.
#[inline(always)]
fn invert_lanes<F: Invert>(t: Ifma, value: F) -> F {
    let by4 = value.rotate::<4>();
    let pairs = value.mul(t, by4);
    let by2 = pairs.rotate::<2>();
    let quads = pairs.mul(t, by2);
    let by1 = quads.rotate::<1>();
    let all = quads.mul(t, by1);
    all.invert_first_lane(t).mul(t, by1).mul(t, by2).mul(t, by4)
}
