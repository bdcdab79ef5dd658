// SPDX-License-Identifier: MIT OR Apache-2.0
//! One pass of X25519 and X25519MLKEM768.

use super::Item;
use super::mlkem::{MlKem, Token};
use crate::job::{Failed, Group, KeyExchange, Output, PeerShare, Seed, Work};
use crate::key_exchange::{X25519Half, share, shared};
use crate::lanes::field25519::Curve25519;
use crate::lanes::x25519::{Agree, Generate, Scratch, run};
use crate::lanes::{LANES, VECTORS, get, put, wipe};
use crate::limbs;
use crate::secret::Secret;

/// Most key pairs, and most agreements, of a pass.
const CAPACITY: usize = VECTORS * LANES;

/// Gathers items until a pass is full or flushed.
pub(super) struct X25519 {
    generate: [Generate; VECTORS],
    agree: [Agree; VECTORS],
    /// The item that each key pair belongs to.
    generate_items: [usize; CAPACITY],
    generated: usize,
    /// The item that each agreement belongs to, and where its key pair is if it makes one.
    agree_items: [(usize, Option<usize>); CAPACITY],
    agreed: usize,
}

impl X25519 {
    pub(super) const fn is_full(&self) -> bool {
        self.generated == CAPACITY || self.agreed == CAPACITY
    }

    /// Takes a job of this curve in; there must be room.
    pub(super) fn push(&mut self, item: usize, work: &Work<'_>) {
        let Work::KeyExchange(exchange) = work else { return };
        match exchange {
            KeyExchange::Generate { seed, .. } => self.push_generate(item, seed),
            KeyExchange::Agree { private, peer: PeerShare::X25519(peer) } => {
                self.push_agree((item, None), private.expose(), peer);
            }
            KeyExchange::Respond { seed, peer } => {
                let peer = match peer {
                    PeerShare::X25519(peer) => Some(peer),
                    PeerShare::X25519MlKem768(peer) => peer.last_chunk(),
                    PeerShare::Secp256r1(_) => None,
                };
                let (Some(peer), Some(private)) = (peer, seed.expose().first_chunk()) else { return };
                self.push_agree((item, Some(self.generated)), private, peer);
                self.push_generate(item, seed);
            }
            KeyExchange::Agree { .. } => {}
        }
    }

    fn push_generate(&mut self, item: usize, seed: &Seed) {
        let Some(private) = seed.expose().first_chunk() else { return };
        let (vector, lane) = (self.generated / LANES, self.generated % LANES);
        put(&mut self.generate[vector].private, lane, &limbs::from_le_bytes(private));
        self.generate_items[self.generated] = item;
        self.generated += 1;
    }

    fn push_agree(&mut self, item: (usize, Option<usize>), private: &[u8; 32], peer: &[u8; 32]) {
        let (vector, lane) = (self.agreed / LANES, self.agreed % LANES);
        put(&mut self.agree[vector].private, lane, &limbs::from_le_bytes(private));
        put(&mut self.agree[vector].peer, lane, &limbs::from_le_bytes(peer));
        self.agree_items[self.agreed] = item;
        self.agreed += 1;
    }

    /// Computes what was gathered and hands out the results, those of hybrid exchanges to `mlkem`.
    pub(super) fn flush<S: Curve25519, const PARTS: usize>(
        &mut self,
        t: S,
        scratch: &mut Scratch<S, PARTS>,
        items: &mut [Item<'_>],
        mlkem: (Token, &mut MlKem),
    ) {
        let (generated, agreed) = (self.generated, self.agreed);
        let generate = &mut self.generate[..self.generated.div_ceil(LANES)];
        let agree = &mut self.agree[..self.agreed.div_ceil(LANES)];
        t.compiled(
            #[inline(always)]
            || run(t, (generate, generated), (agree, agreed), scratch),
        );

        let public = |index: usize| limbs::to_le_bytes(&get(&generate[index / LANES].public, index % LANES));
        for (index, &item) in self.generate_items[..self.generated].iter().enumerate() {
            if let Work::KeyExchange(KeyExchange::Generate { seed, .. }) = &items[item].work {
                let mut private = Secret::zero();
                private.expose_mut().copy_from_slice(&seed.expose()[..32]);
                items[item].result = Some(Ok(Output::Generated { share: share(&public(index)), private }));
            }
        }
        for (index, &(item, pair)) in self.agree_items[..self.agreed].iter().enumerate() {
            let (vector, lane) = (&agree[index / LANES], index % LANES);
            if vector.low_order.has(lane) {
                items[item].result = Some(Err(Failed::BadPeerShare));
                continue;
            }
            let secret = Secret::new(limbs::to_le_bytes(&get(&vector.shared, lane)));
            let output = match (&items[item].work, pair) {
                (Work::KeyExchange(KeyExchange::Respond { peer, .. }), Some(pair)) => {
                    if peer.group() == Group::X25519MlKem768 {
                        let half = X25519Half { share: public(pair), secret };
                        mlkem.1.push(mlkem.0, item, half, items);
                        continue;
                    }
                    Output::Exchanged { share: share(&public(pair)), shared: shared(secret.expose()) }
                }
                _ => Output::Agreed(shared(secret.expose())),
            };
            items[item].result = Some(Ok(output));
        }
        wipe(generate);
        wipe(agree);
        (self.generated, self.agreed) = (0, 0);
    }
}
