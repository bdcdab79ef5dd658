// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSA private-key operations, eight lanes, each with a key of its own (of the same size).
//!
//! Numbers are limbs of 52 bits in groups of five ([`tiles`]). Five by five limbs are multiplied in registers,
//! fifty IFMA instructions on ten accumulators, and real loops run over such tiles: straight-line code
//! where it counts, one text for all sizes. K groups hold the primes, F = 2K the modulus.
//!
//! Montgomery form for R = 2^(260 K), which is at least 2^16 times the modulus m: operations take and
//! give values below 2m (a multiplication also takes factors below 4m), without final subtractions.
//!
//! The way is the scalar code's ([`crate::rsa`]): Chinese remainder theorem, blinded bases, Garner,
//! and a check with the public key. Only keys with the public exponent 65537 come here.

pub(crate) mod tiles;

use core::ops::Range;

use super::vector::{Block, MASK52, Mask, V};
use crate::cpu::Ifma;
use crate::wipe::{Plain, wipe};
pub(crate) use tiles::{Group, Modulus};
use tiles::{load, store};

const ZERO: Group = [Block::ZERO; 5];

/// log2 of 65536, one less than the public exponent.
const SQUARINGS: usize = 16;
/// Bits per window of a private exponent: thirteen windows to a limb.
const WINDOW: usize = 4;
const ENTRIES: usize = 1 << WINDOW;
const WINDOWS_PER_LIMB: usize = 52 / WINDOW;

/// One half of the Chinese remainder theorem.
#[derive(Clone, Copy)]
pub(crate) struct Half<const K: usize> {
    pub(crate) prime: Modulus<K>,
    /// d mod prime − 1, odd.
    pub(crate) d: [Group; K],
    /// Random; blinds the base.
    pub(crate) r: [Group; K],
}

/// Eight signatures to compute.
#[derive(Clone, Copy)]
pub(crate) struct Sign<const K: usize, const F: usize> {
    pub(crate) p: Half<K>,
    pub(crate) q: Half<K>,
    /// q⁻¹ mod p.
    pub(crate) qinv: [Group; K],
    pub(crate) n: Modulus<F>,
    /// In: what to raise to d, below n.
    pub(crate) message: [Group; F],
    /// Out: the result.
    pub(crate) signature: [Group; F],
    /// Out: lanes whose result, raised to 65537, is the message. The others must not be released.
    pub(crate) verified: Mask,
}

// SAFETY: integers, and a mask of lanes.
unsafe impl<const K: usize, const F: usize> Plain for Sign<K, F> {}

/// Scratch of one pass; `wide` has room for a product of two moduli.
pub(crate) struct Scratch<const K: usize, const F: usize> {
    table: [[Group; K]; ENTRIES],
    wide: [[Group; F]; 2],
}

/// Computes eight signatures.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma,bmi1,bmi2,lzcnt")]
pub(crate) fn run<const K: usize, const F: usize>(
    t: Ifma,
    sign: &mut Sign<K, F>,
    scratch: &mut Scratch<K, F>,
) {
    const { assert!(F == 2 * K) };
    let Scratch { table, wide } = scratch;
    let wide = wide.as_flattened_mut();
    let mut sp = power(t, &sign.p, &sign.message, table, wide);
    let mut sq = power(t, &sign.q, &sign.message, table, wide);
    sign.q.prime.leave(t, &mut sq, wide);

    // Garner: s = sq + q·(qinv·(sp − sq) mod p). sq enters the form modulo p, qinv stays out of it.
    let mut sq_mod_p = sq;
    sign.p.prime.multiply(t, &mut sq_mod_p, &sign.p.prime.r2, wide);
    let mut h = [ZERO; K];
    for i in 0..K {
        for j in 0..5 {
            let m = t.load(&sign.p.prime.m[i][j].0);
            let difference = t.load(&sp[i][j].0) - t.load(&sq_mod_p[i][j].0) + m + m;
            difference.store(&mut h[i][j]);
        }
    }
    carry(t, &mut h);
    sign.p.prime.multiply(t, &mut h, &sign.qinv, wide);
    sign.p.prime.reduce_once(t, &mut h);
    product(t, wide, &h, &sign.q.prime.m);
    let mut s = [ZERO; F];
    s.copy_from_slice(&wide[..F]);
    for i in 0..K {
        for j in 0..5 {
            (t.load(&s[i][j].0) + t.load(&sq[i][j].0)).store(&mut s[i][j]);
        }
    }
    carry(t, &mut s);

    // s^65537 = (s·R)^65536·s / R
    let mut opened = s;
    sign.n.multiply(t, &mut opened, &sign.n.r2, wide);
    for _ in 0..SQUARINGS {
        sign.n.square(t, &mut opened, wide);
    }
    sign.n.multiply(t, &mut opened, &s, wide);
    sign.n.reduce_once(t, &mut opened);
    let mut difference = t.zero();
    for (a, b) in opened.as_flattened().iter().zip(sign.message.as_flattened()) {
        difference = difference | (t.load(&a.0) ^ t.load(&b.0));
    }
    sign.verified = difference.is_zero();
    sign.signature = s;
    for secret in [&mut sp, &mut sq, &mut sq_mod_p, &mut h] {
        wipe(secret.as_flattened_mut());
    }
    wipe(opened.as_flattened_mut());
    wipe(s.as_flattened_mut());
    wipe(table.as_flattened_mut().as_flattened_mut());
    wipe(wide.as_flattened_mut());
}

/// message^d modulo the prime, in Montgomery form, by way of a blinded base
/// (see the scalar code: message^d = (message·r^65537)^(d−1)·message·r^65536).
#[target_feature(enable = "avx512f,avx512dq,avx512ifma,bmi1,bmi2,lzcnt")]
fn power<const K: usize, const F: usize>(
    t: Ifma,
    half: &Half<K>,
    message: &[Group; F],
    table: &mut [[Group; K]; ENTRIES],
    wide: &mut [Group],
) -> [Group; K] {
    let prime = &half.prime;
    // message/R, then twice times R.
    let mut reduced = [ZERO; K];
    wide[..F].copy_from_slice(message);
    prime.reduce(t, &mut reduced, wide);
    prime.multiply(t, &mut reduced, &prime.r2, wide);
    prime.multiply(t, &mut reduced, &prime.r2, wide);

    let mut unblind = half.r;
    for _ in 0..SQUARINGS {
        prime.square(t, &mut unblind, wide);
    }
    prime.multiply(t, &mut unblind, &reduced, wide);
    let mut base = unblind;
    prime.multiply(t, &mut base, &half.r, wide);

    // 1, base, base², …, base^15
    table[0] = [ZERO; K];
    table[0][0][0] = Block([1; super::LANES]);
    prime.multiply(t, &mut table[0], &prime.r2, wide);
    table[1] = base;
    for i in 2..ENTRIES {
        table[i] = table[i / 2];
        if i % 2 == 0 {
            prime.square(t, &mut table[i], wide);
        } else {
            table[i] = table[i - 1];
            prime.multiply(t, &mut table[i], &base, wide);
        }
    }

    // Primes have 256 bits for each K.
    let top = 256 * K / WINDOW - 1;
    let mut result = [ZERO; K];
    select(t, &mut result, table, digit(t, &half.d, top), 0..K);
    let mut factor = [ZERO; K];
    for window in (0..top).rev() {
        let mut digit = digit(t, &half.d, window);
        if window == 0 {
            // d − 1
            digit = digit & t.splat(!1);
        }
        for i in 0..WINDOW {
            // Looking up loads, squaring multiplies: in turns, the CPU does both at once.
            select(t, &mut factor, table, digit, i * K / WINDOW..(i + 1) * K / WINDOW);
            prime.square(t, &mut result, wide);
        }
        prime.multiply(t, &mut result, &factor, wide);
    }
    prime.multiply(t, &mut result, &unblind, wide);
    for secret in [&mut reduced, &mut unblind, &mut base, &mut factor] {
        wipe(secret.as_flattened_mut());
    }
    result
}

/// Window `index` of the exponents.
#[inline(always)]
fn digit<const K: usize>(t: Ifma, exponent: &[Group; K], index: usize) -> V {
    let limb = &exponent.as_flattened()[index / WINDOWS_PER_LIMB];
    let shift = (WINDOW * (index % WINDOWS_PER_LIMB)) as u64;
    t.load(&limb.0).bits_from(t.zero(), shift, t) & t.splat(ENTRIES as u64 - 1)
}

/// Some groups of the entry that `digit` names, in each lane, reading those of all entries.
#[inline(always)]
fn select<const K: usize>(
    t: Ifma,
    chosen: &mut [Group; K],
    table: &[[Group; K]; ENTRIES],
    digit: V,
    groups: Range<usize>,
) {
    let mut here = [Mask::NONE; ENTRIES];
    for (value, mask) in (0_u64..).zip(&mut here) {
        *mask = digit.equals(t.splat(value));
    }
    for i in groups {
        let mut group = load(t, &table[0][i]);
        for entry in 1..ENTRIES {
            for j in 0..5 {
                group[j] = group[j].select(here[entry], table[entry][i][j].load_whole(t));
            }
        }
        store(t, group, &mut chosen[i]);
    }
}

/// Carries from limb to limb, signs included; the number itself is not negative.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma,bmi1,bmi2,lzcnt")]
fn carry<const K: usize>(t: Ifma, number: &mut [Group; K]) {
    tiles::carry(t, number);
}

/// wide ← a·b, not carried.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma,bmi1,bmi2,lzcnt")]
fn product<const K: usize>(t: Ifma, wide: &mut [Group], a: &[Group; K], b: &[Group; K]) {
    tiles::product(t, wide, a, b);
}

/// wide ← a², not carried.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma,bmi1,bmi2,lzcnt")]
fn product_with_itself<const K: usize>(t: Ifma, wide: &mut [Group], a: &[Group; K]) {
    tiles::product_with_itself(t, wide, a);
}

impl<const K: usize> Modulus<K> {
    /// a ← a·b/R
    #[inline(always)]
    fn multiply(&self, t: Ifma, a: &mut [Group; K], b: &[Group; K], wide: &mut [Group]) {
        // SAFETY: the token proves the features.
        unsafe {
            product(t, wide, a, b);
            self.reduce(t, a, wide);
        }
    }

    /// a ← a²/R
    #[inline(always)]
    fn square(&self, t: Ifma, a: &mut [Group; K], wide: &mut [Group]) {
        // SAFETY: the token proves the features.
        unsafe {
            product_with_itself(t, wide, a);
            self.reduce(t, a, wide);
        }
    }

    /// a ← a/R, below m.
    #[inline(always)]
    fn leave(&self, t: Ifma, a: &mut [Group; K], wide: &mut [Group]) {
        wide[..K].copy_from_slice(a);
        wide[K..2 * K].fill(ZERO);
        // SAFETY: the token proves the features.
        unsafe {
            self.reduce(t, a, wide);
            self.reduce_once(t, a);
        }
    }

    /// out ← wide/R, carried, destroying `wide`.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma,bmi1,bmi2,lzcnt")]
    fn reduce(&self, t: Ifma, out: &mut [Group; K], wide: &mut [Group]) {
        tiles::reduce(t, self, out, wide);
    }

    /// Subtracts m where the value, below 2m, is not below m.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma,bmi1,bmi2,lzcnt")]
    fn reduce_once(&self, t: Ifma, a: &mut [Group; K]) {
        let mut difference = [ZERO; K];
        let mut borrow = t.zero();
        let mask = t.splat(MASK52);
        for i in 0..K {
            for j in 0..5 {
                let limb = t.load(&a[i][j].0) - t.load(&self.m[i][j].0) + borrow;
                borrow = limb.sar::<52>();
                (limb & mask).store(&mut difference[i][j]);
            }
        }
        let below = borrow.is_negative();
        for i in 0..K {
            for j in 0..5 {
                let (value, reduced) = (a[i][j].load_whole(t), difference[i][j].load_whole(t));
                reduced.select(below, value).store(&mut a[i][j]);
            }
        }
        wipe(difference.as_flattened_mut());
    }
}

/// Puts a number of 64-bit limbs into one lane.
pub(crate) fn put<const K: usize>(number: &mut [Group; K], lane: usize, value: &[u64]) {
    for (i, limb) in number.as_flattened_mut().iter_mut().enumerate() {
        let (word, shift) = (52 * i / 64, 52 * i % 64);
        let low = value.get(word).map_or(0, |word| word >> shift);
        // Two shifts, because one by 64 would overflow.
        let high = value.get(word + 1).map_or(0, |word| word << 1 << (63 - shift));
        limb.0[lane] = (low | high) & MASK52;
    }
}

/// Takes a number of 64-bit limbs out of one lane.
pub(crate) fn get<const K: usize>(number: &[Group; K], lane: usize, value: &mut [u64]) {
    value.fill(0);
    for (i, limb) in number.as_flattened().iter().enumerate() {
        let (word, shift) = (52 * i / 64, 52 * i % 64);
        if let Some(low) = value.get_mut(word) {
            *low |= limb.0[lane] << shift;
        }
        if let Some(high) = value.get_mut(word + 1) {
            *high |= limb.0[lane] >> 1 >> (63 - shift);
        }
    }
}
