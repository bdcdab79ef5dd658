// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sorts items into passes by kind.

use super::item::Item;
use super::mlkem::{MlKem, Token};
use super::p256::P256;
use super::rsa::{EXPONENT, Rsa};
use super::x25519::X25519;
use core::mem::ManuallyDrop;

use crate::cpu::{Cpu, Ifma};
use crate::job::{Group, KeyExchange, PeerShare, Work};
#[cfg(feature = "std")]
use crate::lanes::avx::{Encoded, Evex, Vex};
use crate::lanes::avx::{Half, Without};
use crate::lanes::field25519::Curve25519;
use crate::lanes::montgomery::Montgomery;
use crate::lanes::{self, LANES};
use crate::rsa::{Crt, PrivateKey};
use crate::sign::{Key, Scheme};

/// What shares vectors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    X25519Respond,
    X25519Generate,
    X25519Agree,
    P256Respond,
    P256Generate,
    P256Agree,
    EcdsaSign,
    Rsa2048Sign,
    Rsa3072Sign,
    Rsa4096Sign,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::X25519Respond,
        Self::X25519Generate,
        Self::X25519Agree,
        Self::P256Respond,
        Self::P256Generate,
        Self::P256Agree,
        Self::EcdsaSign,
        Self::Rsa2048Sign,
        Self::Rsa3072Sign,
        Self::Rsa4096Sign,
    ];

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
                (Key::Rsa(key), Scheme::RsaPss(_) | Scheme::RsaPkcs1(_)) => match key {
                    PrivateKey::Bits2048(key) if key.e == EXPONENT => Some(Self::Rsa2048Sign),
                    PrivateKey::Bits3072(key) if key.e == EXPONENT => Some(Self::Rsa3072Sign),
                    PrivateKey::Bits4096(key) if key.e == EXPONENT => Some(Self::Rsa4096Sign),
                    _ => None,
                },
                _ => None,
            },
        }
    }

    /// Fewest items for which a vector costs less than one by one, where RSA signatures lie across the
    /// lanes and others take scalar code. `make bench-crypto` measures it; this is for Zen 4, and for Zen 3 without
    /// IFMA. `None` if the CPU has no lanes for it.
    const fn break_even(self, cpu: Cpu) -> Option<usize> {
        match (self, cpu) {
            (_, Cpu::Scalar) => None,
            (Self::Rsa2048Sign, Cpu::Ifma(_)) => Some(4),
            (Self::Rsa3072Sign, Cpu::Ifma(_)) => Some(5),
            (Self::Rsa4096Sign, Cpu::Ifma(_)) => Some(6),
            (Self::Rsa2048Sign | Self::Rsa3072Sign | Self::Rsa4096Sign, _) => None,
            (Self::X25519Respond | Self::X25519Generate | Self::X25519Agree, _) => Some(2),
            (Self::P256Respond | Self::P256Agree | Self::EcdsaSign, Cpu::AvxIfma(_)) => Some(3),
            (Self::P256Generate | Self::EcdsaSign, Cpu::Avx2(_)) => Some(4),
            (Self::P256Respond, Cpu::Avx2(_)) => Some(6),
            (Self::P256Agree, Cpu::Avx2(_)) => Some(7),
            _ => Some(2),
        }
    }

    /// Lanes that are computed for one item: a vector's, or a part's of it.
    const fn lanes(self, cpu: Cpu) -> usize {
        match (self, cpu) {
            (
                Self::X25519Respond | Self::X25519Generate | Self::X25519Agree,
                Cpu::Avx2(_) | Cpu::AvxIfma(_),
            ) => LANES / 2,
            _ => LANES,
        }
    }

    /// How many of `count` items to give to the lanes: all, or all that fill their lanes.
    const fn share_of_lanes(self, count: usize, cpu: Cpu) -> usize {
        let rest = count % self.lanes(cpu);
        match self.break_even(cpu) {
            None => 0,
            Some(least) if rest < least => count - rest,
            Some(_) => count,
        }
    }
}

/// Passes being gathered and their scratch. Plain integers: valid when all bytes are zero.
pub(super) struct Lanes {
    passes: Passes,
    scratch: Scratches,
}

struct Passes {
    x25519: X25519,
    p256: P256,
    rsa2048: Rsa<16, 32, 4, 8>,
    rsa3072: Rsa<24, 48, 6, 12>,
    rsa4096: Rsa<32, 64, 8, 16>,
}

/// Scratch of one instruction set.
struct Scratch<S: Curve25519 + Montgomery, const PARTS: usize> {
    x25519: lanes::x25519::Scratch<S, PARTS>,
    p256: lanes::p256::Scratch<S, PARTS>,
    ecdsa: lanes::ecdsa::Scratch<S, PARTS>,
}

/// Scratch of the only instruction set that an engine uses.
union Scratches {
    avx2: ManuallyDrop<Scratch<Half<Without>, 2>>,
    ifma: ManuallyDrop<Scratch<Ifma, 1>>,
    #[cfg(feature = "std")]
    vex: ManuallyDrop<Scratch<Half<Vex>, 2>>,
    #[cfg(feature = "std")]
    evex: ManuallyDrop<Scratch<Half<Evex>, 2>>,
}

/// What computes passes.
struct Computer<'s, S: Curve25519 + Montgomery, const PARTS: usize> {
    cpu: Cpu,
    token: S,
    scratch: &'s mut Scratch<S, PARTS>,
    /// RSA has lanes in AVX-512 only.
    rsa: Option<Ifma>,
    /// Goes on with what X25519 begins.
    mlkem: (Token, &'s mut MlKem),
}

impl Lanes {
    /// Computes the items for which lanes pay off. Others, and lanes that fail to finish, keep `None`.
    pub(super) fn run(&mut self, cpu: Cpu, items: &mut [Item<'_>], mlkem: (Token, &mut MlKem)) {
        let Self { passes, scratch } = self;
        // SAFETY: any bytes are valid integers, so every field is, whichever was written.
        unsafe {
            match cpu {
                Cpu::Scalar => {}
                Cpu::Avx2(token) => {
                    let (token, scratch) = (token.lanes(), &mut *scratch.avx2);
                    passes.run(Computer { cpu, token, scratch, rsa: None, mlkem }, items);
                }
                Cpu::Ifma(token) => {
                    let scratch = &mut *scratch.ifma;
                    passes.run(Computer { cpu, token, scratch, rsa: Some(token), mlkem }, items);
                }
                #[cfg(not(feature = "std"))]
                Cpu::AvxIfma(_) => {}
                #[cfg(feature = "std")]
                Cpu::AvxIfma(token) => match token.lanes() {
                    Encoded::Vex(token) => {
                        let scratch = &mut *scratch.vex;
                        passes.run(Computer { cpu, token, scratch, rsa: None, mlkem }, items);
                    }
                    Encoded::Evex(token) => {
                        let scratch = &mut *scratch.evex;
                        passes.run(Computer { cpu, token, scratch, rsa: None, mlkem }, items);
                    }
                },
            }
        }
    }
}

impl Passes {
    fn run<S: Curve25519 + Montgomery, const PARTS: usize>(
        &mut self,
        mut computer: Computer<'_, S, PARTS>,
        items: &mut [Item<'_>],
    ) {
        let mut left = [0; Kind::ALL.len()];
        for kind in items.iter().filter_map(Kind::of) {
            left[kind as usize] += 1;
        }
        for kind in Kind::ALL {
            left[kind as usize] = kind.share_of_lanes(left[kind as usize], computer.cpu);
        }
        if left == [0; Kind::ALL.len()] {
            return;
        }
        for index in 0..items.len() {
            if let Some(kind) = Kind::of(&items[index])
                && left[kind as usize] > 0
            {
                left[kind as usize] -= 1;
                self.push(&mut computer, kind, index, items);
            }
        }
        self.flush_x25519(&mut computer, items);
        self.flush_p256(&mut computer, items);
        if let Some(token) = computer.rsa {
            self.rsa2048.flush(token, items, bits2048);
            self.rsa3072.flush(token, items, bits3072);
            self.rsa4096.flush(token, items, bits4096);
        }
    }

    /// Adds an item to its pass, after computing the pass if it is full.
    fn push<S: Curve25519 + Montgomery, const PARTS: usize>(
        &mut self,
        computer: &mut Computer<'_, S, PARTS>,
        kind: Kind,
        index: usize,
        items: &mut [Item<'_>],
    ) {
        match kind {
            Kind::X25519Respond | Kind::X25519Generate | Kind::X25519Agree => {
                if self.x25519.is_full() {
                    self.flush_x25519(computer, items);
                }
                self.x25519.push(index, &items[index].work);
            }
            Kind::P256Respond | Kind::P256Generate | Kind::P256Agree | Kind::EcdsaSign => {
                if self.p256.is_full() {
                    self.flush_p256(computer, items);
                }
                self.p256.push(index, &items[index].work);
            }
            Kind::Rsa2048Sign | Kind::Rsa3072Sign | Kind::Rsa4096Sign => {
                let Some(token) = computer.rsa else { return };
                match kind {
                    Kind::Rsa2048Sign => push_rsa(&mut self.rsa2048, token, index, items, bits2048),
                    Kind::Rsa3072Sign => push_rsa(&mut self.rsa3072, token, index, items, bits3072),
                    _ => push_rsa(&mut self.rsa4096, token, index, items, bits4096),
                }
            }
        }
    }

    fn flush_x25519<S: Curve25519 + Montgomery, const PARTS: usize>(
        &mut self,
        computer: &mut Computer<'_, S, PARTS>,
        items: &mut [Item<'_>],
    ) {
        let (token, mlkem) = &mut computer.mlkem;
        self.x25519.flush(computer.token, &mut computer.scratch.x25519, items, (*token, mlkem));
    }

    fn flush_p256<S: Curve25519 + Montgomery, const PARTS: usize>(
        &mut self,
        computer: &mut Computer<'_, S, PARTS>,
        items: &mut [Item<'_>],
    ) {
        let Scratch { p256, ecdsa, .. } = &mut *computer.scratch;
        self.p256.flush(computer.token, p256, ecdsa, items);
    }
}

fn push_rsa<const HALF: usize, const FULL: usize, const K: usize, const F: usize>(
    pass: &mut Rsa<HALF, FULL, K, F>,
    t: Ifma,
    index: usize,
    items: &mut [Item<'_>],
    crt: fn(&PrivateKey) -> Option<&Crt<HALF, FULL>>,
) {
    if pass.is_full() {
        pass.flush(t, items, crt);
    }
    if let Work::Sign(key, request) = &items[index].work
        && let Key::Rsa(key) = &key.0
        && let Some(key) = crt(key)
    {
        pass.push(index, key, request);
    }
}

const fn bits2048(key: &PrivateKey) -> Option<&Crt<16, 32>> {
    if let PrivateKey::Bits2048(key) = key { Some(key) } else { None }
}

const fn bits3072(key: &PrivateKey) -> Option<&Crt<24, 48>> {
    if let PrivateKey::Bits3072(key) = key { Some(key) } else { None }
}

const fn bits4096(key: &PrivateKey) -> Option<&Crt<32, 64>> {
    if let PrivateKey::Bits4096(key) = key { Some(key) } else { None }
}
