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

/// [`select`] limb by limb.
#[inline(always)]
pub(crate) fn select_limbs<const N: usize>(mask: u64, yes: &[u64; N], no: &[u64; N]) -> [u64; N] {
    core::array::from_fn(|i| select(mask, yes[i], no[i]))
}
