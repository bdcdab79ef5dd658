// SPDX-License-Identifier: MIT OR Apache-2.0
//! Products of 32-bit limbs, summed in columns, in assembly (AVX2).
//!
//! Ten columns and what is multiplied just fit sixteen registers, but the compiler orders the products so that columns go
//! to memory and back. Columns are registers, from `ymm0` on; limbs lie in memory, 32 bytes each, where an operand of the
//! assembly points. `ymm10` to `ymm12` are used up.
//!
//! The texts are constants too, for tests: [`crate::lanes::bounds`] runs them on intervals.

use core::arch::asm;
use core::arch::x86_64::__m256i;
use core::mem::MaybeUninit;

use super::avx::{Half, V, Without};
use super::simd::Simd32;

/// Limb `$i` at `{$from}` into `ymm10`, and twice that into `ymm11`.
macro_rules! factor {
    ($from:literal: $i:literal) => {
        concat!("vmovdqa ymm10, [{", $from, "} + 32*", $i, "]\nvpaddq ymm11, ymm10, ymm10\n")
    };
}

/// Products of a register with limbs at `{$from}`, where they are the first of their columns.
macro_rules! first {
    ($factor:literal by $from:literal: $($j:literal => $column:literal),+) => {
        concat!($("vpmuludq ymm", $column, ", ", $factor, ", [{", $from, "} + 32*", $j, "]\n"),+)
    };
}

/// Products of a register with limbs at `{$from}`, added to their columns.
macro_rules! terms {
    ($factor:literal by $from:literal: $($j:literal => $column:literal),+) => {
        concat!($(
            "vpmuludq ymm12, ", $factor, ", [{", $from, "} + 32*", $j, "]\n",
            "vpaddq ymm", $column, ", ymm", $column, ", ymm12\n"
        ),+)
    };
}

/// Four times the limb into `ymm11`, after [`factor`].
macro_rules! four {
    () => {
        "vpaddq ymm11, ymm11, ymm11\n"
    };
}

/// Columns of f·g in ten limbs of 26 and 25 bits, `g` pointing to g with 19 g before it, and `last` to 19 g's second limb.
macro_rules! product25 {
    () => {
        concat!(
            "vmovdqa ymm10, [{f}]\n",
            first!("ymm10" by "g": 0 => 0, 1 => 1, 2 => 2, 3 => 3, 4 => 4, 5 => 5, 6 => 6, 7 => 7, 8 => 8, 9 => 9),
            "2:\n",
            "sub {g}, 32\n",
            factor!("f": 1),
            terms!("ymm11" by "g": 0 => 0, 2 => 2, 4 => 4, 6 => 6, 8 => 8),
            terms!("ymm10" by "g": 1 => 1, 3 => 3, 5 => 5, 7 => 7, 9 => 9),
            "cmp {g}, {last}\n",
            "je 3f\n",
            "vmovdqa ymm10, [{f} + 64]\n",
            "add {f}, 64\n",
            "sub {g}, 32\n",
            terms!("ymm10" by "g": 0 => 0, 1 => 1, 2 => 2, 3 => 3, 4 => 4, 5 => 5, 6 => 6, 7 => 7, 8 => 8, 9 => 9),
            "jmp 2b\n",
            "3:\n"
        )
    };
}

/// Columns of f² in ten limbs of 26 and 25 bits, `w` pointing five limbs before 19 f_5.
macro_rules! square25 {
    () => {
        concat!(
            factor!("f": 0),
            first!("ymm10" by "f": 0 => 0),
            first!("ymm11" by "f": 1 => 1, 2 => 2, 3 => 3, 4 => 4, 5 => 5, 6 => 6, 7 => 7, 8 => 8, 9 => 9),
            factor!("f": 1),
            terms!("ymm11" by "f": 1 => 2, 2 => 3, 4 => 5, 6 => 7, 8 => 9),
            four!(),
            terms!("ymm11" by "f": 3 => 4, 5 => 6, 7 => 8),
            terms!("ymm11" by "w": 9 => 0),
            factor!("f": 2),
            terms!("ymm10" by "f": 2 => 4),
            terms!("ymm11" by "f": 3 => 5, 4 => 6, 5 => 7, 6 => 8, 7 => 9),
            terms!("ymm11" by "w": 8 => 0, 9 => 1),
            factor!("f": 3),
            terms!("ymm11" by "f": 3 => 6, 4 => 7, 6 => 9),
            terms!("ymm11" by "w": 8 => 1),
            four!(),
            terms!("ymm11" by "f": 5 => 8),
            terms!("ymm11" by "w": 7 => 0, 9 => 2),
            factor!("f": 4),
            terms!("ymm10" by "f": 4 => 8),
            terms!("ymm11" by "f": 5 => 9),
            terms!("ymm11" by "w": 6 => 0, 7 => 1, 8 => 2, 9 => 3),
            factor!("f": 5),
            terms!("ymm11" by "w": 5 => 0, 6 => 1, 8 => 3),
            four!(),
            terms!("ymm11" by "w": 7 => 2, 9 => 4),
            factor!("f": 6),
            terms!("ymm10" by "w": 6 => 2),
            terms!("ymm11" by "w": 7 => 3, 8 => 4, 9 => 5),
            factor!("f": 7),
            terms!("ymm11" by "w": 7 => 4, 8 => 5),
            four!(),
            terms!("ymm11" by "w": 9 => 6),
            factor!("f": 8),
            terms!("ymm10" by "w": 8 => 6),
            terms!("ymm11" by "w": 9 => 7),
            factor!("f": 9),
            terms!("ymm11" by "w": 9 => 8)
        )
    };
}

/// Columns 0 to 9 of a·b in ten limbs of 26 bits.
macro_rules! lower26 {
    () => {
        concat!(
            factor!("a": 0), first!("ymm10" by "b": 0 => 0, 1 => 1, 2 => 2, 3 => 3, 4 => 4, 5 => 5, 6 => 6, 7 => 7, 8 => 8, 9 => 9),
            factor!("a": 1), terms!("ymm10" by "b": 0 => 1, 1 => 2, 2 => 3, 3 => 4, 4 => 5, 5 => 6, 6 => 7, 7 => 8, 8 => 9),
            factor!("a": 2), terms!("ymm10" by "b": 0 => 2, 1 => 3, 2 => 4, 3 => 5, 4 => 6, 5 => 7, 6 => 8, 7 => 9),
            factor!("a": 3), terms!("ymm10" by "b": 0 => 3, 1 => 4, 2 => 5, 3 => 6, 4 => 7, 5 => 8, 6 => 9),
            factor!("a": 4), terms!("ymm10" by "b": 0 => 4, 1 => 5, 2 => 6, 3 => 7, 4 => 8, 5 => 9),
            factor!("a": 5), terms!("ymm10" by "b": 0 => 5, 1 => 6, 2 => 7, 3 => 8, 4 => 9),
            factor!("a": 6), terms!("ymm10" by "b": 0 => 6, 1 => 7, 2 => 8, 3 => 9),
            factor!("a": 7), terms!("ymm10" by "b": 0 => 7, 1 => 8, 2 => 9),
            factor!("a": 8), terms!("ymm10" by "b": 0 => 8, 1 => 9),
            factor!("a": 9), terms!("ymm10" by "b": 0 => 9)
        )
    };
}

/// Columns 10 to 18 of a·b.
macro_rules! upper26 {
    () => {
        concat!(
            factor!("a": 9), first!("ymm10" by "b": 1 => 0, 2 => 1, 3 => 2, 4 => 3, 5 => 4, 6 => 5, 7 => 6, 8 => 7, 9 => 8),
            factor!("a": 1), terms!("ymm10" by "b": 9 => 0),
            factor!("a": 2), terms!("ymm10" by "b": 8 => 0, 9 => 1),
            factor!("a": 3), terms!("ymm10" by "b": 7 => 0, 8 => 1, 9 => 2),
            factor!("a": 4), terms!("ymm10" by "b": 6 => 0, 7 => 1, 8 => 2, 9 => 3),
            factor!("a": 5), terms!("ymm10" by "b": 5 => 0, 6 => 1, 7 => 2, 8 => 3, 9 => 4),
            factor!("a": 6), terms!("ymm10" by "b": 4 => 0, 5 => 1, 6 => 2, 7 => 3, 8 => 4, 9 => 5),
            factor!("a": 7), terms!("ymm10" by "b": 3 => 0, 4 => 1, 5 => 2, 6 => 3, 7 => 4, 8 => 5, 9 => 6),
            factor!("a": 8), terms!("ymm10" by "b": 2 => 0, 3 => 1, 4 => 2, 5 => 3, 6 => 4, 7 => 5, 8 => 6, 9 => 7)
        )
    };
}

/// Columns 0 to 9 of a², `b` being `a`.
macro_rules! square_lower26 {
    () => {
        concat!(
            factor!("a": 0), first!("ymm11" by "b": 1 => 1, 2 => 2, 3 => 3, 4 => 4, 5 => 5, 6 => 6, 7 => 7, 8 => 8, 9 => 9),
            first!("ymm10" by "b": 0 => 0),
            factor!("a": 1), terms!("ymm11" by "b": 2 => 3, 3 => 4, 4 => 5, 5 => 6, 6 => 7, 7 => 8, 8 => 9), terms!("ymm10" by "b": 1 => 2),
            factor!("a": 2), terms!("ymm11" by "b": 3 => 5, 4 => 6, 5 => 7, 6 => 8, 7 => 9), terms!("ymm10" by "b": 2 => 4),
            factor!("a": 3), terms!("ymm11" by "b": 4 => 7, 5 => 8, 6 => 9), terms!("ymm10" by "b": 3 => 6),
            factor!("a": 4), terms!("ymm11" by "b": 5 => 9), terms!("ymm10" by "b": 4 => 8)
        )
    };
}

/// Columns 10 to 18 of a².
macro_rules! square_upper26 {
    () => {
        concat!(
            factor!("a": 1), first!("ymm11" by "b": 9 => 0),
            factor!("a": 2), first!("ymm11" by "b": 9 => 1), terms!("ymm11" by "b": 8 => 0),
            factor!("a": 3), first!("ymm11" by "b": 9 => 2), terms!("ymm11" by "b": 7 => 0, 8 => 1),
            factor!("a": 4), first!("ymm11" by "b": 9 => 3), terms!("ymm11" by "b": 6 => 0, 7 => 1, 8 => 2),
            factor!("a": 5), first!("ymm11" by "b": 9 => 4), terms!("ymm11" by "b": 6 => 1, 7 => 2, 8 => 3), terms!("ymm10" by "b": 5 => 0),
            factor!("a": 6), first!("ymm11" by "b": 9 => 5), terms!("ymm11" by "b": 7 => 3, 8 => 4), terms!("ymm10" by "b": 6 => 2),
            factor!("a": 7), first!("ymm11" by "b": 9 => 6), terms!("ymm11" by "b": 8 => 5), terms!("ymm10" by "b": 7 => 4),
            factor!("a": 8), first!("ymm11" by "b": 9 => 7), terms!("ymm10" by "b": 8 => 6),
            factor!("a": 9), first!("ymm10" by "b": 9 => 8)
        )
    };
}

/// Columns 0 to 9 to memory.
macro_rules! store_lower {
    () => {
        concat!(
            "vmovdqa [{c} + 0], ymm0\n",
            "vmovdqa [{c} + 32], ymm1\n",
            "vmovdqa [{c} + 64], ymm2\n",
            "vmovdqa [{c} + 96], ymm3\n",
            "vmovdqa [{c} + 128], ymm4\n",
            "vmovdqa [{c} + 160], ymm5\n",
            "vmovdqa [{c} + 192], ymm6\n",
            "vmovdqa [{c} + 224], ymm7\n",
            "vmovdqa [{c} + 256], ymm8\n",
            "vmovdqa [{c} + 288], ymm9\n"
        )
    };
}

/// Columns 10 to 18 to memory.
macro_rules! store_upper {
    () => {
        concat!(
            "vmovdqa [{c} + 320], ymm0\n",
            "vmovdqa [{c} + 352], ymm1\n",
            "vmovdqa [{c} + 384], ymm2\n",
            "vmovdqa [{c} + 416], ymm3\n",
            "vmovdqa [{c} + 448], ymm4\n",
            "vmovdqa [{c} + 480], ymm5\n",
            "vmovdqa [{c} + 512], ymm6\n",
            "vmovdqa [{c} + 544], ymm7\n",
            "vmovdqa [{c} + 576], ymm8\n"
        )
    };
}

/// The texts, by their names.
#[cfg(test)]
pub(crate) mod texts {
    pub(crate) const PRODUCT25: &str = product25!();
    pub(crate) const SQUARE25: &str = square25!();
    pub(crate) const LOWER26: &str = concat!(lower26!(), store_lower!());
    pub(crate) const UPPER26: &str = concat!(upper26!(), store_upper!());
    pub(crate) const SQUARE_LOWER26: &str = concat!(square_lower26!(), store_lower!());
    pub(crate) const SQUARE_UPPER26: &str = concat!(square_upper26!(), store_upper!());
}

type Limbs = [V<Without>; 10];

/// Column k of row i is f_i times g_(k − i), or 19 times g_(k − i + 10), and either lies i limbs before where row 0
/// finds its own. Where i and k − i are odd, weights multiply to twice the column's.
#[inline]
#[target_feature(enable = "avx2")]
fn product25(factors: &Limbs, table: &[V<Without>; 20]) -> Limbs {
    let mut c = [const { MaybeUninit::<__m256i>::uninit() }; 10];
    // SAFETY: compiled for AVX2. Rows read f_0 to f_9, and ten limbs of the table from its tenth to its first.
    unsafe {
        asm!(
            product25!(),
            f = inout(reg) factors.as_ptr() => _,
            g = inout(reg) table[10..].as_ptr() => _,
            last = in(reg) table[1..].as_ptr(),
            out("ymm0") c[0], out("ymm1") c[1], out("ymm2") c[2], out("ymm3") c[3], out("ymm4") c[4],
            out("ymm5") c[5], out("ymm6") c[6], out("ymm7") c[7], out("ymm8") c[8], out("ymm9") c[9],
            out("ymm10") _, out("ymm11") _, out("ymm12") _,
            options(readonly, nostack),
        );
        core::mem::transmute(c)
    }
}

/// Products of different limbs count twice, of odd ones once more.
#[inline]
#[target_feature(enable = "avx2")]
fn square25(factors: &Limbs, wrapped: &[V<Without>; 5]) -> Limbs {
    let mut c = [const { MaybeUninit::<__m256i>::uninit() }; 10];
    // SAFETY: compiled for AVX2. What is read are the ten and the five limbs.
    unsafe {
        asm!(
            square25!(),
            f = in(reg) factors.as_ptr(),
            // Where 19 f_0 would lie.
            w = in(reg) wrapped.as_ptr().wrapping_sub(5),
            out("ymm0") c[0], out("ymm1") c[1], out("ymm2") c[2], out("ymm3") c[3], out("ymm4") c[4],
            out("ymm5") c[5], out("ymm6") c[6], out("ymm7") c[7], out("ymm8") c[8], out("ymm9") c[9],
            out("ymm10") _, out("ymm11") _, out("ymm12") _,
            options(pure, readonly, nostack, preserves_flags),
        );
        core::mem::transmute(c)
    }
}

/// Assembly that computes columns 0 to 9 and stores them, then 10 to 18.
macro_rules! columns26 {
    ($a:expr, $b:expr; $lower:ident, $upper:ident) => {{
        let mut c = MaybeUninit::<[V<Without>; 19]>::uninit();
        // SAFETY: compiled for AVX2. What is read are the ten limbs of either; all columns are written.
        unsafe {
            asm!(
                $lower!(),
                store_lower!(),
                $upper!(),
                store_upper!(),
                a = in(reg) $a.as_ptr(),
                b = in(reg) $b.as_ptr(),
                c = in(reg) c.as_mut_ptr(),
                out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _, out("ymm4") _, out("ymm5") _, out("ymm6") _,
                out("ymm7") _, out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _, out("ymm12") _,
                options(nostack, preserves_flags),
            );
            c.assume_init()
        }
    }};
}

#[inline]
#[target_feature(enable = "avx2")]
fn product26(a: &Limbs, b: &Limbs) -> [V<Without>; 19] {
    columns26!(a, b; lower26, upper26)
}

/// Products of different limbs count twice.
#[inline]
#[target_feature(enable = "avx2")]
fn square26(a: &Limbs) -> [V<Without>; 19] {
    columns26!(a, a; square_lower26, square_upper26)
}

impl Simd32 for Half<Without> {
    #[inline(always)]
    fn product25(self, factors: &Limbs, table: &[V<Without>; 20]) -> Limbs {
        // SAFETY: the token proves AVX2.
        unsafe { product25(factors, table) }
    }

    #[inline(always)]
    fn square25(self, factors: &Limbs, wrapped: &[V<Without>; 5]) -> Limbs {
        // SAFETY: the token proves AVX2.
        unsafe { square25(factors, wrapped) }
    }

    #[inline(always)]
    fn product26(self, a: &Limbs, b: &Limbs) -> [V<Without>; 19] {
        // SAFETY: the token proves AVX2.
        unsafe { product26(a, b) }
    }

    #[inline(always)]
    fn square26(self, a: &Limbs) -> [V<Without>; 19] {
        // SAFETY: the token proves AVX2.
        unsafe { square26(a) }
    }
}
