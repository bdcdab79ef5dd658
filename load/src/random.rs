// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random numbers that need only differ, and be had in a nanosecond (SplitMix64): client randoms, session IDs, pauses.

/// A stream of them.
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// The same seed gives the same stream.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is at least 1. Not quite even: for bounds far below 2^64.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number of (0, 1].
    #[allow(clippy::cast_precision_loss)] // 53 bits
    pub(crate) const fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Fills `bytes`.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_be_bytes()[..chunk.len()]);
        }
    }

    /// What a ClientHello takes.
    pub(crate) fn fresh(&mut self) -> [u8; 64] {
        let mut bytes = [0; 64];
        self.fill(&mut bytes);
        bytes
    }
}
