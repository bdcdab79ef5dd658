// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public-key work of many connections at once.
//!
//! The caller hands over what became ready together and gets one result per item. Where the CPU has
//! lanes for them, items of a kind share passes: eight to a vector, up to eight vectors to an inversion.
//! Too few items of a kind to be worth a vector, and every item without lanes, take the scalar path
//! at once; nothing ever waits for company. RSA signatures too few for a pass use the vectors one by
//! one. Results do not depend on the path or on the neighbours.
//!
//! **Time.** A call computes all its items before it returns. Work is proportional to their number;
//! on a Zen 4 core at 3.6 GHz a full pass of 64 X25519 responses takes about 0.4 ms, of 64 ECDSA
//! signatures 0.15 ms, of 32 P-256 agreements 0.25 ms, of 8 RSA-2048 signatures 1 ms. A caller that
//! must serve others in between bounds the items per call.

#[cfg(target_arch = "x86_64")]
mod gather;
mod item;
#[cfg(target_arch = "x86_64")]
mod lineup;
#[cfg(target_arch = "x86_64")]
mod mlkem;
#[cfg(target_arch = "x86_64")]
mod p256;
#[cfg(target_arch = "x86_64")]
mod rsa;
#[cfg(target_arch = "x86_64")]
mod x25519;

pub use item::Item;

use core::mem::MaybeUninit;

use crate::cpu::Cpu;
use crate::rsa::Way;
use crate::wipe::wiping_stack;

/// Computes batches of work. 464 KiB of scratch memory (on x86-64), wiped after every pass: keep it in a
/// box or a static, one per thread.
pub struct Engine {
    cpu: Cpu,
    #[cfg(target_arch = "x86_64")]
    lanes: gather::Lanes,
    #[cfg(target_arch = "x86_64")]
    mlkem: mlkem::MlKem,
    #[cfg(target_arch = "x86_64")]
    rsa: crate::rsa::ifma::Scratch,
}

impl Engine {
    /// An engine for this CPU.
    pub fn new(cpu: Cpu) -> Self {
        Self {
            cpu,
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Lanes` is made of integers and vectors of integers, for which zeros are valid.
            // Its vectors are used only with the token that `cpu` carries.
            lanes: unsafe { MaybeUninit::zeroed().assume_init() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `MlKem` too is made of integers, and of arrays of bytes.
            mlkem: unsafe { MaybeUninit::zeroed().assume_init() },
            #[cfg(target_arch = "x86_64")]
            rsa: crate::rsa::ifma::Scratch::ZERO,
        }
    }

    /// Makes an engine where it will stay, without passing it over the stack.
    pub fn init(memory: &mut MaybeUninit<Self>, cpu: Cpu) -> &mut Self {
        let engine = memory.as_mut_ptr();
        // SAFETY: the pointer comes from a reference. Every field is written: zeros are valid for
        // all, see `new`, but `cpu`, which is written as a whole.
        unsafe {
            engine.write_bytes(0, 1);
            (&raw mut (*engine).cpu).write(cpu);
            memory.assume_init_mut()
        }
    }

    /// What it runs on.
    pub const fn cpu(&self) -> Cpu {
        self.cpu
    }

    /// Computes every item that has no result yet; of their secrets, nothing stays behind on the stack, in vector registers
    /// or in the engine.
    pub fn run(&mut self, items: &mut [Item<'_>]) {
        let depths = items.iter().filter(|item| item.result.is_none()).map(|item| item.work.depth());
        if let Some(depth) = depths.max() {
            wiping_stack(depth, || self.compute(items));
        }
    }

    #[inline(never)]
    fn compute(&mut self, items: &mut [Item<'_>]) {
        #[cfg(target_arch = "x86_64")]
        self.run_lanes(items);
        // What the lanes did not take, or could not finish.
        for item in items {
            if item.result.is_none() {
                let way = match self.cpu {
                    #[cfg(target_arch = "x86_64")]
                    Cpu::Ifma(token) => Way::Ifma(token, &mut self.rsa),
                    _ => Way::Scalar,
                };
                item.result = Some(item.work.run_by(way));
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn run_lanes(&mut self, items: &mut [Item<'_>]) {
        let Some(token) = mlkem::Token::new(self.cpu) else { return };
        self.lanes.run(self.cpu, items, (token, &mut self.mlkem));
        self.mlkem.run(token, items);
    }
}
