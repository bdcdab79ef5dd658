// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wiping what no variable's own wiping reaches: memory that is reused, stack that was left, vector registers.

use crate::cpu;
use crate::ct;

/// What zeros may overwrite.
///
/// # Safety
/// Only for types that are valid when all their bytes are zero.
pub(crate) unsafe trait Plain: Copy {}

/// Overwrites secrets with zeros, which the compiler may not leave out.
#[cfg(target_arch = "x86_64")]
pub(crate) fn wipe<T: Plain>(secrets: &mut [T]) {
    let (start, count) = (secrets.as_mut_ptr(), secrets.len());
    // SAFETY: the slice is ours to write, and zeros are valid for `T`. The empty assembly may read
    // all memory as far as the compiler knows.
    unsafe {
        start.write_bytes(0, count);
        core::arch::asm!("/* {0} */", in(reg) start, options(nostack, preserves_flags));
    }
}

/// How much stack to wipe: by what ran on it. `audit/src/bin/leftovers.rs` searches for what is missed, and
/// `leftovers depths` tells how deep operations go. A caller's stack must have that much room below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// 20 KiB: X25519, P-256 and ECDSA, one by one and in lanes.
    Curves,
    /// 40 KiB: ML-KEM-768.
    Kem,
    /// 64 KiB: RSA.
    Rsa,
}

const KIB: usize = 1024 / size_of::<u64>();

/// Runs `compute`, and then overwrites the stack it ran on, as deep as is said, and the vector registers: spilled
/// registers, and copies of values that were moved. Only the result is left.
#[inline(always)]
pub fn wiping_stack<T>(depth: Depth, compute: impl FnOnce() -> T) -> T {
    #[inline(never)]
    fn call<T>(compute: impl FnOnce() -> T) -> T {
        compute()
    }
    let result = call(compute);
    wipe_stack(depth);
    result
}

/// Overwrites the stack below the caller and the vector registers.
pub fn wipe_stack(depth: Depth) {
    #[inline(never)]
    fn overwrite<const WORDS: usize>() {
        ct::barrier_all(&mut [0; WORDS]);
    }
    match depth {
        Depth::Curves => overwrite::<{ 20 * KIB }>(),
        Depth::Kem => overwrite::<{ 40 * KIB }>(),
        Depth::Rsa => overwrite::<{ 64 * KIB }>(),
    }
    cpu::wipe_vector_registers();
}
