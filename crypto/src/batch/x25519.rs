// SPDX-License-Identifier: MIT OR Apache-2.0
//! One pass of X25519 and X25519MLKEM768.

use super::item::Item;
use super::lineup::{Lineup, Place};
use super::mlkem::{MlKem, Token};
use crate::job::{Failed, Group, KeyExchange, Output, PeerShare, Seed, Work};
use crate::key_exchange::{X25519Half, generated, share, shared};
use crate::lanes::field25519::Curve25519;
use crate::lanes::x25519::{Agree, Generate, Scratch, run};
use crate::lanes::{LANES, VECTORS, get, put};
use crate::limbs;
use crate::secret::Secret;
use crate::wipe::wipe;

/// Most key pairs, and most agreements, of a pass.
const CAPACITY: usize = VECTORS * LANES;

/// Gathers items until a pass is full or flushed. A response is a key pair and an agreement, in the same order.
pub(super) struct X25519 {
    generate: [Generate; VECTORS],
    agree: [Agree; VECTORS],
    key_pairs: Lineup<CAPACITY>,
    agreements: Lineup<CAPACITY>,
}

impl X25519 {
    pub(super) const fn is_full(&self) -> bool {
        self.key_pairs.is_full() || self.agreements.is_full()
    }

    /// Takes a job of this curve in; there must be room.
    pub(super) fn push(&mut self, item: usize, work: &Work<'_>) {
        let Work::KeyExchange(exchange) = work else { return };
        match exchange {
            KeyExchange::Generate { seed, .. } => self.push_generate(item, seed),
            KeyExchange::Agree { private, peer: PeerShare::X25519(peer) } => {
                self.push_agree(item, private.expose(), peer);
            }
            KeyExchange::Respond { seed, peer } => {
                let peer = match peer {
                    PeerShare::X25519(peer) => Some(peer),
                    PeerShare::X25519MlKem768(peer) => peer.last_chunk(),
                    PeerShare::Secp256r1(_) => None,
                };
                let (Some(peer), Some(private)) = (peer, seed.expose().first_chunk()) else { return };
                self.push_agree(item, private, peer);
                self.push_generate(item, seed);
            }
            KeyExchange::Agree { .. } => {}
        }
    }

    fn push_generate(&mut self, item: usize, seed: &Seed) {
        let Some(private) = seed.expose().first_chunk() else { return };
        let Place { vector, lane } = self.key_pairs.push(item);
        put(&mut self.generate[vector].private, lane, &limbs::from_le_bytes(private));
    }

    fn push_agree(&mut self, item: usize, private: &[u8; 32], peer: &[u8; 32]) {
        let Place { vector, lane } = self.agreements.push(item);
        put(&mut self.agree[vector].private, lane, &limbs::from_le_bytes(private));
        put(&mut self.agree[vector].peer, lane, &limbs::from_le_bytes(peer));
    }

    /// Computes what was gathered and hands out the results, those of hybrid exchanges to `mlkem`.
    pub(super) fn flush<S: Curve25519, const PARTS: usize>(
        &mut self,
        t: S,
        scratch: &mut Scratch<S, PARTS>,
        items: &mut [Item<'_>],
        mlkem: (Token, &mut MlKem),
    ) {
        let generate = &mut self.generate[..self.key_pairs.vectors()];
        let agree = &mut self.agree[..self.agreements.vectors()];
        let counts = (self.key_pairs.len(), self.agreements.len());
        t.compiled(
            #[inline(always)]
            || run(t, (generate, counts.0), (agree, counts.1), scratch),
        );

        let public = |place: Place| limbs::to_le_bytes(&get(&generate[place.vector].public, place.lane));
        for (place, item) in self.key_pairs.iter() {
            if let Work::KeyExchange(KeyExchange::Generate { seed, .. }) = &items[item].work {
                items[item].result = Some(Ok(generated(&public(place), seed)));
            }
        }
        let mut key_pairs = self.key_pairs.iter();
        for (Place { vector, lane }, item) in self.agreements.iter() {
            let vector = &agree[vector];
            if vector.low_order.has(lane) {
                items[item].result = Some(Err(Failed::BadPeerShare));
                continue;
            }
            let secret = Secret::new(limbs::to_le_bytes(&get(&vector.shared, lane)));
            let output = match &items[item].work {
                Work::KeyExchange(KeyExchange::Respond { peer, .. }) => {
                    let Some((place, _)) = key_pairs.find(|(_, other)| *other == item) else { continue };
                    let public = public(place);
                    if peer.group() == Group::X25519MlKem768 {
                        mlkem.1.push(mlkem.0, item, X25519Half { share: public, secret }, items);
                        continue;
                    }
                    Output::Exchanged { share: share(&public), shared: shared(secret.expose()) }
                }
                _ => Output::Agreed(shared(secret.expose())),
            };
            items[item].result = Some(Ok(output));
        }
        drop(key_pairs);
        wipe(generate);
        wipe(agree);
        self.key_pairs.clear();
        self.agreements.clear();
    }
}
