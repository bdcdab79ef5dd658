// SPDX-License-Identifier: MIT OR Apache-2.0
//! ECDSA on P-256 (FIPS 186-5 §6.4.1), eight lanes: once nonces and their points are there.

use super::VECTORS;
use super::invert::invert_all;
use super::montgomery::{Fe, Montgomery, N};
use super::p256::Generate;
use super::vector::{Block, Mask};
use crate::wipe::{Plain, wipe};

/// Eight signatures to compute. Integers are little-endian words, one lane per item.
#[derive(Clone, Copy)]
pub(crate) struct Sign {
    /// In: the private key, in 1..n.
    pub(crate) key: [Block; 4],
    /// In: the digest modulo n.
    pub(crate) digest: [Block; 4],
    /// In: fresh randomness, as a big-endian integer.
    pub(crate) entropy: [Block; 4],
    /// Out: the signature, both below n.
    pub(crate) r: [Block; 4],
    pub(crate) s: [Block; 4],
    /// Out: lanes with a signature. The others (r = 0, s = 0, no nonce point) go to scalar code.
    pub(crate) done: Mask,
}

// SAFETY: integers, and masks of lanes.
unsafe impl Plain for Sign {}

/// Inverses of the nonces of one pass.
pub(crate) struct Scratch<S: Montgomery, const PARTS: usize> {
    inverses: [[Fe<S, N>; PARTS]; VECTORS],
    products: [[Fe<S, N>; PARTS]; VECTORS],
}

/// Completes up to [`VECTORS`] vectors whose `nonces` have their points, with one inversion for all.
#[inline(always)]
pub(crate) fn finish<S: Montgomery, const PARTS: usize>(
    t: S,
    sign: &mut [Sign],
    nonces: &[Generate],
    scratch: &mut Scratch<S, PARTS>,
) {
    const { assert!(PARTS == S::PARTS) };
    let count = sign.len().min(nonces.len()).min(VECTORS);
    if count == 0 {
        return;
    }
    let Scratch { inverses, products } = scratch;
    for (nonce, inverse) in nonces.iter().zip(inverses.iter_mut()) {
        for part in 0..PARTS {
            let t = t.part(part);
            inverse[part] = Fe::from_words(t, &nonce.scalar).to_montgomery(t);
        }
    }
    let _: [Mask; VECTORS] = invert_all(t, &mut inverses[..count], &mut products[..count]);
    for ((item, nonce), inverse) in sign.iter_mut().zip(nonces).zip(inverses.iter()) {
        let mut done = Mask::NONE;
        for part in 0..PARTS {
            let t = t.part(part);
            // x < p < 2n
            let (_, r) = Fe::<S, N>::from_words(t, &nonce.x).reduce_once(t);
            let key = Fe::from_words(t, &item.key).to_montgomery(t);
            // One factor in Montgomery form, one not: the product is not. Below 1.1n + 1.01n.
            let sum = r.mul(t, key).plus(Fe::from_words(t, &item.digest).loose()).carry(t);
            let (_, s) = sum.mul(t, inverse[part]).carry(t).reduce_once(t);
            r.to_words(t, &mut item.r);
            s.to_words(t, &mut item.s);
            done = done | t.bits(!r.limbs_zero() & !s.limbs_zero());
        }
        item.done = nonce.done & done;
    }
    wipe(inverses[..count].as_flattened_mut());
    wipe(products[..count].as_flattened_mut());
}
