// SPDX-License-Identifier: MIT OR Apache-2.0
//! One pass of RSA signatures with keys of one size.

use zeroize::Zeroizing;

use super::item::Item;
use super::lineup::{Lineup, Place};
use crate::cpu::Ifma;
use crate::job::{Output, SignRequest, Work};
use crate::lanes::LANES;
use crate::lanes::rsa::{Half, Modulus, Scratch, Sign, get, put, run};
use crate::rsa::{self, Crt, Padding, montgomery};
use crate::sign::{Key, Scheme};
use crate::wipe::wipe;

/// The public exponent that the lanes verify with.
pub(super) const EXPONENT: u64 = 65537;

/// Gathers up to eight signatures with primes of `HALF` and moduli of `FULL` 64-bit limbs,
/// which are `K` and `F` groups of five 52-bit limbs.
pub(super) struct Rsa<const HALF: usize, const FULL: usize, const K: usize, const F: usize> {
    sign: Sign<K, F>,
    scratch: Scratch<K, F>,
    signatures: Lineup<LANES>,
}

impl<const HALF: usize, const FULL: usize, const K: usize, const F: usize> Rsa<HALF, FULL, K, F> {
    pub(super) const fn is_full(&self) -> bool {
        self.signatures.is_full()
    }

    /// Takes a signature in, if it fits its key; there must be room.
    pub(super) fn push(&mut self, item: usize, key: &Crt<HALF, FULL>, request: &SignRequest) {
        const { assert!(4 * K == HALF && 2 * K == F && 2 * HALF == FULL) };
        let SignRequest { scheme, digest, entropy } = request;
        let (padding, hash) = match *scheme {
            Scheme::RsaPss(hash) => (Padding::Pss, hash),
            Scheme::RsaPkcs1(hash) => (Padding::Pkcs1, hash),
            Scheme::EcdsaP256Sha256 => return,
        };
        let (Ok(message), Ok(r_p), Ok(r_q)) = (
            key.encode(padding, hash, digest, entropy),
            rsa::blinding::<HALF>(entropy, rsa::BLINDING_P),
            rsa::blinding::<HALF>(entropy, rsa::BLINDING_Q),
        ) else {
            return;
        };
        let Place { lane, .. } = self.signatures.push(item);
        put_half(&mut self.sign.p, lane, &key.p, &key.dp, &r_p);
        put_half(&mut self.sign.q, lane, &key.q, &key.dq, &r_q);
        put(&mut self.sign.qinv, lane, &key.qinv);
        put_modulus(&mut self.sign.n, lane, &key.n);
        put(&mut self.sign.message, lane, &message);
    }

    /// Computes what was gathered and hands out the verified results; other items keep `None`.
    pub(super) fn flush(
        &mut self,
        t: Ifma,
        items: &mut [Item<'_>],
        crt: fn(&rsa::PrivateKey) -> Option<&Crt<HALF, FULL>>,
    ) {
        if self.signatures.len() == 0 {
            return;
        }
        // SAFETY: the token proves the features.
        unsafe { run(t, &mut self.sign, &mut self.scratch) };
        for (Place { lane, .. }, item) in self.signatures.iter() {
            let item = &mut items[item];
            if self.sign.verified.has(lane)
                && let Work::Sign(key, _) = &item.work
                && let Key::Rsa(key) = &key.0
                && let Some(key) = crt(key)
            {
                let mut signature = Zeroizing::new([0; FULL]);
                get(&self.sign.signature, lane, &mut *signature);
                item.result = Some(key.encoding(&signature).map(Output::Signed));
            }
        }
        wipe(core::slice::from_mut(&mut self.sign));
        self.signatures.clear();
    }
}

fn put_half<const HALF: usize, const K: usize>(
    half: &mut Half<K>,
    lane: usize,
    prime: &montgomery::Modulus<HALF>,
    d: &[u64; HALF],
    r: &[u64; HALF],
) {
    put_modulus(&mut half.prime, lane, prime);
    put(&mut half.d, lane, d);
    put(&mut half.r, lane, r);
}

fn put_modulus<const N: usize, const K: usize>(
    modulus: &mut Modulus<K>,
    lane: usize,
    from: &montgomery::Modulus<N>,
) {
    put(&mut modulus.m, lane, &from.m);
    put(&mut modulus.r2, lane, &from.lanes_r2);
    modulus.m0.0[lane] = from.m0;
}
