// SPDX-License-Identifier: MIT OR Apache-2.0
//! Eight lanes in one register, by AVX-512 IFMA.

use core::arch::x86_64::__m256i;

use super::LANES;
use super::simd::{Simd, Vector, Vector52};
use super::vector::{Block, Mask, V};
use crate::cpu::Ifma;
use crate::wipe::Plain;

// SAFETY: integers.
unsafe impl Plain for V {}

/// An entry's number, and its bits 4 and 5, which choose among groups of sixteen.
#[derive(Clone, Copy)]
pub(crate) struct Index {
    entry: V,
    bit4: Mask,
    bit5: Mask,
}

impl Simd for Ifma {
    const PARTS: usize = 1;
    type Vector = V;
    type Mask = Mask;
    type Index = Index;

    #[inline(always)]
    fn part(self, _part: usize) -> Self {
        self
    }

    #[inline(always)]
    fn compiled<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx512f,avx512dq,avx512ifma,avx512vl,bmi1,bmi2,lzcnt")]
        fn compiled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: the token proves the features.
        unsafe { compiled(work) }
    }

    #[inline(always)]
    fn zero(self) -> V {
        self.zero()
    }

    #[inline(always)]
    fn splat(self, value: u64) -> V {
        self.splat(value)
    }

    #[inline(always)]
    fn load(self, lanes: &[u64; LANES]) -> V {
        self.load(lanes)
    }

    #[inline(always)]
    fn store(self, vector: V, block: &mut Block) {
        vector.store(block);
    }

    #[inline(always)]
    fn none(self) -> Mask {
        Mask::NONE
    }

    #[inline(always)]
    fn all(self) -> Mask {
        Mask::ALL
    }

    #[inline(always)]
    fn bits(self, mask: Mask) -> Mask {
        mask
    }

    #[inline(always)]
    fn times19(self, vector: V) -> V {
        vector.mul64(self.splat(19))
    }

    #[inline(always)]
    fn bits_from(self, low: V, high: V, offset: u64) -> V {
        low.bits_from(high, offset, self)
    }

    #[inline(always)]
    fn index(self, entry: V) -> Index {
        Index { entry, bit4: entry.test(self.splat(16)), bit5: entry.test(self.splat(32)) }
    }

    #[inline(always)]
    fn lookup<const ENTRIES: usize>(self, index: Index, column: &[u64; ENTRIES]) -> V {
        let (groups, _) = column.as_chunks::<LANES>();
        let a = index.entry.pick16(self.load(&groups[0]), self.load(&groups[1]));
        let b = index.entry.pick16(self.load(&groups[2]), self.load(&groups[3]));
        let low = a.select(index.bit4, b);
        if ENTRIES == 32 {
            return low;
        }
        let a = index.entry.pick16(self.load(&groups[4]), self.load(&groups[5]));
        let b = index.entry.pick16(self.load(&groups[6]), self.load(&groups[7]));
        low.select(index.bit5, a.select(index.bit4, b))
    }

    #[inline(always)]
    fn load_halves(self, block: &Block) -> (__m256i, __m256i) {
        let lanes = self.load(&block.0);
        (lanes.shr::<32>().low_halves(), lanes.low_halves())
    }

    #[inline(always)]
    fn store_halves(self, upper: __m256i, lower: __m256i, block: &mut Block) {
        (V::from_halves(self, upper).shl::<32>() | V::from_halves(self, lower)).store(block);
    }
}

impl Vector for V {
    type Mask = Mask;

    #[inline(always)]
    fn shr<const N: u32>(self) -> Self {
        self.shr::<N>()
    }

    #[inline(always)]
    fn sar<const N: u32>(self) -> Self {
        self.sar::<N>()
    }

    #[inline(always)]
    fn shl<const N: u32>(self) -> Self {
        self.shl::<N>()
    }

    #[inline(always)]
    fn select(self, mask: Mask, other: Self) -> Self {
        self.select(mask, other)
    }

    #[inline(always)]
    fn test(self, bits: Self) -> Mask {
        self.test(bits)
    }

    #[inline(always)]
    fn is_zero(self) -> Mask {
        self.is_zero()
    }

    #[inline(always)]
    fn is_negative(self) -> Mask {
        self.is_negative()
    }

    #[inline(always)]
    fn equals(self, other: Self) -> Mask {
        self.equals(other)
    }

    #[inline(always)]
    fn read_whole(&self) -> Self {
        self.read_whole()
    }

    #[inline(always)]
    fn rotate<const N: i32>(self) -> Self {
        self.rotate::<N>()
    }
}

impl Vector52 for V {
    #[inline(always)]
    fn madd_lo(self, a: Self, b: Self) -> Self {
        self.madd_lo(a, b)
    }

    #[inline(always)]
    fn madd_hi(self, a: Self, b: Self) -> Self {
        self.madd_hi(a, b)
    }
}
