// SPDX-License-Identifier: MIT OR Apache-2.0
//! One pass of P-256: key pairs, agreements and ECDSA signatures.

use super::item::Item;
use super::lineup::{Lineup, Place};
use crate::job::{Failed, KeyExchange, Output, PeerShare, Seed, Work};
use crate::key_exchange::{generated, share, shared};
use crate::lanes::montgomery::Montgomery;
use crate::lanes::p256::{self, AGREE_VECTORS, Agree, Generate, run};
use crate::lanes::{LANES, VECTORS, ecdsa, get, nonce, put};
use crate::limbs::{self, Limbs};
use crate::p256::scalar::Scalar;
use crate::p256::{POINT, ecdsa as scalar_ecdsa};
use crate::secret::Secret;
use crate::sign::Key;
use crate::wipe::wipe;

/// Most key pairs, and most signatures, of a pass.
const CAPACITY: usize = VECTORS * LANES;
/// Most agreements.
const AGREE_CAPACITY: usize = AGREE_VECTORS * LANES;

/// Gathers items until a pass is full or flushed. A response is a key pair and an agreement, in the same order.
pub(super) struct P256 {
    sign: [ecdsa::Sign; VECTORS],
    nonces: [Generate; VECTORS],
    generate: [Generate; VECTORS],
    agree: [Agree; AGREE_VECTORS],
    signatures: Lineup<CAPACITY>,
    key_pairs: Lineup<CAPACITY>,
    agreements: Lineup<AGREE_CAPACITY>,
}

impl P256 {
    pub(super) const fn is_full(&self) -> bool {
        self.signatures.is_full() || self.key_pairs.is_full() || self.agreements.is_full()
    }

    /// Takes a job of this curve in; there must be room.
    pub(super) fn push(&mut self, item: usize, work: &Work<'_>) {
        match work {
            Work::KeyExchange(KeyExchange::Generate { seed, .. }) => self.push_generate(item, seed),
            Work::KeyExchange(KeyExchange::Agree { private, peer: PeerShare::Secp256r1(peer) }) => {
                self.push_agree(item, private.expose(), peer);
            }
            Work::KeyExchange(KeyExchange::Respond { seed, peer: PeerShare::Secp256r1(peer) }) => {
                let Some(private) = seed.expose().first_chunk() else { return };
                self.push_agree(item, private, peer);
                self.push_generate(item, seed);
            }
            Work::Sign(key, request) => {
                if let (Key::EcdsaP256(key), Ok(digest)) = (&key.0, request.digest.as_bytes().try_into()) {
                    self.push_sign(item, key, digest, &request.entropy);
                }
            }
            Work::KeyExchange(_) => {}
        }
    }

    fn push_sign(
        &mut self,
        item: usize,
        key: &scalar_ecdsa::PrivateKey,
        digest: &[u8; 32],
        entropy: &Secret<32>,
    ) {
        let Place { vector, lane } = self.signatures.push(item);
        let vector = &mut self.sign[vector];
        put(&mut vector.key, lane, &key.scalar().0);
        put(&mut vector.digest, lane, &Scalar::reduced(&limbs::from_be_bytes(digest)).0);
        put(&mut vector.entropy, lane, &limbs::from_be_bytes(entropy.expose()));
    }

    fn push_generate(&mut self, item: usize, seed: &Seed) {
        let Some(private) = seed.expose().first_chunk() else { return };
        let Place { vector, lane } = self.key_pairs.push(item);
        put(&mut self.generate[vector].scalar, lane, &limbs::from_be_bytes(private));
    }

    fn push_agree(&mut self, item: usize, private: &[u8; 32], peer: &[u8; POINT]) {
        let Place { vector, lane } = self.agreements.push(item);
        let vector = &mut self.agree[vector];
        put(&mut vector.scalar, lane, &limbs::from_be_bytes(private));
        // Another form than uncompressed stays (0, 0), which is not on the curve.
        if let ([4, coordinates @ ..], ([x, y], [])) = (peer, peer[1..].as_chunks()) {
            let _: &[u8; 64] = coordinates;
            put(&mut vector.peer_x, lane, &limbs::from_be_bytes(x));
            put(&mut vector.peer_y, lane, &limbs::from_be_bytes(y));
        }
    }

    /// Computes what was gathered and hands out the results; lanes that are not done keep `None`.
    pub(super) fn flush<S: Montgomery, const PARTS: usize>(
        &mut self,
        t: S,
        scratch: &mut p256::Scratch<S, PARTS>,
        sign_scratch: &mut ecdsa::Scratch<S, PARTS>,
        items: &mut [Item<'_>],
    ) {
        let sign = &mut self.sign[..self.signatures.vectors()];
        let nonces = &mut self.nonces[..self.signatures.vectors()];
        let generate = &mut self.generate[..self.key_pairs.vectors()];
        let agree = &mut self.agree[..self.agreements.vectors()];
        // One by one: kernels have little stack.
        t.compiled(
            #[inline(always)]
            || nonce::derive(t, sign, nonces),
        );
        t.compiled(
            #[inline(always)]
            || run(t, nonces, generate, agree, scratch),
        );
        t.compiled(
            #[inline(always)]
            || ecdsa::finish(t, sign, nonces, sign_scratch),
        );

        for (Place { vector, lane }, item) in self.signatures.iter() {
            let vector = &sign[vector];
            if vector.done.has(lane) {
                let signature = scalar_ecdsa::der(&bytes(&vector.r, lane), &bytes(&vector.s, lane));
                items[item].result = Some(Ok(Output::Signed(signature)));
            }
        }
        for (place, item) in self.key_pairs.iter() {
            if let Work::KeyExchange(KeyExchange::Generate { seed, .. }) = &items[item].work
                && let Some(public) = point(generate, place)
            {
                items[item].result = Some(Ok(generated(&public, seed)));
            }
        }
        let mut key_pairs = self.key_pairs.iter();
        for (Place { vector, lane }, item) in self.agreements.iter() {
            let vector = &agree[vector];
            if vector.off_curve.has(lane) {
                items[item].result = Some(Err(Failed::BadPeerShare));
                continue;
            }
            if !vector.done.has(lane) {
                continue;
            }
            let secret = Secret::new(bytes(&vector.x, lane));
            let shared = shared(secret.expose());
            let output = match &items[item].work {
                Work::KeyExchange(KeyExchange::Respond { .. }) => {
                    let pair = key_pairs.find(|(_, other)| *other == item);
                    let Some(public) = pair.and_then(|(place, _)| point(generate, place)) else { continue };
                    Output::Exchanged { share: share(&public), shared }
                }
                _ => Output::Agreed(shared),
            };
            items[item].result = Some(Ok(output));
        }
        drop(key_pairs);
        wipe(sign);
        wipe(nonces);
        wipe(generate);
        wipe(agree);
        self.signatures.clear();
        self.key_pairs.clear();
        self.agreements.clear();
    }
}

/// An integer of one lane, big-endian.
fn bytes(words: &[crate::lanes::vector::Block; 4], lane: usize) -> [u8; 32] {
    let integer: Limbs = get(words, lane);
    limbs::to_be_bytes(&integer)
}

/// A key pair's public point, uncompressed; `None` if the lane is not done.
fn point(generate: &[Generate], Place { vector, lane }: Place) -> Option<[u8; POINT]> {
    let vector = &generate[vector];
    let mut point = [4; POINT];
    point[1..33].copy_from_slice(&bytes(&vector.x, lane));
    point[33..].copy_from_slice(&bytes(&vector.y, lane));
    vector.done.has(lane).then_some(point)
}
