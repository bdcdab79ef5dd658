// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sorts items into passes by kind.

use super::Item;
use super::p256::P256;
use super::x25519::X25519;
use crate::cpu::Ifma;
use crate::job::{Group, KeyExchange, PeerShare, Work};
use crate::lanes::{self, LANES};
use crate::sign::{Key, Scheme};

/// What can share a pass, and has a break-even of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    X25519Respond,
    X25519Generate,
    X25519Agree,
    P256Respond,
    P256Generate,
    P256Agree,
    EcdsaSign,
}

impl Kind {
    const COUNT: usize = Self::EcdsaSign as usize + 1;

    /// The kind of an item without a result, `None` if there are no lanes for it.
    fn of(item: &Item<'_>) -> Option<Self> {
        if item.result.is_some() {
            return None;
        }
        match &item.work {
            Work::KeyExchange(KeyExchange::Respond { peer, .. }) => Some(match peer {
                PeerShare::X25519(_) | PeerShare::X25519MlKem768(_) => Self::X25519Respond,
                PeerShare::Secp256r1(_) => Self::P256Respond,
            }),
            Work::KeyExchange(KeyExchange::Generate { group, .. }) => match group {
                Group::X25519 => Some(Self::X25519Generate),
                Group::Secp256r1 => Some(Self::P256Generate),
                Group::X25519MlKem768 => None,
            },
            Work::KeyExchange(KeyExchange::Agree { peer, .. }) => match peer {
                PeerShare::X25519(_) => Some(Self::X25519Agree),
                PeerShare::Secp256r1(_) => Some(Self::P256Agree),
                PeerShare::X25519MlKem768(_) => None,
            },
            Work::Sign(key, request) => match (&key.0, request.scheme) {
                (Key::EcdsaP256(_), Scheme::EcdsaP256Sha256) => Some(Self::EcdsaSign),
                _ => None,
            },
        }
    }

    /// Fewest items for which a vector costs less than scalar code one by one
    /// (`make bench-crypto` measures it).
    const fn break_even(self) -> usize {
        match self {
            Self::X25519Respond | Self::X25519Generate | Self::X25519Agree => 2,
            Self::P256Respond | Self::P256Generate | Self::P256Agree | Self::EcdsaSign => 2,
        }
    }

    /// How many of `count` items to give to the lanes: all, or all that fill vectors.
    const fn share_of_lanes(self, count: usize) -> usize {
        let rest = count % LANES;
        if rest < self.break_even() { count - rest } else { count }
    }
}

/// Passes being gathered and their scratch. Plain integers: valid when all bytes are zero.
pub(super) struct Lanes {
    x25519: X25519,
    p256: P256,
}

impl Lanes {
    /// Computes the items for which lanes pay off. Others, and lanes that fail to finish, keep `None`.
    pub(super) fn run(&mut self, t: Ifma, items: &mut [Item<'_>]) {
        let mut left = [0; Kind::COUNT];
        for kind in items.iter().filter_map(Kind::of) {
            left[kind as usize] += 1;
        }
        for kind in [
            Kind::X25519Respond,
            Kind::X25519Generate,
            Kind::X25519Agree,
            Kind::P256Respond,
            Kind::P256Generate,
            Kind::P256Agree,
            Kind::EcdsaSign,
        ] {
            left[kind as usize] = kind.share_of_lanes(left[kind as usize]);
        }
        if left == [0; Kind::COUNT] {
            return;
        }
        for index in 0..items.len() {
            let Some(kind) = Kind::of(&items[index]) else { continue };
            if left[kind as usize] == 0 {
                continue;
            }
            left[kind as usize] -= 1;
            match kind {
                Kind::X25519Respond | Kind::X25519Generate | Kind::X25519Agree => {
                    if self.x25519.is_full() {
                        self.x25519.flush(t, items);
                    }
                    self.x25519.push(index, &items[index].work);
                }
                Kind::P256Respond | Kind::P256Generate | Kind::P256Agree | Kind::EcdsaSign => {
                    if self.p256.is_full() {
                        self.p256.flush(t, items);
                    }
                    self.p256.push(index, &items[index].work);
                }
            }
        }
        self.x25519.flush(t, items);
        self.p256.flush(t, items);
        lanes::wipe_registers_and_stack(t);
    }
}
