// SPDX-License-Identifier: MIT OR Apache-2.0
//! Products and reductions in plain Rust, a limb at a time.

/// wide ← a·b, twice as long as each.
pub(super) fn product(wide: &mut [u64], a: &[u64], b: &[u64]) {
    wide[..a.len()].fill(0);
    for (i, &b) in b.iter().enumerate() {
        let (row, rest) = wide[i..].split_at_mut(a.len());
        rest[0] = add_product(row, a, b);
    }
}

/// wide ← a², twice as long: products of different limbs once, doubled, then the squares of limbs.
pub(super) fn square(wide: &mut [u64], a: &[u64]) {
    wide.fill(0);
    for (i, &one) in a.iter().enumerate() {
        let others = &a[i + 1..];
        let (row, rest) = wide[2 * i + 1..].split_at_mut(others.len());
        rest[0] = add_product(row, others, one);
    }
    let mut shifted = 0;
    let mut carry = false;
    for ([even, odd], &a) in wide.as_chunks_mut().0.iter_mut().zip(a) {
        let (low, high) = a.carrying_mul(a, 0);
        let doubled = [*even << 1 | shifted, *odd << 1 | *even >> 63];
        shifted = *odd >> 63;
        (*even, carry) = doubled[0].carrying_add(low, carry);
        (*odd, carry) = doubled[1].carrying_add(high, carry);
    }
}

/// wide ← wide + q·m with the q that makes the lower half vanish, and returns what is carried out of the upper.
/// The lower half is destroyed. `m0` is −m⁻¹ mod 2^64.
pub(super) fn reduce(wide: &mut [u64], m: &[u64], m0: u64) -> bool {
    let mut over = false;
    for i in 0..m.len() {
        let (row, rest) = wide[i..].split_at_mut(m.len());
        let carry = add_product(row, m, row[0].wrapping_mul(m0));
        (rest[0], over) = rest[0].carrying_add(carry, over);
    }
    over
}

/// limbs ← limbs + a·b, returning the carry. Both have the same length.
fn add_product(limbs: &mut [u64], a: &[u64], b: u64) -> u64 {
    let mut carry = 0;
    for (limb, &a) in limbs.iter_mut().zip(a) {
        (*limb, carry) = a.carrying_mul_add(b, *limb, carry);
    }
    carry
}
