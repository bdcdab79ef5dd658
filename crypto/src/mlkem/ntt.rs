// SPDX-License-Identifier: MIT OR Apache-2.0
//! Polynomials of 256 coefficients modulo q and their number-theoretic transform (FIPS 203 §4.3), sixteen
//! coefficients to a vector.
//!
//! Products are Montgomery's: of two 16-bit numbers whose product is below 2^15 q, [`multiply`] gives the product over
//! 2^16, in (−q, q). Numbers are not reduced between layers as long as 16 bits hold them; each function says what it
//! takes and what it gives.

use core::arch::x86_64::{
    __m256i, _mm256_add_epi16, _mm256_add_epi32, _mm256_and_si256, _mm256_blend_epi16, _mm256_madd_epi16,
    _mm256_mulhi_epi16, _mm256_mullo_epi16, _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set1_epi16,
    _mm256_slli_epi32, _mm256_srai_epi16, _mm256_srli_epi32, _mm256_sub_epi16, _mm256_unpackhi_epi16,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi16, _mm256_unpacklo_epi32,
    _mm256_unpacklo_epi64,
};

use crate::wipe::Plain;

/// The modulus.
pub(super) const Q: i16 = 3329;
/// Coefficients of a polynomial.
pub(super) const N: usize = 256;
/// q^−1 modulo 2^16.
const Q_INVERSE: i16 = -3327;

/// A polynomial, or its transform: coefficient `16 i + j` is number `j` of vector `i`.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Polynomial(pub(super) [__m256i; 16]);

// SAFETY: integers.
unsafe impl Plain for Polynomial {}

/// Sixteen constants to multiply by, each with its product with q^−1 modulo 2^16.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Factors {
    values: [i16; 16],
    times_q_inverse: [i16; 16],
}

impl Factors {
    /// Of `values` modulo q, times 2^(16 `power`).
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // below q
    const fn new(values: [u64; 16], power: u32) -> Self {
        let mut factors = Self { values: [0; 16], times_q_inverse: [0; 16] };
        let mut i = 0;
        while i < 16 {
            factors.values[i] = ((values[i] << (16 * power)) % Q as u64) as i16;
            factors.times_q_inverse[i] = factors.values[i].wrapping_mul(Q_INVERSE);
            i += 1;
        }
        factors
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(&self) -> (__m256i, __m256i) {
        // SAFETY: two vectors, aligned to 64 bytes, of integers.
        unsafe { *core::ptr::from_ref(self).cast() }
    }
}

/// ζ^BitRev7(k), of k below 128: ζ = 17 (FIPS 203 §4.3).
const fn zeta(k: usize) -> u64 {
    let (mut power, mut square, mut bit) = (1, 17, 64);
    while bit > 0 {
        if k & bit != 0 {
            power = power * square % Q as u64;
        }
        square = square * square % Q as u64;
        bit /= 2;
    }
    power
}

/// The factors of the layers at distance 128 to 16, which pair vectors, by their number k in Algorithms 9 and 10.
/// The inverse takes a layer's in reverse.
const BETWEEN_VECTORS: [Factors; 16] = {
    let mut factors = [Factors::new([0; 16], 1); 16];
    let mut k = 1;
    while k < 16 {
        factors[k] = Factors::new([zeta(k); 16], 1);
        k += 1;
    }
    factors
};

/// The factors of the layers at distance 8 to 2, which pair rows of a transposed polynomial: one a column.
const WITHIN_VECTORS: [Factors; 8] = within_vectors(false);
const WITHIN_VECTORS_INVERSE: [Factors; 8] = within_vectors(true);

const fn within_vectors(inverse: bool) -> [Factors; 8] {
    let mut factors = [Factors::new([0; 16], 1); 8];
    let mut k = 1_usize;
    while k < 8 {
        // `groups` of a layer's pairs are in each column, and this is number `group`.
        let groups = 1 << k.ilog2();
        let group = k - groups;
        let mut zetas = [0; 16];
        let mut column = 0;
        while column < 16 {
            let number = column * groups + group;
            zetas[column] = zeta(if inverse { 32 * groups - 1 - number } else { 16 * groups + number });
            column += 1;
        }
        factors[k] = Factors::new(zetas, 1);
        k += 1;
    }
    factors
}

/// What makes transforms ready for [`Sum::add_product`]: 2^32, and −2^32 ζ or 2^32 ζ where the product of two linear
/// factors modulo X² − ζ needs it (Algorithm 12).
const SQUARE: Factors = Factors::new([1; 16], 2);
const GAMMAS: [Factors; 16] = {
    let mut factors = [Factors::new([1; 16], 2); 16];
    let mut i = 0;
    while i < 64 {
        let mut values = [1; 16];
        let vector = i / 4;
        let mut j = 0;
        while j < 4 {
            let gamma = zeta(64 + 4 * vector + j);
            values[4 * j + 1] = gamma;
            values[4 * j + 3] = Q as u64 - gamma;
            j += 1;
        }
        factors[vector] = Factors::new(values, 2);
        i += 4;
    }
    factors
};
/// 1/128, for the doubling of seven layers.
const SCALE: Factors = Factors::new([3303; 16], 1);

/// `a` times the factors, in (−q, q).
#[inline]
#[target_feature(enable = "avx2")]
fn multiply(a: __m256i, factors: (__m256i, __m256i)) -> __m256i {
    let quotient = _mm256_mullo_epi16(a, factors.1);
    _mm256_sub_epi16(_mm256_mulhi_epi16(a, factors.0), times_q_high(quotient))
}

/// The upper half of `a` times q.
#[inline]
#[target_feature(enable = "avx2")]
fn times_q_high(a: __m256i) -> __m256i {
    _mm256_mulhi_epi16(a, _mm256_set1_epi16(Q))
}

/// Any 16-bit numbers, in [0, q].
#[inline]
#[target_feature(enable = "avx2")]
fn reduce(a: __m256i) -> __m256i {
    // Barrett: 20159 is 2^26/q, rounded.
    let quotient = _mm256_srai_epi16::<10>(_mm256_mulhi_epi16(a, _mm256_set1_epi16(20159)));
    _mm256_sub_epi16(a, _mm256_mullo_epi16(quotient, _mm256_set1_epi16(Q)))
}

/// Numbers in [0, 2q) as those in [0, q).
#[inline]
#[target_feature(enable = "avx2")]
fn canonical(a: __m256i) -> __m256i {
    let q = _mm256_set1_epi16(Q);
    let a = _mm256_sub_epi16(a, q);
    _mm256_add_epi16(a, _mm256_and_si256(q, _mm256_srai_epi16::<15>(a)))
}

/// One layer of Algorithm 9 on vectors or rows `DISTANCE` apart. Adds at most q to a number's size.
#[inline]
#[target_feature(enable = "avx2")]
fn layer<const DISTANCE: usize>(rows: &mut [__m256i; 16], factors: &[Factors]) {
    for (group, factors) in rows.chunks_exact_mut(2 * DISTANCE).zip(&factors[8 / DISTANCE..]) {
        let factors = factors.load();
        let (low, high) = group.split_at_mut(DISTANCE);
        for (low, high) in low.iter_mut().zip(high) {
            let product = multiply(*high, factors);
            *high = _mm256_sub_epi16(*low, product);
            *low = _mm256_add_epi16(*low, product);
        }
    }
}

/// One layer of Algorithm 10: sums, which double, and products in (−q, q).
#[inline]
#[target_feature(enable = "avx2")]
fn inverse_layer<'f, const DISTANCE: usize>(
    rows: &mut [__m256i; 16],
    factors: impl Iterator<Item = &'f Factors>,
) {
    for (group, factors) in rows.chunks_exact_mut(2 * DISTANCE).zip(factors) {
        let factors = factors.load();
        let (low, high) = group.split_at_mut(DISTANCE);
        for (low, high) in low.iter_mut().zip(high) {
            let difference = _mm256_sub_epi16(*high, *low);
            *low = _mm256_add_epi16(*low, *high);
            *high = multiply(difference, factors);
        }
    }
}

/// Rows as columns.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(rows: &mut [__m256i; 16]) {
    // Each step pairs what lies `distance` apart, and interleaves ever longer parts of it; halves of vectors come last.
    let mut a = *rows;
    for i in 0..8 {
        a[2 * i] = _mm256_unpacklo_epi16(rows[2 * i], rows[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi16(rows[2 * i], rows[2 * i + 1]);
    }
    let mut b = a;
    for i in 0..4 {
        for j in 0..2 {
            b[4 * i + 2 * j] = _mm256_unpacklo_epi32(a[4 * i + j], a[4 * i + j + 2]);
            b[4 * i + 2 * j + 1] = _mm256_unpackhi_epi32(a[4 * i + j], a[4 * i + j + 2]);
        }
    }
    for i in 0..2 {
        for j in 0..4 {
            a[8 * i + 2 * j] = _mm256_unpacklo_epi64(b[8 * i + j], b[8 * i + j + 4]);
            a[8 * i + 2 * j + 1] = _mm256_unpackhi_epi64(b[8 * i + j], b[8 * i + j + 4]);
        }
    }
    for j in 0..8 {
        rows[j] = _mm256_permute2x128_si256::<0x20>(a[j], a[j + 8]);
        rows[j + 8] = _mm256_permute2x128_si256::<0x31>(a[j], a[j + 8]);
    }
}

impl Polynomial {
    pub(super) const ZERO: Self = {
        // SAFETY: integers.
        unsafe { core::mem::zeroed() }
    };

    /// The transform (Algorithm 9) of coefficients in [−q, q], in (−8q, 8q).
    #[target_feature(enable = "avx2")]
    pub(super) fn transform(&mut self) {
        let rows = &mut self.0;
        layer::<8>(rows, &BETWEEN_VECTORS);
        layer::<4>(rows, &BETWEEN_VECTORS);
        layer::<2>(rows, &BETWEEN_VECTORS);
        layer::<1>(rows, &BETWEEN_VECTORS);
        transpose(rows);
        layer::<8>(rows, &WITHIN_VECTORS);
        layer::<4>(rows, &WITHIN_VECTORS);
        layer::<2>(rows, &WITHIN_VECTORS);
        transpose(rows);
    }

    /// The inverse (Algorithm 10) of numbers in (−q, q), in (−q, q).
    #[target_feature(enable = "avx2")]
    pub(super) fn inverse_transform(&mut self) {
        let rows = &mut self.0;
        transpose(rows);
        inverse_layer::<2>(rows, WITHIN_VECTORS_INVERSE[4..].iter());
        inverse_layer::<4>(rows, WITHIN_VECTORS_INVERSE[2..].iter());
        inverse_layer::<8>(rows, WITHIN_VECTORS_INVERSE[1..].iter());
        transpose(rows);
        // Sums of three layers are below 8q; those of three more would not fit.
        for row in rows.iter_mut() {
            *row = reduce(*row);
        }
        inverse_layer::<1>(rows, BETWEEN_VECTORS[8..].iter().rev());
        inverse_layer::<2>(rows, BETWEEN_VECTORS[4..8].iter().rev());
        inverse_layer::<4>(rows, BETWEEN_VECTORS[2..4].iter().rev());
        for row in rows.iter_mut() {
            *row = reduce(*row);
        }
        inverse_layer::<8>(rows, BETWEEN_VECTORS[1..2].iter().rev());
        for row in rows.iter_mut() {
            *row = multiply(*row, SCALE.load());
        }
    }

    /// Adds small coefficients to those in (−q, q); gives the sum in [0, q).
    #[target_feature(enable = "avx2")]
    pub(super) fn add(&mut self, other: &Self) {
        for (row, other) in self.0.iter_mut().zip(&other.0) {
            *row = canonical(reduce(_mm256_add_epi16(*row, *other)));
        }
    }

    /// [`Self::add`] of two.
    #[target_feature(enable = "avx2")]
    pub(super) fn add_two(&mut self, one: &Self, other: &Self) {
        for ((row, one), other) in self.0.iter_mut().zip(&one.0).zip(&other.0) {
            let sum = _mm256_add_epi16(*one, *other);
            *row = canonical(reduce(_mm256_add_epi16(*row, sum)));
        }
    }
}

/// A transform made ready to be multiplied by others.
#[derive(Clone, Copy)]
pub(super) struct Multiplier {
    /// Of each pair of coefficients, those that make the lower coefficient of a product.
    lower: Polynomial,
    /// Those that make the upper: the pair swapped.
    upper: Polynomial,
}

// SAFETY: integers.
unsafe impl Plain for Multiplier {}

impl Multiplier {
    /// Takes a transform of any 16-bit numbers.
    #[target_feature(enable = "avx2")]
    pub(super) fn set(&mut self, transform: &Polynomial) {
        for (i, &row) in transform.0.iter().enumerate() {
            let plain = multiply(row, SQUARE.load());
            self.lower.0[i] = multiply(row, GAMMAS[i].load());
            self.upper.0[i] = swap_pairs(plain);
        }
    }
}

/// Each coefficient in its neighbour's place.
#[inline]
#[target_feature(enable = "avx2")]
fn swap_pairs(a: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_slli_epi32::<16>(a), _mm256_srli_epi32::<16>(a))
}

/// A sum of products of transforms, in 32 bits: of each pair, the lower and the upper coefficient.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    lower: [__m256i; 16],
    upper: [__m256i; 16],
}

// SAFETY: integers.
unsafe impl Plain for Sum {}

impl Sum {
    pub(super) const ZERO: Self = Self { lower: Polynomial::ZERO.0, upper: Polynomial::ZERO.0 };

    /// Adds the product (Algorithm 11) with a transform in [0, q): below 2 q² each.
    #[target_feature(enable = "avx2")]
    pub(super) fn add_product(&mut self, multiplier: &Multiplier, transform: &[__m256i; 16]) {
        for (i, row) in transform.iter().enumerate() {
            let (lower, upper) = (&mut self.lower[i], &mut self.upper[i]);
            *lower = _mm256_add_epi32(*lower, _mm256_madd_epi16(multiplier.lower.0[i], *row));
            *upper = _mm256_add_epi32(*upper, _mm256_madd_epi16(multiplier.upper.0[i], *row));
        }
    }

    /// The sum of at most three products in 16 bits, in (−q, q).
    #[target_feature(enable = "avx2")]
    pub(super) fn reduced(&self) -> Polynomial {
        let mut transform = Polynomial::ZERO;
        for (i, row) in transform.0.iter_mut().enumerate() {
            // Montgomery's reduction of 32 bits, of the pairs' halves side by side.
            let (lower, upper) = (self.lower[i], self.upper[i]);
            let low = _mm256_blend_epi16::<0xaa>(lower, _mm256_slli_epi32::<16>(upper));
            let high = _mm256_blend_epi16::<0xaa>(_mm256_srli_epi32::<16>(lower), upper);
            let quotient = _mm256_mullo_epi16(low, _mm256_set1_epi16(Q_INVERSE));
            *row = _mm256_sub_epi16(high, times_q_high(quotient));
        }
        transform
    }
}

/// The bounds that functions here claim, over everything they take.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Avx2;

    fn numbers(vector: __m256i) -> [i16; 16] {
        // SAFETY: integers of the same size.
        unsafe { core::mem::transmute(vector) }
    }

    fn vector(numbers: [i16; 16]) -> __m256i {
        // SAFETY: integers of the same size.
        unsafe { core::mem::transmute(numbers) }
    }

    /// Products with every factor of every table, of all numbers that 16 bits hold.
    #[test]
    fn products_of_all_numbers() {
        #[target_feature(enable = "avx2")]
        fn check(factors: &Factors) {
            for a in i16::MIN..=i16::MAX {
                let products = numbers(multiply(vector([a; 16]), factors.load()));
                for (product, factor) in products.into_iter().zip(factors.values) {
                    assert!(product.abs() < Q, "{a} times {factor}: {product}");
                    let error = (i32::from(product) << 16) - i32::from(a) * i32::from(factor);
                    assert!(error % i32::from(Q) == 0, "{a} times {factor}: {product}");
                }
            }
        }
        if Avx2::detect().is_some() {
            let tables =
                [&BETWEEN_VECTORS[..], &WITHIN_VECTORS, &WITHIN_VECTORS_INVERSE, &GAMMAS, &[SQUARE, SCALE]];
            for factors in tables.into_iter().flatten() {
                // SAFETY: AVX2 was detected.
                unsafe { check(factors) };
            }
        }
    }

    /// Barrett's reduction of all numbers that 16 bits hold, and the last step of those below 2q.
    #[test]
    fn reductions_of_all_numbers() {
        #[target_feature(enable = "avx2")]
        fn check() {
            for a in i16::MIN..=i16::MAX {
                let [reduced, ..] = numbers(reduce(vector([a; 16])));
                assert!(
                    (0..=Q).contains(&reduced) && (i32::from(a) - i32::from(reduced)) % i32::from(Q) == 0,
                    "{a}"
                );
                if (0..2 * Q).contains(&a) {
                    assert_eq!(numbers(canonical(vector([a; 16]))), [a % Q; 16]);
                }
            }
        }
        if Avx2::detect().is_some() {
            // SAFETY: AVX2 was detected.
            unsafe { check() };
        }
    }

    /// The reduction of 32 bits, of sums as large as three products can be, of either sign, and of numbers between.
    #[test]
    fn reductions_of_sums() {
        #[target_feature(enable = "avx2")]
        fn check(value: i32) {
            let words = |value: i32| {
                let [a, b, c, d] = value.to_le_bytes();
                vector(core::array::from_fn(|i| i16::from_le_bytes([[a, b], [c, d]][i % 2])))
            };
            let sum = Sum { lower: [words(value); 16], upper: [words(-value); 16] };
            let Polynomial([row, ..]) = sum.reduced();
            let [lower, upper, ..] = numbers(row);
            for (reduced, value) in [(lower, value), (upper, -value)] {
                assert!(reduced.abs() < Q, "{value}: {reduced}");
                assert!(
                    ((i64::from(reduced) << 16) - i64::from(value)) % i64::from(Q) == 0,
                    "{value}: {reduced}"
                );
            }
        }
        if Avx2::detect().is_some() {
            let most = 6 * i32::from(Q) * i32::from(Q);
            for value in (0..=most).step_by(61).chain([most]) {
                // SAFETY: AVX2 was detected.
                unsafe { check(value) };
            }
        }
    }
}
