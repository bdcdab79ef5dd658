// SPDX-License-Identifier: MIT OR Apache-2.0
//! One pass of ML-KEM-768: what turns X25519 into X25519MLKEM768.

use core::mem::ManuallyDrop;

use super::item::Item;
use crate::cpu::{Avx2, Cpu, Ifma};
use crate::job::Work;
use crate::key_exchange::{KeyExchange, PeerShare, X25519Half, join, mlkem_half, x25519_half};
use crate::lanes::LANES;
use crate::mlkem;
use crate::mlkem::lanes::{Input, Output, Permute, Scratch, encapsulate};
use crate::outcome::Failed;
use crate::secret::Secret;
use crate::wipe::wipe;

/// What an engine's CPU computes passes with.
#[derive(Clone, Copy)]
pub(super) enum Token {
    Four(Avx2),
    Eight(Ifma),
}

impl Token {
    /// `None` if there are no lanes.
    pub(super) fn new(cpu: Cpu) -> Option<Self> {
        match cpu {
            Cpu::Scalar => None,
            Cpu::Avx2(token) => Some(Self::Four(token)),
            Cpu::AvxIfma(token) => Some(Self::Four(token.into())),
            Cpu::Ifma(token) => Some(Self::Eight(token)),
        }
    }

    /// Fewest items for lanes. Four lanes win even alone, by 12 to 16 µs (Zen 3). Where there are eight, the
    /// library's code for one item uses eight for what that item can do side by side: not measured.
    const fn break_even(self) -> usize {
        match self {
            Self::Eight(_) if cfg!(feature = "std") => 2,
            _ => 1,
        }
    }
}

/// Gathers hybrid exchanges whose X25519 half is done until a pass is full or flushed. Plain integers: valid when
/// all bytes are zero.
pub(super) struct MlKem {
    waiting: [Waiting; LANES],
    count: usize,
    outputs: [Output; LANES],
    scratch: Scratches,
}

/// An item and its X25519 half.
struct Waiting {
    item: usize,
    x25519: X25519Half,
}

/// Scratch of the only width that an engine uses.
union Scratches {
    four: ManuallyDrop<Scratch<4>>,
    eight: ManuallyDrop<Scratch<8>>,
}

impl MlKem {
    /// Takes an item in, computing the pass if that fills it.
    pub(super) fn push(&mut self, t: Token, item: usize, x25519: X25519Half, items: &mut [Item<'_>]) {
        self.waiting[self.count] = Waiting { item, x25519 };
        self.count += 1;
        if self.count == LANES {
            self.flush(t, items);
        }
    }

    /// Computes what was gathered, and the hybrid exchanges that are left: too few for X25519's lanes, so that half is
    /// scalar code's.
    pub(super) fn run(&mut self, t: Token, items: &mut [Item<'_>]) {
        // What waits here has no result either.
        self.flush(t, items);
        for index in 0..items.len() {
            let item = &mut items[index];
            if item.result.is_none()
                && let Work::KeyExchange(KeyExchange::Respond { peer: PeerShare::X25519MlKem768(peer), seed }) =
                    &item.work
            {
                match x25519_half(peer, seed) {
                    Ok(half) => self.push(t, index, half, items),
                    Err(failed) => item.result = Some(Err(failed)),
                }
            }
        }
        self.flush(t, items);
    }

    /// Computes what was gathered and hands out the results.
    pub(super) fn flush(&mut self, t: Token, items: &mut [Item<'_>]) {
        let Self { waiting, count, outputs, scratch } = self;
        let waiting = &mut waiting[..*count];
        if waiting.is_empty() {
            return;
        }
        if waiting.len() < t.break_even() {
            for Waiting { item, x25519 } in &*waiting {
                let item = &mut items[*item];
                item.result = input(item).map(|Input { key, message }| {
                    let (ciphertext, secret) = mlkem::encapsulation(key, &Secret::new(*message))
                        .map_err(|_| Failed::BadPeerShare)?;
                    Ok(join(&ciphertext, secret.expose(), x25519))
                });
            }
        } else {
            // SAFETY: any bytes are valid integers, whichever was written.
            unsafe {
                match t {
                    Token::Four(t) => run(t, waiting, items, outputs, &mut scratch.four),
                    Token::Eight(t) => run(t, waiting, items, outputs, &mut scratch.eight),
                }
            }
        }
        for waiting in waiting {
            waiting.x25519.secret = Secret::zero();
        }
        *count = 0;
    }
}

fn run<const W: usize>(
    t: impl Permute<W>,
    waiting: &[Waiting],
    items: &mut [Item<'_>],
    outputs: &mut [Output; LANES],
    scratch: &mut Scratch<W>,
) {
    let outputs = &mut outputs[..waiting.len()];
    let mut inputs = [Input { key: &[0; mlkem::ENCAPSULATION_KEY], message: &[0; 32] }; LANES];
    for (place, waiting) in inputs.iter_mut().zip(waiting) {
        if let Some(input) = input(&items[waiting.item]) {
            *place = input;
        }
    }
    encapsulate(t, &inputs[..waiting.len()], outputs, scratch);
    for (output, waiting) in outputs.iter().zip(waiting) {
        items[waiting.item].result = Some(if output.valid {
            Ok(join(&output.ciphertext, &output.shared, &waiting.x25519))
        } else {
            Err(Failed::BadPeerShare)
        });
    }
    wipe(outputs);
}

/// What ML-KEM takes of an item; `None` if it is no hybrid exchange.
fn input<'i>(item: &'i Item<'_>) -> Option<Input<'i>> {
    match &item.work {
        Work::KeyExchange(KeyExchange::Respond { peer: PeerShare::X25519MlKem768(peer), seed }) => {
            let (key, message) = mlkem_half(peer, seed);
            Some(Input { key, message })
        }
        _ => None,
    }
}
