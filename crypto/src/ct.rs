// SPDX-License-Identifier: MIT OR Apache-2.0
//! Masks that stay masks: choices without branches.
//!
//! A mask is all ones or all zeros. LLVM recognises masks and may turn arithmetic on them back into
//! a branch on the secret they came from, so every mask passes [`barrier`] once when it is made.

/// `value`, about which the compiler then knows nothing.
#[inline(always)]
pub(crate) fn barrier(value: u64) -> u64 {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
    {
        let mut opaque = value;
        // SAFETY: the template is only a comment: no instruction runs, no memory, stack or flag is touched.
        unsafe {
            core::arch::asm!("/* {0} */", inout(reg) opaque, options(pure, nomem, nostack, preserves_flags));
        }
        opaque
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
    core::hint::black_box(value)
}

/// [`barrier`] for many values at once, through memory, which leaves the compiler free to use vectors.
#[inline(always)]
pub(crate) fn barrier_all<const N: usize>(values: &mut [u64; N]) {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
    // SAFETY: the template is only a comment; that it might write to memory is what the compiler believes.
    unsafe {
        core::arch::asm!("/* {0} */", in(reg) values.as_mut_ptr(), options(nostack, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
    core::hint::black_box(values);
}

/// All ones if `bit`, else zero.
#[inline(always)]
pub(crate) fn mask(bit: bool) -> u64 {
    barrier(u64::from(bit).wrapping_neg())
}

/// All ones if the lowest bit of `value` is set, else zero.
#[inline(always)]
pub(crate) fn mask_low_bit(value: u64) -> u64 {
    barrier((value & 1).wrapping_neg())
}

/// All ones if `value` is zero, else zero.
#[inline(always)]
pub(crate) fn mask_zero(value: u64) -> u64 {
    barrier(((value | value.wrapping_neg()) >> 63).wrapping_sub(1))
}

/// `yes` where `mask` is ones, `no` where it is zeros.
#[inline(always)]
pub(crate) fn select(mask: u64, yes: u64, no: u64) -> u64 {
    no ^ (mask & (yes ^ no))
}

/// [`select`] of four limbs.
#[inline(always)]
pub(crate) fn select_limbs(mask: u64, yes: &[u64; 4], no: &[u64; 4]) -> [u64; 4] {
    #[cfg(target_arch = "x86_64")]
    {
        // LLVM would use vectors, and loading them from limbs just written one by one is slow.
        let [mut t0, mut t1, mut t2, mut t3] = *no;
        // SAFETY: reads 32 bytes behind the reference and writes registers only.
        unsafe {
            core::arch::asm!(
                "test {mask}, {mask}",
                "cmovnz {t0}, [{yes}]",
                "cmovnz {t1}, [{yes} + 8]",
                "cmovnz {t2}, [{yes} + 16]",
                "cmovnz {t3}, [{yes} + 24]",
                mask = in(reg) mask,
                yes = in(reg) yes.as_ptr(),
                t0 = inout(reg) t0, t1 = inout(reg) t1, t2 = inout(reg) t2, t3 = inout(reg) t3,
                options(pure, readonly, nostack)
            );
        }
        [t0, t1, t2, t3]
    }
    #[cfg(not(target_arch = "x86_64"))]
    core::array::from_fn(|i| select(mask, yes[i], no[i]))
}
