// SPDX-License-Identifier: MIT OR Apache-2.0
//! One AVX-512 register of eight 64-bit lanes, and masks of lanes.

use core::arch::x86_64::{
    __m256i, __m512i, _mm512_add_epi64, _mm512_alignr_epi64, _mm512_and_si512, _mm512_broadcastq_epi64,
    _mm512_castsi512_si128, _mm512_cmpeq_epi64_mask, _mm512_cvtepi64_epi32, _mm512_cvtepu32_epi64,
    _mm512_loadu_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_blend_epi64,
    _mm512_maskz_srli_epi64, _mm512_movepi64_mask, _mm512_mullo_epi64, _mm512_or_si512,
    _mm512_permutex2var_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64, _mm512_sllv_epi64,
    _mm512_srai_epi64, _mm512_srli_epi64, _mm512_srlv_epi64, _mm512_storeu_si512, _mm512_sub_epi64,
    _mm512_test_epi64_mask, _mm512_xor_si512,
};
use core::ops::{Add, BitAnd, BitOr, BitXor, Not, Sub};

use crate::cpu::Ifma;
use crate::limbs::Limbs;
use crate::wipe::Plain;

/// Items in one vector.
pub(crate) const LANES: usize = 8;
/// Most vectors that share one inversion: 64 items.
pub(crate) const VECTORS: usize = 8;

/// The low 51 bits.
pub(crate) const MASK51: u64 = (1 << 51) - 1;
/// The low 52 bits.
pub(crate) const MASK52: u64 = (1 << 52) - 1;

/// A vector in memory, one cache line; needs no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Block(pub(crate) [u64; LANES]);

// SAFETY: integers.
unsafe impl Plain for Block {}

impl Block {
    pub(crate) const ZERO: Self = Self([0; LANES]);
}

/// Puts an integer into one lane.
pub(crate) fn put(words: &mut [Block; 4], lane: usize, value: &Limbs) {
    for (word, limb) in words.iter_mut().zip(value) {
        word.0[lane] = *limb;
    }
}

/// Takes an integer out of one lane.
pub(crate) fn get(words: &[Block; 4], lane: usize) -> Limbs {
    core::array::from_fn(|i| words[i].0[lane])
}

/// Eight lanes. Its existence proves that an [`Ifma`] token exists, so its methods are safe.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct V(__m512i);

/// One bit per lane, lane 0 lowest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mask(pub(crate) u8);

impl Mask {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self(0xff);

    /// Whether `lane` (0 to 7) is set.
    pub(crate) const fn has(self, lane: usize) -> bool {
        self.0 >> lane & 1 == 1
    }
}

impl Not for Mask {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        Self(!self.0)
    }
}
impl BitAnd for Mask {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}
impl BitOr for Mask {
    type Output = Self;
    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
impl BitXor for Mask {
    type Output = Self;
    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }
}

/// Constructors: the token is the proof.
impl Ifma {
    #[inline(always)]
    pub(crate) fn zero(self) -> V {
        // SAFETY: the token proves AVX-512F.
        V(unsafe { _mm512_setzero_si512() })
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_wrap)] // same 64 bits
    pub(crate) fn splat(self, value: u64) -> V {
        // SAFETY: the token proves AVX-512F.
        V(unsafe { _mm512_set1_epi64(value as i64) })
    }

    #[inline(always)]
    pub(crate) fn load(self, lanes: &[u64; LANES]) -> V {
        // SAFETY: the token proves AVX-512F; 64 bytes are readable there.
        V(unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) })
    }
}

/// Reads a vector from memory whole.
///
/// The compiler turns a selection by a mask of lanes, of what was read from memory or of what goes back
/// there, into an access under that mask, even if volatile; and under an empty mask the CPU need not
/// touch memory. What a secret mask selects is read by this, which the compiler cannot look into.
#[inline]
#[target_feature(enable = "avx512f")]
fn read_whole(vector: &__m512i) -> __m512i {
    let whole;
    // SAFETY: a reference is valid to read.
    unsafe {
        core::arch::asm!(
            "vmovdqu64 {0}, [{1}]",
            out(zmm_reg) whole,
            in(reg) vector,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    whole
}

impl Block {
    /// See [`read_whole`].
    #[inline(always)]
    pub(crate) fn load_whole(&self, _t: Ifma) -> V {
        // SAFETY: a block has size and alignment of a vector; the token proves AVX-512F.
        V(unsafe { read_whole(&*core::ptr::from_ref(self).cast()) })
    }
}

impl V {
    /// See [`read_whole`].
    #[inline(always)]
    pub(crate) fn read_whole(&self) -> Self {
        // SAFETY: this vector proves AVX-512F.
        Self(unsafe { read_whole(&self.0) })
    }

    #[inline(always)]
    pub(crate) fn store(self, block: &mut Block) {
        // SAFETY: this vector proves AVX-512F; a `Block` is 64 bytes.
        unsafe { _mm512_storeu_si512(block.0.as_mut_ptr().cast(), self.0) }
    }

    /// `self` plus the low 52 bits of the product of the low 52 bits of `a` and `b`.
    #[inline(always)]
    pub(crate) fn madd_lo(self, a: Self, b: Self) -> Self {
        // SAFETY: this vector proves AVX-512 IFMA.
        Self(unsafe { _mm512_madd52lo_epu64(self.0, a.0, b.0) })
    }

    /// `self` plus the high 52 bits of the product of the low 52 bits of `a` and `b`.
    #[inline(always)]
    pub(crate) fn madd_hi(self, a: Self, b: Self) -> Self {
        // SAFETY: this vector proves AVX-512 IFMA.
        Self(unsafe { _mm512_madd52hi_epu64(self.0, a.0, b.0) })
    }

    /// The low 64 bits of the product.
    #[inline(always)]
    pub(crate) fn mul64(self, other: Self) -> Self {
        // SAFETY: this vector proves AVX-512DQ.
        Self(unsafe { _mm512_mullo_epi64(self.0, other.0) })
    }

    /// Logical shift right.
    #[inline(always)]
    pub(crate) fn shr<const N: u32>(self) -> Self {
        // SAFETY: this vector proves AVX-512F.
        Self(unsafe { _mm512_srli_epi64::<N>(self.0) })
    }

    /// Arithmetic shift right.
    #[inline(always)]
    pub(crate) fn sar<const N: u32>(self) -> Self {
        // SAFETY: this vector proves AVX-512F.
        Self(unsafe { _mm512_srai_epi64::<N>(self.0) })
    }

    /// Shift left.
    #[inline(always)]
    pub(crate) fn shl<const N: u32>(self) -> Self {
        // SAFETY: this vector proves AVX-512F.
        Self(unsafe { _mm512_slli_epi64::<N>(self.0) })
    }

    /// 64 bits from bit `offset` (0 to 63) of the 128 bits `next:self`.
    #[inline(always)]
    pub(crate) fn bits_from(self, next: Self, offset: u64, token: Ifma) -> Self {
        // SAFETY: this vector proves AVX-512F. A shift by 64 gives zero.
        Self(unsafe {
            _mm512_or_si512(
                _mm512_srlv_epi64(self.0, token.splat(offset).0),
                _mm512_sllv_epi64(next.0, token.splat(64 - offset).0),
            )
        })
    }

    /// `other` in the lanes of `mask`, `self` elsewhere.
    #[inline(always)]
    pub(crate) fn select(self, mask: Mask, other: Self) -> Self {
        // SAFETY: this vector proves AVX-512F.
        Self(unsafe { _mm512_mask_blend_epi64(mask.0, self.0, other.0) })
    }

    /// The lanes that share a one bit with `bits`.
    #[inline(always)]
    pub(crate) fn test(self, bits: Self) -> Mask {
        // SAFETY: this vector proves AVX-512F.
        Mask(unsafe { _mm512_test_epi64_mask(self.0, bits.0) })
    }

    /// The lanes that are zero.
    #[inline(always)]
    pub(crate) fn is_zero(self) -> Mask {
        !self.test(self)
    }

    /// The lanes whose top bit is set.
    #[inline(always)]
    pub(crate) fn is_negative(self) -> Mask {
        // SAFETY: this vector proves AVX-512DQ.
        Mask(unsafe { _mm512_movepi64_mask(self.0) })
    }

    /// The lanes equal to those of `other`.
    #[inline(always)]
    pub(crate) fn equals(self, other: Self) -> Mask {
        // SAFETY: this vector proves AVX-512F.
        Mask(unsafe { _mm512_cmpeq_epi64_mask(self.0, other.0) })
    }

    /// Lane by lane, the entry of the sixteen in `low` and `high` that the low four bits of `self` name.
    #[inline(always)]
    pub(crate) fn pick16(self, low: Self, high: Self) -> Self {
        // SAFETY: this vector proves AVX-512F.
        Self(unsafe { _mm512_permutex2var_epi64(low.0, self.0, high.0) })
    }

    /// Lane 0 in every lane.
    #[inline(always)]
    pub(crate) fn broadcast_lowest(self) -> Self {
        // SAFETY: this vector proves AVX-512F.
        Self(unsafe { _mm512_broadcastq_epi64(_mm512_castsi512_si128(self.0)) })
    }

    /// Logical shift right in lane 0, zero in the others.
    #[inline(always)]
    pub(crate) fn shr_lowest<const N: u32>(self) -> Self {
        // SAFETY: this vector proves AVX-512F.
        Self(unsafe { _mm512_maskz_srli_epi64::<N>(1, self.0) })
    }

    /// Lane i takes lane i + 1, lane 7 takes lane 0 of `next`.
    #[inline(always)]
    pub(crate) fn shift_down(self, next: Self) -> Self {
        // SAFETY: this vector proves AVX-512F.
        Self(unsafe { _mm512_alignr_epi64::<1>(next.0, self.0) })
    }

    /// Lane i takes lane i − 1 of `next`, lane 0 takes lane 7 of this vector.
    #[inline(always)]
    pub(crate) fn shift_up(self, next: Self) -> Self {
        // SAFETY: this vector proves AVX-512F.
        Self(unsafe { _mm512_alignr_epi64::<7>(next.0, self.0) })
    }

    /// The low 32 bits of each lane.
    #[inline(always)]
    pub(crate) fn low_halves(self) -> __m256i {
        // SAFETY: this vector proves AVX-512F.
        unsafe { _mm512_cvtepi64_epi32(self.0) }
    }

    /// Lanes of 32 bits, extended by zeros.
    #[inline(always)]
    pub(crate) fn from_halves(_t: Ifma, halves: __m256i) -> Self {
        // SAFETY: the token proves AVX-512F.
        Self(unsafe { _mm512_cvtepu32_epi64(halves) })
    }

    /// Lane i takes lane i + N (mod 8).
    #[inline(always)]
    pub(crate) fn rotate<const N: i32>(self) -> Self {
        // SAFETY: this vector proves AVX-512F.
        Self(unsafe { _mm512_alignr_epi64::<N>(self.0, self.0) })
    }
}

impl Add for V {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: this vector proves AVX-512F.
        Self(unsafe { _mm512_add_epi64(self.0, other.0) })
    }
}
impl Sub for V {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: this vector proves AVX-512F.
        Self(unsafe { _mm512_sub_epi64(self.0, other.0) })
    }
}
impl BitAnd for V {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        // SAFETY: this vector proves AVX-512F.
        Self(unsafe { _mm512_and_si512(self.0, other.0) })
    }
}
impl BitOr for V {
    type Output = Self;
    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        // SAFETY: this vector proves AVX-512F.
        Self(unsafe { _mm512_or_si512(self.0, other.0) })
    }
}
impl BitXor for V {
    type Output = Self;
    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        // SAFETY: this vector proves AVX-512F.
        Self(unsafe { _mm512_xor_si512(self.0, other.0) })
    }
}
