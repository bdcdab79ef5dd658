// SPDX-License-Identifier: MIT OR Apache-2.0
//! One pass of P-256: key pairs, agreements and ECDSA signatures.

use super::Item;
use crate::job::{Failed, KeyExchange, Output, PeerShare, Seed, Work};
use crate::key_exchange::{share, shared};
use crate::lanes::montgomery::Montgomery;
use crate::lanes::p256::{self, AGREE_VECTORS, Agree, Generate, run};
use crate::lanes::{LANES, VECTORS, ecdsa, get, nonce, put, wipe};
use crate::limbs::{self, Limbs};
use crate::p256::scalar::Scalar;
use crate::p256::{POINT, ecdsa as scalar_ecdsa};
use crate::secret::Secret;
use crate::sign::Key;

/// Most key pairs, and most signatures, of a pass.
const CAPACITY: usize = VECTORS * LANES;
/// Most agreements.
const AGREE_CAPACITY: usize = AGREE_VECTORS * LANES;

/// Gathers items until a pass is full or flushed.
pub(super) struct P256 {
    sign: [ecdsa::Sign; VECTORS],
    generate: [Generate; VECTORS],
    agree: [Agree; AGREE_VECTORS],
    /// The item that each signature belongs to.
    sign_items: [usize; CAPACITY],
    signed: usize,
    /// The item that each key pair belongs to.
    generate_items: [usize; CAPACITY],
    generated: usize,
    /// The item that each agreement belongs to, and where its key pair is if it makes one.
    agree_items: [(usize, Option<usize>); AGREE_CAPACITY],
    agreed: usize,
}

impl P256 {
    pub(super) const fn is_full(&self) -> bool {
        self.signed == CAPACITY || self.generated == CAPACITY || self.agreed == AGREE_CAPACITY
    }

    /// Takes a job of this curve in; there must be room.
    pub(super) fn push(&mut self, item: usize, work: &Work<'_>) {
        match work {
            Work::KeyExchange(KeyExchange::Generate { seed, .. }) => self.push_generate(item, seed),
            Work::KeyExchange(KeyExchange::Agree { private, peer: PeerShare::Secp256r1(peer) }) => {
                self.push_agree((item, None), private.expose(), peer);
            }
            Work::KeyExchange(KeyExchange::Respond { seed, peer: PeerShare::Secp256r1(peer) }) => {
                let Some(private) = seed.expose().first_chunk() else { return };
                self.push_agree((item, Some(self.generated)), private, peer);
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
        let (vector, lane) = (&mut self.sign[self.signed / LANES], self.signed % LANES);
        put(&mut vector.key, lane, &key.scalar().0);
        put(&mut vector.digest, lane, &Scalar::reduced(&limbs::from_be_bytes(digest)).0);
        put(&mut vector.entropy, lane, &limbs::from_be_bytes(entropy.expose()));
        self.sign_items[self.signed] = item;
        self.signed += 1;
    }

    fn push_generate(&mut self, item: usize, seed: &Seed) {
        let Some(private) = seed.expose().first_chunk() else { return };
        let (vector, lane) = (self.generated / LANES, self.generated % LANES);
        put(&mut self.generate[vector].scalar, lane, &limbs::from_be_bytes(private));
        self.generate_items[self.generated] = item;
        self.generated += 1;
    }

    fn push_agree(&mut self, item: (usize, Option<usize>), private: &[u8; 32], peer: &[u8; POINT]) {
        let (vector, lane) = (&mut self.agree[self.agreed / LANES], self.agreed % LANES);
        put(&mut vector.scalar, lane, &limbs::from_be_bytes(private));
        // Another form than uncompressed stays (0, 0), which is not on the curve.
        if let ([4, coordinates @ ..], ([x, y], [])) = (peer, peer[1..].as_chunks()) {
            let _: &[u8; 64] = coordinates;
            put(&mut vector.peer_x, lane, &limbs::from_be_bytes(x));
            put(&mut vector.peer_y, lane, &limbs::from_be_bytes(y));
        }
        self.agree_items[self.agreed] = item;
        self.agreed += 1;
    }

    /// Computes what was gathered and hands out the results; lanes that are not done keep `None`.
    pub(super) fn flush<S: Montgomery, const PARTS: usize>(
        &mut self,
        t: S,
        scratch: &mut p256::Scratch<S, PARTS>,
        sign_scratch: &mut ecdsa::Scratch<S, PARTS>,
        items: &mut [Item<'_>],
    ) {
        let sign = &mut self.sign[..self.signed.div_ceil(LANES)];
        let generate = &mut self.generate[..self.generated.div_ceil(LANES)];
        let agree = &mut self.agree[..self.agreed.div_ceil(LANES)];
        // One by one: kernels have little stack.
        t.compiled(
            #[inline(always)]
            || nonce::derive(t, sign),
        );
        t.compiled(
            #[inline(always)]
            || run(t, sign, generate, agree, scratch),
        );
        t.compiled(
            #[inline(always)]
            || ecdsa::finish(t, sign, sign_scratch),
        );

        for (index, &item) in self.sign_items[..self.signed].iter().enumerate() {
            let (vector, lane) = (&sign[index / LANES], index % LANES);
            if vector.done.has(lane) {
                let signature = scalar_ecdsa::der(&bytes(&vector.r, lane), &bytes(&vector.s, lane));
                items[item].result = Some(Ok(Output::Signed(signature)));
            }
        }
        for (index, &item) in self.generate_items[..self.generated].iter().enumerate() {
            if let Work::KeyExchange(KeyExchange::Generate { seed, .. }) = &items[item].work
                && let Some(public) = point(generate, index)
            {
                let mut private = Secret::zero();
                private.expose_mut().copy_from_slice(&seed.expose()[..32]);
                items[item].result = Some(Ok(Output::Generated { share: share(&public), private }));
            }
        }
        for (index, &(item, pair)) in self.agree_items[..self.agreed].iter().enumerate() {
            let (vector, lane) = (&agree[index / LANES], index % LANES);
            if vector.off_curve.has(lane) {
                items[item].result = Some(Err(Failed::BadPeerShare));
            } else if vector.done.has(lane) {
                let secret = Secret::new(bytes(&vector.x, lane));
                let shared = shared(secret.expose());
                match pair.map(|pair| point(generate, pair)) {
                    None => items[item].result = Some(Ok(Output::Agreed(shared))),
                    Some(Some(public)) => {
                        items[item].result = Some(Ok(Output::Exchanged { share: share(&public), shared }));
                    }
                    Some(None) => {}
                }
            }
        }
        wipe(sign);
        wipe(generate);
        wipe(agree);
        (self.signed, self.generated, self.agreed) = (0, 0, 0);
    }
}

/// An integer of one lane, big-endian.
fn bytes(words: &[crate::lanes::vector::Block; 4], lane: usize) -> [u8; 32] {
    let integer: Limbs = get(words, lane);
    limbs::to_be_bytes(&integer)
}

/// A key pair's public point, uncompressed; `None` if the lane is not done.
fn point(generate: &[Generate], index: usize) -> Option<[u8; POINT]> {
    let (vector, lane) = (&generate[index / LANES], index % LANES);
    let mut point = [4; POINT];
    point[1..33].copy_from_slice(&bytes(&vector.x, lane));
    point[33..].copy_from_slice(&bytes(&vector.y, lane));
    vector.done.has(lane).then_some(point)
}
