// SPDX-License-Identifier: MIT OR Apache-2.0
//! Four lanes in one register of 256 bits: AVX2, with IFMA or without.
//!
//! Nothing here needs AVX-512 but its encoding of IFMA, where AVX-IFMA is missing. Masks are vectors,
//! and tables are read by permutations of four entries.

use core::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_blendv_epi8, _mm256_castps_si256,
    _mm256_castsi256_pd, _mm256_castsi256_ps, _mm256_cmpeq_epi64, _mm256_cmpgt_epi64, _mm256_loadu_si256,
    _mm256_movemask_pd, _mm256_mul_epu32, _mm256_or_si256, _mm256_permute4x64_epi64,
    _mm256_permutevar8x32_epi32, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_shuffle_ps,
    _mm256_sllv_epi64, _mm256_srlv_epi64, _mm256_storeu_si256, _mm256_sub_epi64, _mm256_unpackhi_epi32,
    _mm256_unpacklo_epi32, _mm256_xor_si256,
};
use core::marker::PhantomData;
use core::ops::{Add, BitAnd, BitOr, BitXor, Not, Sub};

use super::LANES;
use super::simd::{self, Simd};
use super::vector::{self, Block};
use crate::cpu::Avx2;
#[cfg(feature = "std")]
use crate::cpu::AvxIfma;
use crate::wipe::Plain;

/// Lanes of one part.
const PART: usize = LANES / 2;

/// How IFMA's instructions are written for registers of 256 bits.
pub(crate) trait Encoding: Copy {
    /// # Safety
    /// The CPU must have the instruction in this encoding.
    unsafe fn madd_lo(sum: __m256i, a: __m256i, b: __m256i) -> __m256i;
    /// # Safety
    /// The CPU must have the instruction in this encoding.
    unsafe fn madd_hi(sum: __m256i, a: __m256i, b: __m256i) -> __m256i;
}

/// AVX-IFMA's own.
#[cfg(feature = "std")]
#[derive(Clone, Copy)]
pub(crate) struct Vex;

/// That of AVX-512 IFMA with VL: for tests, where the other is missing.
#[cfg(feature = "std")]
#[derive(Clone, Copy)]
pub(crate) struct Evex;

/// No IFMA at all.
#[derive(Clone, Copy)]
pub(crate) struct Without;

// Assembly rather than intrinsics, so that the compiler may use nothing else of AVX-512 for `Evex`:
// what is tested with it is what runs with `Vex`.
#[cfg(feature = "std")]
macro_rules! encoding {
    ($encoding:ty, $prefix:literal) => {
        impl Encoding for $encoding {
            #[inline]
            #[target_feature(enable = "avx2")]
            unsafe fn madd_lo(mut sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
                // SAFETY: the caller proves the instruction, which touches its operands only.
                unsafe {
                    core::arch::asm!(
                        concat!($prefix, " vpmadd52luq {0}, {1}, {2}"),
                        inout(ymm_reg) sum,
                        in(ymm_reg) a,
                        in(ymm_reg) b,
                        options(pure, nomem, nostack, preserves_flags),
                    );
                }
                sum
            }

            #[inline]
            #[target_feature(enable = "avx2")]
            unsafe fn madd_hi(mut sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
                // SAFETY: the caller proves the instruction, which touches its operands only.
                unsafe {
                    core::arch::asm!(
                        concat!($prefix, " vpmadd52huq {0}, {1}, {2}"),
                        inout(ymm_reg) sum,
                        in(ymm_reg) a,
                        in(ymm_reg) b,
                        options(pure, nomem, nostack, preserves_flags),
                    );
                }
                sum
            }
        }
    };
}

#[cfg(feature = "std")]
encoding!(Vex, "{{vex}}");
#[cfg(feature = "std")]
encoding!(Evex, "{{evex}}");

/// The token of one half of the lanes.
#[derive(Clone, Copy)]
pub(crate) struct Half<E> {
    /// The first lane: 0 or 4.
    first: usize,
    encoding: PhantomData<E>,
}

impl Avx2 {
    /// The token for lane code: the first part's.
    pub(crate) const fn lanes(self) -> Half<Without> {
        Half::FIRST
    }
}

#[cfg(feature = "std")]
impl AvxIfma {
    /// Tokens for lane code: the first part's, for the encoding that this CPU has.
    pub(crate) const fn lanes(self) -> Encoded {
        if self.has_vex() { Encoded::Vex(Half::FIRST) } else { Encoded::Evex(Half::FIRST) }
    }
}

/// [`AvxIfma`] as a type for each encoding.
#[cfg(feature = "std")]
pub(crate) enum Encoded {
    Vex(Half<Vex>),
    Evex(Half<Evex>),
}

impl<E> Half<E> {
    /// Only for tokens of the CPU that prove what is here, and the encoding.
    const FIRST: Self = Self { first: 0, encoding: PhantomData };
}

/// Four lanes.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct V<E>(__m256i, PhantomData<E>);

// SAFETY: integers.
unsafe impl<E: Copy> Plain for V<E> {}

/// All ones in selected lanes, zeros in the others.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Mask(__m256i);

/// An entry's number: its low two bits as places of 32-bit halves, and the others.
#[derive(Clone, Copy)]
pub(crate) struct Index {
    halves: __m256i,
    bits: [Mask; 4],
}

impl<E: Copy> Half<E> {
    #[inline(always)]
    fn load_four(self, lanes: &[u64; PART]) -> V<E> {
        // SAFETY: the token proves AVX2; 32 bytes are readable there.
        V(unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }, PhantomData)
    }

    /// The entry of four that the low two bits of the index name.
    #[inline(always)]
    fn pick4(self, index: Index, entries: &[u64; PART]) -> V<E> {
        // SAFETY: the token proves AVX2.
        V(unsafe { _mm256_permutevar8x32_epi32(self.load_four(entries).0, index.halves) }, PhantomData)
    }

    /// The entry of sixteen that the low four bits of the index name.
    #[inline(always)]
    fn pick16(self, index: Index, groups: &[[u64; PART]], first: usize) -> V<E> {
        use simd::Vector as _;
        let (a, b) = (self.pick4(index, &groups[first]), self.pick4(index, &groups[first + 1]));
        let (c, d) = (self.pick4(index, &groups[first + 2]), self.pick4(index, &groups[first + 3]));
        a.select(index.bits[0], b).select(index.bits[1], c.select(index.bits[0], d))
    }
}

impl<E: Copy> Simd for Half<E> {
    const PARTS: usize = 2;
    type Vector = V<E>;
    type Mask = Mask;
    type Index = Index;

    #[inline(always)]
    fn part(self, part: usize) -> Self {
        Self { first: part % 2 * PART, ..self }
    }

    #[inline(always)]
    fn compiled<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
        fn compiled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: the token proves the features.
        unsafe { compiled(work) }
    }

    #[inline(always)]
    fn zero(self) -> V<E> {
        // SAFETY: the token proves AVX2.
        V(unsafe { _mm256_setzero_si256() }, PhantomData)
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_wrap)] // same 64 bits
    fn splat(self, value: u64) -> V<E> {
        // SAFETY: the token proves AVX2.
        V(unsafe { _mm256_set1_epi64x(value as i64) }, PhantomData)
    }

    #[inline(always)]
    fn load(self, lanes: &[u64; LANES]) -> V<E> {
        // SAFETY: the token proves AVX2; 32 bytes are readable from lane 0 and from lane 4.
        V(unsafe { _mm256_loadu_si256(lanes.as_ptr().add(self.first).cast()) }, PhantomData)
    }

    #[inline(always)]
    fn store(self, vector: V<E>, block: &mut Block) {
        // SAFETY: the token proves AVX2; 32 bytes are writable from lane 0 and from lane 4.
        unsafe { _mm256_storeu_si256(block.0.as_mut_ptr().add(self.first).cast(), vector.0) }
    }

    #[inline(always)]
    fn none(self) -> Mask {
        Mask(self.zero().0)
    }

    #[inline(always)]
    fn all(self) -> Mask {
        Mask(self.splat(u64::MAX).0)
    }

    #[inline(always)]
    fn bits(self, mask: Mask) -> vector::Mask {
        // SAFETY: the token proves AVX2.
        let [bits, ..] = unsafe { _mm256_movemask_pd(_mm256_castsi256_pd(mask.0)) }.to_le_bytes();
        vector::Mask(bits << self.first)
    }

    #[inline(always)]
    fn times19(self, vector: V<E>) -> V<E> {
        use simd::Vector as _;
        vector + vector.shl::<1>() + vector.shl::<4>()
    }

    #[inline(always)]
    fn bits_from(self, low: V<E>, high: V<E>, offset: u64) -> V<E> {
        let (down, up) = (self.splat(offset), self.splat(64 - offset));
        // SAFETY: the token proves AVX2. A shift by 64 gives zero.
        let (low, high) = unsafe { (_mm256_srlv_epi64(low.0, down.0), _mm256_sllv_epi64(high.0, up.0)) };
        V(low, PhantomData) | V(high, PhantomData)
    }

    #[inline(always)]
    fn index(self, entry: V<E>) -> Index {
        use simd::Vector as _;
        let lower = entry.shl::<1>();
        Index {
            halves: (lower | lower.shl::<32>() | self.splat(1 << 32)).0,
            bits: [
                entry.test(self.splat(4)),
                entry.test(self.splat(8)),
                entry.test(self.splat(16)),
                entry.test(self.splat(32)),
            ],
        }
    }

    #[inline(always)]
    fn lookup<const ENTRIES: usize>(self, index: Index, column: &[u64; ENTRIES]) -> V<E> {
        use simd::Vector as _;
        let (groups, _) = column.as_chunks::<PART>();
        let low = self.pick16(index, groups, 0).select(index.bits[2], self.pick16(index, groups, 4));
        if ENTRIES == 32 {
            return low;
        }
        let high = self.pick16(index, groups, 8).select(index.bits[2], self.pick16(index, groups, 12));
        low.select(index.bits[3], high)
    }

    #[inline(always)]
    fn load_halves(self, block: &Block) -> (__m256i, __m256i) {
        let (a, b) = (self.part(0).load(&block.0).0, self.part(1).load(&block.0).0);
        // SAFETY: the token proves AVX2.
        unsafe {
            let (a, b) = (_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
            (
                _mm256_castps_si256(_mm256_shuffle_ps::<0b11_01_11_01>(a, b)),
                _mm256_castps_si256(_mm256_shuffle_ps::<0b10_00_10_00>(a, b)),
            )
        }
    }

    #[inline(always)]
    fn store_halves(self, upper: __m256i, lower: __m256i, block: &mut Block) {
        // SAFETY: the token proves AVX2.
        let (a, b) = unsafe { (_mm256_unpacklo_epi32(lower, upper), _mm256_unpackhi_epi32(lower, upper)) };
        self.part(0).store(V(a, PhantomData), block);
        self.part(1).store(V(b, PhantomData), block);
    }
}

impl simd::Vector32 for V<Without> {
    #[inline(always)]
    fn mul32(self, other: Self) -> Self {
        // SAFETY: this vector proves AVX2.
        Self(unsafe { _mm256_mul_epu32(self.0, other.0) }, PhantomData)
    }
}

impl<E: Copy> simd::Vector for V<E> {
    type Mask = Mask;

    #[inline(always)]
    fn shr<const N: u32>(self) -> Self {
        // SAFETY: this vector proves AVX2.
        Self(unsafe { _mm256_srlv_epi64(self.0, _mm256_set1_epi64x(i64::from(N))) }, PhantomData)
    }

    /// AVX2 has none: the sign bit, moved to its place, is taken off where it was set and leaves ones above.
    #[inline(always)]
    fn sar<const N: u32>(self) -> Self {
        // SAFETY: this vector proves AVX2.
        let sign = Self(unsafe { _mm256_set1_epi64x(1 << (63 - N)) }, PhantomData);
        (self.shr::<N>() ^ sign) - sign
    }

    #[inline(always)]
    fn shl<const N: u32>(self) -> Self {
        // SAFETY: this vector proves AVX2.
        Self(unsafe { _mm256_sllv_epi64(self.0, _mm256_set1_epi64x(i64::from(N))) }, PhantomData)
    }

    #[inline(always)]
    fn select(self, mask: Mask, other: Self) -> Self {
        // SAFETY: this vector proves AVX2.
        Self(unsafe { _mm256_blendv_epi8(self.0, other.0, mask.0) }, PhantomData)
    }

    #[inline(always)]
    fn test(self, bits: Self) -> Mask {
        !(self & bits).is_zero()
    }

    #[inline(always)]
    fn is_zero(self) -> Mask {
        // SAFETY: this vector proves AVX2.
        Mask(unsafe { _mm256_cmpeq_epi64(self.0, _mm256_setzero_si256()) })
    }

    #[inline(always)]
    fn is_negative(self) -> Mask {
        // SAFETY: this vector proves AVX2.
        Mask(unsafe { _mm256_cmpgt_epi64(_mm256_setzero_si256(), self.0) })
    }

    #[inline(always)]
    fn equals(self, other: Self) -> Mask {
        // SAFETY: this vector proves AVX2.
        Mask(unsafe { _mm256_cmpeq_epi64(self.0, other.0) })
    }

    /// A blend reads all of its operands.
    #[inline(always)]
    fn read_whole(&self) -> Self {
        *self
    }

    #[inline(always)]
    fn rotate<const N: i32>(self) -> Self {
        // SAFETY: this vector proves AVX2.
        Self(
            unsafe {
                match N % 4 {
                    1 => _mm256_permute4x64_epi64::<0b00_11_10_01>(self.0),
                    2 => _mm256_permute4x64_epi64::<0b01_00_11_10>(self.0),
                    3 => _mm256_permute4x64_epi64::<0b10_01_00_11>(self.0),
                    _ => self.0,
                }
            },
            PhantomData,
        )
    }
}

impl<E: Encoding> simd::Vector52 for V<E> {
    #[inline(always)]
    fn madd_lo(self, a: Self, b: Self) -> Self {
        // SAFETY: this vector proves IFMA in this encoding.
        Self(unsafe { E::madd_lo(self.0, a.0, b.0) }, PhantomData)
    }

    #[inline(always)]
    fn madd_hi(self, a: Self, b: Self) -> Self {
        // SAFETY: this vector proves IFMA in this encoding.
        Self(unsafe { E::madd_hi(self.0, a.0, b.0) }, PhantomData)
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $intrinsic:ident) => {
        impl<E> $trait for V<E> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: this vector proves AVX2.
                Self(unsafe { $intrinsic(self.0, other.0) }, PhantomData)
            }
        }
    };
}

operator!(Add, add, _mm256_add_epi64);
operator!(Sub, sub, _mm256_sub_epi64);
operator!(BitAnd, bitand, _mm256_and_si256);
operator!(BitOr, bitor, _mm256_or_si256);
operator!(BitXor, bitxor, _mm256_xor_si256);

macro_rules! mask_operator {
    ($trait:ident, $method:ident, $intrinsic:ident) => {
        impl $trait for Mask {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: this mask proves AVX2.
                Self(unsafe { $intrinsic(self.0, other.0) })
            }
        }
    };
}

mask_operator!(BitAnd, bitand, _mm256_and_si256);
mask_operator!(BitOr, bitor, _mm256_or_si256);
mask_operator!(BitXor, bitxor, _mm256_xor_si256);

impl Not for Mask {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        // SAFETY: this mask proves AVX2.
        Self(unsafe { _mm256_xor_si256(self.0, _mm256_set1_epi64x(-1)) })
    }
}
