// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arithmetic modulo an odd number of fixed width, in Montgomery form (P. Montgomery 1985;
//! "almost" reduced as in S. Gueron, "Efficient software implementations of modular exponentiation", 2012).
//!
//! Numbers are little-endian arrays of 64-bit limbs, R = 2^(64·N). Between operations a value is only
//! known to be below R, not below the modulus: one masked subtraction then keeps it so.
//! Everything here takes the same time for all values of the same width; the modulus may be secret too.

#[cfg(target_arch = "x86_64")]
use super::adx;
use super::portable;
use crate::cpu::Adx;
use crate::ct;
use zeroize::{Zeroize, Zeroizing};

/// A double-width number; scratch of every multiplication, wiped by its owner.
pub(crate) type Wide<const N: usize> = Zeroizing<[[u64; N]; 2]>;

/// Bits of a secret exponent that one multiplication takes.
const WINDOW: usize = 5;
const ENTRIES: usize = 1 << WINDOW;

/// Zeroed scratch.
pub(crate) fn wide<const N: usize>() -> Wide<N> {
    Zeroizing::new([[0; N]; 2])
}

/// An odd modulus above 1, with what its Montgomery form needs; wiped when dropped.
#[derive(Clone)]
pub(crate) struct Modulus<const N: usize> {
    /// The modulus.
    pub(crate) m: [u64; N],
    /// −m⁻¹ mod 2^64.
    pub(crate) m0: u64,
    /// R² mod m.
    pub(crate) r2: [u64; N],
    /// 2^(130·N) mod m: R² for the lanes, whose R is 2^(65·N).
    #[cfg(target_arch = "x86_64")]
    pub(crate) lanes_r2: [u64; N],
    /// Whether this CPU has two carry chains.
    pub(crate) adx: Option<Adx>,
}

impl<const N: usize> Modulus<N> {
    /// `None` if `m` is even or 1.
    pub(crate) fn new(m: &[u64; N]) -> Option<Self> {
        let mut one = [0; N];
        one[0] = 1;
        if m[0] & 1 == 0 || *m == one {
            return None;
        }
        const { assert!(N.is_multiple_of(8), "arithmetic is done in digits of eight limbs") };
        // Newton: an odd number is its own inverse modulo 8, and each step doubles the bits.
        let mut inverse = m[0];
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(m[0].wrapping_mul(inverse)));
        }
        let r2 = times_power_of_two(one, 2 * 64 * N, m);
        Some(Self {
            m: *m,
            m0: inverse.wrapping_neg(),
            r2,
            adx: Adx::get(),
            #[cfg(target_arch = "x86_64")]
            lanes_r2: times_power_of_two(r2, 2 * N, m),
        })
    }

    /// a ← a·b/R.
    pub(crate) fn multiply(&self, a: &mut [u64; N], b: &[u64; N], scratch: &mut Wide<N>) {
        wide_product(self.adx, scratch, a, b);
        self.reduce(a, scratch);
    }

    /// a ← a²/R.
    pub(crate) fn square(&self, a: &mut [u64; N], scratch: &mut Wide<N>) {
        wide_square(self.adx, scratch, a);
        self.reduce(a, scratch);
    }

    /// a ← a·R: into Montgomery form, from any number of N limbs.
    pub(crate) fn enter(&self, a: &mut [u64; N], scratch: &mut Wide<N>) {
        self.multiply(a, &self.r2, scratch);
    }

    /// a ← a/R mod m: out of Montgomery form, fully reduced.
    pub(crate) fn leave(&self, a: &mut [u64; N], scratch: &mut Wide<N>) {
        scratch[0] = *a;
        scratch[1] = [0; N];
        self.reduce(a, scratch);
        subtract_if_not_below(a, 0, &self.m);
    }

    /// a ← a mod m, from any number of N limbs.
    pub(crate) fn remainder(&self, a: &mut [u64; N], scratch: &mut Wide<N>) {
        self.enter(a, scratch);
        self.leave(a, scratch);
    }

    /// out ← wide/R, destroying `wide`. Any `wide` below R² gives a result below R.
    pub(crate) fn reduce(&self, out: &mut [u64; N], wide: &mut Wide<N>) {
        let limbs = wide.as_flattened_mut();
        let carry = match self.adx {
            #[cfg(target_arch = "x86_64")]
            Some(token) => adx::reduce(token, limbs, &self.m, self.m0),
            _ => portable::reduce(limbs, &self.m, self.m0),
        };
        // The sum is below R + m, so one subtraction after a carry brings it below R.
        let mask = ct::mask(carry);
        let mut borrow = false;
        for ((out, &limb), &m) in out.iter_mut().zip(&wide[1]).zip(&self.m) {
            (*out, borrow) = limb.borrowing_sub(m & mask, borrow);
        }
    }

    /// base^exponent for a public exponent, in Montgomery form; its bits show in the time taken.
    pub(crate) fn power_public(
        &self,
        base: &[u64; N],
        exponent: u64,
        scratch: &mut Wide<N>,
    ) -> Zeroizing<[u64; N]> {
        let mut power = Zeroizing::new(*base);
        let Some(top) = exponent.checked_ilog2() else {
            return self.one(scratch);
        };
        for bit in (0..top).rev() {
            self.square(&mut power, scratch);
            if exponent >> bit & 1 == 1 {
                self.multiply(&mut power, base, scratch);
            }
        }
        power
    }

    /// base^exponent for a secret exponent, in Montgomery form: windows of [`WINDOW`] bits over all 64·N bits,
    /// each table look-up reading the whole table.
    ///
    /// The table takes 256·N bytes of stack: 8 KiB for primes of 2048 bits.
    pub(crate) fn power(
        &self,
        base: &[u64; N],
        exponent: &[u64; N],
        scratch: &mut Wide<N>,
    ) -> Zeroizing<[u64; N]> {
        let mut table = Zeroizing::new([[0; N]; ENTRIES]);
        table[0] = *self.one(scratch);
        table[1] = *base;
        for i in 2..ENTRIES {
            if i % 2 == 0 {
                table[i] = table[i / 2];
                self.square(&mut table[i], scratch);
            } else {
                table[i] = table[i - 1];
                self.multiply(&mut table[i], base, scratch);
            }
        }

        let mut windows = (0..64 * N).step_by(WINDOW).rev();
        let mut power = Zeroizing::new([0; N]);
        let mut factor = Zeroizing::new([0; N]);
        if let Some(position) = windows.next() {
            select(&mut power, &table, digit(exponent, position, ENTRIES));
        }
        for position in windows {
            for _ in 0..WINDOW {
                self.square(&mut power, scratch);
            }
            select(&mut factor, &table, digit(exponent, position, ENTRIES));
            self.multiply(&mut power, &factor, scratch);
        }
        power
    }

    /// R mod m, the one of Montgomery form.
    fn one(&self, scratch: &mut Wide<N>) -> Zeroizing<[u64; N]> {
        let mut one = Zeroizing::new([0; N]);
        one[0] = 1;
        self.enter(&mut one, scratch);
        one
    }
}

impl<const N: usize> Drop for Modulus<N> {
    fn drop(&mut self) {
        self.m.zeroize();
        self.m0.zeroize();
        self.r2.zeroize();
        #[cfg(target_arch = "x86_64")]
        self.lanes_r2.zeroize();
    }
}

/// The digit below `radix` (a power of two, at most 2^32) that starts at bit `position`.
pub(crate) fn digit<const N: usize>(number: &[u64; N], position: usize, radix: usize) -> u64 {
    let (limb, shift) = (position / 64, position % 64);
    let low = number[limb] >> shift;
    // Two shifts, because one by 64 would overflow.
    let high = number.get(limb + 1).map_or(0, |next| (next << 1) << (63 - shift));
    (low | high) & (radix as u64 - 1)
}

/// chosen ← table[index], reading all of the table.
fn select<const N: usize>(chosen: &mut [u64; N], table: &[[u64; N]; ENTRIES], index: u64) {
    *chosen = [0; N];
    for (i, entry) in (0u64..).zip(table) {
        let mask = ct::mask_zero(i ^ index);
        for (chosen, entry) in chosen.iter_mut().zip(entry) {
            *chosen |= entry & mask;
        }
    }
}

/// out ← a·b.
pub(crate) fn wide_product<const N: usize>(adx: Option<Adx>, out: &mut Wide<N>, a: &[u64; N], b: &[u64; N]) {
    match adx {
        #[cfg(target_arch = "x86_64")]
        Some(token) => adx::product(token, out.as_flattened_mut(), a, b),
        _ => portable::product(out.as_flattened_mut(), a, b),
    }
}

/// out ← a².
fn wide_square<const N: usize>(adx: Option<Adx>, out: &mut Wide<N>, a: &[u64; N]) {
    match adx {
        #[cfg(target_arch = "x86_64")]
        Some(token) => adx::square(token, out.as_flattened_mut(), a),
        _ => portable::square(out.as_flattened_mut(), a),
    }
}

/// a·2^doublings mod m, for a below m.
fn times_power_of_two<const N: usize>(mut a: [u64; N], doublings: usize, m: &[u64; N]) -> [u64; N] {
    for _ in 0..doublings {
        double(&mut a, m);
    }
    a
}

/// a ← 2a mod m, for a below m.
fn double<const N: usize>(a: &mut [u64; N], m: &[u64; N]) {
    let mut carry = 0;
    for limb in a.iter_mut() {
        (*limb, carry) = (*limb << 1 | carry, *limb >> 63);
    }
    subtract_if_not_below(a, carry, m);
}

/// a ← a − m if the number `carry`·R + a is not below m. `carry` is 0 or 1.
pub(crate) fn subtract_if_not_below<const N: usize>(a: &mut [u64; N], carry: u64, m: &[u64; N]) {
    let mut borrow = false;
    for (&a, &m) in a.iter().zip(m) {
        (_, borrow) = a.borrowing_sub(m, borrow);
    }
    let mask = ct::mask(carry >= u64::from(borrow));
    let mut borrow = false;
    for (a, &m) in a.iter_mut().zip(m) {
        (*a, borrow) = a.borrowing_sub(m & mask, borrow);
    }
}

/// a ← a − b mod m, for a and b below m.
pub(crate) fn subtract<const N: usize>(a: &mut [u64; N], b: &[u64; N], m: &[u64; N]) {
    let mut borrow = false;
    for (a, &b) in a.iter_mut().zip(b) {
        (*a, borrow) = a.borrowing_sub(b, borrow);
    }
    let mask = ct::mask(borrow);
    let mut carry = false;
    for (a, &m) in a.iter_mut().zip(m) {
        (*a, carry) = a.carrying_add(m & mask, carry);
    }
}
