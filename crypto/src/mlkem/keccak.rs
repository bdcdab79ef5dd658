// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keccak-f[1600] (FIPS 202 §3.3) on several states at once.

use core::arch::x86_64::{
    __m256i, __m512i, _mm256_andnot_si256, _mm256_or_si256, _mm256_set1_epi64x, _mm256_sllv_epi64,
    _mm256_srlv_epi64, _mm256_xor_si256, _mm512_andnot_si512, _mm512_or_si512, _mm512_set1_epi64,
    _mm512_sllv_epi64, _mm512_srlv_epi64, _mm512_xor_si512,
};

use crate::cpu::{Avx2, Ifma};
use crate::wipe::Plain;

/// Words of a state.
const WORDS: usize = 25;

/// `W` states, word by word.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct States<const W: usize>([[u64; W]; WORDS]);

// SAFETY: integers.
unsafe impl<const W: usize> Plain for States<W> {}

impl<const W: usize> States<W> {
    /// Sets all states to zero.
    pub(super) fn clear(&mut self) {
        self.0 = [[0; W]; WORDS];
    }

    /// Adds words to one state, from word `first` on.
    #[inline]
    pub(super) fn add(&mut self, lane: usize, first: usize, words: impl IntoIterator<Item = u64>) {
        for (state, word) in self.0[first..].iter_mut().zip(words) {
            state[lane] ^= word;
        }
    }

    /// Adds the last bit of the padding (FIPS 202 §5.1) to one state's block of `rate` bytes.
    #[inline]
    pub(super) fn end(&mut self, lane: usize, rate: usize) {
        self.0[rate / 8 - 1][lane] ^= 1 << 63;
    }

    /// The first words of one state.
    #[inline]
    pub(super) fn words<const COUNT: usize>(&self, lane: usize) -> [u64; COUNT] {
        core::array::from_fn(|i| self.0[i][lane])
    }
}

/// A token that permutes `W` states together.
pub(crate) trait Permute<const W: usize>: Copy {
    /// Permutes every state.
    fn permute(self, states: &mut States<W>);
}

impl Permute<4> for Avx2 {
    fn permute(self, states: &mut States<4>) {
        #[target_feature(enable = "avx2")]
        fn permute(states: &mut States<4>) {
            // SAFETY: a vector is four words, without invalid values; the array is aligned to 64 bytes.
            rounds(unsafe { &mut *(&raw mut states.0).cast::<[__m256i; WORDS]>() });
        }
        // SAFETY: the token proves AVX2.
        unsafe { permute(states) }
    }
}

impl Permute<8> for Ifma {
    fn permute(self, states: &mut States<8>) {
        #[target_feature(enable = "avx512f")]
        fn permute(states: &mut States<8>) {
            // SAFETY: a vector is eight words, without invalid values; the array is aligned to 64 bytes.
            rounds(unsafe { &mut *(&raw mut states.0).cast::<[__m512i; WORDS]>() });
        }
        // SAFETY: the token proves AVX-512F.
        unsafe { permute(states) }
    }
}

/// The same word of several states. Only code compiled for its instructions may touch one.
trait Register: Copy {
    fn splat(word: u64) -> Self;
    fn xor(self, other: Self) -> Self;
    /// `self ^ (!a & b)`
    fn chi(self, a: Self, b: Self) -> Self;
    /// Left by `bits`, 1 to 63.
    fn rotate(self, bits: u64) -> Self;
}

// Counts are constants where this is inlined: the compiler makes immediate shifts of them, and rotations and
// logic of three operands where the CPU has them.
macro_rules! register {
    ($register:ty, $set:ident, $xor:ident, $andnot:ident, $or:ident, $sll:ident, $srl:ident) => {
        impl Register for $register {
            #[inline(always)]
            fn splat(word: u64) -> Self {
                // SAFETY: see the trait.
                unsafe { $set(word.cast_signed()) }
            }
            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                // SAFETY: see the trait.
                unsafe { $xor(self, other) }
            }
            #[inline(always)]
            fn chi(self, a: Self, b: Self) -> Self {
                // SAFETY: see the trait.
                unsafe { $xor(self, $andnot(a, b)) }
            }
            #[inline(always)]
            fn rotate(self, bits: u64) -> Self {
                // SAFETY: see the trait.
                unsafe { $or($sll(self, Self::splat(bits)), $srl(self, Self::splat(64 - bits))) }
            }
        }
    };
}

register!(
    __m256i,
    _mm256_set1_epi64x,
    _mm256_xor_si256,
    _mm256_andnot_si256,
    _mm256_or_si256,
    _mm256_sllv_epi64,
    _mm256_srlv_epi64
);
register!(
    __m512i,
    _mm512_set1_epi64,
    _mm512_xor_si512,
    _mm512_andnot_si512,
    _mm512_or_si512,
    _mm512_sllv_epi64,
    _mm512_srlv_epi64
);

/// ι (§3.2.5): made by the linear feedback shift register of its Algorithm 5.
const ROUND_CONSTANTS: [u64; 24] = {
    let mut constants = [0; 24];
    let (mut round, mut register) = (0, 1_u8);
    while round < 24 {
        let mut bit = 0;
        while bit < 7 {
            if register & 1 == 1 {
                constants[round] |= 1 << ((1 << bit) - 1);
            }
            register = register << 1 ^ if register >> 7 == 1 { 0x71 } else { 0 };
            bit += 1;
        }
        round += 1;
    }
    constants
};

/// All rounds, each from one memory to the other: sixteen registers do not hold a state, and where rounds
/// follow each other in registers, the compiler stores most words twice a round.
#[inline(always)]
fn rounds<R: Register>(state: &mut [R; WORDS]) {
    let mut other = *state;
    let (mut from, mut to) = (state, &mut other);
    let column = |x: usize| from[x].xor(from[x + 5]).xor(from[x + 10]).xor(from[x + 15]).xor(from[x + 20]);
    let mut columns = [column(0), column(1), column(2), column(3), column(4)];
    for constant in ROUND_CONSTANTS {
        columns = round(from, to, columns, R::splat(constant));
        core::mem::swap(&mut from, &mut to);
    }
}

/// One round: θ, ρ and π, χ, ι. Takes and gives the parity of each column.
#[inline(always)]
fn round<R: Register>(from: &[R; WORDS], to: &mut [R; WORDS], columns: [R; 5], constant: R) -> [R; 5] {
    let theta = |x: usize| columns[(x + 4) % 5].xor(columns[(x + 1) % 5].rotate(1));
    let theta = [theta(0), theta(1), theta(2), theta(3), theta(4)];

    // Word x + 5y moves to y + 5(2x + 3y mod 5), rotated by the offset of §3.2.2, Table 2, modulo 64.
    macro_rules! plane {
        ($first:expr, $($from:literal by $bits:literal),*) => {{
            let row = [$first, $( from[$from].xor(theta[$from % 5]).rotate($bits) ),*];
            let chi = |x: usize| row[x].chi(row[(x + 1) % 5], row[(x + 2) % 5]);
            [chi(0), chi(1), chi(2), chi(3), chi(4)]
        }};
    }
    let mut sum = plane!(from[0].xor(theta[0]), 6 by 44, 12 by 43, 18 by 21, 24 by 14);
    sum[0] = sum[0].xor(constant);
    to[..5].copy_from_slice(&sum);
    macro_rules! next {
        ($to:literal, $plane:expr) => {
            let plane = $plane;
            to[$to..$to + 5].copy_from_slice(&plane);
            for x in 0..5 {
                sum[x] = sum[x].xor(plane[x]);
            }
        };
    }
    next!(5, plane!(from[3].xor(theta[3]).rotate(28), 9 by 20, 10 by 3, 16 by 45, 22 by 61));
    next!(10, plane!(from[1].xor(theta[1]).rotate(1), 7 by 6, 13 by 25, 19 by 8, 20 by 18));
    next!(15, plane!(from[4].xor(theta[4]).rotate(27), 5 by 36, 11 by 10, 17 by 15, 23 by 56));
    next!(20, plane!(from[2].xor(theta[2]).rotate(62), 8 by 55, 14 by 39, 15 by 41, 21 by 2));
    sum
}
