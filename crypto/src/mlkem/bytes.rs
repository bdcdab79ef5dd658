// SPDX-License-Identifier: MIT OR Apache-2.0
//! Polynomials from bytes and to bytes (FIPS 203 §4.2.1), sixteen coefficients at a time.

use core::arch::x86_64::{
    __m128i, __m256i, _mm256_add_epi16, _mm256_and_si256, _mm256_blend_epi16, _mm256_cmpeq_epi16,
    _mm256_cmpgt_epi16, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_movemask_epi8, _mm256_mulhi_epu16,
    _mm256_mullo_epi16, _mm256_or_si256, _mm256_packus_epi16, _mm256_set_epi8, _mm256_set_epi16,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi16, _mm256_sllv_epi32, _mm256_srli_epi16, _mm256_srli_epi64, _mm256_sub_epi16,
};

use super::ntt::{Polynomial, Q};

/// A polynomial of 12-bit coefficients in bytes.
pub(super) const TWELVE_BITS: usize = 384;
/// A polynomial of 10-bit coefficients in bytes.
pub(super) const TEN_BITS: usize = 320;
/// A polynomial of 4-bit coefficients in bytes.
pub(super) const FOUR_BITS: usize = 128;

#[inline]
pub(super) const fn load16(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: integers of the same size.
    unsafe { core::mem::transmute(*bytes) }
}

/// A vector of two halves.
#[inline]
pub(super) const fn pair(low: &[u8; 16], high: &[u8; 16]) -> __m256i {
    // SAFETY: integers of the same size.
    unsafe { core::mem::transmute([*low, *high]) }
}

/// The halves of a vector.
#[inline]
pub(super) const fn halves(vector: __m256i) -> [[i16; 8]; 2] {
    // SAFETY: integers of the same size.
    unsafe { core::mem::transmute(vector) }
}

/// The halves of a vector, as bytes.
#[inline]
const fn byte_halves(vector: __m256i) -> [[u8; 16]; 2] {
    // SAFETY: integers of the same size.
    unsafe { core::mem::transmute(vector) }
}

/// Sixteen numbers of 12 bits.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn twelve_bits(bytes: &[u8; 24]) -> __m256i {
    // Each half of the vector gets the bytes of its numbers: the upper starts four bytes into what it loads.
    let (first, last) = (bytes.first_chunk().expect("24 bytes"), bytes.last_chunk().expect("24 bytes"));
    let order = _mm256_set_epi8(
        15, 14, 14, 13, 12, 11, 11, 10, 9, 8, 8, 7, 6, 5, 5, 4, //
        11, 10, 10, 9, 8, 7, 7, 6, 5, 4, 4, 3, 2, 1, 1, 0,
    );
    let numbers = _mm256_shuffle_epi8(pair(first, last), order);
    let even = _mm256_and_si256(numbers, _mm256_set1_epi16(0x0fff));
    _mm256_blend_epi16::<0xaa>(even, _mm256_srli_epi16::<4>(numbers))
}

/// ByteDecode12 (Algorithm 6); whether all coefficients are below q (the modulus check of §7.2).
#[target_feature(enable = "avx2")]
pub(super) fn decode(bytes: &[u8; TWELVE_BITS], polynomial: &mut Polynomial) -> bool {
    let mut large = _mm256_setzero_si256();
    for (row, bytes) in polynomial.0.iter_mut().zip(bytes.as_chunks().0) {
        *row = twelve_bits(bytes);
        large = _mm256_or_si256(large, _mm256_cmpgt_epi16(*row, _mm256_set1_epi16(Q - 1)));
    }
    _mm256_movemask_epi8(large) == 0
}

/// ByteEncode10 of Compress10 (Algorithm 5 and §4.2.1) of coefficients in [0, q).
#[target_feature(enable = "avx2")]
pub(super) fn compress10(polynomial: &Polynomial, bytes: &mut [u8; TEN_BITS]) {
    for (row, bytes) in polynomial.0.iter().zip(bytes.as_chunks_mut::<20>().0) {
        let numbers = compressed10(*row);
        // Two numbers to 20 bits, then two of those to 40, at the end of 64.
        let pairs = _mm256_madd_epi16(numbers, _mm256_set1_epi32(1024 << 16 | 1));
        let pairs = _mm256_sllv_epi32(pairs, _mm256_set1_epi64x(12));
        let fours = _mm256_srli_epi64::<12>(pairs);
        let order = _mm256_set_epi8(
            -1, -1, -1, -1, -1, -1, 12, 11, 10, 9, 8, 4, 3, 2, 1, 0, //
            -1, -1, -1, -1, -1, -1, 12, 11, 10, 9, 8, 4, 3, 2, 1, 0,
        );
        let [low, high] = byte_halves(_mm256_shuffle_epi8(fours, order));
        bytes[..10].copy_from_slice(&low[..10]);
        bytes[10..].copy_from_slice(&high[..10]);
    }
}

/// (2^10 x + 1664) / q, rounded down, modulo 2^10, of x in [0, q).
#[inline]
#[target_feature(enable = "avx2")]
fn compressed10(x: __m256i) -> __m256i {
    // x 2^15 / q from below, by 2^27 / q: its five last bits are rounded, and what that lacks of the quotient,
    // at most 1, shows in the remainder, which 16 bits hold.
    let estimate = _mm256_mulhi_epu16(_mm256_slli_epi16::<4>(x), _mm256_set1_epi16(40317_u16.cast_signed()));
    let quotient = _mm256_srli_epi16::<5>(_mm256_add_epi16(estimate, _mm256_set1_epi16(16)));
    let dividend = _mm256_add_epi16(_mm256_slli_epi16::<10>(x), _mm256_set1_epi16(1664));
    let remainder = _mm256_sub_epi16(dividend, _mm256_mullo_epi16(quotient, _mm256_set1_epi16(Q)));
    let lacks = _mm256_cmpgt_epi16(remainder, _mm256_set1_epi16(Q - 1));
    _mm256_and_si256(_mm256_sub_epi16(quotient, lacks), _mm256_set1_epi16(0x3ff))
}

/// ByteEncode4 of Compress4 of coefficients in [0, q).
#[target_feature(enable = "avx2")]
pub(super) fn compress4(polynomial: &Polynomial, bytes: &mut [u8; FOUR_BITS]) {
    for (rows, bytes) in polynomial.0.as_chunks::<2>().0.iter().zip(bytes.as_chunks_mut::<16>().0) {
        let numbers = _mm256_packus_epi16(compressed4(rows[0]), compressed4(rows[1]));
        let pairs = _mm256_maddubs_epi16(numbers, _mm256_set1_epi16(16 << 8 | 1));
        // Each half has eight numbers of the first row, then eight of the second.
        let [low, high] = byte_halves(_mm256_packus_epi16(pairs, pairs));
        for (i, part) in bytes.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let (half, start) = (if i % 2 == 0 { &low } else { &high }, i / 2 * 4);
            part.copy_from_slice(&half[start..start + 4]);
        }
    }
}

/// (2^4 x + 1664) / q, rounded down, modulo 2^4, of x in [0, q).
#[inline]
#[target_feature(enable = "avx2")]
fn compressed4(x: __m256i) -> __m256i {
    // 40318 exceeds 2^27 / q by less than a quotient below 2^16 shows.
    let dividend = _mm256_add_epi16(_mm256_slli_epi16::<4>(x), _mm256_set1_epi16(1664));
    let quotient = _mm256_mulhi_epu16(dividend, _mm256_set1_epi16(40318_u16.cast_signed()));
    _mm256_and_si256(_mm256_srli_epi16::<11>(quotient), _mm256_set1_epi16(0xf))
}

/// Decompress1 of ByteDecode1: a coefficient 0 or ⌈q/2⌉ for each bit.
#[target_feature(enable = "avx2")]
pub(super) fn decompress1(message: &[u8; 32]) -> Polynomial {
    let mut polynomial = Polynomial::ZERO;
    let bits = _mm256_set_epi16(
        i16::MIN,
        1 << 14,
        1 << 13,
        1 << 12,
        1 << 11,
        1 << 10,
        1 << 9,
        1 << 8,
        1 << 7,
        1 << 6,
        1 << 5,
        1 << 4,
        1 << 3,
        1 << 2,
        1 << 1,
        1,
    );
    for (row, bytes) in polynomial.0.iter_mut().zip(message.as_chunks().0) {
        let set = _mm256_and_si256(_mm256_set1_epi16(i16::from_le_bytes(*bytes)), bits);
        *row = _mm256_and_si256(_mm256_cmpeq_epi16(set, bits), _mm256_set1_epi16(Q / 2 + 1));
    }
    polynomial
}
