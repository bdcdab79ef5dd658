// SPDX-License-Identifier: MIT OR Apache-2.0
//! What several test files need.
#![allow(dead_code)] // each file uses its part

/// Bytes from hexadecimal.
pub(crate) fn hex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), 2 * N);
    std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

/// SplitMix64: the same bytes in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.word().to_le_bytes()[0])
    }

    /// Bytes in runs of zeros and ones as often as random: such values find lost carries.
    pub(crate) fn edgy<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = self.bytes();
        let mut at = 0;
        while at < N {
            let end = (at + usize::from(self.word().to_le_bytes()[0] % 12)).min(N);
            match self.word() % 3 {
                0 => bytes[at..end].fill(0),
                1 => bytes[at..end].fill(0xff),
                _ => {}
            }
            at = end.max(at + 1);
        }
        bytes
    }
}
