// SPDX-License-Identifier: MIT OR Apache-2.0
//! What several test files need.
#![allow(dead_code)] // each file uses its part

use ttls_crypto::job::{Failed, Output};

/// Bytes from hexadecimal.
pub(crate) fn hex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), 2 * N);
    std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

/// What a result says, in bytes that can be compared: a share or signature, and a secret.
pub(crate) fn bytes(result: &Result<Output, Failed>) -> Result<(&[u8], &[u8]), Failed> {
    match result {
        Ok(Output::Exchanged { share, shared }) => Ok((share.as_bytes(), shared.expose())),
        Ok(Output::Generated { share, private }) => Ok((share.as_bytes(), private.expose())),
        Ok(Output::Agreed(shared)) => Ok((&[], shared.expose())),
        Ok(Output::Signed(signature)) => Ok((signature.as_bytes(), &[])),
        Err(failed) => Err(*failed),
    }
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

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.word() >> 33).expect("31 bits") % end
    }

    /// A client's share of X25519MLKEM768: coefficients below 3329, in twelve bits each. Once in `spoilt` times, one is not
    /// reduced, which is refused.
    pub(crate) fn mlkem768_share(&mut self, spoilt: u64) -> [u8; 1216] {
        let mut share = self.edgy::<1216>();
        for pair in share[..1152].chunks_exact_mut(3) {
            let [a, b] = [0; 2].map(|_: u8| match self.word() % 8 {
                0 => 0,
                1 => 3328,
                _ => self.below(3329),
            });
            let packed = u32::try_from(a | b << 12).expect("24 bits");
            pair.copy_from_slice(&packed.to_le_bytes()[..3]);
        }
        if self.word().is_multiple_of(spoilt) {
            share[self.below(384) * 3..][..2].fill(0xff);
        }
        share
    }
}
