// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arithmetic modulo 2^255 − 19 in x86-64 instructions; products need BMI2.
//!
//! For the reasons see its twin of P-256. All values are below 2^256. Products are tight: below
//! 2^255 + 2^38, because what is folded back is at most 2^33·19. A sum or difference with a tight second
//! operand carries once and cannot carry again.

use core::arch::asm;

use crate::cpu::Bmi2;
use crate::limbs::Limbs;
use crate::limbs::x86_64::square;

/// Adds a[i]·b to t0…t3; t4 becomes the new top. Products of even limbs lie side by side, and so do
/// those of odd limbs: two runs of carries.
macro_rules! row {
    ($offset:literal, $t0:literal $t1:literal $t2:literal $t3:literal $t4:literal) => {
        concat!(
            "mov rdx, [{a} + ",
            $offset,
            "]\n",
            "mov {",
            $t4,
            ":e}, 0\n",
            "mulx {h}, {l}, [{b}]\n",
            "add {",
            $t0,
            "}, {l}\n",
            "adc {",
            $t1,
            "}, {h}\n",
            "mulx {h}, {l}, [{b} + 16]\n",
            "adc {",
            $t2,
            "}, {l}\n",
            "adc {",
            $t3,
            "}, {h}\n",
            "adc {",
            $t4,
            "}, 0\n",
            "mulx {h}, {l}, [{b} + 8]\n",
            "add {",
            $t1,
            "}, {l}\n",
            "adc {",
            $t2,
            "}, {h}\n",
            "mulx {h}, {l}, [{b} + 24]\n",
            "adc {",
            $t3,
            "}, {l}\n",
            "adc {",
            $t4,
            "}, {h}\n",
        )
    };
}

/// t0…t3 plus 38 times t4: everything from bit 255 on, times 19, joins the lowest limb.
macro_rules! fold_top {
    () => {
        concat!(
            "add {t3}, {t3}\n",
            "adc {t4}, {t4}\n",
            "shr {t3}, 1\n",
            "imul {t4}, {t4}, 19\n",
            "add {t0}, {t4}\n",
            "adc {t1}, 0\n",
            "adc {t2}, 0\n",
            "adc {t3}, 0\n",
        )
    };
}

/// t0…t3 plus 38 times t4…t7.
macro_rules! fold {
    () => {
        concat!(
            "mov edx, 38\n",
            "mulx {h}, {l}, {t4}\n",
            "mov {t4:e}, 0\n",
            "add {t0}, {l}\n",
            "adc {t1}, {h}\n",
            "mulx {h}, {l}, {t6}\n",
            "adc {t2}, {l}\n",
            "adc {t3}, {h}\n",
            "adc {t4}, 0\n",
            "mulx {h}, {l}, {t5}\n",
            "add {t1}, {l}\n",
            "adc {t2}, {h}\n",
            "mulx {h}, {l}, {t7}\n",
            "adc {t3}, {l}\n",
            "adc {t4}, {h}\n",
            fold_top!(),
        )
    };
}

/// a + b, for a tight b.
#[inline(always)]
pub(super) fn add(a: &Limbs, b: &Limbs) -> Limbs {
    let [mut t0, mut t1, mut t2, mut t3] = *a;
    // SAFETY: reads 32 bytes behind the reference and writes registers only.
    unsafe {
        asm!(
            "add {t0}, [{b}]",
            "adc {t1}, [{b} + 8]",
            "adc {t2}, [{b} + 16]",
            "adc {t3}, [{b} + 24]",
            "sbb {fold}, {fold}",
            "and {fold}, 38",
            "add {t0}, {fold}",
            "adc {t1}, 0",
            "adc {t2}, 0",
            "adc {t3}, 0",
            b = in(reg) b.as_ptr(),
            t0 = inout(reg) t0, t1 = inout(reg) t1, t2 = inout(reg) t2, t3 = inout(reg) t3,
            fold = out(reg) _,
            options(pure, readonly, nostack)
        );
    }
    [t0, t1, t2, t3]
}

/// a − b, for a tight b.
#[inline(always)]
pub(super) fn sub(a: &Limbs, b: &Limbs) -> Limbs {
    let [mut t0, mut t1, mut t2, mut t3] = *a;
    // SAFETY: reads 32 bytes behind the reference and writes registers only.
    unsafe {
        asm!(
            "sub {t0}, [{b}]",
            "sbb {t1}, [{b} + 8]",
            "sbb {t2}, [{b} + 16]",
            "sbb {t3}, [{b} + 24]",
            "sbb {fold}, {fold}",
            "and {fold}, 38",
            "sub {t0}, {fold}",
            "sbb {t1}, 0",
            "sbb {t2}, 0",
            "sbb {t3}, 0",
            b = in(reg) b.as_ptr(),
            t0 = inout(reg) t0, t1 = inout(reg) t1, t2 = inout(reg) t2, t3 = inout(reg) t3,
            fold = out(reg) _,
            options(pure, readonly, nostack)
        );
    }
    [t0, t1, t2, t3]
}

/// a·b, tight.
#[inline(always)]
pub(super) fn mul(_: Bmi2, a: &Limbs, b: &Limbs) -> Limbs {
    let (t0, t1, t2, t3);
    // SAFETY: the token proves MULX; reads 32 bytes behind each reference and writes registers only.
    unsafe {
        asm!(
            "mov rdx, [{a}]",
            "mulx {t1}, {t0}, [{b}]",
            "mulx {t3}, {t2}, [{b} + 16]",
            "mulx {h}, {l}, [{b} + 8]",
            "add {t1}, {l}",
            "adc {t2}, {h}",
            "mulx {t4}, {l}, [{b} + 24]",
            "adc {t3}, {l}",
            "adc {t4}, 0",
            row!("8", "t1" "t2" "t3" "t4" "t5"),
            row!("16", "t2" "t3" "t4" "t5" "t6"),
            row!("24", "t3" "t4" "t5" "t6" "t7"),
            fold!(),
            a = in(reg) a.as_ptr(),
            b = in(reg) b.as_ptr(),
            t0 = out(reg) t0, t1 = out(reg) t1, t2 = out(reg) t2, t3 = out(reg) t3,
            t4 = out(reg) _, t5 = out(reg) _, t6 = out(reg) _, t7 = out(reg) _,
            h = out(reg) _, l = out(reg) _,
            out("rdx") _,
            options(pure, readonly, nostack)
        );
    }
    [t0, t1, t2, t3]
}

/// a², tight.
#[inline(always)]
pub(super) fn square(_: Bmi2, a: &Limbs) -> Limbs {
    let (t0, t1, t2, t3);
    // SAFETY: the token proves MULX; reads 32 bytes behind the reference and writes registers only.
    unsafe {
        asm!(
            square!(),
            fold!(),
            a = in(reg) a.as_ptr(),
            t0 = out(reg) t0, t1 = out(reg) t1, t2 = out(reg) t2, t3 = out(reg) t3,
            t4 = out(reg) _, t5 = out(reg) _, t6 = out(reg) _, t7 = out(reg) _,
            h = out(reg) _, l = out(reg) _,
            out("rdx") _,
            options(pure, readonly, nostack)
        );
    }
    [t0, t1, t2, t3]
}

/// a·factor, tight.
#[inline(always)]
pub(super) fn mul_small(_: Bmi2, a: &Limbs, factor: u32) -> Limbs {
    let (t0, t1, t2, t3);
    // SAFETY: the token proves MULX; reads 32 bytes behind the reference and writes registers only.
    unsafe {
        asm!(
            "mulx {t1}, {t0}, [{a}]",
            "mulx {t2}, {l}, [{a} + 8]",
            "add {t1}, {l}",
            "mulx {t3}, {l}, [{a} + 16]",
            "adc {t2}, {l}",
            "mulx {t4}, {l}, [{a} + 24]",
            "adc {t3}, {l}",
            "adc {t4}, 0",
            fold_top!(),
            a = in(reg) a.as_ptr(),
            t0 = out(reg) t0, t1 = out(reg) t1, t2 = out(reg) t2, t3 = out(reg) t3,
            t4 = out(reg) _, l = out(reg) _,
            in("rdx") u64::from(factor),
            options(pure, readonly, nostack)
        );
    }
    [t0, t1, t2, t3]
}
