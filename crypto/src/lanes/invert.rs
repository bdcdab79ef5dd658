// SPDX-License-Identifier: MIT OR Apache-2.0
//! One scalar inversion for all lanes of all vectors of a pass (P. Montgomery's trick).

use super::simd::Simd;
use super::vector::Mask;

/// One part's field elements, which can be inverted together with others.
pub(crate) trait Invert<S: Simd>: Copy {
    fn one(t: S) -> Self;
    fn mul(self, t: S, other: Self) -> Self;
    fn select(self, mask: S::Mask, other: Self) -> Self;
    fn is_zero(self, t: S) -> S::Mask;
    /// Lane i takes lane i + N (modulo the lanes of a register).
    fn rotate<const N: i32>(self) -> Self;
    /// The inverse of lane 0, in every lane.
    fn invert_first_lane(self, t: S) -> Self;
}

/// Replaces all values by their inverses, and zero by one: a peer can choose a point that ends in
/// zero, and must not spoil the product for the others. Gives the lanes that were zero, per vector.
///
/// `products` is scratch of the same length; it then holds secrets. Lengths up to `N` are used.
#[inline(always)]
pub(crate) fn invert_all<S: Simd, F: Invert<S>, const PARTS: usize, const N: usize>(
    t: S,
    values: &mut [[F; PARTS]],
    products: &mut [[F; PARTS]],
) -> [Mask; N] {
    let mut zeros = [Mask::NONE; N];
    let one = F::one(t);
    let mut product = one;
    // products[i] = values[0]·…·values[i − 1], part by part
    for ((value, before), zeros) in values.iter_mut().zip(products.iter_mut()).zip(&mut zeros) {
        for part in 0..PARTS {
            let zero = value[part].is_zero(t);
            *zeros = *zeros | t.part(part).bits(zero);
            value[part] = value[part].select(zero, one);
            before[part] = product;
            product = product.mul(t, value[part]);
        }
    }
    let mut inverse = invert_lanes(t, product);
    for (value, before) in values.iter_mut().zip(products.iter()).rev() {
        for part in (0..PARTS).rev() {
            let next = inverse.mul(t, value[part]);
            value[part] = inverse.mul(t, before[part]);
            inverse = next;
        }
    }
    zeros
}

/// Folds a register's lanes into one product by rotations, inverts it and unfolds.
#[inline(always)]
fn invert_lanes<S: Simd, F: Invert<S>>(t: S, value: F) -> F {
    let by4 = value.rotate::<4>();
    // Four lanes need no more than the other two.
    let pairs = if S::PARTS == 1 { value.mul(t, by4) } else { value };
    let by2 = pairs.rotate::<2>();
    let quads = pairs.mul(t, by2);
    let by1 = quads.rotate::<1>();
    let all = quads.mul(t, by1);
    let inverse = all.invert_first_lane(t).mul(t, by1).mul(t, by2);
    if S::PARTS == 1 { inverse.mul(t, by4) } else { inverse }
}
