// SPDX-License-Identifier: MIT OR Apache-2.0
//! Products as nineteen columns of 26 bits, for multiplications of 32 bits (AVX2).
//!
//! A limb of 52 bits is two of 26: the form for R = 2^260, and all that is not a multiplication, stay as they are.
//! Columns are sums of at most ten products below 2^52; eight times that, less as much, is below 2^59.
//!
//! In assembly, for the reason that [`crate::lanes::field25519::radix25`] gives: nine or ten columns at a time stay in
//! registers.

use core::arch::asm;
use core::mem::MaybeUninit;

use super::{Montgomery, Prime};
use crate::lanes::avx::{Half, V, Without};
use crate::lanes::products::{factor, first, terms};
use crate::lanes::simd::{Simd as _, Vector as _};

pub(crate) type Token = Half<Without>;
/// Five limbs of 52 bits.
pub(crate) type Limbs = [V<Without>; 5];
pub(crate) type Columns = [V<Without>; 19];
/// Ten limbs of 26 bits.
type Halves = [V<Without>; 10];

pub(crate) const MASK: u64 = (1 << 26) - 1;

#[inline(always)]
fn halves(t: Token, a: Limbs) -> Halves {
    let mask = t.splat(MASK);
    let mut halves = [t.zero(); 10];
    for i in 0..5 {
        halves[2 * i] = a[i] & mask;
        halves[2 * i + 1] = a[i].shr::<26>() & mask;
    }
    halves
}

/// The columns from 2^260 on, as limbs of 52 bits that are not carried.
#[inline(always)]
pub(crate) fn upper_half(t: Token, c: Columns) -> Limbs {
    let mask = t.splat(MASK);
    let mut limbs = [c[10], c[12], c[14], c[16], c[18]];
    for i in 0..4 {
        let odd = c[11 + 2 * i];
        limbs[i] = limbs[i] + (odd & mask).shl::<26>();
        limbs[i + 1] = limbs[i + 1] + odd.sar::<26>();
    }
    limbs
}

/// Assembly that computes columns 0 to 9 and stores them, then 10 to 18.
macro_rules! columns {
    ($a:expr, $b:expr; $($lower:expr),+; $($upper:expr),+) => {{
        let mut c = MaybeUninit::<Columns>::uninit();
        // SAFETY: compiled for AVX2. What is read are the ten limbs of either; all columns are written.
        unsafe {
            asm!(
                $($lower,)+
                "vmovdqa [{c} + 0], ymm0",
                "vmovdqa [{c} + 32], ymm1",
                "vmovdqa [{c} + 64], ymm2",
                "vmovdqa [{c} + 96], ymm3",
                "vmovdqa [{c} + 128], ymm4",
                "vmovdqa [{c} + 160], ymm5",
                "vmovdqa [{c} + 192], ymm6",
                "vmovdqa [{c} + 224], ymm7",
                "vmovdqa [{c} + 256], ymm8",
                "vmovdqa [{c} + 288], ymm9",
                $($upper,)+
                "vmovdqa [{c} + 320], ymm0",
                "vmovdqa [{c} + 352], ymm1",
                "vmovdqa [{c} + 384], ymm2",
                "vmovdqa [{c} + 416], ymm3",
                "vmovdqa [{c} + 448], ymm4",
                "vmovdqa [{c} + 480], ymm5",
                "vmovdqa [{c} + 512], ymm6",
                "vmovdqa [{c} + 544], ymm7",
                "vmovdqa [{c} + 576], ymm8",
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

/// The columns of a·b.
#[inline]
#[target_feature(enable = "avx2")]
fn product(a: &Halves, b: &Halves) -> Columns {
    columns!(
        a, b;
        factor!("a": 0), first!("ymm10" by "b": 0 => 0, 1 => 1, 2 => 2, 3 => 3, 4 => 4, 5 => 5, 6 => 6, 7 => 7, 8 => 8, 9 => 9),
        factor!("a": 1), terms!("ymm10" by "b": 0 => 1, 1 => 2, 2 => 3, 3 => 4, 4 => 5, 5 => 6, 6 => 7, 7 => 8, 8 => 9),
        factor!("a": 2), terms!("ymm10" by "b": 0 => 2, 1 => 3, 2 => 4, 3 => 5, 4 => 6, 5 => 7, 6 => 8, 7 => 9),
        factor!("a": 3), terms!("ymm10" by "b": 0 => 3, 1 => 4, 2 => 5, 3 => 6, 4 => 7, 5 => 8, 6 => 9),
        factor!("a": 4), terms!("ymm10" by "b": 0 => 4, 1 => 5, 2 => 6, 3 => 7, 4 => 8, 5 => 9),
        factor!("a": 5), terms!("ymm10" by "b": 0 => 5, 1 => 6, 2 => 7, 3 => 8, 4 => 9),
        factor!("a": 6), terms!("ymm10" by "b": 0 => 6, 1 => 7, 2 => 8, 3 => 9),
        factor!("a": 7), terms!("ymm10" by "b": 0 => 7, 1 => 8, 2 => 9),
        factor!("a": 8), terms!("ymm10" by "b": 0 => 8, 1 => 9),
        factor!("a": 9), terms!("ymm10" by "b": 0 => 9);
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
}

/// The columns of a²: products of different limbs count twice.
#[inline]
#[target_feature(enable = "avx2")]
fn square(a: &Halves) -> Columns {
    columns!(
        a, a;
        factor!("a": 0), first!("ymm11" by "b": 1 => 1, 2 => 2, 3 => 3, 4 => 4, 5 => 5, 6 => 6, 7 => 7, 8 => 8, 9 => 9),
        first!("ymm10" by "b": 0 => 0),
        factor!("a": 1), terms!("ymm11" by "b": 2 => 3, 3 => 4, 4 => 5, 5 => 6, 6 => 7, 7 => 8, 8 => 9), terms!("ymm10" by "b": 1 => 2),
        factor!("a": 2), terms!("ymm11" by "b": 3 => 5, 4 => 6, 5 => 7, 6 => 8, 7 => 9), terms!("ymm10" by "b": 2 => 4),
        factor!("a": 3), terms!("ymm11" by "b": 4 => 7, 5 => 8, 6 => 9), terms!("ymm10" by "b": 3 => 6),
        factor!("a": 4), terms!("ymm11" by "b": 5 => 9), terms!("ymm10" by "b": 4 => 8);
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
}

impl Montgomery for Token {
    type Wide = Columns;

    #[inline(always)]
    fn product(self, a: Limbs, b: Limbs) -> Columns {
        // SAFETY: the token proves AVX2.
        unsafe { product(&halves(self, a), &halves(self, b)) }
    }

    #[inline(always)]
    fn square(self, a: Limbs) -> Columns {
        // SAFETY: the token proves AVX2.
        unsafe { square(&halves(self, a)) }
    }

    #[inline(always)]
    fn difference(mut a: Columns, b: Columns) -> Columns {
        for i in 0..19 {
            a[i] = a[i] - b[i];
        }
        a
    }

    #[inline(always)]
    fn times8(mut a: Columns) -> Columns {
        for column in &mut a {
            *column = column.shl::<3>();
        }
        a
    }

    #[inline(always)]
    fn reduce<M: Prime>(self, wide: Columns) -> Limbs {
        M::reduce26(self, wide)
    }
}
