// SPDX-License-Identifier: MIT OR Apache-2.0
//! Encapsulations of several connections at once.
//!
//! Most of ML-KEM's time goes into Keccak: 44 permutations an encapsulation. Those of all items of a
//! pass are laid side by side, and those within an item where they do not depend on each other, so that
//! lanes fill for a few items too. Arithmetic works on one polynomial at a time, sixteen coefficients to a
//! vector.

use super::bytes::{FOUR_BITS, TEN_BITS, TWELVE_BITS, compress4, compress10, decode, decompress1};
pub(crate) use super::keccak::Permute;
use super::keccak::States;
use super::ntt::{Multiplier, Polynomial, Sum};
use super::sample::{BLOCK, Uniform, centered_binomial};
use super::{CIPHERTEXT, ENCAPSULATION_KEY, SHARED};
use crate::lanes::LANES;
use crate::wipe::{Plain, wipe};

/// Polynomials in a vector (k of FIPS 203 §8).
const K: usize = 3;
/// Small polynomials of one encapsulation: y, e1 and e2.
const SMALL: usize = 2 * K + 1;

/// Rates in bytes (FIPS 202 §6).
const SHA3_256: usize = 136;
const SHA3_512: usize = 72;
const SHAKE256: usize = 136;
/// What follows a message (§6.1 and §6.2), with the first bit of the padding.
const SHA3: u64 = 0x06;
const SHAKE: u64 = 0x1f;

/// What one encapsulation takes.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) key: &'a [u8; ENCAPSULATION_KEY],
    pub(crate) message: &'a [u8; 32],
}

/// What it gives.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    pub(crate) ciphertext: [u8; CIPHERTEXT],
    pub(crate) shared: [u8; SHARED],
    /// Whether all coefficients of the key are reduced; the rest means nothing otherwise.
    pub(crate) valid: bool,
}

// SAFETY: integers, and a bool, whose zero is `false`.
unsafe impl Plain for Output {}

/// What one encapsulation needs between its steps.
#[derive(Clone, Copy)]
struct Item {
    /// Of the transform of y.
    multipliers: [Multiplier; K],
    /// e1 and e2.
    errors: [Polynomial; K + 1],
    /// Of the transform of u.
    sums: [Sum; K],
    /// The randomness that all of these come from.
    seed: [u64; 4],
}

// SAFETY: integers.
unsafe impl Plain for Item {}

/// 80 KiB, wiped after every pass. Valid when all its bytes are zero.
pub(crate) struct Scratch<const W: usize> {
    states: States<W>,
    uniform: [Uniform; W],
    items: [Item; LANES],
}

/// Encapsulates to every key with its message: at most [`LANES`] of them.
pub(crate) fn encapsulate<const W: usize>(
    t: impl Permute<W>,
    inputs: &[Input<'_>],
    outputs: &mut [Output],
    scratch: &mut Scratch<W>,
) {
    // SAFETY: every token that permutes proves AVX2.
    unsafe { run(t, inputs, outputs, scratch) }
}

#[target_feature(enable = "avx2")]
fn run<const W: usize>(
    t: impl Permute<W>,
    inputs: &[Input<'_>],
    outputs: &mut [Output],
    scratch: &mut Scratch<W>,
) {
    let Scratch { states, uniform, items } = scratch;
    let items = &mut items[..inputs.len()];
    for ((inputs, outputs), items) in inputs.chunks(W).zip(outputs.chunks_mut(W)).zip(items.chunks_mut(W)) {
        derive(t, inputs, outputs, items, states);
    }
    small_polynomials(t, items, states);
    multiply_by_matrix(t, inputs, items, states, uniform);
    for ((input, output), item) in inputs.iter().zip(outputs).zip(&mut *items) {
        finish(input, item, output);
    }
    wipe(items);
    wipe(core::slice::from_mut(states));
}

/// The shared secret and the seed of all randomness (Algorithm 17, line 1): SHA3-512 of the message and the key's
/// SHA3-256.
#[inline]
fn derive<const W: usize>(
    t: impl Permute<W>,
    inputs: &[Input<'_>],
    outputs: &mut [Output],
    items: &mut [Item],
    states: &mut States<W>,
) {
    const BLOCKS: usize = ENCAPSULATION_KEY / SHA3_256;
    states.clear();
    for block in 0..BLOCKS {
        for (lane, input) in inputs.iter().enumerate() {
            states.add(lane, 0, words(&input.key.as_chunks::<SHA3_256>().0[block]));
        }
        t.permute(states);
    }
    for (lane, input) in inputs.iter().enumerate() {
        let rest = input.key.as_chunks::<SHA3_256>().1;
        states.add(lane, 0, words(rest));
        states.add(lane, rest.len() / 8, [SHA3]);
        states.end(lane, SHA3_256);
    }
    t.permute(states);
    let hashes: [[u64; 4]; W] = core::array::from_fn(|lane| states.words(lane));

    states.clear();
    for (lane, (input, hash)) in inputs.iter().zip(hashes).enumerate() {
        states.add(lane, 0, words(input.message));
        states.add(lane, 4, hash);
        states.add(lane, 8, [SHA3]);
        states.end(lane, SHA3_512);
    }
    t.permute(states);
    for (lane, (output, item)) in outputs.iter_mut().zip(items).enumerate() {
        let [shared @ .., _, _, _, _]: [u64; 8] = states.words(lane);
        let [_, _, _, _, seed @ ..]: [u64; 8] = states.words(lane);
        output.shared.as_chunks_mut().0.copy_from_slice(&shared.map(u64::to_le_bytes));
        item.seed = seed;
    }
}

/// y, made ready to be multiplied by, and e1 and e2 (Algorithm 14, lines 9 to 18).
#[inline]
#[target_feature(enable = "avx2")]
fn small_polynomials<const W: usize>(t: impl Permute<W>, items: &mut [Item], states: &mut States<W>) {
    for first in (0..items.len() * SMALL).step_by(W) {
        let tasks = first..(first + W).min(items.len() * SMALL);
        states.clear();
        for (lane, task) in tasks.clone().enumerate() {
            states.add(lane, 0, items[task / SMALL].seed);
            states.add(lane, 4, [(task % SMALL) as u64 | SHAKE << 8]);
            states.end(lane, SHAKE256);
        }
        t.permute(states);
        for (lane, task) in tasks.enumerate() {
            let random: [u64; 16] = states.words(lane);
            let mut polynomial =
                centered_binomial(random.map(u64::to_le_bytes).as_flattened().try_into().expect("128 bytes"));
            let item = &mut items[task / SMALL];
            match task % SMALL {
                i @ ..K => {
                    polynomial.transform();
                    item.multipliers[i].set(&polynomial);
                }
                i => item.errors[i - K] = polynomial,
            }
        }
    }
}

/// The transform of u without its error: the transposed matrix, which the key's last 32 bytes name, times y
/// (lines 4 to 8 and 19).
#[inline]
#[target_feature(enable = "avx2")]
fn multiply_by_matrix<const W: usize>(
    t: impl Permute<W>,
    inputs: &[Input<'_>],
    items: &mut [Item],
    states: &mut States<W>,
    uniform: &mut [Uniform; W],
) {
    const ENTRIES: usize = K * K;
    for item in &mut *items {
        item.sums = [Sum::ZERO; K];
    }
    for first in (0..items.len() * ENTRIES).step_by(W) {
        let tasks = first..(first + W).min(items.len() * ENTRIES);
        states.clear();
        for (lane, task) in tasks.clone().enumerate() {
            let (row, column) = (task % ENTRIES / K, task % K);
            states.add(lane, 0, words(&inputs[task / ENTRIES].key[K * TWELVE_BITS..]));
            states.add(lane, 4, [(row | column << 8) as u64 | SHAKE << 16]);
            states.end(lane, BLOCK);
            uniform[lane].clear();
        }
        let uniform = &mut uniform[..tasks.len()];
        while !uniform.iter().all(Uniform::is_full) {
            t.permute(states);
            for (lane, uniform) in uniform.iter_mut().enumerate() {
                let block: [u64; BLOCK / 8] = states.words(lane);
                uniform.take(block.map(u64::to_le_bytes).as_flattened().try_into().expect("a block"));
            }
        }
        for (task, uniform) in tasks.zip(uniform) {
            let item = &mut items[task / ENTRIES];
            item.sums[task % ENTRIES / K].add_product(&item.multipliers[task % K], uniform.transform());
        }
    }
}

/// The ciphertext: u and v, compressed (lines 19 to 24).
#[inline]
#[target_feature(enable = "avx2")]
fn finish(input: &Input<'_>, item: &Item, output: &mut Output) {
    let (u, v) = output.ciphertext.split_at_mut(K * TEN_BITS);
    for ((sum, error), bytes) in item.sums.iter().zip(&item.errors).zip(u.as_chunks_mut().0) {
        let mut polynomial = sum.reduced();
        polynomial.inverse_transform();
        polynomial.add(error);
        compress10(&polynomial, bytes);
    }

    let mut sum = Sum::ZERO;
    output.valid = true;
    let mut row = Polynomial::ZERO;
    for (multiplier, bytes) in item.multipliers.iter().zip(input.key.as_chunks::<TWELVE_BITS>().0) {
        output.valid &= decode(bytes, &mut row);
        sum.add_product(multiplier, &row.0);
    }
    let mut polynomial = sum.reduced();
    polynomial.inverse_transform();
    polynomial.add_two(&item.errors[K], &decompress1(input.message));
    compress4(&polynomial, v.first_chunk_mut::<FOUR_BITS>().expect("the rest of a ciphertext"));
}

/// Little-endian words.
fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word))
}
