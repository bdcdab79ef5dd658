// SPDX-License-Identifier: MIT OR Apache-2.0
//! What lane code asks of an instruction set.

use core::arch::x86_64::__m256i;
use core::ops::{Add, BitAnd, BitOr, BitXor, Not, Sub};

use super::LANES;
use super::vector::{Block, Mask};
use crate::wipe::Plain;

/// A token that proves the instructions, and how they are used.
///
/// Where a register holds fewer than eight lanes, a vector of eight is computed in `PARTS` parts, each
/// with a token of its own: loads and stores then touch that part's lanes.
pub(crate) trait Simd: Copy {
    const PARTS: usize;
    /// One register of 64-bit lanes.
    type Vector: Vector<Mask = Self::Mask>;
    /// Lanes that were selected.
    type Mask: Copy
        + Not<Output = Self::Mask>
        + BitAnd<Output = Self::Mask>
        + BitOr<Output = Self::Mask>
        + BitXor<Output = Self::Mask>;
    /// Which entry of a table each lane wants, made ready for look-ups.
    type Index: Copy;

    /// The token for part `part`, below [`Self::PARTS`].
    fn part(self, part: usize) -> Self;
    /// Calls `work`, compiled for the instructions: it and what it calls must be `#[inline(always)]`.
    fn compiled<R>(self, work: impl FnOnce() -> R) -> R;

    fn zero(self) -> Self::Vector;
    fn splat(self, value: u64) -> Self::Vector;
    fn load(self, lanes: &[u64; LANES]) -> Self::Vector;
    fn store(self, vector: Self::Vector, block: &mut Block);

    fn none(self) -> Self::Mask;
    fn all(self) -> Self::Mask;
    /// One bit per lane, those of other parts zero.
    fn bits(self, mask: Self::Mask) -> Mask;

    /// 19 times `vector`.
    fn times19(self, vector: Self::Vector) -> Self::Vector;
    /// 64 bits from bit `offset` (0 to 63) of the 128 bits `high:low`.
    fn bits_from(self, low: Self::Vector, high: Self::Vector, offset: u64) -> Self::Vector;

    /// Makes entry numbers below 64 ready.
    fn index(self, entry: Self::Vector) -> Self::Index;
    /// Each lane's entry of a column of 32 or 64, reading all of the column.
    fn lookup<const ENTRIES: usize>(self, index: Self::Index, column: &[u64; ENTRIES]) -> Self::Vector;

    /// The upper and the lower 32 bits of all eight lanes, in an order that is the same for both.
    fn load_halves(self, block: &Block) -> (__m256i, __m256i);
    /// What [`Self::load_halves`] took apart.
    fn store_halves(self, upper: __m256i, lower: __m256i, block: &mut Block);
}

/// Lanes of one register. Its existence proves that a token exists, so its methods are safe.
pub(crate) trait Vector:
    Plain
    + Add<Output = Self>
    + Sub<Output = Self>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
{
    type Mask;

    /// Logical shift right.
    fn shr<const N: u32>(self) -> Self;
    /// Arithmetic shift right.
    fn sar<const N: u32>(self) -> Self;
    /// Shift left.
    fn shl<const N: u32>(self) -> Self;
    /// `other` in the lanes of `mask`, `self` elsewhere.
    fn select(self, mask: Self::Mask, other: Self) -> Self;
    /// The lanes that share a one bit with `bits`.
    fn test(self, bits: Self) -> Self::Mask;
    /// The lanes that are zero.
    fn is_zero(self) -> Self::Mask;
    /// The lanes whose top bit is set.
    fn is_negative(self) -> Self::Mask;
    /// The lanes equal to those of `other`.
    fn equals(self, other: Self) -> Self::Mask;
    /// A copy that a secret mask may select from.
    fn read_whole(&self) -> Self;
    /// Lane i takes lane i + N, of this register's lanes.
    fn rotate<const N: i32>(self) -> Self;
    /// As it is; says that a multiplication is meant to read the low 52 bits only.
    #[inline(always)]
    fn low52(self) -> Self {
        self
    }
}

/// An instruction set with IFMA.
pub(crate) trait Simd52: Simd<Vector: Vector52> {}
impl<S: Simd<Vector: Vector52>> Simd52 for S {}

/// A register that IFMA can multiply.
pub(crate) trait Vector52: Vector {
    /// `self` plus the low 52 bits of the product of the low 52 bits of `a` and `b`.
    fn madd_lo(self, a: Self, b: Self) -> Self;
    /// `self` plus the high 52 bits of the product of the low 52 bits of `a` and `b`.
    fn madd_hi(self, a: Self, b: Self) -> Self;
}

/// An instruction set that multiplies 32 bits, and does whole multiplications of ten limbs in assembly.
pub(crate) trait Simd32: Simd<Vector: Vector32> {
    /// The columns of f·g, of `factors` f and a `table` of 19 g, then g, in limbs of 26 and 25 bits in turn.
    fn product25(self, factors: &[Self::Vector; 10], table: &[Self::Vector; 20]) -> [Self::Vector; 10];
    /// The columns of f²; `wrapped` are 19 f_5 to 19 f_9.
    fn square25(self, factors: &[Self::Vector; 10], wrapped: &[Self::Vector; 5]) -> [Self::Vector; 10];
    /// The columns of a·b in limbs of 26 bits.
    fn product26(self, a: &[Self::Vector; 10], b: &[Self::Vector; 10]) -> [Self::Vector; 19];
    /// The columns of a².
    fn square26(self, a: &[Self::Vector; 10]) -> [Self::Vector; 19];
}

/// A register of which 32 bits a lane can be multiplied.
pub(crate) trait Vector32: Vector {
    /// The product of the low 32 bits.
    fn mul32(self, other: Self) -> Self;
    /// As it is; says that a multiplication is meant to read the low 32 bits only.
    #[inline(always)]
    fn low32(self) -> Self {
        self
    }
}
