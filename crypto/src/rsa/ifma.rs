// SPDX-License-Identifier: MIT OR Apache-2.0
//! Both exponentiations of one RSA signature in AVX-512 IFMA, for signatures that come alone.
//!
//! A number lies across the lanes: limbs of 52 bits, eight to a vector, `Z` vectors (S. Gueron and
//! V. Krasnov, "Software Implementation of Modular Exponentiation, Using Advanced Vector Instructions
//! Architectures", 2012). Each limb of one factor is multiplied by all of the other, q·m is added, and
//! everything moves down by a lane. The two primes take turns: while one waits for its q, the other
//! multiplies.
//!
//! R = 2^(52·limbs) is at least 2^16 times the modulus m, so values below 2m give products below 2m,
//! and nothing is subtracted until the end.

#![allow(clippy::needless_range_loop)] // vectors of several numbers side by side, by their index

use super::montgomery::{self, Modulus as Scalar};
use crate::cpu::Ifma;
use crate::ct;
use crate::lanes::vector::{Block, MASK52, Mask, V};
use crate::wipe::wipe;

/// Bits of a window.
const WINDOW: usize = 5;
const ENTRIES: usize = 1 << WINDOW;

/// Most vectors of a number: a prime of 2048 bits.
const MAX_Z: usize = 5;

/// A number below 2^(52·8·`Z`).
type Number<const Z: usize> = [Block; Z];

/// What the exponentiations need room for: 20 KiB, too much for a kernel's stack. Wiped after use.
pub(crate) struct Scratch([[[Block; ENTRIES]; MAX_Z]; 2]);

impl Scratch {
    /// Ready for use.
    pub(crate) const ZERO: Self = Self([[[Block::ZERO; ENTRIES]; MAX_Z]; 2]);
}

/// A modulus in 52-bit limbs.
struct Modulus<const Z: usize> {
    m: Number<Z>,
    /// −m⁻¹ mod 2^52, in every lane; further bits are ignored.
    m0: Block,
    /// R² mod m.
    r2: Number<Z>,
}

impl<const Z: usize> Modulus<Z> {
    /// From the scalar code's modulus of N limbs, of which there are 5N/4 in 52 bits.
    fn new<const N: usize>(scalar: &Scalar<N>) -> Self {
        Self { m: split(&scalar.m), m0: Block([scalar.m0; 8]), r2: split(&scalar.lanes_r2) }
    }
}

/// base^exponent for both pairs, plain numbers; results below the modulus.
///
/// `LIMBS` of 52 bits in `Z` vectors hold 64·N bits and at least 16 more.
pub(crate) fn powers<const N: usize, const Z: usize, const LIMBS: usize>(
    token: Ifma,
    primes: [&Scalar<N>; 2],
    bases: [&mut [u64; N]; 2],
    exponents: [&[u64; N]; 2],
    tables: &mut Scratch,
) {
    const { assert!(LIMBS <= 8 * Z && Z <= MAX_Z) };
    let mut moduli = primes.map(Modulus::<Z>::new);
    let [p, q] = bases;
    let mut numbers = [split(p), split(q)];
    // SAFETY: the token proves the features.
    unsafe { exponentiate::<N, Z, LIMBS>(token, &moduli, &mut numbers, exponents, tables) };
    for ((base, number), prime) in [p, q].into_iter().zip(&numbers).zip(primes) {
        *base = join(number);
        montgomery::subtract_if_not_below(base, 0, &prime.m);
    }
    for modulus in &mut moduli {
        wipe(&mut modulus.m);
        wipe(&mut modulus.r2);
        wipe(core::slice::from_mut(&mut modulus.m0));
    }
    numbers.iter_mut().for_each(|number| wipe(number));
    tables.0.as_flattened_mut().iter_mut().for_each(|table| wipe(table));
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma,bmi1,bmi2,lzcnt")]
fn exponentiate<const N: usize, const Z: usize, const LIMBS: usize>(
    t: Ifma,
    moduli: &[Modulus<Z>; 2],
    bases: &mut [Number<Z>; 2],
    exponents: [&[u64; N]; 2],
    tables: &mut Scratch,
) {
    let r2 = [moduli[0].r2, moduli[1].r2];
    let mut one = [[Block::ZERO; Z]; 2];
    one[0][0].0[0] = 1;
    one[1][0].0[0] = 1;

    multiply::<Z, LIMBS>(t, moduli, bases, &r2);
    let mut power = r2;
    multiply::<Z, LIMBS>(t, moduli, &mut power, &one);
    for entry in 0..ENTRIES {
        for (table, power) in tables.0.iter_mut().zip(&power) {
            for (column, block) in table.iter_mut().zip(power) {
                column[entry] = *block;
            }
        }
        multiply::<Z, LIMBS>(t, moduli, &mut power, bases);
    }

    for (index, window) in (0..(64 * N).div_ceil(WINDOW)).rev().enumerate() {
        let factor = core::array::from_fn(|i| {
            let digit = montgomery::digit(exponents[i], window * WINDOW, ENTRIES);
            select(t, &tables.0[i], digit)
        });
        if index == 0 {
            power = factor;
            continue;
        }
        for _ in 0..WINDOW {
            let copy = power;
            multiply::<Z, LIMBS>(t, moduli, &mut power, &copy);
        }
        multiply::<Z, LIMBS>(t, moduli, &mut power, &factor);
    }
    multiply::<Z, LIMBS>(t, moduli, &mut power, &one);
    *bases = power;
}

/// a ← a·b/R for both moduli.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma,bmi1,bmi2,lzcnt")]
fn multiply<const Z: usize, const LIMBS: usize>(
    t: Ifma,
    moduli: &[Modulus<Z>; 2],
    a: &mut [Number<Z>; 2],
    b: &[Number<Z>; 2],
) {
    let mut sum = [[t.zero(); Z]; 2];
    for limb in 0..LIMBS {
        for i in 0..2 {
            let sum = &mut sum[i];
            let modulus = &moduli[i];
            let digit = t.splat(b[i][limb / 8].0[limb % 8]);
            let mut high = [t.zero(); Z];
            for z in 0..Z {
                let a = t.load(&a[i][z].0);
                sum[z] = sum[z].madd_lo(a, digit);
                high[z] = high[z].madd_hi(a, digit);
            }
            let q = t.zero().madd_lo(sum[0], t.load(&modulus.m0.0)).broadcast_lowest();
            for z in 0..Z {
                let m = t.load(&modulus.m[z].0);
                sum[z] = sum[z].madd_lo(m, q);
                high[z] = high[z].madd_hi(m, q);
            }
            // The lowest limb is zero now, but for its carry.
            high[0] = high[0] + sum[0].shr_lowest::<52>();
            for z in 0..Z {
                let next = if z + 1 < Z { sum[z + 1] } else { t.zero() };
                sum[z] = sum[z].shift_down(next) + high[z];
            }
        }
    }
    for i in 0..2 {
        carry(t, &sum[i], &mut a[i]);
    }
}

/// Brings limbs of less than 2^63 below 2^52. The number must fit.
#[inline(always)]
fn carry<const Z: usize>(t: Ifma, sum: &[V; Z], out: &mut Number<Z>) {
    let mask = t.splat(MASK52);
    // Once every limb passes on what is above its 52 bits, the next carry is at most one.
    let mut limbs = [t.zero(); Z];
    let (mut above, mut full) = (0u64, 0u64);
    for z in 0..Z {
        let before = if z > 0 { sum[z - 1].shr::<52>() } else { t.zero() };
        limbs[z] = (sum[z] & mask) + before.shift_up(sum[z].shr::<52>());
        above |= u64::from((limbs[z].shr::<52>().is_zero()).0 ^ 0xff) << (8 * z);
        full |= u64::from(limbs[z].equals(mask).0) << (8 * z);
    }
    // One bit per limb: a carry goes into the next limb, and through limbs of ones. Integer addition
    // does that; where the sum differs from `full`, a carry came in.
    let carries = (above << 1).wrapping_add(full) ^ full;
    for z in 0..Z {
        let [lanes, ..] = (carries >> (8 * z)).to_le_bytes();
        let limb = limbs[z].select(Mask(lanes), limbs[z] + t.splat(1));
        (limb & mask).store(&mut out[z]);
    }
}

/// Reads the whole table for one entry.
#[inline(always)]
fn select<const Z: usize>(t: Ifma, table: &[[Block; ENTRIES]; MAX_Z], digit: u64) -> Number<Z> {
    let mut chosen = [t.zero(); Z];
    for entry in 0..ENTRIES {
        let mask = t.splat(ct::mask_zero(digit ^ entry as u64));
        for z in 0..Z {
            chosen[z] = chosen[z] | (t.load(&table[z][entry].0) & mask);
        }
    }
    let mut number = [Block::ZERO; Z];
    for z in 0..Z {
        chosen[z].store(&mut number[z]);
    }
    number
}

/// Limbs of 52 bits from limbs of 64.
fn split<const N: usize, const Z: usize>(limbs: &[u64; N]) -> Number<Z> {
    let mut number = [Block::ZERO; Z];
    for (i, limb) in number.iter_mut().flat_map(|block| &mut block.0).enumerate() {
        if 52 * i < 64 * N {
            *limb = montgomery::digit(limbs, 52 * i, 1 << 52);
        }
    }
    number
}

/// Limbs of 64 bits from limbs of 52.
fn join<const N: usize, const Z: usize>(number: &Number<Z>) -> [u64; N] {
    let mut limbs = [0; N];
    for (i, &part) in number.iter().flat_map(|block| &block.0).enumerate() {
        let (limb, shift) = (52 * i / 64, 52 * i % 64);
        if limb < N {
            limbs[limb] |= part << shift;
        }
        if limb + 1 < N {
            limbs[limb + 1] |= (part >> 1) >> (63 - shift);
        }
    }
    limbs
}
