// SPDX-License-Identifier: MIT OR Apache-2.0
//! Modular inversion in constant time by the optimized binary GCD
//! (T. Pornin, "Optimized Binary GCD for Modular Inversion", ePrint 2020/972, algorithm 2).

use crate::ct;
use crate::limbs::{self, Limbs};

/// GCD steps done on 64-bit approximations before the full values follow.
const STEPS: u32 = 31;
/// 17·31 = 527 steps: two 256-bit values need at most 2·256 − 1.
const ROUNDS: usize = 17;
const LOW: u64 = (1 << STEPS) - 1;

/// An odd modulus, at most 256 bits.
pub(crate) struct Modulus {
    /// Its limbs.
    pub(crate) limbs: Limbs,
    /// −modulus⁻¹ mod 2^64.
    pub(crate) minus_inverse: u64,
}

/// A row of the transition matrix: two signed factors whose absolute values sum to at most 2^31.
#[derive(Clone, Copy)]
struct Row {
    f: u64,
    g: u64,
}

/// The inverse of `value` modulo a prime `modulus`; zero for zero. `value` must be below the modulus.
pub(crate) fn invert(value: &Limbs, modulus: &Modulus) -> Limbs {
    // Invariants: a = value·u and b = value·v (mod modulus); b is odd.
    let mut a = *value;
    let mut b = modulus.limbs;
    let mut u: Limbs = [1, 0, 0, 0];
    let mut v: Limbs = [0; 4];
    for _ in 0..ROUNDS {
        let (row_a, row_b) = steps(approximations(&a, &b));
        let (next_a, negative_a) = combine_exact(&a, &b, row_a);
        let (next_b, negative_b) = combine_exact(&a, &b, row_b);
        (a, b) = (next_a, next_b);
        let row_a = row_a.negated_if(negative_a);
        let row_b = row_b.negated_if(negative_b);
        (u, v) = (combine_modular(&u, &v, row_a, modulus), combine_modular(&u, &v, row_b, modulus));
    }
    v
}

/// The 33 top bits (counted from the longer value's length) over the 31 low bits of each value;
/// the values themselves if both fit 64 bits.
#[inline(always)]
fn approximations(a: &Limbs, b: &Limbs) -> (u64, u64) {
    let (mut a1, mut a0, mut b1, mut b0) = (a[3], a[2], b[3], b[2]);
    // Moves the window down one limb while its top limbs are zero; a limb once found stays.
    for i in [1, 0] {
        let down = ct::mask_zero(a1 | b1);
        a1 = ct::select(down, a0, a1);
        b1 = ct::select(down, b0, b1);
        a0 = ct::select(down, a[i], a0);
        b0 = ct::select(down, b[i], b0);
    }
    let small = ct::mask_zero(a1 | b1);
    let shift = (a1 | b1 | 1).leading_zeros();
    let top_a = (a1 << shift) | ((a0 >> 1) >> (63 - shift));
    let top_b = (b1 << shift) | ((b0 >> 1) >> (63 - shift));
    (
        ct::select(small, a[0], (a[0] & LOW) | (top_a & !LOW)),
        ct::select(small, b[0], (b[0] & LOW) | (top_b & !LOW)),
    )
}

/// Runs [`STEPS`] steps of the binary GCD and gives the matrix they amount to (times 2^31).
#[inline(always)]
fn steps((mut a, mut b): (u64, u64)) -> (Row, Row) {
    // A row packed as f + g·2^32: additions and doublings act on both factors at once.
    let (mut row_a, mut row_b) = (1_u64, 1_u64 << 32);
    for _ in 0..STEPS {
        let odd = ct::mask_low_bit(a);
        let (difference, less) = a.overflowing_sub(b & odd);
        // Set only if a is odd and below b: then the two swap.
        let swap = ct::mask(less);
        let row_difference = row_a.wrapping_sub(row_b & odd);
        b = b.wrapping_add(difference & swap);
        a = (difference ^ swap).wrapping_sub(swap) >> 1;
        row_b = row_b.wrapping_add(row_difference & swap) << 1;
        row_a = (row_difference ^ swap).wrapping_sub(swap);
    }
    (Row::unpack(row_a), Row::unpack(row_b))
}

impl Row {
    /// Both factors lie in −2^31 < x ≤ 2^31, so that a bias of 2^31 − 1 makes them unsigned 32-bit.
    #[inline(always)]
    fn unpack(packed: u64) -> Self {
        let biased = packed.wrapping_add(0x7fff_ffff_7fff_ffff);
        Self {
            f: (biased & 0xffff_ffff).wrapping_sub(0x7fff_ffff),
            g: (biased >> 32).wrapping_sub(0x7fff_ffff),
        }
    }

    #[inline(always)]
    fn negated_if(self, mask: u64) -> Self {
        Self { f: (self.f ^ mask).wrapping_sub(mask), g: (self.g ^ mask).wrapping_sub(mask) }
    }
}

/// The sign of a two's-complement limb as a mask.
#[inline(always)]
fn sign(limb: u64) -> u64 {
    ct::barrier((limb >> 63).wrapping_neg())
}

/// `a·f + b·g` in two's complement, five limbs.
#[inline(always)]
fn combine(a: &Limbs, b: &Limbs, row: Row) -> [u64; 5] {
    let mut sum = [0; 5];
    let (mut carry_a, mut carry_b) = (0, 0);
    for i in 0..4 {
        let low;
        (low, carry_a) = a[i].carrying_mul(row.f, carry_a);
        (sum[i], carry_b) = b[i].carrying_mul_add(row.g, carry_b, low);
    }
    sum[4] = carry_a.wrapping_add(carry_b);
    // A negative factor was multiplied as factor + 2^64.
    let upper = [sum[1], sum[2], sum[3], sum[4]];
    let (upper, _) = limbs::sub(&upper, &limbs::and(a, sign(row.f)));
    let (upper, _) = limbs::sub(&upper, &limbs::and(b, sign(row.g)));
    [sum[0], upper[0], upper[1], upper[2], upper[3]]
}

/// `|a·f + b·g| / 2^31` and the mask of its sign; the division is exact.
#[inline(always)]
fn combine_exact(a: &Limbs, b: &Limbs, row: Row) -> (Limbs, u64) {
    let sum = combine(a, b, row);
    let negative = sign(sum[4]);
    let shifted: Limbs = core::array::from_fn(|i| (sum[i] >> STEPS) | (sum[i + 1] << (64 - STEPS)));
    let (absolute, _) = limbs::add(&shifted.map(|limb| limb ^ negative), &[negative & 1, 0, 0, 0]);
    (absolute, negative)
}

/// `(u·f + v·g) / 2^31` modulo the modulus, below it if `u` and `v` are.
#[inline(always)]
fn combine_modular(u: &Limbs, v: &Limbs, row: Row, modulus: &Modulus) -> Limbs {
    let sum = combine(u, v, row);
    // Adding this multiple of the modulus clears the 31 low bits (Montgomery).
    let factor = sum[0].wrapping_mul(modulus.minus_inverse) & LOW;
    let mut cleared = [0; 5];
    let mut carry = 0;
    for i in 0..4 {
        (cleared[i], carry) = modulus.limbs[i].carrying_mul_add(factor, carry, sum[i]);
    }
    cleared[4] = sum[4].wrapping_add(carry);
    // Now −modulus ≤ quotient < 2·modulus.
    let negative = sign(cleared[4]);
    let quotient: Limbs = core::array::from_fn(|i| (cleared[i] >> STEPS) | (cleared[i + 1] << (64 - STEPS)));
    let top = (negative << (64 - STEPS)) | (cleared[4] >> STEPS);
    let (raised, carry) = limbs::add(&quotient, &limbs::and(&modulus.limbs, negative));
    let (top, _) = top.carrying_add(0, carry);
    limbs::reduce_once(&raised, top, &modulus.limbs)
}
