// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random polynomials (FIPS 203 §4.2.2).

use core::arch::x86_64::{
    __m256i, _mm_add_epi8, _mm_and_si128, _mm_set1_epi8, _mm_srli_epi16, _mm_sub_epi8, _mm_unpackhi_epi8,
    _mm_unpacklo_epi8, _mm256_cmpgt_epi16, _mm256_cvtepi8_epi16, _mm256_movemask_epi8, _mm256_packs_epi16,
    _mm256_set1_epi16, _mm256_shuffle_epi8,
};

use super::bytes::{self, twelve_bits};
use super::ntt::{N, Polynomial, Q};
use crate::wipe::Plain;

/// Bytes that SHAKE128 gives at a time.
pub(super) const BLOCK: usize = 168;
/// Bytes that make sixteen candidates.
const STEP: usize = 24;

/// Numbers below q out of SHAKE128's output: the transform of a polynomial (SampleNTT, Algorithm 7), once there are
/// enough. All of it is public.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Uniform {
    /// The last candidates of the last block may exceed the polynomial.
    numbers: [i16; N + BLOCK * 2 / 3],
    count: usize,
}

// SAFETY: integers.
unsafe impl Plain for Uniform {}

/// By which of eight candidates are accepted: the bytes of those, moved to the front.
static ACCEPTED: [[u8; 16]; 256] = {
    let mut order = [[0x80; 16]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut from, mut to) = (0, 0);
        while from < 8 {
            if mask >> from & 1 == 1 {
                order[mask][to] = 2 * from;
                order[mask][to + 1] = 2 * from + 1;
                to += 2;
            }
            from += 1;
        }
        mask += 1;
    }
    order
};

/// How many of eight candidates are accepted.
static COUNTS: [u8; 256] = {
    let mut counts = [0; 256];
    let mut mask = 1;
    while mask < 256 {
        counts[mask] = counts[mask / 2] + if mask % 2 == 1 { 1 } else { 0 };
        mask += 1;
    }
    counts
};

impl Uniform {
    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    pub(super) fn is_full(&self) -> bool {
        self.count >= N
    }

    /// The polynomial, once full.
    pub(super) fn transform(&self) -> &[__m256i; 16] {
        // SAFETY: the first 512 bytes are integers and aligned to 64 bytes.
        unsafe { &*self.numbers.as_ptr().cast() }
    }

    /// Takes the next block of output.
    #[target_feature(enable = "avx2")]
    pub(super) fn take(&mut self, block: &[u8; BLOCK]) {
        // In a register: each candidate's place depends on it.
        let mut count = self.count;
        for step in block.as_chunks::<STEP>().0 {
            let candidates = twelve_bits(step);
            let small = _mm256_cmpgt_epi16(_mm256_set1_epi16(Q), candidates);
            // One bit a candidate: the first eight in bits 0 to 7, the others in bits 16 to 23.
            let [first, _, second, _] = _mm256_movemask_epi8(_mm256_packs_epi16(small, small)).to_le_bytes();
            let order = bytes::pair(&ACCEPTED[usize::from(first)], &ACCEPTED[usize::from(second)]);
            let accepted = bytes::halves(_mm256_shuffle_epi8(candidates, order));
            for (mask, numbers) in [first, second].into_iter().zip(accepted) {
                if let Some(place) = self.numbers.get_mut(count..).and_then(<[i16]>::first_chunk_mut) {
                    *place = numbers;
                    count += usize::from(COUNTS[usize::from(mask)]);
                }
            }
        }
        self.count = count;
    }
}

/// A polynomial of small coefficients, −2 to 2, out of 128 random bytes (SamplePolyCBD, Algorithm 8, with η = 2).
#[target_feature(enable = "avx2")]
pub(super) fn centered_binomial(random: &[u8; 128]) -> Polynomial {
    let mut polynomial = Polynomial::ZERO;
    for (rows, random) in polynomial.0.as_chunks_mut::<2>().0.iter_mut().zip(random.as_chunks::<16>().0) {
        let random = bytes::load16(random);
        let (ones, twos) = (_mm_set1_epi8(0x55), _mm_set1_epi8(0x33));
        // Sums of two bits, four to a byte; then their differences plus 3, two to a byte.
        let sums =
            _mm_add_epi8(_mm_and_si128(random, ones), _mm_and_si128(_mm_srli_epi16::<1>(random), ones));
        let differences = _mm_sub_epi8(
            _mm_add_epi8(_mm_and_si128(sums, twos), twos),
            _mm_and_si128(_mm_srli_epi16::<2>(sums), twos),
        );
        let (nibble, three) = (_mm_set1_epi8(0x0f), _mm_set1_epi8(3));
        let even = _mm_sub_epi8(_mm_and_si128(differences, nibble), three);
        let odd = _mm_sub_epi8(_mm_and_si128(_mm_srli_epi16::<4>(differences), nibble), three);
        rows[0] = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(even, odd));
        rows[1] = _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(even, odd));
    }
    polynomial
}
