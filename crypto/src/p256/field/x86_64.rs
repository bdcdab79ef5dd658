// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arithmetic modulo p in x86-64 instructions; products need BMI2.
//!
//! LLVM does not keep a carry in the flag for long and needs two to three times the instructions.
//! MULX leaves the flags alone, so that carries run through; conditional moves are certain to stay.

use core::arch::asm;

use crate::cpu::Bmi2;
use crate::limbs::Limbs;
use crate::limbs::x86_64::square;

/// From four limbs and a carry below 2p, subtracts p unless that borrows.
macro_rules! subtract_p {
    ($t0:literal $t1:literal $t2:literal $t3:literal $carry:literal, $s0:literal $s1:literal $s2:literal $s3:literal, $p1:literal $p3:literal) => {
        concat!(
            "mov {",
            $p1,
            ":e}, 0xffffffff\n",
            "mov {",
            $p3,
            "}, 0xffffffff00000001\n",
            "mov {",
            $s0,
            "}, {",
            $t0,
            "}\n",
            "mov {",
            $s1,
            "}, {",
            $t1,
            "}\n",
            "mov {",
            $s2,
            "}, {",
            $t2,
            "}\n",
            "mov {",
            $s3,
            "}, {",
            $t3,
            "}\n",
            "sub {",
            $s0,
            "}, -1\n",
            "sbb {",
            $s1,
            "}, {",
            $p1,
            "}\n",
            "sbb {",
            $s2,
            "}, 0\n",
            "sbb {",
            $s3,
            "}, {",
            $p3,
            "}\n",
            "sbb {",
            $carry,
            "}, 0\n",
            "cmovnc {",
            $t0,
            "}, {",
            $s0,
            "}\n",
            "cmovnc {",
            $t1,
            "}, {",
            $s1,
            "}\n",
            "cmovnc {",
            $t2,
            "}, {",
            $s2,
            "}\n",
            "cmovnc {",
            $t3,
            "}, {",
            $s3,
            "}\n",
        )
    };
}

/// t0·p3 = t0·2^64 − t0·2^32 + t0 as ($t0, $x), and t0·2^96 as ($high, $low) from limb 1 on: what
/// adding t0·p leaves to be added to the limbs above t0 (see [`super::reduce`]).
macro_rules! multiple_of_p {
    ($t0:literal, $low:literal $high:literal $x:literal) => {
        concat!(
            "mov {", $low, "}, {", $t0, "}\n", "shl {", $low, "}, 32\n", "mov {", $high, "}, {", $t0, "}\n",
            "shr {", $high, "}, 32\n", "mov {", $x, "}, {", $t0, "}\n", "sub {", $x, "}, {", $low, "}\n",
            "sbb {", $t0, "}, {", $high, "}\n",
        )
    };
}

/// Adds a[i]·b to t0…t4, then removes t0 by adding a multiple of p; t0 becomes the new top.
macro_rules! row {
    ($offset:literal, $t0:literal $t1:literal $t2:literal $t3:literal $t4:literal) => {
        concat!(
            "mov rdx, [{a} + ", $offset, "]\n",
            "mulx {h0}, {l}, [{b}]\n",
            "add {", $t0, "}, {l}\n",
            "mulx {h1}, {l}, [{b} + 8]\n",
            "adc {", $t1, "}, {l}\n",
            "mulx {h2}, {l}, [{b} + 16]\n",
            "adc {", $t2, "}, {l}\n",
            "mulx {h3}, {l}, [{b} + 24]\n",
            "adc {", $t3, "}, {l}\n",
            "adc {", $t4, "}, 0\n",
            "add {", $t1, "}, {h0}\n",
            "adc {", $t2, "}, {h1}\n",
            "adc {", $t3, "}, {h2}\n",
            "adc {", $t4, "}, {h3}\n",
            reduce_row!($t0 $t1 $t2 $t3 $t4),
        )
    };
}

macro_rules! reduce_row {
    ($t0:literal $t1:literal $t2:literal $t3:literal $t4:literal) => {
        concat!(
            multiple_of_p!($t0, "l" "h0" "h1"),
            "add {", $t1, "}, {l}\n",
            "adc {", $t2, "}, {h0}\n",
            "adc {", $t3, "}, {h1}\n",
            "adc {", $t4, "}, {", $t0, "}\n",
            "mov {", $t0, "}, 0\n",
            "adc {", $t0, "}, 0\n",
        )
    };
}

/// Removes t0 by adding a multiple of p; t0 becomes the new top of four limbs.
macro_rules! reduce_square {
    ($t0:literal $t1:literal $t2:literal $t3:literal) => {
        concat!(
            multiple_of_p!($t0, "l" "h" "x"),
            "add {", $t1, "}, {l}\n",
            "adc {", $t2, "}, {h}\n",
            "adc {", $t3, "}, {x}\n",
            "adc {", $t0, "}, 0\n",
        )
    };
}

/// a + b mod p, for a and b below p.
#[inline(always)]
pub(super) fn add(a: &Limbs, b: &Limbs) -> Limbs {
    let [mut t0, mut t1, mut t2, mut t3] = *a;
    // SAFETY: reads 32 bytes behind the reference and writes registers only.
    unsafe {
        asm!(
            "mov {carry:e}, 0",
            "add {t0}, [{b}]",
            "adc {t1}, [{b} + 8]",
            "adc {t2}, [{b} + 16]",
            "adc {t3}, [{b} + 24]",
            "adc {carry}, 0",
            subtract_p!("t0" "t1" "t2" "t3" "carry", "s0" "s1" "s2" "s3", "b" "x"),
            b = inout(reg) b.as_ptr() => _,
            t0 = inout(reg) t0, t1 = inout(reg) t1, t2 = inout(reg) t2, t3 = inout(reg) t3,
            carry = out(reg) _, x = out(reg) _,
            s0 = out(reg) _, s1 = out(reg) _, s2 = out(reg) _, s3 = out(reg) _,
            options(pure, readonly, nostack)
        );
    }
    [t0, t1, t2, t3]
}

/// a − b mod p, for a and b below p.
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
            // p, masked by the borrow: its lowest limb is the mask itself.
            "sbb {p0}, {p0}",
            "mov {p1:e}, {p0:e}",
            "mov {p3}, 0xffffffff00000001",
            "and {p3}, {p0}",
            "add {t0}, {p0}",
            "adc {t1}, {p1}",
            "adc {t2}, 0",
            "adc {t3}, {p3}",
            b = in(reg) b.as_ptr(),
            t0 = inout(reg) t0, t1 = inout(reg) t1, t2 = inout(reg) t2, t3 = inout(reg) t3,
            p0 = out(reg) _, p1 = out(reg) _, p3 = out(reg) _,
            options(pure, readonly, nostack)
        );
    }
    [t0, t1, t2, t3]
}

/// a·b·2^−256 mod p, for a and b below p.
#[inline(always)]
pub(super) fn mul(_: Bmi2, a: &Limbs, b: &Limbs) -> Limbs {
    let (r0, r1, r2, r3);
    // SAFETY: the token proves MULX; reads 32 bytes behind each reference and writes registers only.
    unsafe {
        asm!(
            "mov rdx, [{a}]",
            "mulx {t1}, {t0}, [{b}]",
            "mulx {t2}, {l}, [{b} + 8]",
            "add {t1}, {l}",
            "mulx {t3}, {l}, [{b} + 16]",
            "adc {t2}, {l}",
            "mulx {t4}, {l}, [{b} + 24]",
            "adc {t3}, {l}",
            "adc {t4}, 0",
            reduce_row!("t0" "t1" "t2" "t3" "t4"),
            row!("8", "t1" "t2" "t3" "t4" "t0"),
            row!("16", "t2" "t3" "t4" "t0" "t1"),
            row!("24", "t3" "t4" "t0" "t1" "t2"),
            subtract_p!("t4" "t0" "t1" "t2" "t3", "h0" "h1" "h2" "h3", "l" "a"),
            a = inout(reg) a.as_ptr() => _,
            b = in(reg) b.as_ptr(),
            t4 = out(reg) r0, t0 = out(reg) r1, t1 = out(reg) r2, t2 = out(reg) r3, t3 = out(reg) _,
            h0 = out(reg) _, h1 = out(reg) _, h2 = out(reg) _, h3 = out(reg) _, l = out(reg) _,
            out("rdx") _,
            options(pure, readonly, nostack)
        );
    }
    [r0, r1, r2, r3]
}

/// a²·2^−256 mod p, for a below p.
#[inline(always)]
pub(super) fn square(_: Bmi2, a: &Limbs) -> Limbs {
    let (r0, r1, r2, r3);
    // SAFETY: the token proves MULX; reads 32 bytes behind the reference and writes registers only.
    unsafe {
        asm!(
            square!(),
            reduce_square!("t0" "t1" "t2" "t3"),
            reduce_square!("t1" "t2" "t3" "t0"),
            reduce_square!("t2" "t3" "t0" "t1"),
            reduce_square!("t3" "t0" "t1" "t2"),
            "add {t0}, {t4}",
            "adc {t1}, {t5}",
            "adc {t2}, {t6}",
            "adc {t3}, {t7}",
            "mov {t4}, 0",
            "adc {t4}, 0",
            subtract_p!("t0" "t1" "t2" "t3" "t4", "t5" "t6" "t7" "h", "l" "x"),
            a = in(reg) a.as_ptr(),
            t0 = out(reg) r0, t1 = out(reg) r1, t2 = out(reg) r2, t3 = out(reg) r3,
            t4 = out(reg) _, t5 = out(reg) _, t6 = out(reg) _, t7 = out(reg) _,
            h = out(reg) _, l = out(reg) _, x = out(reg) _,
            out("rdx") _,
            options(pure, readonly, nostack)
        );
    }
    [r0, r1, r2, r3]
}
