// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lanes of intervals: the formulas run on what every limb may be, from lowest to highest.
//!
//! [`Interval`] is a [`Simd`] like the others, so what runs is the source that serves. Each operation gives the exact
//! bounds of what it may give, and panics where a number would leave its 64 bits, where IFMA or a multiplication of 32
//! bits would not read all of a factor, or where bits of a negative number would be taken for a large one.

use core::arch::x86_64::__m256i;
use core::ops::{Add, BitAnd, BitOr, BitXor, Not, Sub};
use std::cell::RefCell;
use std::collections::HashMap;

use super::assembly::{Machine, Multiplies};
use crate::lanes::LANES;
use crate::lanes::products::texts;
use crate::lanes::simd::{Simd, Simd32, Vector, Vector32, Vector52};
use crate::lanes::vector::{self, Block};
use crate::wipe::Plain;

/// The token, for a CPU that multiplies `BITS` bits: 52 with IFMA, 32 without.
#[derive(Clone, Copy)]
pub(super) struct Interval<const BITS: u32>;

thread_local! {
    /// What was stored, by its address, while that is to be remembered. Else memory holds words.
    static MEMORY: RefCell<Option<HashMap<usize, Lane>>> = const { RefCell::new(None) };
}

/// Runs `work`, during which memory keeps the bounds of what is stored there.
pub(super) fn remembering(work: impl FnOnce()) {
    MEMORY.set(Some(HashMap::new()));
    work();
    MEMORY.set(None);
}

/// What a lane may hold.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, u8)]
pub(crate) enum Lane {
    /// A number in these bounds.
    Number { lowest: i128, highest: i128 },
    /// 64 bits of words from outside: of scalars, which are computed with modulo 2^64, or of numbers before they are cut.
    Words,
    /// What a shift to the left kept of a number: to be put together into words, nothing else.
    Rest,
    /// The low bits of a number, for a multiplication that reads no others.
    Factor { highest: i128 },
}

use Lane::{Factor, Number, Rest, Words};

// SAFETY: nothing reads a lane again after it was wiped.
unsafe impl Plain for Lane {}

impl Lane {
    pub(super) const fn up_to(highest: i128) -> Self {
        Number { lowest: 0, highest }
    }

    /// A number that fits 64 bits, all of them or with a sign.
    #[track_caller]
    fn fitting(lowest: i128, highest: i128) -> Self {
        let unsigned = lowest >= 0 && highest < 1 << 64;
        let signed = lowest >= -(1 << 63) && highest < 1 << 63;
        assert!(unsigned || signed, "{lowest} to {highest} does not fit 64 bits");
        Number { lowest, highest }
    }

    /// The number that everything here is, if there is one only.
    const fn constant(self) -> Option<i128> {
        match self {
            Number { lowest, highest } if lowest == highest => Some(lowest),
            _ => None,
        }
    }

    #[track_caller]
    pub(super) fn bounds(self) -> (i128, i128) {
        match self {
            Number { lowest, highest } => (lowest, highest),
            Words | Rest | Factor { .. } => panic!("{self:?} is no number"),
        }
    }

    /// Bounds of a factor that is read up to 2^`bits`.
    #[track_caller]
    pub(super) fn factor(self, bits: u32) -> (i128, i128) {
        let (lowest, highest) = if let Factor { highest } = self { (0, highest) } else { self.bounds() };
        assert!(lowest >= 0 && highest < 1 << bits, "{self:?} is no factor of {bits} bits");
        (lowest, highest)
    }

    /// What has all bits that either may have.
    #[track_caller]
    fn joined(self, other: Self) -> Self {
        if self == Words || other == Words {
            return Words;
        }
        if self == Rest || other == Rest {
            return Rest;
        }
        let ((a, b), (c, d)) = (self.bounds(), other.bounds());
        assert!(a >= 0 && c >= 0, "{self:?} or {other:?} has a sign");
        let ones = (1_i128 << (128 - (b | d).leading_zeros())) - 1;
        Self::fitting(a.max(c), ones.min(b + d))
    }

    /// Whether one of them is words, of which sums and differences are words.
    fn are_words(self, other: Self) -> bool {
        (self == Words && other != Rest) || (other == Words && self != Rest)
    }
}

impl Add for Lane {
    type Output = Self;
    #[inline(never)]
    #[track_caller]
    fn add(self, other: Self) -> Self {
        if self.are_words(other) {
            return Words;
        }
        let ((a, b), (c, d)) = (self.bounds(), other.bounds());
        Self::fitting(a + c, b + d)
    }
}

impl Sub for Lane {
    type Output = Self;
    #[inline(never)]
    #[track_caller]
    fn sub(self, other: Self) -> Self {
        if self.are_words(other) {
            return Words;
        }
        let ((a, b), (c, d)) = (self.bounds(), other.bounds());
        Self::fitting(a - d, b - c)
    }
}

impl BitAnd for Lane {
    type Output = Self;
    #[inline(never)]
    #[track_caller]
    fn bitand(self, other: Self) -> Self {
        let (mask, lane) = match (self.constant(), other.constant()) {
            (Some(mask), _) => (mask, other),
            (_, Some(mask)) => (mask, self),
            _ => return self.joined(other),
        };
        let is_mask = mask & (mask + 1) == 0;
        match lane {
            // A limb, cut out of words.
            Words if is_mask && mask < 1 << 53 => Self::up_to(mask),
            Words => Words,
            Number { lowest, highest } if is_mask && lowest >= 0 && highest <= mask => lane,
            Factor { highest } if is_mask => Self::up_to(highest.min(mask)),
            Number { .. } if is_mask => Self::up_to(mask),
            Number { lowest: 0.., highest } => Self::up_to(highest.min(mask)),
            _ => panic!("{lane:?} & {mask:#x}"),
        }
    }
}

impl BitOr for Lane {
    type Output = Self;
    #[inline(never)]
    #[track_caller]
    fn bitor(self, other: Self) -> Self {
        self.joined(other)
    }
}

impl BitXor for Lane {
    type Output = Self;
    #[inline(never)]
    #[track_caller]
    fn bitxor(self, other: Self) -> Self {
        match self.joined(other) {
            Number { highest, .. } => Self::up_to(highest),
            other => other,
        }
    }
}

/// Some lanes; which ones is not followed.
#[derive(Clone, Copy)]
pub(crate) struct Selected;

impl Not for Selected {
    type Output = Self;
    fn not(self) -> Self {
        self
    }
}
impl BitAnd for Selected {
    type Output = Self;
    #[inline(never)]
    fn bitand(self, _: Self) -> Self {
        self
    }
}
impl BitOr for Selected {
    type Output = Self;
    #[inline(never)]
    fn bitor(self, _: Self) -> Self {
        self
    }
}
impl BitXor for Selected {
    type Output = Self;
    #[inline(never)]
    fn bitxor(self, _: Self) -> Self {
        self
    }
}

impl Vector for Lane {
    type Mask = Selected;

    #[inline(never)]
    #[track_caller]
    fn shr<const N: u32>(self) -> Self {
        if self == Words {
            return if N < 12 { Words } else { Self::up_to((1 << (64 - N)) - 1) };
        }
        // What is above a factor's bits comes down, for a mask.
        if let Factor { highest } = self {
            return Factor { highest: highest >> N };
        }
        let (lowest, highest) = self.bounds();
        assert!(lowest >= 0, "{self:?} is shifted as if it had no sign");
        Number { lowest: lowest >> N, highest: highest >> N }
    }

    #[inline(never)]
    #[track_caller]
    fn sar<const N: u32>(self) -> Self {
        let (lowest, highest) = self.bounds();
        assert!(highest < 1 << 63, "{self:?} is shifted as if it had a sign");
        Number { lowest: lowest >> N, highest: highest >> N }
    }

    #[inline(never)]
    fn shl<const N: u32>(self) -> Self {
        match self {
            Number { lowest, highest } if lowest << N >= -(1 << 63) && highest << N < 1 << 63 => {
                Number { lowest: lowest << N, highest: highest << N }
            }
            Words => Words,
            _ => Rest,
        }
    }

    #[inline(never)]
    #[track_caller]
    fn select(self, _: Selected, other: Self) -> Self {
        if self.are_words(other) {
            return Words;
        }
        if let (Factor { highest: a }, Factor { highest: b }) = (self, other) {
            return Factor { highest: a.max(b) };
        }
        let ((a, b), (c, d)) = (self.bounds(), other.bounds());
        Number { lowest: a.min(c), highest: b.max(d) }
    }

    fn test(self, _: Self) -> Selected {
        Selected
    }
    fn is_zero(self) -> Selected {
        Selected
    }
    fn is_negative(self) -> Selected {
        Selected
    }
    fn equals(self, _: Self) -> Selected {
        Selected
    }
    fn read_whole(&self) -> Self {
        *self
    }
    fn rotate<const N: i32>(self) -> Self {
        self
    }
    #[inline(never)]
    fn low52(self) -> Self {
        assert!(self != Rest);
        match self {
            Number { lowest: 0.., highest } => Factor { highest: highest.min((1 << 52) - 1) },
            _ => Factor { highest: (1 << 52) - 1 },
        }
    }
}

impl Vector52 for Lane {
    #[inline(never)]
    #[track_caller]
    fn madd_lo(self, a: Self, b: Self) -> Self {
        let ((a, b), (c, d)) = (a.factor(52), b.factor(52));
        let low = if b * d < 1 << 52 {
            Number { lowest: a * c, highest: b * d }
        } else {
            Self::up_to((1 << 52) - 1)
        };
        self + low
    }

    #[inline(never)]
    #[track_caller]
    fn madd_hi(self, a: Self, b: Self) -> Self {
        let ((a, b), (c, d)) = (a.factor(52), b.factor(52));
        self + Number { lowest: (a * c) >> 52, highest: (b * d) >> 52 }
    }
}

impl Vector32 for Lane {
    fn low32(self) -> Self {
        Factor { highest: (1 << 32) - 1 }
    }

    #[inline(never)]
    #[track_caller]
    fn mul32(self, other: Self) -> Self {
        let ((a, b), (c, d)) = (self.factor(32), other.factor(32));
        Self::fitting(a * c, b * d)
    }
}

impl Multiplies for Lane {
    fn sum(self, other: Self) -> Self {
        self + other
    }
    fn product(self, other: Self) -> Self {
        self.mul32(other)
    }
}

impl<const BITS: u32> Simd for Interval<BITS> {
    const PARTS: usize = 1;
    type Vector = Lane;
    type Mask = Selected;
    type Index = ();

    fn part(self, _: usize) -> Self {
        self
    }
    fn compiled<R>(self, work: impl FnOnce() -> R) -> R {
        work()
    }
    fn zero(self) -> Lane {
        Lane::up_to(0)
    }
    fn splat(self, value: u64) -> Lane {
        Number { lowest: value.into(), highest: value.into() }
    }
    fn load(self, lanes: &[u64; LANES]) -> Lane {
        let address = lanes.as_ptr() as usize;
        MEMORY.with_borrow(|memory| {
            memory.as_ref().and_then(|memory| memory.get(&address).copied()).unwrap_or(Words)
        })
    }
    fn store(self, vector: Lane, block: &mut Block) {
        let address = block.0.as_ptr() as usize;
        MEMORY.with_borrow_mut(|memory| memory.as_mut().map(|memory| memory.insert(address, vector)));
    }
    fn none(self) -> Selected {
        Selected
    }
    fn all(self) -> Selected {
        Selected
    }
    fn bits(self, _: Selected) -> vector::Mask {
        vector::Mask::NONE
    }
    #[inline(never)]
    #[track_caller]
    fn times19(self, vector: Lane) -> Lane {
        let (lowest, highest) = vector.bounds();
        assert!(lowest >= 0, "{vector:?} has a sign");
        Lane::fitting(19 * lowest, 19 * highest)
    }
    fn bits_from(self, _: Lane, _: Lane, _: u64) -> Lane {
        Words
    }
    fn index(self, _: Lane) {}
    fn lookup<const ENTRIES: usize>(self, (): (), column: &[u64; ENTRIES]) -> Lane {
        let (lowest, highest) =
            column.iter().fold((u64::MAX, 0), |(a, b), word| (a.min(*word), b.max(*word)));
        // Limbs of 51 bits are numbers; words of 64 are cut anew.
        if highest < 1 << 51 { Number { lowest: lowest.into(), highest: highest.into() } } else { Words }
    }
    fn load_halves(self, _: &Block) -> (__m256i, __m256i) {
        unimplemented!("nonces have no limbs")
    }
    fn store_halves(self, _: __m256i, _: __m256i, _: &mut Block) {
        unimplemented!("nonces have no limbs")
    }
}

/// The assembly's texts, run on intervals.
impl Simd32 for Interval<32> {
    #[inline(never)]
    fn product25(self, factors: &[Lane; 10], table: &[Lane; 20]) -> [Lane; 10] {
        let mut machine =
            Machine::new([("f", &factors[..], 0), ("g", &table[..], 10), ("last", &table[..], 1)]);
        machine.run(texts::PRODUCT25);
        machine.columns()
    }
    #[inline(never)]
    fn square25(self, factors: &[Lane; 10], wrapped: &[Lane; 5]) -> [Lane; 10] {
        let mut machine = Machine::new([("f", &factors[..], 0), ("w", &wrapped[..], -5)]);
        machine.run(texts::SQUARE25);
        machine.columns()
    }
    #[inline(never)]
    fn product26(self, a: &[Lane; 10], b: &[Lane; 10]) -> [Lane; 19] {
        let mut machine = Machine::new([("a", &a[..], 0), ("b", &b[..], 0), ("c", &[][..], 0)]);
        machine.run(texts::LOWER26);
        machine.run(texts::UPPER26);
        machine.written()
    }
    #[inline(never)]
    fn square26(self, a: &[Lane; 10]) -> [Lane; 19] {
        let mut machine = Machine::new([("a", &a[..], 0), ("b", &a[..], 0), ("c", &[][..], 0)]);
        machine.run(texts::SQUARE_LOWER26);
        machine.run(texts::SQUARE_UPPER26);
        machine.written()
    }
}
